//! Where a read stands: what `checkpoint` persists and what a reader resumes from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{Error, PartitionId, Result};

/// The largest cursor that is accepted, in bytes. A larger one is a mistake of the connector: states are
/// written with every commit.
pub const MAX_CURSOR_BYTES: usize = 8 << 20;

/// A reader's own progress: an opaque cursor with a version.
///
/// A state covers every batch that the same read sent before it. Only the connector understands the
/// cursor; host and sink carry it.
///
/// ```
/// use connector_sdk::State;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Cursor { after: String }
///
/// let state = State::encode(1, &Cursor { after: "003A".into() }).unwrap().covering(2_000);
/// assert_eq!(state.decode::<Cursor>(1).unwrap().after, "003A");
/// assert!(state.decode::<Cursor>(0).is_err(), "a connector that knows only version 0 must not guess");
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    cursor: Box<RawValue>,
    /// Records that this read has sent since its previous state: the host compares it with its own count.
    #[serde(default)]
    records: u64,
    /// The partition has been read to its end; what that means is the connector's affair at the next plan.
    #[serde(default)]
    complete: bool,
    /// Not to be kept waiting; says nothing of the read, so it is not written.
    #[serde(skip)]
    prompt: bool,
}

impl State {
    /// A state with this cursor.
    ///
    /// # Errors
    /// Bug when the cursor does not serialise or is larger than [`MAX_CURSOR_BYTES`].
    pub fn encode<C: Serialize>(version: u32, cursor: &C) -> Result<Self> {
        let cursor = serde_json::value::to_raw_value(cursor).map_err(|error| {
            Error::bug("encode state", "the cursor does not serialise").with_source(error)
        })?;
        if cursor.get().len() > MAX_CURSOR_BYTES {
            return Err(Error::bug("encode state", "the cursor is larger than a state may be")
                .with_context("bytes", cursor.get().len())
                .with_context("limit", MAX_CURSOR_BYTES));
        }
        Ok(Self { version, cursor, records: 0, complete: false, prompt: false })
    }

    /// Says how many records the read has sent since its previous state.
    #[must_use]
    pub fn covering(mut self, records: u64) -> Self {
        self.records = records;
        self
    }

    /// Says that the partition has been read to its end.
    #[must_use]
    pub fn completing(mut self) -> Self {
        self.complete = true;
        self
    }

    /// Asks the host to make it durable now instead of with the next commit that is due: something was made at
    /// the vendor that whoever comes after a crash has to know of, such as a job. Each costs a commit, so it is not for
    /// states after records.
    #[must_use]
    pub fn promptly(mut self) -> Self {
        self.prompt = true;
        self
    }

    /// Whether it is to be made durable now.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.prompt
    }

    /// The cursor, if its version is at most `newest`.
    ///
    /// # Errors
    /// Config when the state is of a newer version than this connector knows, or cannot be decoded. It
    /// is never silently taken for "from the start" (rule D-15).
    pub fn decode<C: DeserializeOwned>(&self, newest: u32) -> Result<C> {
        if self.version > newest {
            return Err(Error::config(
                "decode state",
                format!(
                    "the state is of version {}, this connector knows versions up to {newest}: use a newer \
                     connector, or reset the state with `connector state reset`",
                    self.version
                ),
            ));
        }
        serde_json::from_str(self.cursor.get()).map_err(|error| {
            Error::config(
                "decode state",
                format!(
                    "the state of version {} cannot be decoded; restore it, or reset it with `connector state reset`",
                    self.version
                ),
            )
            .with_source(error)
        })
    }

    /// The cursor's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The cursor as JSON text.
    #[must_use]
    pub fn cursor(&self) -> &RawValue {
        &self.cursor
    }

    /// Records sent since the previous state, as the reader counts.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Whether the partition has been read to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
            && self.complete == other.complete
            && self.cursor.get() == other.cursor.get()
    }
}

/// Where a stream stands: its own state and that of each partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamState {
    /// Counts the resets of the stream. A reset keeps the sequences and starts the cursors anew.
    pub epoch: u64,
    /// Counts the full reads; grows when one has been seen whole.
    pub generation: u64,
    /// What the connector keeps for the stream as a whole (watermark, plan).
    pub state: Option<State>,
    /// What it keeps for each partition.
    pub partitions: BTreeMap<PartitionId, PartitionState>,
}

/// Where one partition stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionState {
    /// The last sequence number that stands in Bronze; numbers start at 1.
    pub sequence: u64,
    /// The epoch in which it was read.
    pub epoch: u64,
    /// The reader's state; none after a reset.
    pub state: Option<State>,
}
