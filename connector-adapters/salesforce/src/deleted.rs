//! The log of deletions: rows that are gone for good, which no query shows.
//!
//! A query shows the recycle bin, and nothing of what was deleted past it or has left it. The vendor's log
//! (`GET /sobjects/X/deleted`) names both, by id and time, for some hours up to 15 days:
//!
//! ```text
//!   from          covered                                  to
//!  ──┴──look-back──┴──────────────────────────────────────┴──▶ time of deletion
//!    looked at again │ read by this plan                    │ the plan's own time
//! ```
//!
//! Each plan has a partition `deleted/<from>/<to>` besides its windows. An id that `queryAll` still shows is in
//! the bin, or was taken out of it: the windows have it, with its content. Of any other the key is emitted, as a
//! delete, once: what was emitted is remembered as long as the log is looked at again (the vendor cuts off the
//! seconds of the start, and what it covers may lag behind by days).
//!
//! A row that was in the bin when its deletion was looked up may have left it before its window was read, so each plan
//! reads again what the one before has read. An object whose log is refused is named in what was skipped, and asked again
//! after a day.
//!
//! The log begins with the first load. What it does not hold any more when it is asked for (a stream that
//! rested longer than the log reaches back) nobody knows: every run says so until the state is reset.

mod ledger;

use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Batch, Context, Delivery, Error, Message, Operation, Partition, PartitionId, ReadRequest, Result, State,
    Timestamp,
    record::{BatchBuilder, RecordView, Seen, timestamp_millis},
};
use futures_util::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(crate) use ledger::Ledger;

use crate::{
    api::Api,
    describe::ID,
    fault::{self, Then},
    pages::Source,
    plan::STATE_VERSION,
    selection::Selection,
    soql::Condition,
};

/// What the names of the log's partitions begin with.
const LOG: &str = "deleted";
/// Ids that are looked up in one query.
const LOOKUP: usize = 200;
/// The shortest time that is asked for: the end must be more than a minute after the start, whose seconds
/// count for nothing (SOAP guide, getDeleted).
const SHORTEST: Duration = Duration::from_secs(120);
/// Pages of a look-up have the largest size.
const PAGE_SIZE: u32 = 2_000;

/// What is to be read of the log: travels in [`Partition::slice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogRange {
    /// Deletions from here on,
    from: Timestamp,
    /// of which those before this have been read before,
    covered: Timestamp,
    /// and up to here.
    to: Timestamp,
}

impl LogRange {
    pub(crate) fn id(&self) -> PartitionId {
        PartitionId::from(format!("{LOG}/{}/{}", self.from, self.to))
    }

    pub(crate) fn partition(&self) -> Result<Partition> {
        Partition::new(self.id()).with_slice(self)
    }
}

/// Whether a partition is one of the log. Whoever reads partitions by another door asks it first.
pub(crate) fn is_log(partition: &PartitionId) -> bool {
    partition.as_str().split('/').next() == Some(LOG)
}

/// The name under which a run says what is not known.
pub(crate) fn skipped_name() -> PartitionId {
    LOG.into()
}

/// The state of a partition of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogState {
    /// Up to where the log has been read.
    covered: Option<Timestamp>,
    /// Deletions that were emitted.
    #[serde(default)]
    seen: Seen,
    /// Deletions that nobody knows of.
    #[serde(default)]
    unknown: Option<Unknown>,
    /// The object has no log.
    #[serde(default)]
    is_refused: bool,
}

/// Time whose deletions the log does not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unknown {
    from: Timestamp,
    to: Timestamp,
}

impl Unknown {
    /// What to do about it.
    pub(crate) fn error(&self) -> Error {
        let message = format!(
            "rows that were deleted for good between {} and {} are not known, and may still be in Bronze: the \
             vendor's log of deletions did not reach back that far when it was read. Read the stream in full \
             again, by `connector state reset`, or in mode `full`, where the host concludes what was deleted",
            self.from, self.to
        );
        Error::permanent("deleted", message).with_delivery(Delivery::Answered)
    }
}

/// An answer of the log.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    deleted_records: Vec<Deletion>,
    earliest_date_available: Option<String>,
    latest_date_covered: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deletion {
    id: String,
    deleted_date: Box<RawValue>,
}

impl Deletion {
    fn at(&self) -> Option<i64> {
        timestamp_millis(self.deleted_date.get().as_bytes())
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    timestamp_millis(format!("\"{}\"", text?).as_bytes()).map(Timestamp::from_millis)
}

/// Reads one partition of the log.
pub(crate) fn read(api: Arc<Api>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    let messages = async_stream::try_stream! {
        let mut reader = Reader::open(&api, &request)?;
        let mut refused = None;
        let mut step = Duration::MAX;
        while reader.at < reader.range.to {
            let mut to = (reader.at + step).min(reader.range.to);
            // What is left over would be too short to be asked for. Two halves of the least are not.
            if reader.range.to.saturating_since(to) < SHORTEST {
                to = reader.range.to;
            }
            let log = match reader.ask(reader.at, to).await? {
                Asked::Log(log) => log,
                Asked::TooMany if half(reader.at, to) >= SHORTEST => {
                    step = half(reader.at, to);
                    continue;
                }
                Asked::TooMany => Err(too_many(to))?,
                Asked::Refused(error) => {
                    reader.state.is_refused = true;
                    refused = Some(error);
                    break;
                }
            };
            let mut uncovered = 0;
            for deletions in log.deleted_records.chunks(LOOKUP) {
                let batch = reader.gone(deletions).await?;
                if !batch.is_empty() {
                    uncovered += batch.len() as u64;
                    yield Message::Batch(batch);
                }
            }
            reader.covered(&log, to);
            yield Message::State(reader.state()?.covering(uncovered));
        }
        yield Message::State(reader.state()?.completing());
        if let Some(unknown) = reader.state.unknown {
            yield Message::Skip(unknown.error());
        }
        if let Some(error) = refused {
            yield Message::Skip(error.with_context("object", reader.selection.object()));
        }
    };
    messages.boxed()
}

/// Half of a time, in whole minutes.
fn half(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_secs(to.saturating_since(from).as_secs() / 120 * 60)
}

fn too_many(to: Timestamp) -> Error {
    let message = format!(
        "more rows were deleted in the minute before {to} than the vendor's log of deletions answers: read the \
         stream in full again, by `connector state reset`, or set `deleted_log: false`"
    );
    Error::permanent("deleted", message).with_delivery(Delivery::Answered)
}

/// What came of asking.
enum Asked {
    Log(Log),
    /// More ids than one answer has.
    TooMany,
    /// This object has no log.
    Refused(Error),
}

struct Reader {
    api: Arc<Api>,
    cx: Context,
    selection: Selection,
    source: Source,
    range: LogRange,
    /// Where the next request begins.
    at: Timestamp,
    state: LogState,
    /// What earlier plans emitted.
    seen_before: Seen,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Reader {
    fn open(api: &Arc<Api>, request: &ReadRequest) -> Result<Self> {
        let selection = Selection::of(api.settings(), &request.stream)?;
        let range: LogRange = request.partition.slice()?;
        let state: LogState = match request.state.as_ref().filter(|state| !state.is_complete()) {
            Some(state) => state.decode(STATE_VERSION)?,
            None => LogState::default(),
        };
        Ok(Self {
            api: Arc::clone(api),
            cx: request.cx.clone(),
            source: Source::new(api, &request.cx, &selection, PAGE_SIZE),
            selection,
            range,
            at: state.covered.unwrap_or(range.from),
            state,
            seen_before: Ledger::emitted(request.stream_state.as_ref())?,
            since: request.stream.since,
            until: request.stream.until,
        })
    }

    /// The log of this time; from a later start where it does not reach back that far.
    async fn ask(&mut self, from: Timestamp, to: Timestamp) -> Result<Asked> {
        let refused = match self.log(from, to).await {
            Err(error) if fault::has_code(&error, "INVALID_REPLICATION_DATE") => error,
            asked => return asked,
        };
        // What was to be looked at again has been read once.
        if from < self.range.covered && self.range.covered + SHORTEST <= to {
            match self.log(self.range.covered, to).await {
                Err(error) if fault::has_code(&error, "INVALID_REPLICATION_DATE") => {}
                asked => return asked,
            }
        }
        // The vendor says how far back it reaches only when it is asked for less.
        let Asked::Log(newest) = self.log(to - SHORTEST, to).await? else { return Err(refused) };
        let Some(earliest) = time(newest.earliest_date_available.as_deref()) else { return Err(refused) };
        let earliest = earliest.max(from).min(to - SHORTEST);
        self.state.unknown = Some(Unknown { from: from.max(self.range.covered), to: earliest });
        // Parts of the rest are asked for from here on.
        self.at = earliest;
        match self.log(earliest, to).await {
            Err(error) if fault::has_code(&error, "INVALID_REPLICATION_DATE") => {
                self.state.unknown = Some(Unknown { from: from.max(self.range.covered), to: to - SHORTEST });
                Ok(Asked::Log(newest))
            }
            asked => asked,
        }
    }

    async fn log(&self, from: Timestamp, to: Timestamp) -> Result<Asked> {
        match self.api.deleted(&self.cx, self.selection.object(), from, to).await {
            Ok(log) => Ok(Asked::Log(log)),
            Err(error) if fault::has_code(&error, "EXCEEDED_ID_LIMIT") => Ok(Asked::TooMany),
            Err(error) if has_no_log(&error) => Ok(Asked::Refused(error)),
            Err(error) => Err(error.with_context("object", self.selection.object())),
        }
    }

    /// Those of the ids that no query shows, as deletes, each once.
    async fn gone(&mut self, deletions: &[Deletion]) -> Result<Batch> {
        let mut batch = BatchBuilder::new(self.selection.object().into());
        let new: Vec<&Deletion> = deletions.iter().filter(|deletion| self.is_new(deletion)).collect();
        if new.is_empty() {
            return Ok(batch.build());
        }
        let shown = self.shown(&new).await?;
        for deletion in new {
            let key = key(&deletion.id);
            if !shown.contains(&key) {
                let record = record(deletion, &key);
                self.state.seen.insert(&record);
                batch.push(record);
            }
        }
        Ok(batch.build())
    }

    /// Whether a deletion is one to emit, if no query shows its row.
    fn is_new(&self, deletion: &Deletion) -> bool {
        let Some(at) = deletion.at() else { return true };
        if self.since.is_some_and(|since| at < since.as_millis())
            || self.until.is_some_and(|until| at >= until.as_millis())
        {
            return false;
        }
        let key = key(&deletion.id);
        let record = record(deletion, &key);
        !self.seen_before.contains(&record) && !self.state.seen.contains(&record)
    }

    /// The keys that a query for all rows shows, deleted or not.
    async fn shown(&self, deletions: &[&Deletion]) -> Result<std::collections::HashSet<Vec<u8>>> {
        let mut shown = std::collections::HashSet::new();
        if !self.selection.all {
            // Without a recycle bin there is none to look into.
            return Ok(shown);
        }
        let ids = deletions.iter().map(|deletion| deletion.id.as_str());
        let query = self.selection.select_only([ID])?.filter(Condition::one_of(ID, ids)?);
        let mut pages = self.source.put(query.to_string());
        while let Some(answered) = pages.next().await? {
            shown.extend(answered.page.batch.iter().filter_map(|record| record.key.map(<[u8]>::to_vec)));
        }
        Ok(shown)
    }

    /// The log was read up to here.
    fn covered(&mut self, log: &Log, to: Timestamp) {
        let latest = time(log.latest_date_covered.as_deref()).unwrap_or(self.at);
        // Where the vendor is behind, the next plan asks from there.
        let behind = self.state.covered.filter(|covered| *covered < self.at);
        self.state.covered = Some(behind.unwrap_or(latest.min(to)));
        self.at = to;
    }

    fn state(&self) -> Result<State> {
        State::encode(STATE_VERSION, &self.state)
    }
}

/// Whether the vendor says that it logs no deletions of this object, or not for this user.
fn has_no_log(error: &Error) -> bool {
    fault::then(error) == Then::Skip
        || ["NOT_FOUND", "METHOD_NOT_ALLOWED"].iter().any(|code| fault::has_code(error, code))
}

fn key(id: &str) -> Vec<u8> {
    // An id holds nothing to escape; one that does would be a text of another kind.
    let mut key = b"{\"Id\":".to_vec();
    key.extend_from_slice(serde_json::Value::from(id).to_string().as_bytes());
    key.push(b'}');
    key
}

fn record<'a>(deletion: &'a Deletion, key: &'a [u8]) -> RecordView<'a> {
    RecordView {
        operation: Operation::Delete,
        record: None,
        key: Some(key),
        cursor: Some(deletion.deleted_date.get().as_bytes()),
        source_timestamp: deletion.at(),
    }
}
