//! The fifth verb: records become durable, together with the state that covers them.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Commit, Files, Lease};
use crate::{Batch, Context, PartitionId, Result, StreamId, StreamSpec, Timestamp, record::EnvelopeHeader};

/// Writes records to where they stay. Implemented by a Bronze sink; one object serves one connection.
///
/// The order of calls for a stream: `open` once, `emit` many times, `commit` now and then, `close` at
/// the end. Calls for one stream never overlap; calls for different streams may.
///
/// What an implementation must do:
/// - `commit` publishes only what its commits cover, all of it or nothing, fenced by the lease, and
///   durable when it returns (rules D-01, D-16).
/// - It takes its own tally of what it encoded and refuses a commit whose tally differs (rule D-05).
/// - After a crash at any point, `open` brings the stream into the state of its last commit (D-02, D-21,
///   D-22), without a file to be deleted by hand.
///
/// ```
/// use connector_sdk::{*, contract::*};
/// use std::sync::Mutex;
///
/// /// Counts records, and remembers nothing else. Real ones are in connector-bronze.
/// #[derive(Debug, Default)]
/// struct Count(Mutex<u64>);
///
/// #[async_trait::async_trait]
/// impl Emit for Count {
///     async fn open(&self, _: &Context, _: Opening) -> Result<Vec<Commit>> { Ok(Vec::new()) }
///     async fn emit(&self, _: &Context, batch: SequencedBatch) -> Result<()> {
///         *self.0.lock().unwrap() += batch.batch.len() as u64;
///         Ok(())
///     }
///     async fn dead_letter(&self, _: &Context, _: &StreamId, _: DeadLetter) -> Result<()> { Ok(()) }
///     async fn discard(&self, _: &Context, _: &StreamId, _: &PartitionId) -> Result<()> { Ok(()) }
///     async fn commit(&self, _: &Context, _: &Lease, _: &[Commit]) -> Result<Receipt> { Ok(Receipt::default()) }
///     async fn close(&self, _: &Context, _: &StreamId) -> Result<()> { Ok(()) }
/// }
/// ```
#[async_trait]
pub trait Emit: Send + Sync {
    /// Opens a stream for writing: finishes or undoes what a crash left half done, fences off an older
    /// owner where [`Opening::takeover`] says there may be one, and answers the last commit of each
    /// partition that stands.
    ///
    /// # Errors
    /// Permanent with the context `fence` when a newer owner has the stream. Config when the place
    /// cannot be written as it is set up; Transient or Permanent when the disk fails.
    async fn open(&self, cx: &Context, opening: Opening) -> Result<Vec<Commit>>;

    /// Takes a batch, maybe only into a buffer. Nothing is visible until `commit`.
    ///
    /// # Errors
    /// Transient or Permanent when it cannot be written (a full disk); the stream must then be opened anew.
    async fn emit(&self, cx: &Context, batch: SequencedBatch) -> Result<()>;

    /// Takes a record that cannot go to Bronze; it becomes visible with the next commit of the stream.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    async fn dead_letter(&self, cx: &Context, stream: &StreamId, letter: DeadLetter) -> Result<()>;

    /// Throws away what was emitted for a partition and is not covered yet; its numbers are used again.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    async fn discard(&self, cx: &Context, stream: &StreamId, partition: &PartitionId) -> Result<()>;

    /// Makes covered records and their states durable and visible, together.
    ///
    /// # Errors
    /// Permanent with the context `fence` when a newer owner has the stream; Bug when the tallies
    /// differ; Transient or Permanent when the disk fails. What was published then is known only at the next `open`, which answers it; the stream
    /// must be opened anew.
    async fn commit(&self, cx: &Context, lease: &Lease, commits: &[Commit]) -> Result<Receipt>;

    /// Where files are kept that records of the connection name. The default: nowhere.
    fn files(&self, cx: &Context) -> Option<Arc<dyn Files>> {
        let _ = cx;
        None
    }

    /// Ends the writing of a stream; what was not committed is thrown away.
    ///
    /// # Errors
    /// As [`Emit::emit`].
    async fn close(&self, cx: &Context, stream: &StreamId) -> Result<()>;
}

/// What a sink is told when a stream is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The right to write it.
    pub lease: Lease,
    /// The previous owner did not release it: it may still be alive and must find its number taken.
    pub takeover: bool,
    /// What the stream's records look like.
    pub spec: Arc<StreamSpec>,
    /// What every envelope of this run says.
    pub header: EnvelopeHeader,
}

/// A batch, numbered by the host.
#[derive(Debug, Clone)]
pub struct SequencedBatch {
    /// The records.
    pub batch: Batch,
    /// The partition they come from.
    pub partition: PartitionId,
    /// The number of the first record; the others follow without a gap.
    pub first_sequence: u64,
    /// Counts the resets of the stream.
    pub epoch: u64,
    /// Counts the full reads.
    pub generation: u64,
    /// When the page was received.
    pub extracted_at: Timestamp,
    /// The schema they have.
    pub schema_fingerprint: Arc<str>,
    /// Whether a state already covers them. What is not covered must not be published by a commit that
    /// does not name the partition. After uncovered batches of a partition, the next commit names it, and
    /// covers them all.
    pub covered: bool,
}

/// A record that cannot go to Bronze, and why. It takes no sequence number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What is wrong with it.
    pub reason: String,
    /// The class of the failure.
    pub class: crate::Class,
    /// The stream.
    pub stream: StreamId,
    /// The partition.
    pub partition: PartitionId,
    /// The record's JSON text, or as much of it as there is.
    pub record: String,
}

/// What a commit has made durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The commit's number in the stream's log.
    pub number: u64,
    /// Records published.
    pub records: u64,
    /// Dead letters published.
    pub dead_letters: u64,
    /// The files they are in.
    pub files: Vec<FileReceipt>,
}

/// A file that a commit has made visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReceipt {
    /// Its path below the connection's folder.
    pub path: String,
    /// Records in it.
    pub records: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Sum of its records' hashes, as 16 hexadecimal digits (see [`crate::record::Tally`]).
    pub hash: String,
}
