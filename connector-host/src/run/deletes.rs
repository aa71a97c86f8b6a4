//! After a full read that was seen whole: the deletes it shows become records (rule D-14).

use connector_sdk::{
    Class, Error, PartitionId, Result, State, StreamId, StreamState,
    contract::{Commit, SequencedBatch},
    crash,
    record::{Batch, BatchBuilder, Tally},
};
use serde::{Deserialize, Serialize};

use super::{generation::Generation, stream::StreamRun};

/// The partition of concluded deletes. No source has one of this name, because the host refuses it.
pub(super) const PARTITION: &str = "_concluded_deletes";

/// Records in a batch of deletes.
const BATCH: usize = 2_000;

/// Where the concluding stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    generation: u64,
    after: Option<String>,
}

impl StreamRun<'_> {
    /// Concludes what was deleted, once in each generation, and marks the generation as seen whole. Resumes
    /// where it was interrupted.
    pub(super) async fn conclude_deletes(&mut self, state: &StreamState) -> Result<()> {
        let known = state.partitions.get(PARTITION);
        let standing = cursor(state)?;
        if standing.as_ref().is_some_and(|(_, complete)| *complete) {
            return Ok(());
        }
        let generation = self.writer.generation.take();
        if let Some(generation) = &generation {
            generation.merge().await?;
            crash::point("deletes.keys_merged");
            self.refuse_beyond_cap(generation).await?;
            crash::point("deletes.compared");
        }
        let mut after = standing.and_then(|(cursor, _)| cursor.after).map(String::into_bytes);
        let mut sequence = known.map_or(0, |known| known.sequence);
        loop {
            let keys = match &generation {
                Some(generation) => generation.gone(after.clone(), BATCH).await?,
                None => Vec::new(),
            };
            let (count, last) = (keys.len() as u64, keys.len() < BATCH);
            after = keys.last().cloned().or(after);
            let batch = deletes(&self.lease.stream, &keys);
            let tally = Tally::of(&batch);
            if count > 0 {
                self.writer.emit(self.numbered(batch, state, sequence + 1)).await?;
            }
            sequence += count;
            let text = after.as_ref().map(|key| String::from_utf8_lossy(key).into_owned());
            let done =
                State::encode(1, &Cursor { generation: state.generation, after: text })?.covering(count);
            self.writer.cover(Commit {
                partition: PARTITION.into(),
                epoch: state.epoch,
                generation: state.generation,
                sequence,
                tally,
                state: if last { done.completing() } else { done },
            });
            self.report.deletes += count;
            crash::point("deletes.covered");
            self.writer.commit(self.report).await?;
            crash::point("deletes.committed");
            if last {
                break;
            }
        }
        if let Some(generation) = generation {
            generation.clean().await?;
        }
        crash::point("deletes.cleaned");
        Ok(())
    }

    /// Marks that a full read of the current generation has begun.
    pub(super) async fn begin_generation(&mut self) -> Result<()> {
        let state =
            self.job.registry.load(&self.lease.tenant, &self.lease.connection, &self.lease.stream).await?;
        let begun = State::encode(1, &Cursor { generation: state.generation, after: None })?;
        self.mark_generation(&state, begun).await
    }

    /// Marks that a full read has ended which was not seen whole, because something may not be read: it shows no
    /// deletes, and the next run reads everything again.
    pub(super) async fn end_generation(&mut self, state: &StreamState) -> Result<()> {
        if !is_in_progress(state)? {
            return Ok(());
        }
        self.writer.generation = None;
        let ended = State::encode(1, &Cursor { generation: state.generation, after: None })?.completing();
        self.mark_generation(state, ended).await
    }

    async fn mark_generation(&self, known: &StreamState, state: State) -> Result<()> {
        let mark = Commit {
            partition: PARTITION.into(),
            epoch: known.epoch,
            generation: known.generation,
            sequence: known.partitions.get(PARTITION).map_or(0, |known| known.sequence),
            tally: Tally::default(),
            state,
        };
        self.job.registry.checkpoint(&self.lease, &[mark]).await
    }

    async fn refuse_beyond_cap(&self, generation: &Generation) -> Result<()> {
        let Some(found) = generation.compare().await? else { return Ok(()) };
        let share = found.gone as f64 / found.before.max(1) as f64;
        if share <= self.job.options.delete_cap {
            return Ok(());
        }
        Err(Error::new(
            Class::Permanent,
            "conclude deletes",
            "the full read lacks more of the earlier records than may be concluded to be deleted; if they are really \
             gone, run once with a larger cap (`connector run --delete-cap 1`)",
        )
        .with_context("stream", &self.lease.stream)
        .with_context("before", found.before)
        .with_context("gone", found.gone)
        .with_context("cap", self.job.options.delete_cap))
    }

    fn numbered(&self, batch: Batch, state: &StreamState, first_sequence: u64) -> SequencedBatch {
        SequencedBatch {
            batch,
            partition: PARTITION.into(),
            first_sequence,
            epoch: state.epoch,
            generation: state.generation,
            extracted_at: self.cx.clock().now(),
            schema_fingerprint: self.schema.fingerprint(),
            covered: true,
        }
    }
}

/// Where the concluding of the current generation stands, and whether it is done.
fn cursor(state: &StreamState) -> Result<Option<(Cursor, bool)>> {
    let Some(standing) = state.partitions.get(PARTITION).and_then(|known| known.state.as_ref()) else {
        return Ok(None);
    };
    let cursor: Cursor = standing.decode(1)?;
    let current = cursor.generation == state.generation;
    Ok(current.then(|| (cursor, standing.is_complete())))
}

/// Whether the current generation is a full read that has begun and is not concluded. Anything else (another
/// mode came in between, a reset, a generation that is done) begins a new one.
pub(super) fn is_in_progress(state: &StreamState) -> Result<bool> {
    Ok(cursor(state)?.is_some_and(|(_, complete)| !complete))
}

/// The state as the connector may see it: without the host's own partition.
pub(super) fn without_own(state: &StreamState) -> StreamState {
    let mut shown = state.clone();
    shown.partitions.remove(PARTITION);
    shown
}

fn deletes(stream: &StreamId, keys: &[Vec<u8>]) -> Batch {
    let mut batch = BatchBuilder::new(stream.clone());
    for key in keys {
        batch.delete(key, None);
    }
    batch.build()
}

/// A source must not use the host's own partition.
pub(super) fn refuse_reserved(partition: &PartitionId) -> Result<()> {
    if partition.as_str() == PARTITION {
        return Err(Error::bug("plan", "the connector uses a partition name that is the host's own")
            .with_context("partition", partition));
    }
    Ok(())
}
