//! The commit log of a stream: `_commits/1.json`, `2.json`, … without a gap.
//!
//! A commit is what its file says, from the moment the file has its name. The file is written and synced
//! under another name first and then *linked* to its own, which fails when that is taken: so of two owners
//! one wins, whatever either believes. An owner only ever takes the number after the last one it has seen.
//! One that was paused finds it taken by its successor, who puts an empty commit there before it reads.
//!
//! Old commits fold into a snapshot ([`crate::snapshot`]), and their files go. A paused owner could then
//! find its number free again; so whoever has linked a commit looks for a snapshot that covers it, and if
//! there is one takes the link back. What such an owner leaves when it dies in between is below the
//! snapshot, where nobody reads.

mod entry;

use std::{
    borrow::Cow,
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use connector_sdk::{
    Error, Result, RunId, Timestamp,
    contract::{Commit, Lease},
    crash,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) use entry::{Contents, Entry, Identity, LoggedFile, Standing, VERSION};

use crate::{
    disk::Disk,
    fault,
    layout::{LogName, StreamDir},
    snapshot::Snapshot,
};

/// So often is the log read anew when it changes under us.
const MAX_ATTEMPTS: u32 = 100;

/// What became of an attempt to commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It stands, under this number.
    Done(u64),
    /// The number was taken by somebody else, under this fence as far as can be told.
    Taken { fence: u64 },
}

/// An owner's view of the log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: StreamDir,
    pub(crate) of: Identity,
    pub(crate) run_id: RunId,
    owner: String,
    fence: u64,
    last: u64,
    /// As in [`Contents::entries`].
    pub(crate) entries: VecDeque<(u64, u64)>,
}

impl Log {
    /// Reads the log, after putting an empty commit where `takeover` asks for it.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: StreamDir,
        lease: &Lease,
        run_id: RunId,
        takeover: bool,
        at: Timestamp,
    ) -> Result<(Self, Contents)> {
        let of = Identity {
            tenant: lease.tenant.clone(),
            connection: lease.connection.clone(),
            stream: lease.stream.clone(),
        };
        let owner = lease.owner.clone();
        let mut log =
            Self { disk, dir, of, run_id, owner, fence: lease.fence, last: 0, entries: VecDeque::new() };
        for _ in 0..MAX_ATTEMPTS {
            let mut contents = log.read(None)?;
            log.last = contents.last();
            log.entries = std::mem::take(&mut contents.entries);
            // What was read ends where our entry begins: nobody has come in between.
            if !takeover || matches!(log.put(&[], &[], at)?, Put::Done(_)) {
                // What the last owner has linked may not be durable yet, and we are going to build on it.
                crash::point("bronze.log_read");
                log.sync()?;
                return Ok((log, contents));
            }
        }
        Err(Error::transient("open stream", "the commit log grows faster than it can be taken over"))
    }

    pub(crate) fn fence(&self) -> u64 {
        self.fence
    }

    /// The number that the next commit takes.
    pub(crate) fn next(&self) -> u64 {
        self.last + 1
    }

    /// Makes a commit. It stands if and only if the answer is [`Put::Done`], or an error came after the
    /// link: then the next opening finds out.
    pub(crate) fn put(&mut self, commits: &[Commit], files: &[LoggedFile], at: Timestamp) -> Result<Put> {
        let number = self.next();
        let entry = Entry {
            version: VERSION,
            number,
            fence: self.fence,
            of: self.of.clone(),
            run_id: self.run_id.clone(),
            owner: Cow::Borrowed(&self.owner),
            at,
            commits: Cow::Borrowed(commits),
            files: Cow::Borrowed(files),
        };
        let name = LogName::entry(number);
        let bytes = encode(&entry)?;
        let draft = self.write_draft(&name, &bytes)?;
        crash::point("bronze.drafted");
        let path = self.dir.commits().join(name);
        let linked = match self.disk.link(&draft, &path) {
            Ok(()) => true,
            // Over a network the answer to a link that was made can get lost and the link be tried again.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                crate::disk::read_all(&*self.disk, &path).is_ok_and(|found| found == bytes)
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
            {
                return Err(Error::config(
                    "commit",
                    "Bronze needs a file system with hard links: the commit log rests on them",
                )
                .with_context("path", path.display())
                .with_source(error));
            }
            Err(error) => return Err(fault::disk("commit", &path, error)),
        };
        let late = linked && self.newest_snapshot()? >= number;
        if late {
            self.disk.remove(&path).map_err(|error| fault::disk("commit", &path, error))?;
        }
        if linked && !late {
            crash::point("bronze.linked");
            self.sync()?;
            crash::point("bronze.log_synced");
        }
        // The draft is a second name of the same file, or of one that lost; whoever opens next removes it.
        let _ = self.disk.remove(&draft);
        crash::point("bronze.own_draft_removed");
        if !linked || late {
            let fence = self.load::<Entry<'_>>(&path).ok().flatten().map_or(0, |(entry, _)| entry.fence);
            return Ok(Put::Taken { fence });
        }
        self.last = number;
        self.entries.push_back((number, bytes.len() as u64));
        Ok(Put::Done(number))
    }

    /// Reads the newest snapshot and the entries after it, up to and with `bound`.
    pub(crate) fn read(&self, bound: Option<u64>) -> Result<Contents> {
        let mut missing = None;
        for _ in 0..MAX_ATTEMPTS {
            match self.try_read(bound)? {
                Ok(contents) => return Ok(contents),
                // Somebody has folded what was listed a moment ago: what is missing is in the snapshot now.
                // If not, the same file is missing the next time.
                Err(path) if missing.as_ref() == Some(&path) => {
                    return Err(fault::corrupt(&path, "this commit is missing, and there is a later one"));
                }
                Err(path) => missing = Some(path),
            }
        }
        Err(Error::transient("open stream", "the commit log changes faster than it can be read"))
    }

    /// The inner error is a file that is not there.
    fn try_read(&self, bound: Option<u64>) -> Result<Result<Contents, PathBuf>> {
        let (mut entries, mut contents) = (Vec::new(), Contents::default());
        for name in self.names()? {
            match name {
                LogName::Entry(number) => entries.push(number),
                LogName::Snapshot(number) => contents.snapshot = contents.snapshot.max(number),
                LogName::Draft(_) => {}
            }
        }
        if contents.snapshot > 0 {
            let path = self.dir.commits().join(LogName::snapshot(contents.snapshot));
            let Some((snapshot, _)) = self.load::<Snapshot>(&path)? else { return Ok(Err(path)) };
            self.check(&path, (snapshot.number, contents.snapshot), &snapshot.of, snapshot.fence)?;
            contents.fence = snapshot.fence;
            contents.standing =
                snapshot.standing.into_iter().map(|last| (last.commit.partition.clone(), last)).collect();
        }
        entries.retain(|number| *number > contents.snapshot && bound.is_none_or(|bound| *number <= bound));
        entries.sort_unstable();
        for number in entries {
            let path = self.dir.commits().join(LogName::entry(contents.last() + 1));
            let Some((entry, bytes)) = self.load::<Entry<'_>>(&path)? else { return Ok(Err(path)) };
            self.check(&path, (entry.number, number), &entry.of, entry.fence)?;
            contents.fence = contents.fence.max(entry.fence);
            for commit in entry.commits.into_owned() {
                contents.standing.insert(commit.partition.clone(), Standing { number, commit });
            }
            contents.files.extend(entry.files.into_owned());
            contents.entries.push_back((number, bytes));
        }
        Ok(Ok(contents))
    }

    fn check(&self, path: &Path, number: (u64, u64), of: &Identity, fence: u64) -> Result<()> {
        if *of != self.of {
            return Err(Error::config(
                "open stream",
                "the folder belongs to another stream; on this file system their names are one",
            )
            .with_context("path", path.display())
            .with_context("found", format!("{}/{}/{}", of.tenant, of.connection, of.stream)));
        }
        if number.0 != number.1 {
            return Err(fault::corrupt(path, format!("it says it is commit {}", number.0)));
        }
        if fence > self.fence {
            return Err(fault::fenced("open stream", path, self.fence, fence));
        }
        Ok(())
    }

    /// A file of the log with its size in bytes; none when it is not there.
    fn load<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<(T, u64)>> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let bytes = match crate::disk::read_all(&*self.disk, path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault::disk("open stream", path, error)),
        };
        let damaged = |error| fault::corrupt(path, error);
        let Version { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version > VERSION {
            return Err(Error::config(
                "open stream",
                "the commit log was written by a newer version of this program",
            )
            .with_context("path", path.display())
            .with_context("version", version)
            .with_context("known", VERSION));
        }
        Ok(Some((serde_json::from_slice(&bytes).map_err(damaged)?, bytes.len() as u64)))
    }

    /// The files of the log that are ours, in any order.
    pub(crate) fn names(&self) -> Result<Vec<LogName>> {
        let dir = self.dir.commits();
        let listed = self.disk.list(&dir).map_err(|error| fault::disk("open stream", &dir, error))?;
        Ok(listed
            .iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(|entry| LogName::parse(&entry.name))
            .collect())
    }

    fn newest_snapshot(&self) -> Result<u64> {
        let numbers = self.names()?.into_iter().filter_map(|name| match name {
            LogName::Snapshot(number) => Some(number),
            _ => None,
        });
        Ok(numbers.max().unwrap_or(0))
    }

    /// Writes and syncs a file under the name that it has until it counts.
    pub(crate) fn write_draft(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.dir.commits().join(LogName::draft(name, self.fence));
        let write = || {
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = self.disk.create(&path)?;
            file.write_all(bytes)?;
            crash::point("bronze.draft_written");
            file.sync()?;
            drop(file);
            match self.disk.size(&path)? == bytes.len() as u64 {
                true => Ok(()),
                false => Err(io::Error::other("it has taken fewer bytes than it said")),
            }
        };
        write().map_err(|error| fault::disk("commit", &path, error))?;
        Ok(path)
    }

    /// Makes the names in the log durable.
    pub(crate) fn sync(&self) -> Result<()> {
        let dir = self.dir.commits();
        self.disk.sync_dir(&dir).map_err(|error| fault::disk("commit", &dir, error))
    }
}

/// A file of the log as JSON with a line break at its end, for people.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)
        .map_err(|error| Error::bug("commit", "the commit does not serialise").with_source(error))?;
    bytes.push(b'\n');
    Ok(bytes)
}
