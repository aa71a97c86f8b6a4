//! Secrets in files, one each.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use super::{
    Secret, SecretStore,
    pair::{checked, missing, present, replaced, same, stageable},
    read_secret_file,
};
use crate::{Error, Result};

/// Looks a secret up in the file of its name in a folder, less one line break at the end. A file that
/// others than its owner may read is refused: whoever has read it has the secret. An empty file is as good
/// as none.
///
/// The next one is in the file of that name and `.next`. Promoting writes what was accepted over the
/// current one, by a rename, which is atomic: a reader finds the old one or the new one. Then it takes the
/// next one away, unless another was put there meanwhile. Two who stage at the same time: the last one wins.
#[derive(Debug, Clone)]
pub struct FileSecrets {
    folder: PathBuf,
}

impl FileSecrets {
    /// The secrets in this folder. It need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.folder.join(checked(name)?))
    }

    fn next_path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.folder.join(format!("{}.next", checked(name)?)))
    }

    /// A name that nobody else has: not another thread of this process, and not one in another container
    /// that has the same number.
    fn beside(&self, name: &str) -> Result<PathBuf> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| Error::permanent("secret", "the machine gives no random numbers"))?;
        Ok(self.folder.join(format!(".{name}.{:016x}", u64::from_be_bytes(random))))
    }

    /// Writes beside, and renames: who reads meanwhile finds a whole secret.
    fn write(&self, name: &str, path: &Path, secret: &Secret) -> Result<()> {
        let beside = self.beside(name)?;
        let written = create(&beside).and_then(|mut file| {
            file.write_all(secret.expose().as_bytes())?;
            // Reading takes one away.
            file.write_all(b"\n")?;
            file.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&beside, path)).and_then(|()| self.sync());
        renamed.map_err(|error| {
            // It holds the secret; where it cannot be removed either, the error says enough.
            let _ = fs::remove_file(&beside);
            Error::config("secret", format!("{}: cannot be written", path.display())).with_source(error)
        })
    }

    /// Takes the next one away if it is this one. It is looked at where nobody else writes; another one, put
    /// there at this very moment, goes back unless there is a newer one by then.
    fn unstage(&self, name: &str, next: &Secret) -> Result<()> {
        let (path, aside) = (self.next_path(name)?, self.beside(name)?);
        if fs::rename(&path, &aside).is_err() {
            // Another process was faster; what cannot be taken away is promoted again, which does no harm.
            return Ok(());
        }
        let found = read(&aside).ok().flatten();
        if !found.is_some_and(|found| same(&found, next)) {
            // It does not write over what is there.
            let _ = fs::hard_link(&aside, &path);
        }
        fs::remove_file(&aside).and_then(|()| self.sync()).map_err(|error| {
            Error::config("secret", format!("{}: cannot be removed", aside.display())).with_source(error)
        })
    }

    /// Makes the names durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// Whatever the text is, others have no business with it.
fn read(path: &Path) -> Result<Option<Secret>> {
    read_secret_file(path, |_| true).map(present)
}

/// A new file that only its owner may read, from its first byte on.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[async_trait]
impl SecretStore for FileSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        read(&self.path(name)?)
    }

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let Some(current) = self.get(name).await? else { return Ok(None) };
        Ok(read(&self.next_path(name)?)?.filter(|next| !same(next, &current)))
    }

    async fn writable(&self, name: &str) -> Result<()> {
        self.path(name).map(drop)
    }

    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        let next = stageable(name, next)?;
        if self.get(name).await?.is_none() {
            return Err(missing(name));
        }
        self.write(name, &self.next_path(name)?, next)
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        match read(&self.next_path(name)?)? {
            // What was compared is what is written, whatever lies there by then.
            Some(found) if same(&found, next) => {
                self.write(name, &self.path(name)?, next)?;
                self.unstage(name, next)
            }
            // Another process was faster.
            None if self.get(name).await?.is_some_and(|current| same(&current, next)) => Ok(()),
            _ => Err(replaced(name)),
        }
    }
}
