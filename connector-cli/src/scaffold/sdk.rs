//! Where a connector takes the SDK from: a checkout or a repository. Not from a registry: until the SDK is published,
//! its names there are anybody's.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use connector_sdk::{Error, Result};
use url::Url;

/// The crates of the SDK that the template depends on; each has a folder of its name in a checkout.
pub(super) const CRATES: [&str; 3] = ["connector-cli", "connector-sdk", "connector-testkit"];

/// The largest `Cargo.lock` that is copied, in bytes. The SDK's has a hundredth of it.
const MAX_LOCK: u64 = 4 * 1024 * 1024;

/// How long a commit's name is, in hexadecimal digits: from the shortest that Git shows to a whole SHA-256.
const COMMIT: std::ops::RangeInclusive<usize> = 7..=64;

/// Where a connector takes the SDK from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// From a checkout in this folder.
    Checkout(String),
    /// From a repository; without a commit, from whatever it holds when it is built first.
    Git { url: Url, commit: Option<String> },
}

impl Sdk {
    /// The checkout in this folder.
    ///
    /// # Errors
    /// Config when there is none, or Cargo could not be told where it is.
    pub(crate) fn checkout(folder: &Path) -> Result<Self> {
        let refused = |what: String| Error::config("new", format!("`--sdk`: {what}"));
        let shown = folder.display();
        let whole = fs::canonicalize(folder)
            .map_err(|error| refused(format!("`{shown}` cannot be read: {error}")))?;
        let lacks = |name: &&&str| !whole.join(name).join("Cargo.toml").is_file();
        if let Some(name) = CRATES.iter().find(lacks) {
            return Err(refused(format!("`{shown}` is no checkout of the SDK: it has no {name}")));
        }
        match whole.to_str() {
            None => Err(refused(format!("the path of `{shown}` is not UTF-8, and a Cargo.toml is"))),
            Some(path) if path.contains(char::is_control) => {
                Err(refused(format!("the path of `{shown}` has a control character in it")))
            }
            Some(path) => Ok(Self::Checkout(path.to_owned())),
        }
    }

    /// The repository at this address, which may name a commit after a `#`.
    ///
    /// # Errors
    /// Config when it is no address that Cargo should follow. The address is not repeated: it may hold a password.
    pub(crate) fn repository(address: &str) -> Result<Self> {
        let refused = |what: &str| Err(Error::config("new", format!("`--sdk-git`: {what}")));
        if address.is_empty() {
            return refused("the address is empty");
        }
        if address.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
            return refused("the address has a space or a control character in it");
        }
        let Some(mut url) = parsed(address) else { return refused("the address is no URL") };
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        // Git hands host and user to ssh as arguments.
        let is_option = |text: &str| text.starts_with('-') || text.starts_with('%');
        match url.scheme() {
            "https" if !url.username().is_empty() || url.password().is_some() => {
                return refused(
                    "the address holds a user or a password: leave that to Git's credential helper",
                );
            }
            "ssh" if url.password().is_some() => {
                return refused("the address holds a password: leave that to ssh");
            }
            "https" | "ssh" if !has_host => return refused("the address names no host"),
            "ssh" if is_option(url.host_str().unwrap_or_default()) || is_option(url.username()) => {
                return refused("the address begins a host or a user with `-` or `%`");
            }
            "file" if has_host => return refused("a `file` address names no host"),
            "https" | "ssh" | "file" => {}
            _ => {
                return refused(
                    "the address has to begin with `https://`, `ssh://`, `USER@HOST:` or `file://`",
                );
            }
        }
        if url.query().is_some() {
            return refused("the address has a query: a repository has none");
        }
        let commit = url.fragment().map(str::to_owned);
        url.set_fragment(None);
        let is_commit =
            |text: &String| COMMIT.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if commit.as_ref().is_some_and(|text| !is_commit(text)) {
            return refused("what follows `#` is no commit: 7 to 64 hexadecimal digits");
        }
        Ok(Self::Git { url, commit })
    }

    /// The line of `Cargo.toml` that depends on a crate of the SDK.
    pub(super) fn dependency(&self, name: &str) -> String {
        match self {
            Self::Checkout(folder) => {
                format!("{name} = {{ path = {} }}", quoted(&format!("{folder}/{name}")))
            }
            Self::Git { url, commit: Some(commit) } => {
                format!("{name} = {{ git = {}, rev = {} }}", quoted(url.as_str()), quoted(commit))
            }
            Self::Git { url, commit: None } => {
                let line = format!("{name} = {{ git = {} }}", quoted(url.as_str()));
                format!("# What is built can change under you: pin a commit with `rev = \"…\"`.\n{line}")
            }
        }
    }

    /// The versions of everything that a checkout is tested with, as a `Cargo.lock`.
    ///
    /// # Errors
    /// Config when it is no file, or too large for one; Permanent when it cannot be read.
    pub(super) fn lock(&self) -> Result<Option<Vec<u8>>> {
        let Self::Checkout(folder) = self else { return Ok(None) };
        let path = Path::new(folder).join("Cargo.lock");
        let unreadable = |error: io::Error| {
            let message = format!("`{}` cannot be read: {error}", path.display());
            Error::permanent("new", message).with_source(error)
        };
        let refused = |what: &str| Error::config("new", format!("`--sdk`: `{}` {what}", path.display()));
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
            Ok(found) if !found.is_file() => return Err(refused("is no regular file")),
            Ok(_) => {}
        }
        let mut lock = Vec::new();
        let file = File::open(&path).map_err(unreadable)?;
        file.take(MAX_LOCK + 1).read_to_end(&mut lock).map_err(unreadable)?;
        if lock.len() as u64 > MAX_LOCK {
            return Err(refused("is larger than 4 MiB"));
        }
        Ok(Some(lock))
    }
}

/// A URL, or what ssh takes for one: Cargo takes `git@host:path` only as `ssh://git@host/path`.
fn parsed(address: &str) -> Option<Url> {
    let address = match address.split_once(':') {
        Some((place, path)) if place.contains('@') && !place.contains('/') => {
            format!("ssh://{place}/{}", path.trim_start_matches('/'))
        }
        _ => address.to_owned(),
    };
    address.parse().ok()
}

/// A TOML string. What JSON escapes, TOML reads back.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
