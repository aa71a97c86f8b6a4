//! A connector to begin with: the files of `templates/rest`, under another name.
//!
//! The templates are a crate that compiles as it stands, so names in them are stand-ins, not markup:
//! `connector-example-desk` is the package, `example-desk` the vendor. A test writes the crate somewhere else and runs
//! its suite.

mod name;
mod sdk;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::Path,
};

use connector_sdk::{Error, Result};

pub(crate) use name::Name;
pub(crate) use sdk::Sdk;

/// The ways to talk to a vendor that there is a template for.
pub(crate) const METHODS: [&str; 1] = ["rest"];

/// The template's own names.
const PACKAGE: &str = "connector-example-desk";
const LIBRARY: &str = "connector_example_desk";
const SYSTEM: &str = "example-desk";

/// Cargo takes each folder with a `Cargo.toml` for a package of its own, so here it has another name.
const MANIFEST: &str = include_str!("../../templates/rest/manifest.toml");

/// Where each file goes, and what is in it.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", MANIFEST),
    (".gitignore", include_str!("../../templates/rest/gitignore")),
    ("README.md", include_str!("../../templates/rest/README.md")),
    ("connection.yaml", include_str!("../../templates/rest/connection.yaml")),
    ("rustfmt.toml", include_str!("../../templates/rest/rustfmt.toml")),
    ("src/lib.rs", include_str!("../../templates/rest/src/lib.rs")),
    ("src/api.rs", include_str!("../../templates/rest/src/api.rs")),
    ("src/config.rs", include_str!("../../templates/rest/src/config.rs")),
    ("src/connector.rs", include_str!("../../templates/rest/src/connector.rs")),
    ("src/fault.rs", include_str!("../../templates/rest/src/fault.rs")),
    ("src/tickets.rs", include_str!("../../templates/rest/src/tickets.rs")),
    ("examples/connector.rs", include_str!("../../templates/rest/examples/connector.rs")),
    ("examples/vendor.rs", include_str!("../../templates/rest/examples/vendor.rs")),
    ("tests/conformance.rs", include_str!("../../templates/rest/tests/conformance.rs")),
];

/// Writes the crate into a folder, which is made where it is missing. Answers the files, as paths in the folder.
///
/// # Errors
/// Config when the folder holds something already; Permanent when it cannot be written.
pub(crate) fn write(folder: &Path, name: &Name, sdk: &Sdk) -> Result<Vec<&'static str>> {
    check_empty(folder)?;
    let mut written = Vec::new();
    for (path, text) in FILES {
        let text = named(text, name);
        let text = if *path == "Cargo.toml" { sdk.depend(&text) } else { text };
        put(folder, path, text.as_bytes())?;
        written.push(*path);
    }
    if let Some(lock) = sdk.lock()? {
        put(folder, "Cargo.lock", &lock)?;
        written.push("Cargo.lock");
    }
    Ok(written)
}

/// The template's text under another name. The longer names first: they hold the shorter.
fn named(text: &str, name: &Name) -> String {
    text.replace(PACKAGE, name.package()).replace(LIBRARY, &name.library()).replace(SYSTEM, name.system())
}

/// Refuses a folder that holds something: nothing is ever overwritten.
fn check_empty(folder: &Path) -> Result<()> {
    let refused = |what: &str| {
        let folder = folder.display();
        Err(Error::config("new", format!("`{folder}` {what}; nothing was written: give another `--path`")))
    };
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            Some(_) => refused("is not empty"),
            None => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => refused("is no folder"),
        Err(error) => Err(unwritable(folder, error)),
    }
}

fn put(folder: &Path, path: &str, text: &[u8]) -> Result<()> {
    let path = folder.join(path);
    let written = || {
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        // Also what came into being meanwhile is not overwritten.
        File::create_new(&path)?.write_all(text)
    };
    written().map_err(|error| unwritable(&path, error))
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::permanent("new", format!("`{}` cannot be written: {error}", path.display())).with_source(error)
}
