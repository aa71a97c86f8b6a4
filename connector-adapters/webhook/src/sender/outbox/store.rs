//! The files of an outbox, and the few steps that they are changed by. All of it blocks.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind, Write as _},
    path::PathBuf,
    sync::Arc,
};

use connector_ingress::journal::{Disk, DiskFile};
use connector_sdk::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::super::{
    message::{Message, is_name},
    progress::{Ended, Fate, Progress},
};

/// The folders, in the order in which a message moves.
pub(super) const NEW: &str = "new";
pub(super) const QUEUE: &str = "queue";
pub(super) const TRIES: &str = "tries";
pub(super) const ENDED: &str = "ended";
pub(super) const TOLD: &str = "told";
pub(super) const DEAD: &str = "dead";
pub(super) const DAMAGED: &str = "damaged";
pub(super) const FOLDERS: [&str; 7] = [NEW, QUEUE, TRIES, ENDED, TOLD, DEAD, DAMAGED];
/// Ends the names of files that are not whole yet.
pub(super) const UNFINISHED: &str = ".unfinished";
/// While the endpoint wants nothing.
const DISABLED: &str = "disabled";
/// While there are too many dead letters.
const HELD: &str = "held";
/// When it was enabled last.
const ENABLED: &str = "enabled";

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sender) struct Disabled {
    /// Since when.
    pub(in crate::sender) since: Timestamp,
    /// The status that it answered.
    pub(in crate::sender) status: u16,
    /// The message that was answered so.
    pub(in crate::sender) id: String,
}

/// The files.
#[derive(Debug, Clone)]
pub(in crate::sender) struct Store {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) root: PathBuf,
}

impl Store {
    /// Makes the folders.
    pub(super) fn prepare(&self) -> io::Result<()> {
        FOLDERS.iter().try_for_each(|folder| self.disk.create_dirs(&self.root.join(folder)))
    }

    /// Keeps others from putting something in, or taking it back. None: somebody else does.
    pub(super) fn lock(&self) -> io::Result<Option<Box<dyn Send>>> {
        self.disk.lock(&self.root.join("put.lock"))
    }

    pub(super) fn path(&self, folder: &str, name: &str) -> PathBuf {
        self.root.join(folder).join(name)
    }

    /// What stands there; none: nothing.
    pub(super) fn read(&self, folder: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
        present(self.disk.read(&self.path(folder, name), 0, usize::MAX))
    }

    /// The messages in a folder.
    pub(super) fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = self.disk.list(&self.root.join(folder))?;
        names.retain(|name| is_name(name));
        Ok(names)
    }

    /// Writes a file, whole and durable before it has its name, and then the name durable.
    pub(super) fn place(&self, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.draft(folder, name, bytes, true)?;
        self.disk.sync_dir(&self.root.join(folder))
    }

    /// The same, but for the name, whose loss in a crash is no harm; nor need the bytes be durable.
    pub(super) fn draft(&self, folder: &str, name: &str, bytes: &[u8], is_synced: bool) -> io::Result<()> {
        let path = self.path(folder, name);
        let unfinished = self.path(folder, &format!("{name}{UNFINISHED}"));
        self.remove_path(&unfinished)?;
        let mut file: Box<dyn DiskFile> = self.disk.create(&unfinished)?;
        let mut write = || {
            file.write_all(bytes)?;
            if is_synced { file.sync() } else { Ok(()) }
        };
        if let Err(error) = write() {
            // A full disk gets its room back.
            let _ = self.disk.remove(&unfinished);
            return Err(error);
        }
        self.disk.rename(&unfinished, &path)
    }

    /// Takes a file away; no error when there is none.
    pub(super) fn remove(&self, folder: &str, name: &str) -> io::Result<()> {
        self.remove_path(&self.path(folder, name))
    }

    fn remove_path(&self, path: &std::path::Path) -> io::Result<()> {
        present(self.disk.remove(path)).map(drop)
    }

    /// Moves a file; no error when there is none. What that place held before is gone.
    pub(super) fn shift(&self, name: &str, from: &str, to: &str) -> io::Result<bool> {
        Ok(present(self.disk.rename(&self.path(from, name), &self.path(to, name)))?.is_some())
    }

    pub(super) fn sync(&self, folder: &str) -> io::Result<()> {
        self.disk.sync_dir(&self.root.join(folder))
    }

    /// What a file of JSON says; none: there is none, or it is damaged, which is said.
    pub(super) fn told_by<T: DeserializeOwned>(&self, folder: &str, name: &str) -> io::Result<Option<T>> {
        let Some(bytes) = self.read(folder, name)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&bytes);
        Ok(parsed.inspect_err(|_| tracing::warn!(folder, name, "a file of the outbox is damaged")).ok())
    }

    /// A message that waits, and the bytes of its file; none: it is damaged, and put aside.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn message(&self, name: &str) -> io::Result<Option<(Message, u64)>> {
        let Some(bytes) = self.read_or_put_aside(QUEUE, name)? else { return Ok(None) };
        let length = bytes.len() as u64;
        let message = Message::decode(bytes);
        if message.is_none() {
            self.put_aside(name, QUEUE)?;
        }
        Ok(message.map(|message| (message, length)))
    }

    /// What stands there; one file that cannot be read must not stop all others.
    pub(super) fn read_or_put_aside(&self, folder: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.read(folder, name) {
            Err(error) if is_rotten(&error) => {
                self.put_aside(name, folder)?;
                Ok(None)
            }
            read => read,
        }
    }

    pub(super) fn put_aside(&self, name: &str, from: &str) -> io::Result<()> {
        tracing::error!(name, "a message of the outbox is damaged, and put aside in `damaged`");
        // Its attempts are not those of a message that comes under its id.
        self.remove(TRIES, name)?;
        self.shift(name, from, DAMAGED).map(drop)
    }

    /// Keeps how far a message has come, durably.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn note(&self, name: &str, progress: &Progress) -> io::Result<()> {
        self.place(TRIES, name, &json(progress)?)
    }

    /// Keeps the end of a message, durably: from here on it is not sent again.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn end(&self, name: &str, ended: &Ended) -> io::Result<()> {
        self.place(ENDED, name, &json(ended)?)
    }

    /// The end is in the journal: the message goes, or to the dead letters. A crash that undoes some of this leaves what
    /// [`repair`](super::repair) does again.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn tell(&self, name: &str, fate: Fate) -> io::Result<()> {
        self.shift(name, ENDED, TOLD)?;
        self.settle(name, QUEUE, fate)
    }

    /// Puts a message that has ended where it belongs.
    pub(super) fn settle(&self, name: &str, from: &str, fate: Fate) -> io::Result<()> {
        // First, because who takes a dead letter back puts others in their place.
        self.remove(TRIES, name)?;
        match fate {
            Fate::Delivered => self.remove(from, name),
            Fate::Dead => self.shift(name, from, DEAD).map(drop),
        }
    }

    /// The names of the dead letters.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn dead_names(&self) -> io::Result<BTreeSet<String>> {
        Ok(self.names(DEAD)?.into_iter().collect())
    }

    /// Says to other processes whether there are too many dead letters.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn set_held(&self, is_held: bool) -> io::Result<()> {
        if !is_held {
            return self.remove("", HELD);
        }
        match self.draft("", HELD, &[], false) {
            // It is held all the same; only nobody else can see it.
            Err(error) if is_full(&error) => Ok(()),
            said => said,
        }
    }

    /// Whether there are too many dead letters, as who delivers has said last.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn is_held(&self) -> io::Result<bool> {
        Ok(self.read("", HELD)?.is_some())
    }

    /// Why nothing is sent; none: it is.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn disabled(&self) -> io::Result<Option<Disabled>> {
        let path = self.root.join(DISABLED);
        let Some(bytes) = present(self.disk.read(&path, 0, usize::MAX))? else { return Ok(None) };
        // Damaged, it still says that nothing is to be sent.
        let unknown = || Disabled { since: Timestamp::from_millis(0), status: 410, id: String::new() };
        Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown())))
    }

    /// From now on nothing is sent, durably; one at a time. An answer to an attempt that began before the endpoint was
    /// enabled is out of date: false, and nothing is changed.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn disable(&self, why: &Disabled, began_at: Timestamp) -> io::Result<bool> {
        let enabled: Option<Timestamp> = self.told_by("", ENABLED)?;
        if enabled.is_some_and(|at| began_at <= at) {
            return Ok(false);
        }
        if self.disabled()?.is_none() {
            self.place("", DISABLED, &json(why)?)?;
        }
        Ok(true)
    }

    /// From now on it is again, durably. False: it was not disabled. Under the lock.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn enable(&self, now: Timestamp) -> io::Result<bool> {
        self.place("", ENABLED, &json(&now)?)?;
        let was = present(self.disk.remove(&self.root.join(DISABLED)))?.is_some();
        self.disk.sync_dir(&self.root)?;
        Ok(was)
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

/// None where there is no such file.
pub(super) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there may be room again without anybody's doing but ours.
pub(in crate::sender) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether the medium has lost what the file held: `EIO`, `EBADMSG`, `EUCLEAN` of Linux. Other failures may pass.
fn is_rotten(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(5 | 74 | 117))
}

/// What a failure of the disk means to who asked for the operation.
pub(in crate::sender) fn fault(operation: &'static str, error: io::Error) -> Error {
    match error.kind() {
        _ if is_full(&error) => Error::transient(operation, "the disk of the outbox is full"),
        ErrorKind::PermissionDenied => Error::config(operation, "the outbox's folder may not be written"),
        _ => Error::transient(operation, "the disk of the outbox fails"),
    }
    .with_source(error)
}

/// Runs what blocks off the runtime's threads.
///
/// # Errors
/// As the work says; Bug when it has panicked.
pub(in crate::sender) async fn off<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::bug(operation, "the outbox has panicked").with_source(error))?
        .map_err(|error| fault(operation, error))
}
