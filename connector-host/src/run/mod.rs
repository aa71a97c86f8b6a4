//! A run: claim, load, read, emit, commit, checkpoint, acknowledge, release.

use std::{fmt, sync::Arc, time::Duration};

use connector_sdk::{Connector, Context, Emit, Manifest, StreamId, SyncMode, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Registry, RunReport};

/// What is to be run.
#[derive(Clone)]
pub struct Job {
    /// Tenant, connection, run, clock, the token that stops the run, the counters.
    pub cx: Context,
    /// The connector, connected.
    pub connector: Arc<dyn Connector>,
    /// What it declares.
    pub manifest: Manifest,
    /// Where states are kept.
    pub registry: Arc<dyn Registry>,
    /// Where records go.
    pub sink: Arc<dyn Emit>,
    /// What to read; none: the whole catalog.
    pub streams: Option<Vec<StreamChoice>>,
    /// How to run.
    pub options: RunOptions,
    /// Who wants to know how far it is.
    pub progress: Arc<dyn Progress>,
}

/// A stream that a connection wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamChoice {
    /// Its name in the catalog.
    pub name: StreamId,
    /// How to read it; none: the stream's default.
    #[serde(default)]
    pub mode: Option<SyncMode>,
    /// The fields to read; none: all.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
    /// Read nothing that changed before this instant.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// What to do when its schema changes.
    #[serde(default)]
    pub on_drift: DriftPolicy,
}

/// What to do when a stream's schema changes (rule D-18).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftPolicy {
    /// Go on with the new schema.
    #[default]
    Evolve,
    /// Fail.
    Freeze,
    /// Records with what is new go to the dead letters.
    DiscardRow,
    /// What is new becomes null, in a copy of the record, and is listed in `changes`.
    DiscardValue,
}

/// How to run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunOptions {
    /// A commit is due when this many bytes of records wait for it.
    pub commit_bytes: u64,
    /// A commit is due when the oldest record waits this long.
    pub commit_interval: Duration,
    /// Bytes of pages that may be on their way between reading and encoding.
    pub look_ahead: usize,
    /// Partitions of a stream that are read at once.
    pub partitions: usize,
    /// Streams that are read at once.
    pub streams: usize,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// The largest share of a stream that a full read may conclude to be deleted without being told so.
    pub delete_cap: f64,
    /// Dead letters that end a stream.
    pub max_dead_letters: u64,
    /// A record larger than this goes to the dead letters, in bytes.
    pub max_record: usize,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            commit_bytes: 64 << 20,
            commit_interval: Duration::from_secs(10),
            look_ahead: 16 << 20,
            partitions: 4,
            streams: 2,
            lease: Duration::from_secs(30),
            delete_cap: 0.2,
            max_dead_letters: 1_000,
            max_record: 16 << 20,
        }
    }
}

/// Who wants to know how far a run is. Called often: be quick.
pub trait Progress: Send + Sync + fmt::Debug {
    /// A stream is read from now on.
    fn started(&self, stream: &StreamId) {
        let _ = stream;
    }
    /// The vendor says that so many records are to come, in a partition.
    fn expected(&self, stream: &StreamId, records: u64) {
        let _ = (stream, records);
    }
    /// Records were read.
    fn read(&self, stream: &StreamId, records: u64, bytes: u64) {
        let _ = (stream, records, bytes);
    }
    /// Records became durable.
    fn committed(&self, stream: &StreamId, records: u64) {
        let _ = (stream, records);
    }
    /// The stream is done.
    fn finished(&self, report: &crate::report::StreamReport) {
        let _ = report;
    }
}

/// Nobody wants to know.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("cx", &self.cx).field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// Runs the connection once. It never fails as a call: what went wrong is in the report.
pub async fn run(_job: Job) -> RunReport {
    todo!()
}
