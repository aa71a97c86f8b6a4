//! What a stream's own state says of the log of deletions.

use std::{collections::BTreeMap, time::Duration};

use connector_sdk::{
    PartitionId, Result, State, StreamState, Timestamp, record::Seen, state::PartitionState,
};
use serde::{Deserialize, Serialize};

use super::{LogRange, LogState, Unknown};
use crate::plan::{STATE_VERSION, Watermark};

/// The vendor wants to be asked no more often (REST guide, resources_getdeleted).
const PACE: Duration = Duration::from_secs(5 * 60);

/// An object that had no log is asked for it once a day: it may have been a right that was missing.
const PACE_REFUSED: Duration = Duration::from_secs(86_400);

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ledger {
    /// Deletions before this are known.
    covered: Timestamp,
    /// What `seen` remembers starts here.
    floor: Timestamp,
    /// The vendor's clock when the log was last asked for.
    asked: Timestamp,
    /// Where the last read began that asked for something new. It is read once more: a row that was in the bin then may
    /// have left it before its window was read.
    #[serde(default)]
    again: Option<Timestamp>,
    /// What is being read.
    #[serde(default)]
    reading: Option<LogRange>,
    /// Deletions emitted at or after `floor`.
    #[serde(default)]
    seen: Seen,
    /// Deletions that nobody knows of.
    #[serde(default)]
    unknown: Option<Unknown>,
    /// The object had no log when it was last asked for it.
    #[serde(default)]
    is_refused: bool,
}

impl Ledger {
    /// A log that is read from here on.
    pub(crate) fn begin(at: Timestamp) -> Self {
        let seen = Seen::default();
        let (again, reading, unknown) = (None, None, None);
        Self { covered: at, floor: at, asked: at, again, reading, seen, unknown, is_refused: false }
    }

    /// What the plans before have emitted.
    pub(super) fn emitted(stream: Option<&State>) -> Result<Seen> {
        let watermark: Option<Watermark> = stream.map(|state| state.decode(STATE_VERSION)).transpose()?;
        Ok(watermark.and_then(|watermark| watermark.log).map(|log| log.seen).unwrap_or_default())
    }

    /// What was planned and has not been read to its end.
    pub(crate) fn unread(state: &StreamState) -> Result<Option<LogRange>> {
        let watermark: Option<Watermark> =
            state.state.as_ref().map(|state| state.decode(STATE_VERSION)).transpose()?;
        let reading = watermark.and_then(|watermark| watermark.log).and_then(|log| log.reading);
        Ok(reading.filter(|range| complete(&state.partitions, range).is_none()))
    }

    /// Takes in what has been read to its end; its partition, if there was one.
    pub(crate) fn fold(
        &mut self,
        partitions: &BTreeMap<PartitionId, PartitionState>,
    ) -> Result<Option<PartitionId>> {
        let Some(range) = self.reading else { return Ok(None) };
        let Some(state) = complete(partitions, &range) else { return Ok(None) };
        let read: LogState = state.decode(STATE_VERSION)?;
        self.reading = None;
        self.again = Some(range.covered);
        self.covered = read.covered.map_or(self.covered, |covered| covered.max(self.covered));
        self.seen.merge(read.seen);
        self.is_refused = read.is_refused;
        self.unknown = match (self.unknown, read.unknown) {
            (Some(known), Some(more)) => {
                Some(Unknown { from: known.from.min(more.from), to: known.to.max(more.to) })
            }
            (known, more) => known.or(more),
        };
        Ok(Some(range.id()))
    }

    /// Plans the next read of the log, if it is time for one.
    pub(crate) fn plan(&mut self, now: Timestamp, lookback: Duration) {
        let pace = if self.is_refused { PACE_REFUSED } else { PACE };
        if self.reading.is_some() || now.saturating_since(self.asked) < pace {
            return;
        }
        let from = (self.covered - lookback).min(self.again.unwrap_or(self.covered));
        // A look-back that was made longer reaches only as far as repeats can be told.
        let from = from.max(self.floor);
        self.floor = from;
        // The vendor cuts off the seconds of the start.
        self.seen.forget_before(whole_minute(from).as_millis());
        self.asked = now;
        self.reading = Some(LogRange { from, covered: self.covered, to: whole_minute(now) });
    }

    /// What is to be read.
    pub(crate) fn reading(&self) -> Option<LogRange> {
        self.reading
    }

    /// What nobody knows.
    pub(crate) fn unknown(&self) -> Option<Unknown> {
        self.unknown
    }
}

fn complete<'a>(
    partitions: &'a BTreeMap<PartitionId, PartitionState>,
    range: &LogRange,
) -> Option<&'a State> {
    partitions.get(&range.id())?.state.as_ref().filter(|state| state.is_complete())
}

pub(super) fn whole_minute(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(60_000).saturating_mul(60_000))
}

#[cfg(test)]
mod tests;
