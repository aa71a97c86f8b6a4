//! Secrets in files, one each.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{
    Secret, SecretStore,
    store::{checked, replaced, same},
};
use crate::{Error, Result};

/// No secret is this long; what is, is not the file that was meant.
const LARGEST: u64 = 1 << 20;

/// Looks a secret up in the file of its name in a folder, less one line break at the end. A file that
/// others than its owner may read is refused: whoever has read it has the secret.
///
/// The next one is in the file of that name and `.next`; promoting renames it over the other, which is
/// atomic: a reader finds the old one or the new one. Two who stage at the same time: the last one wins.
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
        self.read_file(&self.folder.join(checked(name)?))
    }

    fn read_file(&self, path: &Path) -> Result<Option<Secret>> {
        let refused = |why: &str| Error::config("secret", format!("{}: {why}", path.display()));
        // Opening a pipe waits for who writes into it, so what it is comes first.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(refused("is no file")),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("cannot be opened").with_source(error)),
        }
        let file = match File::open(path) {
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
            return Err(refused(&format!("group or others may read it: run `chmod 600 {}`", quoted(path))));
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
    fn next_path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.folder.join(format!("{}.next", checked(name)?)))
    }

    /// Writes beside, and renames: who reads meanwhile finds a whole secret.
    fn write_next(&self, name: &str, next: &Secret) -> Result<()> {
        let path = self.next_path(name)?;
        let failed = |error| {
            Error::config("secret", format!("{}: cannot be written", path.display())).with_source(error)
        };
        let beside = self.folder.join(format!(".{name}.next.{}", std::process::id()));
        let written = create(&beside).and_then(|mut file| {
            file.write_all(next.expose().as_bytes())?;
            // Reading takes one away.
            file.write_all(b"\n")?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&beside, &path)).and_then(|()| self.sync());
        renamed.map_err(|error| {
            // It holds the secret; where it cannot be removed either, the error says enough.
            let _ = fs::remove_file(&beside);
            failed(error)
        })
    }

    fn promote_next(&self, name: &str, next: &Secret) -> Result<()> {
        let (path, current) = (self.next_path(name)?, self.folder.join(name));
        match self.read_file(&path)? {
            Some(found) if same(&found, next) => {
                fs::rename(&path, &current).and_then(|()| self.sync()).map_err(|error| {
                    let message = format!("{}: cannot be renamed to `{name}`", path.display());
                    Error::config("secret", message).with_source(error)
                })
            }
            // Another process was faster.
            None if self.read(name)?.is_some_and(|current| same(&current, next)) => Ok(()),
            _ => Err(replaced(name)),
        }
    }

    /// Makes the names durable.
    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// A new file that only its owner may read, from its first byte on.
fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // One that a process of this number left behind.
    let _ = fs::remove_file(path);
    options.open(path)
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

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let Some(current) = self.read(name)? else { return Ok(None) };
        Ok(self.read_file(&self.next_path(name)?)?.filter(|next| !same(next, &current)))
    }

    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        if self.read(name)?.is_none() {
            let message = "there is no secret of that name whose place it could take";
            return Err(Error::config("secret", message).with_context("name", name));
        }
        self.write_next(name, next)
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        self.promote_next(name, next)
    }
}
