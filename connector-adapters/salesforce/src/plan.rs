//! Which windows of time to read: pure functions over the stream's own state.
//!
//! ```text
//!            floor        closed            high
//!  ──────────┴──lookback──┴──safety lag + 1 s┴──▶ cursor
//!  closed for good │  read again, repeats dropped │ not asked for yet
//! ```
//!
//! A plan reads `[low, high)`; while it is being read it stands in the state, so that a resumed run gets the
//! very same windows. When all of them are complete they are folded: what they have seen is kept for the
//! next look-back, and `closed` moves on. No partition id comes twice, because `high` always grows and only
//! one window of a plan starts before the last plan's `high`.

use std::{collections::BTreeMap, time::Duration};

use connector_sdk::{
    Partition, PartitionId, Result, State, StreamState, Timestamp, record::Seen, state::PartitionState,
};
use serde::{Deserialize, Serialize};

use crate::{deleted::Ledger, walk::WindowState};

/// The version of the states written here.
pub(crate) const STATE_VERSION: u32 = 1;
/// Rows that one window is meant to have, by pages and by a job, and the most windows of one plan.
const WINDOW_ROWS: u64 = 50_000;
const JOB_ROWS: u64 = 2_000_000;
const MAX_WINDOWS: u64 = 16;
/// Where the rows are not known, a window is this long: 30 days.
const WINDOW_MILLIS: u64 = 30 * 86_400_000;

/// The stream's own state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watermark {
    /// Nothing older than `lookback` before this will be read again.
    pub(crate) closed: Option<Timestamp>,
    /// What `seen` remembers starts here.
    floor: Option<Timestamp>,
    /// The end of the last plan.
    high: Option<Timestamp>,
    /// What is being read.
    plan: Option<Windows>,
    /// Records delivered at or after `floor`.
    #[serde(default)]
    pub(crate) seen: Seen,
    /// Where the log of deletions stands; none where it is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<Box<Ledger>>,
}

/// A plan that is being read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Windows {
    /// The vendor's clock when it was made, to the second below.
    planned_at: Timestamp,
    /// What will be closed when it has been read.
    closes: Timestamp,
    /// Records from here on are to be remembered.
    remember_from: Timestamp,
    /// Where one window ends and the next begins, and both ends.
    bounds: Vec<Timestamp>,
    /// Whether they are read by Bulk jobs.
    #[serde(default, skip_serializing_if = "is_false")]
    by_job: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde wants")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a reader has to know of its window: travels in [`Partition::slice`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// Rows whose cursor is at or after this,
    pub(crate) low: Timestamp,
    /// and before this.
    pub(crate) high: Timestamp,
    /// Rows from here on are remembered.
    pub(crate) remember_from: Timestamp,
    /// Rows from here on may have changed since the read was planned.
    pub(crate) settled_before: Timestamp,
    /// Rows from here on are read again by the next plan.
    pub(crate) closes: Timestamp,
    /// Whether it is to be read by a Bulk job.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) by_job: bool,
}

impl Window {
    /// `lo/hi` in RFC 3339.
    pub(crate) fn id(&self) -> PartitionId {
        PartitionId::from(format!("{}/{}", self.low, self.high))
    }

    pub(crate) fn partition(&self) -> Result<Partition> {
        Partition::new(self.id()).with_slice(self)
    }
}

impl Windows {
    fn iter(&self) -> impl Iterator<Item = Window> {
        self.bounds.windows(2).filter_map(|pair| match pair {
            [low, high] => Some(Window {
                low: *low,
                high: *high,
                remember_from: self.remember_from,
                settled_before: self.planned_at,
                closes: self.closes,
                by_job: self.by_job,
            }),
            _ => None,
        })
    }
}

/// Where a stream stands.
#[derive(Debug)]
pub(crate) enum Standing {
    /// An old plan is not read to its end: these windows are left.
    Unfinished(Vec<Window>),
    /// Nothing is left to read of an old plan; what it had is folded in.
    Folded { watermark: Watermark, folded: Vec<PartitionId> },
}

impl Standing {
    /// Looks at the stream's state and folds what is complete.
    ///
    /// # Errors
    /// Config when a state cannot be decoded or is of a newer version (rule D-15).
    pub(crate) fn of(state: &StreamState) -> Result<Self> {
        let mut watermark: Watermark =
            state.state.as_ref().map(|state| state.decode(STATE_VERSION)).transpose()?.unwrap_or_default();
        let Some(plan) = watermark.plan.take() else {
            let folded = watermark.fold_log(state)?.into_iter().collect();
            return Ok(Self::Folded { watermark, folded });
        };
        let unfinished: Vec<Window> =
            plan.iter().filter(|window| complete(&state.partitions, window).is_none()).collect();
        if !unfinished.is_empty() {
            return Ok(Self::Unfinished(unfinished));
        }
        let mut folded = Vec::new();
        for window in plan.iter() {
            if let Some(state) = complete(&state.partitions, &window) {
                watermark.seen.merge(state.decode::<WindowState>(STATE_VERSION)?.seen);
            }
            folded.push(window.id());
        }
        folded.extend(watermark.fold_log(state)?);
        watermark.seen.forget_before(plan.remember_from.as_millis());
        watermark.floor = Some(plan.remember_from);
        watermark.closed = Some(plan.closes);
        Ok(Self::Folded { watermark, folded })
    }
}

fn complete<'a>(partitions: &'a BTreeMap<PartitionId, PartitionState>, window: &Window) -> Option<&'a State> {
    partitions.get(&window.id())?.state.as_ref().filter(|state| state.is_complete())
}

/// What the connection wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) lookback: Duration,
    pub(crate) safety_lag: Duration,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// What the vendor said when asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// Its clock.
    pub(crate) now: Timestamp,
    /// The oldest row there is; only asked for at the first load.
    pub(crate) oldest: Option<Timestamp>,
    /// Rows to read; none: it could not say.
    pub(crate) rows: Option<u64>,
    /// Whether so many are read by Bulk jobs.
    pub(crate) by_job: bool,
}

impl Watermark {
    /// Where the next read begins; none at the first load, which asks for the oldest row.
    pub(crate) fn low(&self, reach: &Reach) -> Option<Timestamp> {
        // A look-back that was made longer reaches only as far as repeats can be told.
        let low = (self.closed? - reach.lookback).max(self.floor?);
        Some(reach.since.map_or(low, |since| low.max(since)))
    }

    /// Plans the next read: the watermark to persist, and the windows.
    pub(crate) fn next(mut self, reach: &Reach, answer: &Answer) -> (Self, Vec<Window>) {
        let second = Duration::from_secs(1);
        let planned_at = floor_to_second(answer.now);
        // A clock that goes back must neither reopen what is closed nor use an id again.
        let mut closes = planned_at - reach.safety_lag;
        let mut high = planned_at + second;
        if let Some(last) = self.high {
            high = high.max(last + Duration::from_millis(1));
        }
        if let Some(until) = reach.until {
            closes = closes.min(until);
            high = high.min(until);
        }
        closes = self.closed.map_or(closes, |closed| closes.max(closed));
        let remember_from = (closes - reach.lookback).max(self.floor.unwrap_or(closes - reach.lookback));
        let low = self.low(reach).unwrap_or_else(|| {
            // Rows that become visible late may be older than the oldest of now.
            let low =
                answer.oldest.map_or(remember_from, |oldest| floor_to_second(oldest).min(remember_from));
            reach.since.map_or(low, |since| low.max(since))
        });
        let split_from = self.high.unwrap_or(low);
        if high <= low || high <= split_from && self.high.is_some() {
            return (self, Vec::new());
        }
        self.high = Some(high);
        if answer.rows == Some(0) {
            // Nothing is there, so there is nothing to read before it can be closed.
            self.closed = Some(closes);
            self.floor = Some(remember_from);
            self.seen.forget_before(remember_from.as_millis());
            return (self, Vec::new());
        }
        let window_rows = if answer.by_job { JOB_ROWS } else { WINDOW_ROWS };
        let rows = answer.rows.map(|rows| rows / window_rows);
        let bounds = bounds(low, split_from.max(low), high, rows);
        let plan = Windows { planned_at, closes, remember_from, bounds, by_job: answer.by_job };
        let windows = plan.iter().collect();
        self.plan = Some(plan);
        (self, windows)
    }

    /// Where the log of deletions stands, from the first load on: planned at `now`, by the vendor's clock.
    pub(crate) fn read_log(&mut self, had_closed: Option<Timestamp>, now: Timestamp, lookback: Duration) {
        // A stream that was read before its log was: what was deleted since then is asked for.
        let log = self.log.get_or_insert_with(|| Ledger::begin(had_closed.unwrap_or(now)).into());
        log.plan(now, lookback);
    }

    fn fold_log(&mut self, state: &StreamState) -> Result<Option<PartitionId>> {
        self.log.as_mut().map_or(Ok(None), |log| log.fold(&state.partitions))
    }

    /// As a state.
    pub(crate) fn state(&self) -> Result<State> {
        State::encode(STATE_VERSION, self)
    }
}

/// Cuts `[low, high)` into so many windows of whole seconds, but for its ends. Cuts lie after `from` only.
fn bounds(low: Timestamp, from: Timestamp, high: Timestamp, windows: Option<u64>) -> Vec<Timestamp> {
    let span = high.saturating_since(from);
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let windows = windows.unwrap_or(millis / WINDOW_MILLIS).clamp(1, MAX_WINDOWS);
    let mut bounds = vec![low];
    for index in 1..windows {
        let cut = floor_to_second(from + Duration::from_millis(millis / windows * index));
        if bounds.last().is_some_and(|last| cut > *last) && cut > from && cut < high {
            bounds.push(cut);
        }
    }
    bounds.push(high);
    bounds
}

fn floor_to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(1_000).saturating_mul(1_000))
}

#[cfg(test)]
mod tests;
