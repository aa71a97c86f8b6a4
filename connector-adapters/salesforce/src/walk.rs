//! How far a read has come, and what to ask for next: the three ways through an object.
//!
//! | way | order | resumes |
//! |---|---|---|
//! | window | cursor, then id, within `[low, high)` | after (cursor, id) of the last settled row |
//! | keyset | id | after the last id |
//! | pass | as it comes | not at all: one state, at the end (rule D-10) |
//!
//! Where the vendor finds what is left too much for one query, it is asked for in parts, one after the other
//! in the same order: a window in shorter ones, a keyset by so many rows at a time ([`Stride`]). A state is a
//! place in the order, so it does not know of parts.
//!
//! A change that was stamped before the plan may become visible while it is read: its row shows a later time than its
//! place in the answer, and who went on behind that time would skip what is between. So a row of what the plan does not
//! close is a place to resume from only in a part that holds no others: what is skipped there the next plan reads. A
//! window that is resumed has such a part.

use std::{ops::Range, time::Duration};

use connector_sdk::{
    Batch, Class, Delivery, Error, Result, State, Timestamp,
    record::{RecordView, Seen},
};
use serde::{Deserialize, Serialize};

use crate::{
    bulk::JobState,
    describe::ID,
    plan::{STATE_VERSION, Window},
    soql::{Condition, Query},
    stride::Stride,
};

/// The shortest part of a window, in seconds: times are not told apart any finer.
const LEAST_SECONDS: u64 = 1;
/// The fewest rows of a part of a keyset: a page has no fewer.
const LEAST_ROWS: u64 = 200;
/// The most of them, where all rows at once were too many.
const MOST_ROWS: u64 = 50_000;

/// A read on its way.
#[derive(Debug)]
pub(crate) enum Walk {
    /// A window of an incremental read.
    Window(WindowWalk),
    /// All rows, by id.
    Keyset(KeysetWalk),
    /// All rows, as they come.
    Pass,
}

/// See [`Walk::Window`].
#[derive(Debug)]
pub(crate) struct WindowWalk {
    cursor: String,
    window: Window,
    state: WindowState,
    /// What earlier plans delivered.
    seen_before: Seen,
    part: Part,
}

/// Which part of a window is asked for.
#[derive(Debug)]
struct Part {
    stride: Stride,
    /// Where it begins, if the parts before it have been read: later than the last row of theirs.
    from: Option<Timestamp>,
    /// Where it ends; none: with the window.
    until: Option<Timestamp>,
    /// One ends where the plan's closing does.
    has_open: bool,
}

/// See [`Walk::Keyset`].
#[derive(Debug)]
pub(crate) struct KeysetWalk {
    state: KeysetState,
    stride: Stride,
}

impl KeysetWalk {
    pub(crate) fn new(state: KeysetState) -> Self {
        Self { state, stride: Stride::new(LEAST_ROWS, MOST_ROWS) }
    }
}

/// The state of a window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowState {
    /// The last settled row that was delivered.
    after: Option<Position>,
    /// Rows delivered that a look-back will meet again.
    #[serde(default)]
    pub(crate) seen: Seen,
    /// Where a Bulk job stands that reads what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    cursor: Timestamp,
    id: String,
}

/// The state of a full read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysetState {
    after: Option<String>,
    /// Where a Bulk job stands that reads what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<JobState>,
}

impl Walk {
    /// Narrows the query to what is left, in the order that makes it resumable.
    pub(crate) fn narrow(&self, query: Query) -> Result<Query> {
        let query = self.rest(query)?;
        match self {
            Self::Window(walk) => query.order_by(&walk.cursor)?.order_by(ID),
            Self::Keyset(walk) => {
                let query = query.order_by(ID)?;
                Ok(match walk.stride.size() {
                    Some(rows) => query.limit(u32::try_from(rows).unwrap_or(u32::MAX)),
                    None => query,
                })
            }
            Self::Pass => Ok(query),
        }
    }

    /// Narrows the query to what is left, in no order and at once.
    pub(crate) fn rest(&self, query: Query) -> Result<Query> {
        match self {
            Self::Window(walk) => {
                Ok(query.filter(walk.rest()?).filter(Condition::before(&walk.cursor, walk.end())?))
            }
            Self::Keyset(walk) => Ok(query.filter(walk.state.rest()?)),
            Self::Pass => Ok(query),
        }
    }

    /// Narrows a query to the rows of this page, by their places: from where the read is to the last row of
    /// the page whose place is certain. None where none is.
    pub(crate) fn spanned(&self, query: Query, page: &Batch) -> Result<Option<Query>> {
        match self {
            Self::Window(walk) => {
                let Some(Position { cursor, id }) = walk.last_settled(page)? else { return Ok(None) };
                let to = Condition::through(&walk.cursor, cursor, ID, &id)?;
                Ok(Some(query.filter(walk.rest()?).filter(to)))
            }
            Self::Keyset(walk) => {
                let Some(last) = last_id(page)? else { return Ok(None) };
                Ok(Some(query.filter(walk.state.rest()?).filter(Condition::up_to(ID, &last)?)))
            }
            Self::Pass => Ok(None),
        }
    }

    /// From this time on, by the vendor's clock, a row may have changed since the read was planned.
    pub(crate) fn settled_before(&self) -> Option<Timestamp> {
        match self {
            Self::Window(walk) => Some(walk.window.settled_before),
            Self::Keyset(_) | Self::Pass => None,
        }
    }

    /// A read that broke off is gone on with.
    pub(crate) fn resume(&mut self) {
        if let Self::Window(walk) = self {
            walk.part.has_open = true;
            walk.bound();
        }
    }

    /// What was asked for is too much for one query: less is asked for from now on. False when that is not
    /// possible.
    pub(crate) fn refused(&mut self) -> bool {
        match self {
            Self::Window(walk) => walk.refused(),
            Self::Keyset(walk) => {
                let asked = walk.stride.size().unwrap_or(u64::MAX);
                walk.stride.refused(asked)
            }
            Self::Pass => false,
        }
    }

    /// What was asked for has been read to its end, with so many rows. False when nothing more is left.
    pub(crate) fn go_on(&mut self, rows: u64) -> bool {
        match self {
            Self::Window(walk) => walk.go_on(),
            Self::Keyset(walk) => {
                let is_full = walk.stride.size().is_some_and(|asked| rows >= asked);
                walk.stride.succeeded();
                is_full
            }
            Self::Pass => false,
        }
    }

    /// Whether all that is left is asked for.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Self::Window(walk) => walk.part.until.is_none(),
            Self::Keyset(walk) => walk.stride.size().is_none(),
            Self::Pass => true,
        }
    }

    /// Takes a page in: leaves the records that are to be delivered.
    pub(crate) fn take(&mut self, mut batch: Batch) -> Result<Batch> {
        match self {
            Self::Window(walk) => walk.take(&mut batch)?,
            Self::Keyset(walk) => {
                if let Some(last) = last_id(&batch)? {
                    walk.state.after = Some(last);
                }
                batch = batch.into_snapshot();
            }
            Self::Pass => batch = batch.into_snapshot(),
        }
        Ok(batch)
    }

    /// Takes in rows of a Bulk job, which come in no order: leaves those that are to be delivered.
    pub(crate) fn take_unordered(&mut self, mut batch: Batch) -> Batch {
        match self {
            Self::Window(walk) => walk.keep_new(&mut batch),
            Self::Keyset(_) | Self::Pass => batch = batch.into_snapshot(),
        }
        batch
    }

    /// Where the Bulk job stands that reads what is left, if there is one.
    pub(crate) fn job(&self) -> Option<&JobState> {
        match self {
            Self::Window(walk) => walk.state.job.as_ref(),
            Self::Keyset(walk) => walk.state.job.as_ref(),
            Self::Pass => None,
        }
    }

    /// Notes where the Bulk job stands; none: what is left is not read by one.
    pub(crate) fn set_job(&mut self, job: Option<JobState>) {
        match self {
            Self::Window(walk) => walk.state.job = job,
            Self::Keyset(walk) => walk.state.job = job,
            Self::Pass => (),
        }
    }

    /// The state that covers everything taken so far; none where only the end can be covered.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        match self {
            Self::Window(walk) => State::encode(STATE_VERSION, &walk.state).map(Some),
            Self::Keyset(walk) => State::encode(STATE_VERSION, &walk.state).map(Some),
            Self::Pass => Ok(None),
        }
    }

    /// The state that covers the whole.
    pub(crate) fn last_state(&self) -> Result<State> {
        Ok(self.last_known()?.completing())
    }

    /// The same where it can only be the one of the start.
    pub(crate) fn last_known(&self) -> Result<State> {
        match self.state()? {
            Some(state) => Ok(state),
            None => State::encode(STATE_VERSION, &KeysetState::default()),
        }
    }

    /// Whether a query that broke off can be put again from where the read is.
    pub(crate) fn resumes(&self) -> bool {
        !matches!(self, Self::Pass)
    }
}

impl KeysetState {
    fn rest(&self) -> Result<Option<Condition>> {
        self.after.as_deref().map(|id| Condition::greater(ID, id)).transpose()
    }
}

impl WindowWalk {
    pub(crate) fn new(cursor: &str, window: Window, state: WindowState, seen_before: Seen) -> Self {
        let part =
            Part { stride: Stride::new(LEAST_SECONDS, u64::MAX), from: None, until: None, has_open: false };
        Self { cursor: cursor.to_owned(), window, state, seen_before, part }
    }

    /// What is left of the window from where the read is.
    fn rest(&self) -> Result<Condition> {
        match &self.state.after {
            Some(Position { cursor, id }) if self.part.from.is_none_or(|from| from <= *cursor) => {
                Condition::after(&self.cursor, *cursor, ID, id)
            }
            _ => Condition::at_or_after(&self.cursor, self.start()),
        }
    }

    /// Where the read is.
    fn start(&self) -> Timestamp {
        let after = self.state.after.as_ref().map_or(self.window.low, |after| after.cursor);
        self.part.from.map_or(after, |from| from.max(after))
    }

    /// Where what is asked for ends.
    fn end(&self) -> Timestamp {
        self.part.until.unwrap_or(self.window.high)
    }

    fn refused(&mut self) -> bool {
        let asked = self.end().saturating_since(whole_second(self.start()));
        // A second begun is one to ask for.
        let seconds = u64::try_from(asked.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
        if !self.part.stride.refused(seconds) {
            return false;
        }
        self.part.has_open = true;
        self.bound();
        true
    }

    fn go_on(&mut self) -> bool {
        let Some(until) = self.part.until else { return false };
        self.part.stride.succeeded();
        self.part.from = Some(until);
        self.bound();
        true
    }

    /// Sets where the part that begins here ends: at a whole second, where the plan's closing ends, or with the window.
    fn bound(&mut self) {
        let start = self.start();
        let strided =
            self.part.stride.size().map(|seconds| whole_second(start) + Duration::from_secs(seconds));
        let closes = Some(self.window.closes).filter(|closes| self.part.has_open && start < *closes);
        self.part.until = strided.into_iter().chain(closes).min().filter(|until| *until < self.window.high);
    }

    /// The times of rows whose place in the order is certain.
    fn settled(&self) -> Range<i64> {
        let Window { closes, settled_before, .. } = self.window;
        let before = if self.start() >= closes { settled_before } else { closes.min(settled_before) };
        self.window.low.as_millis()..self.end().as_millis().min(before.as_millis())
    }

    /// The place of the last row of a page that has one for certain.
    fn last_settled(&self, batch: &Batch) -> Result<Option<Position>> {
        let settled = self.settled();
        let place = |record: RecordView<'_>| {
            let at = record.source_timestamp.filter(|at| settled.contains(at))?;
            Some(id_of(&record).map(|id| Position { cursor: Timestamp::from_millis(at), id }))
        };
        (0..batch.len()).rev().filter_map(|index| batch.get(index)).find_map(place).transpose()
    }

    /// A row is answered with the cursor it has now, in the place it had when the query began. One that
    /// changed in between must neither be delivered here (a later window or part has it) nor be taken for a
    /// place to resume from.
    fn take(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.iter().any(|record| record.source_timestamp.is_none()) {
            return Err(wrong_row(format!(
                "a row came without a time in `{}`, by which the stream is read",
                self.cursor
            )));
        }
        if let Some(last) = self.last_settled(batch)? {
            self.state.after = Some(last);
        }
        self.keep_new(batch);
        Ok(())
    }

    /// Leaves the rows of what is asked for that were not delivered before.
    fn keep_new(&mut self, batch: &mut Batch) {
        let (low, high) = (self.window.low.as_millis(), self.end().as_millis());
        let Self { window, state, seen_before, .. } = self;
        batch.retain(|record| {
            let at = record.source_timestamp.unwrap_or(low);
            if at < low || at >= high || seen_before.contains(&record) {
                return false;
            }
            if at >= window.remember_from.as_millis() {
                if state.seen.contains(&record) {
                    return false;
                }
                state.seen.insert(&record);
            }
            true
        });
    }
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(1_000).saturating_mul(1_000))
}

fn last_id(batch: &Batch) -> Result<Option<String>> {
    batch.len().checked_sub(1).and_then(|last| batch.get(last)).map(|last| id_of(&last)).transpose()
}

fn wrong_row(message: String) -> Error {
    Error::new(Class::Schema, "query", message).with_delivery(Delivery::Answered)
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "Id")]
    id: String,
}

/// The id in a record's key.
pub(crate) fn id_of(record: &RecordView<'_>) -> Result<String> {
    record
        .key
        .and_then(|key| serde_json::from_slice::<Key>(key).ok())
        .map(|key| key.id)
        .ok_or_else(|| wrong_row("a row came without an id".to_owned()))
}

#[cfg(test)]
mod tests;
