//! A run: claim, load, read, emit, commit, checkpoint, acknowledge, release.

mod budget;
mod deletes;
mod discard;
mod drift;
mod generation;
mod lease;
mod listening;
mod reader;
mod reconcile;
mod schema;
pub(crate) mod select;
mod stream;
mod writer;

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use connector_sdk::{
    Connector, Context, Counters, Emit, Error, Manifest, Result, RunId, StreamId, SyncMode, Timestamp,
    clock::timeout, crash,
};
use futures_util::{StreamExt, stream as streams};
use serde::{Deserialize, Serialize};

use crate::{
    Registry, RunReport,
    registry::RunRecord,
    report::{RunStatus, StreamReport, Totals},
};

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// A folder for what a full read has to remember on disk, to conclude deletes from it (the sorted keys of
    /// two generations). None: deletes are not concluded.
    pub work: Option<PathBuf>,
    /// Dead letters that end a stream.
    pub max_dead_letters: u64,
    /// A record larger than this goes to the dead letters, in bytes.
    pub max_record: usize,
    /// How long a call of the connector other than a read may take.
    pub call: Duration,
    /// How long a read may send nothing; [`Duration::MAX`]: as long as it likes, as a source may that is told and not
    /// asked.
    pub stall: Duration,
    /// How long a run that listens may take, after it was stopped, for what was taken to reach Bronze. What has not
    /// stays in the journal, for the next run.
    pub drain: Duration,
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
            work: None,
            max_dead_letters: 1_000,
            max_record: 16 << 20,
            call: Duration::from_secs(600),
            stall: Duration::from_secs(3600),
            drain: Duration::from_secs(120),
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
    /// The source can call from now on, at these addresses.
    fn listening(&self, addresses: &[SocketAddr]) {
        let _ = addresses;
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

impl Job {
    /// The run's name; a job without one is a run nobody named.
    fn run_id(&self) -> RunId {
        self.cx.run().cloned().unwrap_or_else(|| "unnamed".into())
    }

    /// Who holds the leases of this run, for people.
    fn owner(&self) -> String {
        format!("run {} of process {}", self.run_id(), std::process::id())
    }
}

/// A name for a new run: sorts by time, and differs between processes.
#[must_use]
pub fn new_run_id(cx: &Context) -> RunId {
    let now = cx.clock().now();
    let seed =
        format!("{}/{}/{}/{:?}", cx.tenant(), cx.connection(), std::process::id(), cx.clock().monotonic());
    let tail = xxhash_rust::xxh3::xxh3_64(seed.as_bytes()) & 0xffff_ffff;
    let time: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{time}-{tail:08x}").into()
}

/// Runs the connection once. It never fails as a call: what went wrong is in the report.
pub async fn run(mut job: Job) -> RunReport {
    if let Some(files) = job.sink.files(&job.cx) {
        job.cx = job.cx.with_files(files);
    }
    let started_at = job.cx.clock().now();
    let mut record = RunRecord {
        tenant: job.cx.tenant().clone(),
        connection: job.cx.connection().clone(),
        run: job.run_id(),
        status: "running".to_owned(),
        started_at,
        finished_at: None,
        document: serde_json::Value::Null,
    };
    let mut report = RunReport {
        run_id: job.run_id(),
        tenant: job.cx.tenant().clone(),
        connection: job.cx.connection().clone(),
        connector: job.manifest.id(),
        status: RunStatus::Failed,
        started_at,
        finished_at: started_at,
        streams: Vec::new(),
        totals: Totals::default(),
        receipt: None,
        error: None,
    };
    match read_streams(&job, &record).await {
        Ok((streams, error)) => (report.streams, report.error) = (streams, error.map(Arc::new)),
        Err(error) => report.error = Some(Arc::new(error)),
    }
    // Whoever wanted a token may have gone: by a stop, a limit of time, another's failure.
    crate::settled(&job.cx).await;
    crash::point("run.settled");
    conclude(&job, &mut report);
    record.status = report.status.as_str().to_owned();
    record.finished_at = Some(report.finished_at);
    record.document = serde_json::to_value(&report).unwrap_or_default();
    if let Err(error) = job.registry.finish_run(&record).await {
        tracing::warn!(%error, "the registry does not know how the run ended");
        report.error.get_or_insert_with(|| Arc::new(error));
    }
    crash::point("run.finished");
    report
}

/// The reports of the streams, and why the listener of a push source has ended, where that was not the stop.
type Done = (Vec<StreamReport>, Option<Error>);

async fn read_streams(job: &Job, record: &RunRecord) -> Result<Done> {
    job.registry.start_run(record).await?;
    crash::point("run.started");
    let names: Option<Vec<StreamId>> =
        job.streams.as_ref().map(|chosen| chosen.iter().map(|choice| choice.name.clone()).collect());
    let call = job.connector.discover(&job.cx, names.as_deref());
    let discovered = timeout(&**job.cx.clock(), job.options.call, call);
    let catalog = tokio::select! {
        biased;
        () = job.cx.stop().cancelled() => return Ok((Vec::new(), None)),
        catalog = discovered => catalog.map_err(|elapsed| Error::transient("discover", elapsed.to_string()))??,
    };
    crash::point("run.discovered");
    let selected = select::select(&catalog, job.streams.as_deref())?;
    match timeout(&**job.cx.clock(), job.options.call, job.connector.listen(&job.cx)).await {
        Err(elapsed) => Err(Error::transient("listen", elapsed.to_string())),
        Ok(Err(error)) => Err(error),
        Ok(Ok(None)) => Ok((run_streams(job, selected).await, None)),
        Ok(Ok(Some(listener))) => Ok(listening::run(job, listener, selected).await),
    }
}

async fn run_streams(job: &Job, selected: Vec<select::Selected>) -> Vec<StreamReport> {
    let mut reports: Vec<(usize, StreamReport)> = streams::iter(selected.into_iter().enumerate())
        .map(
            |(at, (selection, policy))| async move { (at, stream::run_stream(job, selection, policy).await) },
        )
        .buffer_unordered(job.options.streams.max(1))
        .collect()
        .await;
    crash::point("run.streams_done");
    reports.sort_by_key(|(at, _)| *at);
    reports.into_iter().map(|(_, report)| report).collect()
}

/// Sums up: the status of the run from those of its streams, the totals, the first error.
fn conclude(job: &Job, report: &mut RunReport) {
    report.finished_at = job.cx.clock().now();
    for stream in &report.streams {
        report.totals.records += stream.records;
        report.totals.bytes += stream.bytes;
        report.totals.dead_letters += stream.dead_letters;
    }
    let counters = job.cx.counters();
    report.totals.requests = Counters::get(&counters.requests);
    report.totals.retries = Counters::get(&counters.retries);
    let any = |status| report.streams.iter().any(|stream| stream.status == status);
    let all = |status| report.streams.iter().all(|stream| stream.status == status);
    report.status = if report.error.is_some() {
        RunStatus::Failed
    } else if report.streams.is_empty() && job.cx.is_stopping() {
        RunStatus::Stopped
    } else if all(RunStatus::Succeeded) {
        RunStatus::Succeeded
    } else if all(RunStatus::Failed) {
        RunStatus::Failed
    } else if any(RunStatus::Incomplete) || any(RunStatus::Failed) {
        RunStatus::Incomplete
    } else {
        RunStatus::Stopped
    };
    let first = report.streams.iter().find_map(|stream| stream.error.clone());
    if report.error.is_none() {
        report.error = first;
    }
}
