//! A durable journal: what was taken in is there after a crash, before its sender hears that it was.
//!
//! ```text
//! folder/lock                            one process at a time
//!        00000000000000000001.segment    header, then [length][hash][time, id, head, body] …
//!        00000000000000004711.segment    the active one; names are the first position in each
//!        00000000000000000001.ids        ids of a segment that is gone, for senders who try again
//! ```
//!
//! One thread writes. All who wait when it comes round share one write and one sync (group commit), and hear of it when
//! the sync is done. A sync that fails is the end: nothing is said to be durable after it, until the journal is opened
//! anew, which writes the last segment again instead of believing the cache. A torn tail is cut on opening, and said. A
//! full disk, or a journal that has reached its limit, refuses, and takes again when there is room.
//!
//! A disk that the journal has filled could never be emptied, because what leaves it is written to the same disk, as Bronze:
//! so it leaves four times its own size free, 128 MiB at most. Damage in the last segment is told from a torn tail (a
//! batch begins after it); what is whole is kept, what is not is said, and the segment is laid aside as `.damaged`.
//!
//! An id that has come before is known, and not kept again: for as long as [`Remember`] says, across restarts, and after
//! its segment has gone.

mod bookmark;
mod damage;
mod disk;
mod entry;
mod janitor;
mod reader;
mod remembered;
mod segment;
mod store;
mod writer;

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use connector_sdk::{ByteSize, Clock, Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

pub use bookmark::Bookmark;
pub use disk::{Disk, DiskFile, RealDisk};
pub use entry::{Entry, Kept};
pub use reader::Reader;
pub use remembered::Remember;
pub use store::Appended;

use store::{Segments, Store};
use writer::{Command, Standing};

/// Events that may wait for the writer at once, and their bytes.
const QUEUE: usize = 1024;
const QUEUE_BYTES: usize = 64 << 20;
/// How often, and how long in between, another process is waited for that has the journal open: one that was just asked
/// to stop, or killed.
const LOCK_ATTEMPTS: u32 = 250;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The `journal:` of a configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JournalConfig {
    /// The journal's folder, relative to the template's; it belongs to this connection alone.
    pub path: PathBuf,
    /// How large the journal may become, in bytes: beyond that senders are refused with 503. Default `1GiB`.
    #[serde(default = "default_max_size")]
    pub max_size: ByteSize,
}

fn default_max_size() -> ByteSize {
    ByteSize::mib(1024)
}

/// Limits of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all segments together.
    pub max_size: u64,
    /// Bytes of a segment from which on the next one begins. What is acknowledged is freed by whole segments.
    pub segment_size: u64,
    /// How long ids are remembered.
    pub remember: Remember,
}

impl Limits {
    /// A journal of so many bytes at most.
    #[must_use]
    pub fn of_size(max_size: u64) -> Self {
        Self { max_size, segment_size: (16 << 20).min(max_size / 4), remember: Remember::default() }
    }

    /// The active segment is given up for its space from this size on.
    fn worth_freeing(&self) -> u64 {
        self.segment_size / 4
    }
}

/// Why an event is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The journal has reached its limit, or the disk is full: try again later.
    #[error("the journal is full")]
    Full,
    /// Too much waits to be written: try again later.
    #[error("the journal is behind with its events")]
    Busy,
    /// The event is larger than a journal takes.
    #[error("the event is larger than the journal takes")]
    TooLarge,
    /// Nothing is taken now.
    #[error("the journal takes nothing now")]
    Closed,
    /// The disk has failed: nothing is taken until it is opened anew.
    #[error("the journal has failed: {0}")]
    Failed(String),
}

/// A journal that is open. A clone is the same journal; the folder is let go of with the last one.
#[derive(Clone)]
pub struct Journal {
    id: u64,
    /// A number for this life of the journal, and the last position that it held when it began.
    opening: (u64, u64),
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    segments: Segments,
    commands: mpsc::Sender<Command>,
    /// Bytes that wait for the writer, also for those who do not wait any more themselves.
    waiting: Arc<AtomicUsize>,
    standing: watch::Receiver<Standing>,
}

/// Bytes of an event that waits for the writer.
#[derive(Debug)]
struct Waiting {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Waiting {
    /// None: too much waits already. One event may always wait.
    fn new(entry: &Entry, all: &Arc<AtomicUsize>) -> Option<Self> {
        let bytes = entry.frame_len();
        let before = all.fetch_add(bytes, Ordering::Relaxed);
        let waiting = Self { bytes, all: Arc::clone(all) };
        (before == 0 || before.saturating_add(bytes) <= QUEUE_BYTES).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Journal {
    /// Opens the journal in this folder, makes it where there is none, and repairs what a crash has left.
    ///
    /// # Errors
    /// Transient when another process has it open, or the disk fails; Permanent when what was durable is damaged.
    pub async fn open(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        limits: Limits,
        clock: &dyn Clock,
    ) -> Result<Self> {
        let shown = folder.display().to_string();
        for attempt in 0..LOCK_ATTEMPTS {
            if attempt > 0 {
                clock.sleep(LOCK_PAUSE).await;
            }
            let (on, place, id) = (Arc::clone(&disk), folder.clone(), new_id()?);
            let opened = tokio::task::spawn_blocking(move || Store::open(on, place, limits, id)).await;
            let opened = opened
                .map_err(|error| Error::bug("open journal", "the journal has panicked").with_source(error))?;
            let failed = |error: std::io::Error| match error.kind() {
                std::io::ErrorKind::InvalidData => {
                    let message =
                        format!("{error}: restore it, or move the folder away and lose what is in it");
                    Error::permanent("open journal", message).with_context("folder", &shown)
                }
                std::io::ErrorKind::PermissionDenied => {
                    Error::config("open journal", format!("the journal's folder: {error}"))
                        .with_context("folder", &shown)
                }
                _ => Error::transient("open journal", error.to_string()).with_context("folder", &shown),
            };
            if let Some(store) = opened.map_err(failed)? {
                return Self::start(disk, folder, store);
            }
        }
        Err(Error::transient("open journal", "another process has the journal open")
            .with_context("folder", shown))
    }

    fn start(disk: Arc<dyn Disk>, folder: PathBuf, store: Store) -> Result<Self> {
        let (commands, queue) = mpsc::channel(QUEUE);
        let (tell, standing) = watch::channel(Standing { durable: store.durable(), ..Standing::default() });
        let (id, opening, segments) = (store.id(), (new_id()?, store.durable()), store.segments());
        writer::start(store, queue, tell).map_err(|error| {
            Error::transient("open journal", "no thread for the journal").with_source(error)
        })?;
        Ok(Self { id, opening, folder, disk, segments, commands, waiting: Arc::default(), standing })
    }

    /// Tells this journal from another one that was in the same folder before or will be after it. Positions mean
    /// something only together with it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:016x}", self.id)
    }

    /// The last durable position; 0: none ever.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.standing.borrow().durable
    }

    /// Ends with the reason when the journal has failed; otherwise never.
    pub async fn failure(&self) -> Error {
        let mut standing = self.standing.clone();
        let failed = standing.wait_for(|standing| standing.failed.is_some()).await;
        // None: who writes is gone, though we hold on to it.
        let why =
            failed.ok().and_then(|standing| standing.failed.clone()).unwrap_or_else(|| gone().to_string());
        Error::transient("journal", format!("the journal has failed: {why}"))
    }

    /// From now on events are taken, and readers wait for more.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when it has failed.
    pub async fn take(&self) -> Result<(), JournalError> {
        self.set_taking(true).await
    }

    /// From now on no events are taken. What was begun before is durable, or refused, when this ends; readers end when
    /// they have read it.
    ///
    /// # Errors
    /// [`JournalError::Failed`] when it has failed.
    pub async fn close(&self) -> Result<(), JournalError> {
        self.set_taking(false).await
    }

    async fn set_taking(&self, is_taking: bool) -> Result<(), JournalError> {
        let (answer, done) = oneshot::channel();
        self.commands.send(Command::Take(is_taking, answer)).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())
    }

    /// Keeps an event. It is durable when this ends well; what is dropped before may be kept all the same.
    ///
    /// # Errors
    /// [`JournalError`]; then it is not kept.
    pub async fn append(&self, entry: Entry) -> Result<Appended, JournalError> {
        self.submit(entry).await?.durable().await
    }

    /// Hands an event to the writer, who keeps the order of these calls, and does not wait until it is durable.
    ///
    /// # Errors
    /// [`JournalError::Busy`] when too much waits already, [`JournalError::Failed`] when it has failed.
    pub async fn submit(&self, entry: Entry) -> Result<Submitted, JournalError> {
        let waiting = Waiting::new(&entry, &self.waiting).ok_or(JournalError::Busy)?;
        let (answer, outcome) = oneshot::channel();
        self.commands.send(Command::Append(entry, waiting, answer)).await.map_err(|_| gone())?;
        Ok(Submitted(outcome))
    }

    /// Reads what comes after this position; 0: from the oldest that is kept.
    #[must_use]
    pub fn read_after(&self, position: u64) -> Reader {
        Reader {
            disk: Arc::clone(&self.disk),
            folder: self.folder.clone(),
            segments: self.segments.clone(),
            journal: self.id,
            standing: self.standing.clone(),
            next: position.saturating_add(1),
            place: None,
        }
    }

    /// What stands up to this position is safe elsewhere: segments that hold nothing else are given up. Cumulative and
    /// idempotent.
    ///
    /// # Errors
    /// Transient when the disk fails; what was not given up is with the next call.
    pub async fn acknowledge(&self, position: u64) -> Result<()> {
        let (answer, done) = oneshot::channel();
        let failed =
            |why: String| Error::transient("acknowledge", format!("the journal cannot be cut: {why}"));
        let sent = self.commands.send(Command::Truncate(position, answer)).await;
        sent.map_err(|_| failed(gone().to_string()))?;
        done.await.map_err(|_| failed(gone().to_string()))?.map_err(failed)
    }
}

/// An event on its way.
#[derive(Debug)]
pub struct Submitted(oneshot::Receiver<Result<Appended, JournalError>>);

impl Submitted {
    /// Waits until it is durable.
    ///
    /// # Errors
    /// [`JournalError`]; then it is not kept.
    pub async fn durable(self) -> Result<Appended, JournalError> {
        self.0.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn gone() -> JournalError {
    JournalError::Failed("its thread has ended".to_owned())
}

/// A number that no journal had before.
fn new_id() -> Result<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::bug("open journal", "the system has no randomness"))?;
    Ok(u64::from_le_bytes(bytes))
}
