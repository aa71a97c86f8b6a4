//! The sink: `Emit` over the streams that are open.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use connector_sdk::{
    ConnectionName, Context, Emit, Error, PartitionId, Result, StreamId, TenantId,
    contract::{Commit, DeadLetter, Files, Lease, Opening, Receipt, SequencedBatch},
    crash,
};
use tokio::sync::OwnedMutexGuard;

use crate::{
    BronzeConfig, Disk, RealDisk, fault,
    files::BronzeFiles,
    layout,
    open::open,
    records::{Records, StreamFiles},
    writer::StreamWriter,
};

/// Bronze: writes streams below a folder, and reads back what is there.
///
/// ```
/// use connector_bronze::{Bronze, BronzeConfig, Format};
/// # fn main() -> connector_sdk::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let bronze = Bronze::new(BronzeConfig::new(folder.path(), Format::Parquet));
/// bronze.check()?;
/// # Ok(())
/// # }
/// ```
pub struct Bronze {
    config: Arc<BronzeConfig>,
    disk: Arc<dyn Disk>,
    streams: Mutex<BTreeMap<StreamKey, Arc<Slot>>>,
}

/// A stream's place, whole: one sink object may be shared by many connections.
type StreamKey = (TenantId, ConnectionName, StreamId);

/// Holds a stream's writer between calls. A call takes it out and puts it back when all went well; so
/// after a failure, a panic or a call that was dropped there is none, and the stream must be opened anew.
#[derive(Default)]
struct Slot {
    writer: Arc<tokio::sync::Mutex<Option<StreamWriter>>>,
    /// A call was dropped before its answer came: what it did is not known.
    cut_short: AtomicBool,
}

impl Bronze {
    /// Bronze on the machine's file system. Touches nothing yet.
    #[must_use]
    pub fn new(config: BronzeConfig) -> Self {
        Self::with_disk(config, Arc::new(RealDisk))
    }

    /// Bronze on a disk of another kind.
    #[must_use]
    pub fn with_disk(config: BronzeConfig, disk: Arc<dyn Disk>) -> Self {
        Self { config: Arc::new(config), disk, streams: Mutex::default() }
    }

    /// How it is set up.
    #[must_use]
    pub fn config(&self) -> &BronzeConfig {
        &self.config
    }

    /// The folder of a connection: its streams, and what a host puts beside them under names that begin
    /// with `_`.
    #[must_use]
    pub fn folder(&self, tenant: &TenantId, connection: &ConnectionName) -> PathBuf {
        layout::connection_dir(&self.config.path, tenant, connection)
    }

    /// Tries out what writing needs: making files, syncing them, hard links, removing. Blocks.
    ///
    /// # Errors
    /// Config when the folder cannot be written or has no hard links; Transient or Permanent when the disk
    /// fails. The path is in the context.
    pub fn check(&self) -> Result<()> {
        let root = &self.config.path;
        let process = std::process::id();
        let (file, link) =
            (root.join(format!(".check-{process}.tmp")), root.join(format!(".check-{process}-link.tmp")));
        let remove = |path: &Path| match self.disk.remove(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let try_out = || {
            self.disk.create_dirs(root)?;
            remove(&file)?;
            remove(&link)?;
            let mut written = self.disk.create(&file)?;
            written.write_all(b"check\n")?;
            written.sync()?;
            drop(written);
            let linked = self.disk.link(&file, &link);
            self.disk.sync_dir(root)?;
            remove(&file)?;
            remove(&link)?;
            Ok(linked)
        };
        try_out().map_err(|error| fault::disk("check bronze", root, error))?.map_err(|error| {
            Error::config(
                "check bronze",
                "Bronze needs a file system with hard links: the commit log rests on them",
            )
            .with_context("path", root.display())
            .with_source(error)
        })
    }

    /// What is visible in Bronze of a connection, of one stream or all: envelopes as lines of JSON, those
    /// of a stream in the order in which they were committed, oldest first, at most `limit`. Blocks; reads a
    /// few MiB at a time.
    ///
    /// # Errors
    /// Transient, Permanent or Config when the folders cannot be read. A folder that is not there is
    /// empty. Errors of single files come out of the iterator, which goes on with the next file.
    pub fn records(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        stream: Option<&StreamId>,
        limit: Option<u64>,
    ) -> Result<Records> {
        let connection = layout::connection_dir(&self.config.path, tenant, connection);
        let streams = match stream {
            Some(stream) => vec![layout::StreamDir::new(&connection, stream).path().to_owned()],
            None => StreamFiles::folders(&*self.disk, &connection)?,
        };
        let mut files = Vec::new();
        for stream in streams {
            files.extend(StreamFiles::list(&*self.disk, &stream)?);
        }
        Ok(Records::new(self.disk.clone(), files, limit))
    }

    fn slot(&self, key: StreamKey) -> Arc<Slot> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }

    /// Runs `work` on a stream's place, off the runtime's threads, alone.
    async fn run<R: Send + 'static>(
        &self,
        cx: &Context,
        stream: &StreamId,
        fresh: bool,
        work: impl FnOnce(&mut OwnedMutexGuard<Option<StreamWriter>>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let slot = self.slot((cx.tenant().clone(), cx.connection().clone(), stream.clone()));
        // A call that was dropped may still be at work; it ends before this one begins.
        let mut place = slot.writer.clone().lock_owned().await;
        if slot.cut_short.swap(true, Ordering::AcqRel) && !fresh {
            *place = None;
        }
        let span = tracing::Span::current();
        let work = crash::carry(move || span.in_scope(|| work(&mut place)));
        let done = tokio::task::spawn_blocking(work).await;
        slot.cut_short.store(false, Ordering::Release);
        done.unwrap_or_else(|error| {
            Err(Error::bug("bronze", "the writer of the stream broke down; open the stream anew")
                .with_context("stream", stream)
                .with_source(error))
        })
    }

    /// Runs `work` on the writer of an open stream, and keeps the writer if it succeeds.
    async fn with_writer<R: Send + 'static>(
        &self,
        cx: &Context,
        stream: &StreamId,
        operation: &'static str,
        work: impl FnOnce(&mut StreamWriter) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let name = stream.clone();
        self.run(cx, stream, false, move |place| {
            let mut writer = place.take().ok_or_else(|| {
                Error::bug(operation, "the stream is not open, or an earlier call failed; open it anew")
            })?;
            let result = work(&mut writer)?;
            **place = Some(writer);
            Ok(result)
        })
        .await
        .map_err(|error| error.with_context("stream", name))
    }
}

impl fmt::Debug for Bronze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bronze")
            .field("config", &self.config)
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Emit for Bronze {
    fn files(&self, cx: &Context) -> Option<Arc<dyn Files>> {
        let folder = self.folder(cx.tenant(), cx.connection());
        Some(Arc::new(BronzeFiles::new(Arc::clone(&self.disk), folder)))
    }

    async fn open(&self, cx: &Context, opening: Opening) -> Result<Vec<Commit>> {
        let lease = &opening.lease;
        if (&lease.tenant, &lease.connection) != (cx.tenant(), cx.connection()) {
            return Err(Error::bug("open stream", "the lease is of another connection than the context"));
        }
        let (config, disk, at) = (self.config.clone(), self.disk.clone(), cx.clock().now());
        let stream = lease.stream.clone();
        self.run(cx, &stream, true, move |place| {
            **place = None;
            let (writer, standing) = open(disk, &config, opening, at)?;
            **place = Some(writer);
            Ok(standing)
        })
        .await
        .map_err(|error| error.with_context("stream", stream))
    }

    async fn emit(&self, cx: &Context, batch: SequencedBatch) -> Result<()> {
        let stream = batch.batch.stream().clone();
        self.with_writer(cx, &stream, "emit", move |writer| writer.emit(&batch)).await
    }

    async fn dead_letter(&self, cx: &Context, stream: &StreamId, letter: DeadLetter) -> Result<()> {
        self.with_writer(cx, stream, "dead letter", move |writer| writer.dead_letter(&letter)).await
    }

    async fn discard(&self, cx: &Context, stream: &StreamId, partition: &PartitionId) -> Result<()> {
        let partition = partition.clone();
        self.with_writer(cx, stream, "discard", move |writer| writer.discard(&partition)).await
    }

    async fn commit(&self, cx: &Context, lease: &Lease, commits: &[Commit]) -> Result<Receipt> {
        let (at, commits) = (cx.clock().now(), commits.to_vec());
        let (stream, lease) = (lease.stream.clone(), lease.clone());
        self.with_writer(cx, &stream, "commit", move |writer| writer.commit(at, &lease, &commits)).await
    }

    async fn close(&self, cx: &Context, stream: &StreamId) -> Result<()> {
        self.run(cx, stream, false, |place| match place.take() {
            Some(writer) => writer.close(),
            // Never opened, or poisoned: what is left over is thrown away at the next opening.
            None => Ok(()),
        })
        .await
    }
}
