//! A registry's URL: `sqlite://PATH` or `memory:`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use connector_sdk::{Clock, Error, Result};

use super::{MemoryRegistry, Registry, SqliteRegistry};

/// Where a registry is.
///
/// ```
/// use connector_host::registry::Location;
/// use std::path::Path;
///
/// let here = Location::parse("sqlite://./connector.db", Path::new("/srv/acme"))?;
/// assert_eq!(here.key_file().unwrap(), Path::new("/srv/acme/./connector.db.key"));
/// let error = Location::parse("postgres://db/connectors", Path::new("/srv")).unwrap_err();
/// assert!(error.to_string().contains("sqlite://"));
/// # Ok::<(), connector_sdk::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A file; it is made when it is missing, its folder is not.
    Sqlite(PathBuf),
    /// Nothing outlives the process.
    Memory,
}

impl Location {
    /// Reads a URL; a relative path is relative to `base`, the folder of the template.
    ///
    /// The path stands as it is, without percent encoding or options.
    ///
    /// # Errors
    /// Config when it is no registry that this version knows. The text repeats the scheme only: the rest of
    /// a database URL may hold a password.
    pub fn parse(url: &str, base: &Path) -> Result<Self> {
        let scheme = url.split(':').next().unwrap_or_default();
        let rest = url.get(scheme.len()..).unwrap_or_default();
        match (scheme, rest) {
            ("memory", ":" | "://") => Ok(Self::Memory),
            ("sqlite", _) => match rest.strip_prefix("://") {
                Some("") | None => Err(wrong("a path is missing: write `sqlite://./connector.db`")),
                Some(path) if path.contains('?') => {
                    Err(wrong("options are not supported: end the path before the `?`"))
                }
                Some(path) => Ok(Self::Sqlite(base.join(path))),
            },
            ("postgres" | "postgresql", _) => Err(wrong(
                "PostgreSQL comes in a later version; until then write `sqlite://PATH`, which the processes of \
                 one machine may share",
            )),
            (_, "") => Err(wrong("it has no scheme: write `sqlite://PATH`, or `memory:`")),
            (scheme, _) => {
                Err(wrong(format!("`{scheme}:` is no registry: write `sqlite://PATH`, or `memory:`")))
            }
        }
    }

    /// Opens the registry.
    ///
    /// # Errors
    /// As [`SqliteRegistry::open`].
    pub async fn open(&self, clock: Arc<dyn Clock>) -> Result<Arc<dyn Registry>> {
        Ok(match self {
            Self::Sqlite(path) => Arc::new(SqliteRegistry::open(path, clock).await?),
            Self::Memory => Arc::new(MemoryRegistry::new(clock)),
        })
    }

    /// Where the key that seals tokens lies if nobody gives one: beside the registry. None in memory.
    #[must_use]
    pub fn key_file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(beside(path, "key")),
            Self::Memory => None,
        }
    }
}

/// Opens the registry at `url`; a relative path is relative to `base`.
///
/// # Errors
/// As [`Location::parse`] and [`SqliteRegistry::open`].
pub async fn connect(url: &str, base: &Path, clock: Arc<dyn Clock>) -> Result<Arc<dyn Registry>> {
    Location::parse(url, base)?.open(clock).await
}

/// `connector.db` → `connector.db.EXTENSION`.
pub(super) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn wrong(message: impl Into<String>) -> Error {
    Error::config("open registry", message).with_context("field", "registry")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Location> {
        Location::parse(url, Path::new("/base"))
    }

    #[test]
    fn a_relative_path_is_relative_to_the_template() {
        assert_eq!(parse("sqlite://c.db").unwrap(), Location::Sqlite("/base/c.db".into()));
        assert_eq!(parse("sqlite:///var/c.db").unwrap(), Location::Sqlite("/var/c.db".into()));
        assert_eq!(parse("sqlite://a b%20:c.db").unwrap(), Location::Sqlite("/base/a b%20:c.db".into()));
        assert_eq!(parse("memory:").unwrap(), Location::Memory);
    }

    #[test]
    fn what_is_no_registry_is_refused_with_what_to_write_instead() {
        for url in [
            "",
            "c.db",
            "/var/c.db",
            "sqlite:",
            "sqlite://",
            "sqlite:c.db",
            "sqlite://c.db?mode=ro",
            "mysql://h/d",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.class(), connector_sdk::Class::Config, "{url}");
            assert!(error.to_string().contains("sqlite://") || url.contains('?'), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        for url in ["postgres://u:hunter2@h/d", "mysql://u:hunter2@h/d", "u:hunter2@h"] {
            let error = format!("{:?}", parse(url).unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
