//! What a release promised, in two files, and whether this one keeps it.
//!
//! Configurations are kept for years and catalogs are built upon, so what fitted once has to fit still: nothing is
//! taken away, nothing becomes required, nothing is narrowed. More may be there.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use connector_sdk::Catalog;
use serde_json::Value;

mod catalog;
mod config;

pub(super) use catalog::broken as broken_catalog;
pub(super) use config::broken as broken_config;

/// What was promised.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    /// JSON Schema of the configuration.
    pub(super) config: Value,
    /// The streams.
    pub(super) catalog: Catalog,
}

/// The file of the configuration's schema.
const CONFIG: &str = "config.schema.json";
/// The file of the catalog.
const CATALOG: &str = "catalog.json";

impl Snapshot {
    /// Reads it from its folder.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let config = read(&folder.join(CONFIG))?;
        let catalog = read(&folder.join(CATALOG))?;
        let catalog = serde_json::from_value(catalog)
            .map_err(|error| format!("{}: no catalog: {error}", folder.join(CATALOG).display()))?;
        Ok(Self { config, catalog })
    }

    /// Writes it into its folder.
    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        let catalog = serde_json::to_value(&self.catalog).map_err(|error| error.to_string())?;
        fs::create_dir_all(folder).map_err(|error| told(folder, &error))?;
        for (name, value) in [(CONFIG, &self.config), (CATALOG, &catalog)] {
            let path = folder.join(name);
            fs::write(&path, format!("{value:#}\n")).map_err(|error| told(&path, &error))?;
        }
        Ok(())
    }
}

fn read(path: &PathBuf) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| told(path, &error))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests;
