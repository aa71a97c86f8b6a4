//! Step 3 of a run, for one partition: read, count, number, and hold back until a state covers it.

use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Batch, Class, Clock, Connector, Error, Message, Operation, PartitionId, ReadRequest, Result, State,
    StreamId,
    clock::{Elapsed, timeout},
    contract::{Commit, DeadLetter, SequencedBatch},
    crash,
    record::{BatchBuilder, RecordView, Tally},
};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::{
    Progress,
    budget::{Budget, Share},
    discard::FieldWatch,
};

/// What a reader sends to the writer of its stream, in order.
#[derive(Debug)]
pub(super) enum Item {
    /// Records that no state covers yet. The share of the budget is given back when they are written.
    Spilled(Held),
    /// Records with the state that covers them: one item, so that a commit never comes between them.
    /// `spilled`: some were sent before, so the commit must follow at once.
    Covered { batches: Vec<Held>, letters: Vec<DeadLetter>, commit: Commit, sums: Sums, spilled: bool },
    /// A record that cannot go to Bronze.
    DeadLetter(DeadLetter),
    /// The schema has changed: sent before the first record of the new shape.
    Schema(Arc<connector_sdk::StreamSpec>),
    /// A field that the accepted schema does not have, with the key of the first record that has it.
    Unknown { field: String, key: String },
    /// The partition is done; always the last one.
    End { partition: PartitionId, outcome: Outcome, spilled: bool },
}

/// A batch with its share of the budget.
pub(super) type Held = (SequencedBatch, Option<Share>);

/// How the reading of a partition ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Finished,
    Stopped,
    Skipped(Error),
    Failed(Error),
}

/// Where a partition's numbering stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbering {
    pub(super) epoch: u64,
    pub(super) last_sequence: u64,
    /// Whether the stream was reset since this partition was last read.
    pub(super) reset: Reset,
}

/// When a partition says that what was read of it before is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    /// It has said so, or has no need to.
    Said,
    /// First of all: it was read in an earlier epoch.
    Now,
    /// Before its first record: it may have been read in an earlier epoch and folded since, which nobody remembers.
    /// One without records says nothing, or each run of a stream that was reset once would leave a file.
    BeforeRecords,
}

/// Reads one partition.
pub(super) struct Reader {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) request: ReadRequest,
    pub(super) numbering: Numbering,
    pub(super) fingerprint: Arc<str>,
    pub(super) budget: Budget,
    pub(super) hold_limit: usize,
    pub(super) max_record: usize,
    pub(super) watch: Option<FieldWatch>,
    pub(super) stall: Duration,
    pub(super) items: mpsc::Sender<Item>,
    pub(super) progress: Arc<dyn Progress>,
}

/// Dead letters of so many bytes do not wait for their state.
const EARLY_LETTERS: usize = 32 << 20;

/// What was read and is not covered yet.
#[derive(Default)]
struct Uncovered {
    held: Vec<Held>,
    held_bytes: usize,
    /// Records for the dead letters: they wait for the state too, or a partition that fails buries them again.
    letters: Vec<DeadLetter>,
    letter_bytes: usize,
    /// Of all records since the last state, sent or held.
    tally: Tally,
    sums: Sums,
    /// As the reader counts: with what went to the dead letters, without what the host added.
    counted: u64,
    spilled: bool,
}

impl Reader {
    /// Reads until the end, an error or the stop; tells the writer how it ended.
    pub(super) async fn run(mut self) {
        let mut uncovered = Uncovered::default();
        let outcome = match self.read(&mut uncovered).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(
                error
                    .with_context("stream", self.stream())
                    .with_context("partition", &self.request.partition.id),
            ),
        };
        crash::point("reader.ended");
        let partition = self.request.partition.id.clone();
        // A writer that is gone has its own reason, which it reports.
        let _ = self.items.send(Item::End { partition, outcome, spilled: uncovered.spilled }).await;
    }

    fn stream(&self) -> &StreamId {
        &self.request.stream.spec.name
    }

    async fn read(&mut self, uncovered: &mut Uncovered) -> Result<Outcome> {
        if self.numbering.reset == Reset::Now {
            self.say_reset(uncovered).await?;
        }
        let cx = self.request.cx.clone();
        let mut messages = self.connector.read(self.request.clone());
        loop {
            let next = within(&**cx.clock(), self.stall, messages.next());
            let message = tokio::select! {
                biased;
                () = cx.stop().cancelled() => return Ok(Outcome::Stopped),
                message = next => message,
            };
            let Ok(message) = message else {
                return Err(Error::transient(
                    "read",
                    "the connector has sent nothing for too long; it is given up",
                )
                .with_context("seconds", self.stall.as_secs()));
            };
            match message.transpose()? {
                None => break,
                Some(Message::Batch(batch)) => {
                    if self.numbering.reset == Reset::BeforeRecords && !batch.is_empty() {
                        self.say_reset(uncovered).await?;
                    }
                    uncovered.counted += batch.len() as u64;
                    self.progress.read(self.stream(), batch.len() as u64, batch.page().len() as u64);
                    self.take_batch(uncovered, batch).await?;
                    crash::point("reader.batch_numbered");
                }
                Some(Message::State(state)) => {
                    self.take_state(uncovered, state).await?;
                    crash::point("reader.state_sent");
                }
                Some(Message::Schema(spec)) => {
                    match &self.watch {
                        None => self.fingerprint = spec.fingerprint().into(),
                        Some(watch) => watch.refuse_if_frozen()?,
                    }
                    self.send(Item::Schema(spec)).await?;
                    crash::point("reader.schema_sent");
                }
                Some(Message::Estimate(estimate)) => {
                    if let Some(records) = estimate.records {
                        self.progress.expected(self.stream(), records);
                    }
                }
                Some(Message::Skip(error)) => return Ok(Outcome::Skipped(error)),
            }
        }
        if uncovered.counted > 0 {
            return Err(Error::bug(
                "read",
                "the connector ended with records that no state covers; they are read again",
            )
            .with_context("records", uncovered.counted));
        }
        Ok(Outcome::Finished)
    }

    async fn say_reset(&mut self, uncovered: &mut Uncovered) -> Result<()> {
        self.numbering.reset = Reset::Said;
        self.take_batch(uncovered, reset_record(self.stream())).await?;
        crash::point("reader.reset_emitted");
        Ok(())
    }

    async fn take_batch(&mut self, uncovered: &mut Uncovered, mut batch: Batch) -> Result<()> {
        self.bury_oversized(uncovered, &mut batch).await?;
        self.watch_fields(uncovered, &mut batch).await?;
        if batch.is_empty() {
            return Ok(());
        }
        let bytes = batch.memory();
        // One batch may always wait for its state, however large: most sources send one after each page. Only
        // what is small is held while waiting for memory, so that readers never starve each other.
        if uncovered.held_bytes > 0 && uncovered.held_bytes + bytes > self.hold_limit {
            self.spill(uncovered).await?;
        }
        let share = self.budget.take(bytes).await;
        uncovered.tally.merge(Tally::of(&batch));
        uncovered.sums.add(&batch);
        let numbered = SequencedBatch {
            partition: self.request.partition.id.clone(),
            first_sequence: self.numbering.last_sequence + 1,
            epoch: self.numbering.epoch,
            generation: self.request.generation,
            extracted_at: self.request.cx.clock().now(),
            schema_fingerprint: self.fingerprint.clone(),
            covered: false,
            batch,
        };
        self.numbering.last_sequence += numbered.batch.len() as u64;
        uncovered.held.push((numbered, share));
        uncovered.held_bytes += bytes;
        Ok(())
    }

    /// Sends what is held although no state covers it yet: the sink keeps it apart.
    async fn spill(&mut self, uncovered: &mut Uncovered) -> Result<()> {
        uncovered.spilled = true;
        uncovered.held_bytes = 0;
        for held in std::mem::take(&mut uncovered.held) {
            self.send(Item::Spilled(held)).await?;
            crash::point("reader.spilled");
        }
        Ok(())
    }

    async fn take_state(&mut self, uncovered: &mut Uncovered, state: State) -> Result<()> {
        if state.records() != uncovered.counted {
            return Err(Error::bug(
                "read",
                "the state covers another number of records than were sent; nothing of them is kept",
            )
            .with_context("state_says", state.records())
            .with_context("sent", uncovered.counted));
        }
        if uncovered.spilled {
            self.spill(uncovered).await?;
        }
        let Uncovered { held: mut batches, letters, tally, sums, spilled, .. } = std::mem::take(uncovered);
        for (batch, _) in &mut batches {
            batch.covered = true;
        }
        let commit = Commit {
            partition: self.request.partition.id.clone(),
            epoch: self.numbering.epoch,
            generation: self.request.generation,
            sequence: self.numbering.last_sequence,
            tally,
            state,
        };
        self.send(Item::Covered { batches, letters, commit, sums, spilled }).await
    }

    /// Rule D-19: what is too large goes to the dead letters, whole, and takes no number.
    async fn bury_oversized(&mut self, uncovered: &mut Uncovered, batch: &mut Batch) -> Result<()> {
        let limit = self.max_record;
        if batch.page().len() <= limit {
            return Ok(());
        }
        let mut letters = Vec::new();
        batch.retain(|record| {
            let body = record.record.unwrap_or_default();
            if body.len() <= limit {
                return true;
            }
            letters.push(String::from_utf8_lossy(body).into_owned());
            false
        });
        for record in letters {
            self.bury(
                uncovered,
                format!("the record has {} bytes, the limit is {limit}", record.len()),
                record,
            )
            .await?;
        }
        Ok(())
    }

    /// Rule D-18: fields that the accepted schema does not have, by the stream's policy.
    async fn watch_fields(&mut self, uncovered: &mut Uncovered, batch: &mut Batch) -> Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        let watched = watch.apply(batch)?;
        for (field, key) in watched.unknown {
            self.send(Item::Unknown { field, key }).await?;
        }
        for (reason, record) in watched.buried {
            self.bury(uncovered, reason, record).await?;
        }
        Ok(())
    }

    async fn bury(&self, uncovered: &mut Uncovered, reason: String, record: String) -> Result<()> {
        uncovered.letter_bytes += record.len();
        uncovered.letters.push(DeadLetter {
            reason,
            class: Class::Schema,
            stream: self.stream().clone(),
            partition: self.request.partition.id.clone(),
            record,
        });
        // Memory is bounded first: letters that go early may be written again after a failure.
        if uncovered.letter_bytes > EARLY_LETTERS {
            uncovered.letter_bytes = 0;
            for letter in std::mem::take(&mut uncovered.letters) {
                self.send(Item::DeadLetter(letter)).await?;
            }
        }
        Ok(())
    }

    async fn send(&self, item: Item) -> Result<()> {
        self.items
            .send(item)
            .await
            .map_err(|_| Error::transient("read", "the writer of the stream has ended"))
    }
}

/// As [`timeout`], which the longest duration there is does not limit.
async fn within<F: Future>(clock: &dyn Clock, limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    if limit == Duration::MAX { Ok(future.await) } else { timeout(clock, limit, future).await }
}

/// Sums for the report.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sums {
    pub(super) deletes: u64,
    pub(super) bytes: u64,
}

impl Sums {
    fn add(&mut self, batch: &Batch) {
        for record in batch.iter() {
            self.bytes += record.record.map_or(0, <[u8]>::len) as u64;
            self.deletes += u64::from(record.operation == Operation::Delete);
        }
    }
}

fn reset_record(stream: &StreamId) -> Batch {
    let mut batch = BatchBuilder::new(stream.clone());
    batch.push(RecordView {
        operation: Operation::Reset,
        record: None,
        key: None,
        cursor: None,
        source_timestamp: None,
    });
    batch.build()
}
