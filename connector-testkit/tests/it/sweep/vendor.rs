//! A vendor with a memory of its own: three streams that need all that the run engine can do.
//!
//! - `queue` forgets what was acknowledged. Two partitions, a state after each page, a record that is too large, and a
//!   field that appears in the middle of a read.
//! - `table` is read whole each time and has no order: one state, at its end. Rows change and vanish between reads, and
//!   a read of it fails once on its way.
//! - `windows` has windows of time: the plan names two at a time, folds them when they are done, and asks to be asked
//!   again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use connector_sdk::{
    Acknowledged, Authenticate, Batch, Catalog, Connector, Context, Discover, Error, Identity, Message,
    Partition, PartitionId, Plan, Read, ReadRequest, Result, State, StreamId, StreamSelection, StreamSpec,
    StreamState, record::BatchBuilder,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde_json::json;

/// A record of the queue with this many bytes is too large for the host.
pub(super) const TOO_LARGE: usize = 4_000;
const PAGE: u64 = 3;
/// Rows of `windows` in a window.
const WINDOW: u64 = 4;

/// The vendor. Clones are the same one: it outlives every process that reads it.
#[derive(Debug, Clone, Default)]
pub(super) struct Vendor(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
pub(super) struct Books {
    /// For each partition of the queue: the first number that is still there, and the one after the last.
    pub(super) queue: BTreeMap<PartitionId, std::ops::Range<u64>>,
    /// Numbers of the queue whose record is too large.
    pub(super) large: BTreeSet<u64>,
    /// Since when the queue's records have another field.
    pub(super) tagged_from: Option<u64>,
    /// The rows of the table, with their version.
    pub(super) table: BTreeMap<u64, u64>,
    /// A state after each page of the table, and pages of one row: many commits.
    pub(super) table_has_order: bool,
    /// A read of the table fails once after so many pages.
    pub(super) table_fails_after: Option<u64>,
    /// Rows of `windows` there ever were, and how many when the stream was reset.
    pub(super) windows: u64,
    pub(super) windows_before_reset: u64,
    /// The next read of a window finds nothing yet: the vendor is slow.
    pub(super) hides_window: bool,
}

impl Vendor {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }
}

impl Books {
    fn spec(&self, name: &str) -> StreamSpec {
        let mut properties = json!({"id": {"type": "integer"}, "body": {"type": "string"}});
        if name == "queue" && self.tagged_from.is_some() {
            properties["tag"] = json!({"type": "string"});
        }
        let spec = StreamSpec::new(name, json!({"type": "object", "properties": properties}));
        let spec = spec.with_primary_key(["id"]);
        if name == "table" { spec } else { spec.with_cursor("id") }
    }

    /// Whether a record of the queue has the field that came later; those of `q1` never have.
    pub(super) fn tagged(&self, id: u64) -> bool {
        self.tagged_from.is_some_and(|from| (from..1_000).contains(&id))
    }

    fn queue_page(&self, ids: impl Iterator<Item = u64>) -> Batch {
        page(
            "queue",
            ids.map(|id| {
                let body = "q".repeat(if self.large.contains(&id) { TOO_LARGE } else { 20 });
                let tag = if self.tagged(id) { ",\"tag\":\"new\"" } else { "" };
                (id, format!("{{\"id\":{id},\"body\":\"{body}\"{tag}}}"))
            }),
        )
    }

    /// What comes after `at` in this partition, and where that leads; none at the end.
    fn step(&mut self, partition: &PartitionId, at: u64, pages: u64) -> Result<Option<(Vec<Message>, u64)>> {
        match partition.as_str() {
            "all" => {
                if self.table_fails_after == Some(pages) {
                    self.table_fails_after = None;
                    return Err(Error::transient("read", "the vendor has a bad day"));
                }
                let size = if self.table_has_order { 1 } else { 3 };
                let rows: Vec<(u64, u64)> =
                    self.table.range(at..).take(size).map(|(id, v)| (*id, *v)).collect();
                let Some((last, _)) = rows.last().copied() else { return Ok(None) };
                // Large enough for the host to spill what no state covers yet; characters that a torn write cuts.
                let fill = "é🦌".repeat(if self.table_has_order { 2 } else { 300 });
                let row = |(id, version): &(u64, u64)| {
                    (*id, format!("{{\"id\":{id},\"body\":\"version {version} {fill}\"}}"))
                };
                let ends = self.table.range(last + 1..).next().is_none();
                let mut said = vec![Message::Batch(page("table", rows.iter().map(row)))];
                if self.table_has_order {
                    said.push(state(last + 1, rows.len() as u64, ends)?);
                } else if ends {
                    said.push(state(last + 1, self.table.len() as u64, true)?);
                }
                Ok(Some((said, last + 1)))
            }
            name if name.starts_with('w') => {
                if std::mem::take(&mut self.hides_window) {
                    // A state and no record: the partition is known from then on, and has said nothing.
                    return Ok(Some((vec![state(0, 0, false)?], WINDOW)));
                }
                let window: u64 = name[1..].parse().unwrap();
                let (from, to) = (window * WINDOW + at, ((window + 1) * WINDOW).min(self.windows));
                if from >= to {
                    return Ok(None);
                }
                let end = (from + 2).min(to);
                let rows = (from..end).map(|id| (id, format!("{{\"id\":{id},\"body\":\"w\"}}")));
                let batch = page("windows", rows);
                let next = end - window * WINDOW;
                Ok(Some((vec![Message::Batch(batch), state(next, end - from, next == WINDOW)?], next)))
            }
            _ => {
                let Some(kept) = self.queue.get(partition).cloned() else { return Ok(None) };
                let from = at.max(kept.start);
                let to = (from + PAGE).min(kept.end);
                if from >= to {
                    return Ok(None);
                }
                let mut said = Vec::new();
                if to < 1_000 && self.tagged_from.is_some_and(|tagged| (from..to).contains(&tagged)) {
                    said.push(Message::Schema(Arc::new(self.spec("queue"))));
                }
                said.push(Message::Batch(self.queue_page(from..to)));
                said.push(state(to, to - from, false)?);
                Ok(Some((said, to)))
            }
        }
    }
}

fn page(stream: &str, rows: impl Iterator<Item = (u64, String)>) -> Batch {
    let mut batch = BatchBuilder::new(stream.into());
    for (id, record) in rows {
        batch.upsert(
            format!("{{\"id\":{id}}}").as_bytes(),
            record.as_bytes(),
            Some(id.to_string().as_bytes()),
        );
    }
    batch.build()
}

fn state(next: u64, records: u64, ends: bool) -> Result<Message> {
    let state = State::encode(1, &next)?.covering(records);
    Ok(Message::State(if ends { state.completing() } else { state }))
}

#[async_trait]
impl Authenticate for Vendor {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("vendor"))
    }
}

#[async_trait]
impl Discover for Vendor {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        let books = self.books();
        Ok(Catalog::new(["queue", "table", "windows"].map(|name| books.spec(name)).to_vec()))
    }
}

#[async_trait]
impl Read for Vendor {
    async fn partitions(&self, _: &Context, stream: &StreamSelection, state: &StreamState) -> Result<Plan> {
        let books = self.books();
        match stream.spec.name.as_str() {
            "queue" => Ok(Plan::read(books.queue.keys().cloned().map(Partition::new))),
            "table" => Ok(Plan::read([Partition::new("all")])),
            _ => {
                let mut next: u64 = match &state.state {
                    Some(state) => state.decode(1)?,
                    None => 0,
                };
                let mut done = Vec::new();
                let is_done = |id: &PartitionId| {
                    state
                        .partitions
                        .get(id)
                        .and_then(|known| known.state.as_ref())
                        .is_some_and(State::is_complete)
                };
                while is_done(&window(next)) {
                    done.push(window(next));
                    next += 1;
                }
                let begun = books.windows.div_ceil(WINDOW);
                let named: Vec<_> = (next..begun.min(next + 2)).map(|n| Partition::new(window(n))).collect();
                // The last window may be half full: it is read, and nobody waits for its end.
                let more = books.windows / WINDOW > next;
                let plan = Plan::read(named).with_state(State::encode(1, &next)?).folding(done);
                Ok(if more { plan.and_again() } else { plan })
            }
        }
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let at = match request.state.as_ref().map(|state| state.decode::<u64>(1)).transpose() {
            Ok(at) => at.unwrap_or(0),
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let (vendor, partition) = (self.clone(), request.partition.id);
        stream::unfold(Some((at, 0)), move |place| {
            let step = place.map(|(at, pages)| (pages, vendor.books().step(&partition, at, pages)));
            async move {
                match step? {
                    (pages, Ok(Some((said, next)))) => {
                        let said = said.into_iter().map(Ok).collect::<Vec<Result<Message>>>();
                        Some((said, Some((next, pages + 1))))
                    }
                    (_, Ok(None)) => None,
                    (_, Err(error)) => Some((vec![Err(error)], None)),
                }
            }
        })
        .flat_map(stream::iter)
        .boxed()
    }

    /// The queue forgets; nobody else does.
    async fn acknowledge(&self, _: &Context, done: &Acknowledged) -> Result<()> {
        if done.stream.as_str() == "queue" {
            let up_to: u64 = done.state.decode(1)?;
            if let Some(kept) = self.books().queue.get_mut(&done.partition) {
                kept.start = kept.start.max(up_to);
            }
        }
        Ok(())
    }
}

impl Connector for Vendor {}

fn window(number: u64) -> PartitionId {
    format!("w{number}").as_str().into()
}
