//! Who lives: each owner holds a lock on a file of its own, which the operating system frees when it dies.
//!
//! The files lie in `DATABASE.owners/`, beside the database. A lease names the file of its owner; a file that
//! is gone or that nobody locks means that the owner is dead, whatever the lease says. A process that is only
//! paused keeps its lock, and its lease until that expires.
//!
//! The right to exchange a token is such a lock too, on a file that stays: to remove it would let two in.
//!
//! Every method but [`Owners::opening`] and [`Owners::lock_token`] is called with the database's write lock held. So nobody looks at a
//! file between its creation and its lock, and two claimants never mistake each other's look for the owner.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use connector_sdk::{Clock, Error, Result, secret::TokenLock};
use xxhash_rust::xxh3::Xxh3;

use super::super::location::beside;

const SUFFIX: &str = ".lock";

/// To open a registry takes a few syncs; ten seconds of looks are plenty.
const OPENING_LOOKS: u32 = 500;
const OPENING_PAUSE: Duration = Duration::from_millis(20);

/// The owners of one database, and our own lock among them.
#[derive(Debug)]
pub(super) struct Owners {
    folder: PathBuf,
    mine: Mutex<Option<Mine>>,
}

#[derive(Debug)]
struct Mine {
    id: String,
    /// Locked as long as it is open.
    _file: File,
}

impl Owners {
    pub(super) fn of(database: &Path) -> Self {
        Self { folder: beside(database, "owners"), mine: Mutex::default() }
    }

    /// Waits until nobody else prepares the database, for a while. The lock ends with the file.
    ///
    /// # Errors
    /// Config when the folder cannot hold locks; Transient when another process does not let go.
    pub(super) async fn opening(&self, clock: &dyn Clock) -> Result<File> {
        let path = self.folder.join("opening");
        let file = create_folder(&self.folder)
            .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(&path))
            .map_err(|error| self.cannot(error))?;
        for _ in 0..OPENING_LOOKS {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => clock.sleep(OPENING_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(self.cannot(error)),
            }
        }
        let message = format!(
            "another process keeps `{}` locked: it is still opening the registry, or hangs",
            path.display()
        );
        Err(Error::transient("open registry", message))
    }

    /// The lock of the token of that name, if nobody has it.
    ///
    /// # Errors
    /// Config when the folder cannot hold locks.
    pub(super) fn lock_token(&self, name: &[&str]) -> Result<TokenLock> {
        // Names may hold anything; parts of different lengths never mean the same.
        let mut hash = Xxh3::new();
        for part in name {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let path = self.folder.join(format!("token-{:032x}", hash.digest128()));
        let file = create_folder(&self.folder)
            .and_then(|()| OpenOptions::new().create(true).truncate(false).write(true).open(path))
            .map_err(|error| self.cannot(error))?;
        match file.try_lock() {
            Ok(()) => Ok(TokenLock::Held(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(TokenLock::Busy),
            Err(TryLockError::Error(error)) => Err(self.cannot(error)),
        }
    }

    /// Our own name; with the first call we begin to live, and the files of the dead are cleared away.
    pub(super) fn me(&self) -> Result<String> {
        let mut mine = self.mine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = &*mine {
            return Ok(mine.id.clone());
        }
        create_folder(&self.folder).map_err(|error| self.cannot(error))?;
        self.bury_the_dead();
        let id = new_id()?;
        let file = OpenOptions::new().create_new(true).write(true).open(self.path(&id));
        let file = file.map_err(|error| self.cannot(error))?;
        file.try_lock().map_err(|error| self.cannot(error.into()))?;
        *mine = Some(Mine { id: id.clone(), _file: file });
        Ok(id)
    }

    /// Whether the owner of that name lives. The file of a dead one is removed.
    pub(super) fn is_alive(&self, id: &str) -> Result<bool> {
        if !is_id(id) {
            return Ok(true); // not a name that we gave: only its lease can tell
        }
        let path = self.path(id);
        let alive = is_locked(&path).map_err(|error| self.cannot(error))?;
        if !alive {
            // What cannot be removed is no harm: it is not locked.
            let _ = std::fs::remove_file(path);
        }
        Ok(alive)
    }

    /// Removes the files of owners that died without a lease, which nobody would ask about.
    fn bury_the_dead(&self) {
        let Ok(files) = std::fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) {
                let _ = self.is_alive(id);
            }
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }

    fn cannot(&self, error: std::io::Error) -> Error {
        let message =
            "the folder beside the registry cannot hold locks: it must be writable, on a local disk";
        Error::config("open registry", message).with_context("path", self.folder.display()).with_source(error)
    }
}

impl Drop for Owners {
    /// A file that stays behind, say after a kill, is not locked any more and thus means the same.
    fn drop(&mut self) {
        if let Some(mine) = self.mine.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = std::fs::remove_file(self.path(&mine.id));
        }
    }
}

/// For the owner alone: whoever may open the locks may hold them.
fn create_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn is_locked(path: &Path) -> std::io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn new_id() -> Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|error| {
        Error::permanent("claim stream", "the system has no random numbers").with_source(error)
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder.join("r.db.owners")).map_or(0, Iterator::count)
    }

    #[test]
    fn an_owner_lives_as_long_as_it_holds_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("r.db");
        let (one, two) = (Owners::of(&database), Owners::of(&database));
        let (id, other) = (one.me().unwrap(), two.me().unwrap());
        assert_eq!(one.me().unwrap(), id, "it has one name");
        assert!(one.is_alive(&id).unwrap() && two.is_alive(&id).unwrap() && one.is_alive(&other).unwrap());
        drop(one);
        assert!(!two.is_alive(&id).unwrap());
        assert_eq!(files(folder.path()), 1, "it takes its file with it");
    }

    #[test]
    fn the_files_of_the_dead_are_cleared_away_and_those_of_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("r.db");
        let one = Owners::of(&database);
        let id = one.me().unwrap();
        let dead = folder.path().join("r.db.owners").join(format!("{}.lock", "ab".repeat(16)));
        std::fs::write(&dead, "").unwrap();
        let two = Owners::of(&database);
        assert!(!two.is_alive(&"ab".repeat(16)).unwrap());
        two.me().unwrap();
        assert!(!dead.exists());
        assert!(two.is_alive(&id).unwrap());
    }

    #[test]
    fn case_90_a_token_is_locked_for_one_at_a_time_and_is_free_when_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("r.db");
        let (one, two) = (Owners::of(&database), Owners::of(&database));
        let name = ["acme", "crm", "refresh_token"];
        let held = one.lock_token(&name).unwrap();
        assert!(matches!(held, TokenLock::Held(_)));
        assert!(matches!(two.lock_token(&name).unwrap(), TokenLock::Busy));
        assert!(matches!(one.lock_token(&name).unwrap(), TokenLock::Busy));
        for other in
            [["acm", "ecrm", "refresh_token"], ["acme", "crm", "other"], ["other", "crm", "refresh_token"]]
        {
            assert!(matches!(two.lock_token(&other).unwrap(), TokenLock::Held(_)), "{other:?}");
        }
        two.me().unwrap();
        drop(held);
        assert!(matches!(two.lock_token(&name).unwrap(), TokenLock::Held(_)));
    }

    #[test]
    fn a_name_that_is_none_of_ours_leads_to_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let owners = Owners::of(&folder.path().join("r.db"));
        assert!(owners.is_alive("../../etc/passwd").unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_another_keeps_opening_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let owners = Owners::of(&folder.path().join("r.db"));
        let clock = connector_sdk::SystemClock::new();
        let held = owners.opening(&clock).await.unwrap();
        let error = owners.opening(&clock).await.unwrap_err();
        assert_eq!(error.class(), connector_sdk::Class::Transient);
        assert!(error.to_string().contains("r.db.owners/opening"), "{error}");
        drop(held);
        owners.opening(&clock).await.unwrap();
    }
}
