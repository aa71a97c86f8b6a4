//! Where a connector takes the SDK from.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use connector_sdk::{Error, Result};

/// The crates of the SDK that the template depends on; each has a folder of its name in a checkout.
const CRATES: [&str; 3] = ["connector-cli", "connector-sdk", "connector-testkit"];

/// Where a connector takes the SDK from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// From the registry, in the version of this program.
    Published,
    /// From a checkout.
    Checkout(PathBuf),
    /// From a repository.
    Git(String),
}

impl Sdk {
    /// The checkout in this folder.
    ///
    /// # Errors
    /// Config when there is none.
    pub(crate) fn checkout(folder: &Path) -> Result<Self> {
        let refused = |what: String| Error::config("new", format!("`--sdk`: {what}"));
        let whole = fs::canonicalize(folder)
            .map_err(|error| refused(format!("`{}` cannot be read: {error}", folder.display())))?;
        let lacks = |name: &&&str| !whole.join(name).join("Cargo.toml").is_file();
        match CRATES.iter().find(lacks) {
            None => Ok(Self::Checkout(whole)),
            Some(name) => {
                let message = format!("`{}` is no checkout of the SDK: it has no {name}", folder.display());
                Err(refused(message))
            }
        }
    }

    /// A manifest that depends on the SDK from there.
    pub(crate) fn depend(&self, manifest: &str) -> String {
        CRATES.iter().fold(manifest.to_owned(), |manifest, name| {
            manifest.replace(&format!("{name} = \"0.0\""), &format!("{name} = {}", self.dependency(name)))
        })
    }

    fn dependency(&self, name: &str) -> String {
        match self {
            Self::Published => {
                let version = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
                quoted(version)
            }
            Self::Checkout(folder) => {
                format!("{{ path = {} }}", quoted(&folder.join(name).to_string_lossy()))
            }
            Self::Git(url) => format!("{{ git = {} }}", quoted(url)),
        }
    }

    /// The versions of everything that a checkout is tested with, as a `Cargo.lock`.
    ///
    /// # Errors
    /// Permanent when it is there and cannot be read.
    pub(crate) fn lock(&self) -> Result<Option<Vec<u8>>> {
        let Self::Checkout(folder) = self else { return Ok(None) };
        let path = folder.join("Cargo.lock");
        match fs::read(&path) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", path.display());
                Err(Error::permanent("new", message).with_source(error))
            }
        }
    }
}

/// A TOML string. What JSON escapes, TOML reads back.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
