//! Steps 4 to 6 of a run: commit, checkpoint, acknowledge, in this order and no other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use connector_sdk::{
    Acknowledged, Connector, Context, Emit, Error, PartitionId, Result, State, StreamState,
    clock::timeout,
    contract::{Commit, Lease, SequencedBatch},
    crash,
};

use super::{Progress, RunOptions, generation::Generation};
use crate::{Registry, report::StreamReport};

/// Makes durable what the readers of a stream send.
pub(super) struct Writer {
    pub(super) cx: Context,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) registry: Arc<dyn Registry>,
    pub(super) sink: Arc<dyn Emit>,
    pub(super) lease: Lease,
    pub(super) options: RunOptions,
    pub(super) progress: Arc<dyn Progress>,
    /// The last durable state of each partition, for acknowledging.
    pub(super) durable: BTreeMap<PartitionId, State>,
    /// States that wait for the next commit, merged by partition.
    pub(super) pending: BTreeMap<PartitionId, Commit>,
    pub(super) pending_bytes: u64,
    /// When the oldest of them came, by the monotonic clock.
    pub(super) pending_since: Option<Duration>,
    /// Whether one of them is not to be kept waiting.
    pub(super) is_pressed: bool,
    /// What was emitted since the last commit, for the report.
    pub(super) emitted: Emitted,
    /// The keys of a full read, where deletes are to be concluded from them.
    pub(super) generation: Option<Generation>,
}

/// Sums of what was emitted and is not committed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Emitted {
    pub(super) dead_letters: u64,
}

impl Writer {
    /// Hands a batch to the sink.
    pub(super) async fn emit(&mut self, batch: SequencedBatch) -> Result<()> {
        self.pending_bytes += batch.batch.page().len() as u64;
        if let Some(generation) = &mut self.generation {
            generation.note(&batch);
            if generation.is_full() {
                generation.flush().await?;
            }
        }
        self.sink.emit(&self.cx, batch).await?;
        crash::point("writer.emitted");
        Ok(())
    }

    /// Takes a state that covers what was emitted of its partition.
    pub(super) fn cover(&mut self, commit: Commit) {
        self.pending_since.get_or_insert_with(|| self.cx.clock().monotonic());
        self.is_pressed |= commit.state.is_prompt();
        match self.pending.get_mut(&commit.partition) {
            None => {
                self.pending.insert(commit.partition.clone(), commit);
            }
            Some(waiting) => {
                let mut tally = waiting.tally;
                tally.merge(commit.tally);
                *waiting = Commit { tally, ..commit };
            }
        }
    }

    /// Whether enough waits for a commit, or long enough.
    pub(super) fn is_due(&self) -> bool {
        self.pending_bytes >= self.options.commit_bytes || self.remaining().is_some_and(|left| left.is_zero())
    }

    /// How long until a commit is due by time; none while nothing waits.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let since = self.pending_since?;
        if self.is_pressed {
            return Some(Duration::ZERO);
        }
        let waited = self.cx.clock().monotonic().saturating_sub(since);
        Some(self.options.commit_interval.saturating_sub(waited))
    }

    /// Commit, checkpoint, acknowledge. Nothing is acknowledged that is not durable in both places.
    pub(super) async fn commit(&mut self, report: &mut StreamReport) -> Result<()> {
        self.pending_since = None;
        self.is_pressed = false;
        self.pending_bytes = 0;
        let commits: Vec<Commit> = std::mem::take(&mut self.pending).into_values().collect();
        let records: u64 = commits.iter().map(|commit| commit.tally.count).sum();
        if commits.is_empty() {
            return Ok(());
        }
        let letters = std::mem::take(&mut self.emitted).dead_letters;
        if let Some(generation) = &mut self.generation {
            generation.flush().await?;
        }
        crash::point("writer.commit_due");
        if records > 0 || letters > 0 {
            let receipt = self.sink.commit(&self.cx, &self.lease, &commits).await?;
            report.commits.push(receipt);
            crash::point("writer.committed");
        }
        self.registry.checkpoint(&self.lease, &commits).await?;
        crash::point("writer.checkpointed");
        for commit in &commits {
            report.records += commit.tally.count;
            report.tally.merge(commit.tally);
        }
        report.dead_letters += letters;
        self.progress.committed(&self.lease.stream, records);
        for commit in commits {
            let previous = self.durable.insert(commit.partition.clone(), commit.state.clone());
            self.acknowledge(commit.partition, previous, commit.state).await;
            crash::point("writer.acknowledged_one");
        }
        crash::point("writer.acknowledged");
        Ok(())
    }

    /// Acknowledges what was durable before this run: an earlier one may have died before it did.
    pub(super) async fn acknowledge_again(&mut self, state: &StreamState) {
        for (partition, known) in &state.partitions {
            if let Some(state) = &known.state {
                self.acknowledge(partition.clone(), None, state.clone()).await;
                crash::point("writer.acknowledged_again");
            }
        }
    }

    /// An acknowledgement that fails is repeated by the next run; the data is safe either way.
    async fn acknowledge(&self, partition: PartitionId, previous: Option<State>, state: State) {
        if partition.as_str() == super::deletes::PARTITION {
            return;
        }
        let done = Acknowledged { stream: self.lease.stream.clone(), partition, previous, state };
        let call = self.connector.acknowledge(&self.cx, &done);
        let failed: Option<Error> = match timeout(&**self.cx.clock(), self.options.call, call).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(elapsed) => Some(Error::transient("acknowledge", elapsed.to_string())),
        };
        if let Some(error) = failed {
            tracing::warn!(stream = %done.stream, partition = %done.partition, %error, "not acknowledged; the next run does it again");
        }
    }
}
