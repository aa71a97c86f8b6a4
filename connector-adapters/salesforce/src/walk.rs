//! How far a read has come, and what to ask for next: the three ways through an object.
//!
//! | way | order | resumes |
//! |---|---|---|
//! | window | cursor, then id, within `[low, high)` | after (cursor, id) of the last settled row |
//! | keyset | id | after the last id |
//! | pass | as it comes | not at all: one state, at the end (rule D-10) |

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
};

/// A read on its way.
#[derive(Debug)]
pub(crate) enum Walk {
    /// A window of an incremental read.
    Window(WindowWalk),
    /// All rows, by id.
    Keyset(KeysetState),
    /// All rows, as they come.
    Pass,
}

/// See [`Walk::Window`].
#[derive(Debug)]
pub(crate) struct WindowWalk {
    pub(crate) cursor: String,
    pub(crate) window: Window,
    pub(crate) state: WindowState,
    /// What earlier plans delivered.
    pub(crate) seen_before: Seen,
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
            Self::Keyset(_) => query.order_by(ID),
            Self::Pass => Ok(query),
        }
    }

    /// Narrows the query to what is left, in no order.
    pub(crate) fn rest(&self, query: Query) -> Result<Query> {
        match self {
            Self::Window(walk) => walk.rest(query),
            Self::Keyset(state) => {
                let rest = state.after.as_deref().map(|id| Condition::greater(ID, id)).transpose()?;
                Ok(query.filter(rest))
            }
            Self::Pass => Ok(query),
        }
    }

    /// Takes a page in: leaves the records that are to be delivered.
    pub(crate) fn take(&mut self, mut batch: Batch) -> Result<Batch> {
        match self {
            Self::Window(walk) => walk.take(&mut batch)?,
            Self::Keyset(state) => {
                if let Some(last) = batch.len().checked_sub(1).and_then(|last| batch.get(last)) {
                    state.after = Some(id_of(&last)?);
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
            Self::Keyset(state) => state.job.as_ref(),
            Self::Pass => None,
        }
    }

    /// Notes where the Bulk job stands; none: what is left is not read by one.
    pub(crate) fn set_job(&mut self, job: Option<JobState>) {
        match self {
            Self::Window(walk) => walk.state.job = job,
            Self::Keyset(state) => state.job = job,
            Self::Pass => (),
        }
    }

    /// The state that covers everything taken so far; none where only the end can be covered.
    pub(crate) fn state(&self) -> Result<Option<State>> {
        match self {
            Self::Window(walk) => State::encode(STATE_VERSION, &walk.state).map(Some),
            Self::Keyset(state) => State::encode(STATE_VERSION, state).map(Some),
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

impl WindowWalk {
    fn rest(&self, query: Query) -> Result<Query> {
        let Window { low, high, .. } = self.window;
        let from = match &self.state.after {
            None => Condition::at_or_after(&self.cursor, low)?,
            Some(Position { cursor, id }) => Condition::after(&self.cursor, *cursor, ID, id)?,
        };
        Ok(query.filter(from).filter(Condition::before(&self.cursor, high)?))
    }

    /// A row is answered with the cursor it has now, in the place it had when the query began. One that
    /// changed in between must neither be delivered here (a later window has it) nor be taken for a place
    /// to resume from.
    fn take(&mut self, batch: &mut Batch) -> Result<()> {
        let Self { cursor, window, state, .. } = self;
        let (low, high) = (window.low.as_millis(), window.high.as_millis());
        let settled = low..high.min(window.settled_before.as_millis());
        if batch.iter().any(|record| record.source_timestamp.is_none()) {
            return Err(wrong_row(format!(
                "a row came without a time in `{cursor}`, by which the stream is read"
            )));
        }
        let is_settled =
            |record: &RecordView<'_>| record.source_timestamp.is_some_and(|at| settled.contains(&at));
        if let Some(last) = (0..batch.len()).rev().filter_map(|index| batch.get(index)).find(is_settled) {
            let at = Timestamp::from_millis(last.source_timestamp.unwrap_or(low));
            state.after = Some(Position { cursor: at, id: id_of(&last)? });
        }
        self.keep_new(batch);
        Ok(())
    }

    /// Leaves the rows of this window that were not delivered before.
    fn keep_new(&mut self, batch: &mut Batch) {
        let Self { window, state, seen_before, .. } = self;
        let (low, high) = (window.low.as_millis(), window.high.as_millis());
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

fn wrong_row(message: String) -> Error {
    Error::new(Class::Schema, "query", message).with_delivery(Delivery::Answered)
}

#[derive(Deserialize)]
struct Key {
    #[serde(rename = "Id")]
    id: String,
}

/// The id in a record's key.
fn id_of(record: &RecordView<'_>) -> Result<String> {
    record
        .key
        .and_then(|key| serde_json::from_slice::<Key>(key).ok())
        .map(|key| key.id)
        .ok_or_else(|| wrong_row("a row came without an id".to_owned()))
}

#[cfg(test)]
mod tests;
