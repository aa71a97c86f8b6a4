//! Secrets in files, one each.

use std::{
    fs::{File, Metadata},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{Secret, SecretStore, checked};
use crate::{Error, Result};

/// No secret is this long; what is, is not the file that was meant.
const LARGEST: u64 = 1 << 20;

/// Looks a secret up in the file of its name in a folder, less one line break at the end. A file that
/// others than its owner may read is refused: whoever has read it has the secret.
#[derive(Debug, Clone)]
pub struct FileSecrets {
    folder: PathBuf,
}

impl FileSecrets {
    /// The secrets in this folder. It need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn read(&self, name: &str) -> Result<Option<Secret>> {
        let path = self.folder.join(checked(name)?);
        let refused = |why: &str| Error::config("secret", format!("{}: {why}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("cannot be opened").with_source(error)),
        };
        // Of the open file, not of the path, which may name another by now.
        let metadata = file.metadata().map_err(|error| refused("cannot be examined").with_source(error))?;
        if !metadata.is_file() {
            return Err(refused("is no file"));
        }
        if is_open_to_others(&metadata) {
            return Err(refused(&format!("group or others may read it: run `chmod 600 {}`", quoted(&path))));
        }
        if metadata.len() > LARGEST {
            return Err(refused("is larger than any secret"));
        }
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or(0)));
        // It may grow while it is read.
        file.take(LARGEST + 1)
            .read_to_string(&mut text)
            .map_err(|error| refused("cannot be read as text").with_source(error))?;
        if text.len() as u64 > LARGEST {
            return Err(refused("is larger than any secret"));
        }
        let secret =
            text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        if secret.is_empty() { Err(refused("is empty")) } else { Ok(Some(Secret::from(secret))) }
    }
}

#[cfg(unix)]
fn is_open_to_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

/// Elsewhere the rights of a file are no bits; the folder's own have to do.
#[cfg(not(unix))]
fn is_open_to_others(_: &Metadata) -> bool {
    false
}

/// As a shell reads it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[async_trait]
impl SecretStore for FileSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        self.read(name)
    }
}
