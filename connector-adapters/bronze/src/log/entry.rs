//! What stands in the log: commits, and what they add up to.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
};

use connector_sdk::{
    ConnectionName, PartitionId, RunId, StreamId, TenantId, Timestamp,
    contract::{Commit, Lease},
};
use serde::{Deserialize, Serialize};

/// Of the form of entries and snapshots.
pub(crate) const VERSION: u32 = 1;

/// Whose log it is. Folders are named after it, but on some file systems `a` and `A` are one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionName,
    pub(crate) stream: StreamId,
}

impl Identity {
    pub(crate) fn is_of(&self, lease: &Lease) -> bool {
        (&self.tenant, &self.connection, &self.stream) == (&lease.tenant, &lease.connection, &lease.stream)
    }
}

/// One commit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry<'a> {
    pub(crate) version: u32,
    pub(crate) number: u64,
    pub(crate) fence: u64,
    pub(crate) of: Identity,
    pub(crate) run_id: RunId,
    pub(crate) owner: Cow<'a, str>,
    pub(crate) at: Timestamp,
    pub(crate) commits: Cow<'a, [Commit]>,
    pub(crate) files: Cow<'a, [LoggedFile]>,
}

/// A file that a commit publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoggedFile {
    /// Its path below the stream's folder.
    pub(crate) path: String,
    /// Its name in `_pending` until then.
    pub(crate) pending: String,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Sum of the records' hashes, in hexadecimal; none for dead letters.
    #[serde(default)]
    pub(crate) hash: Option<String>,
}

/// The last commit of a partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// The number of the entry it came with.
    pub(crate) number: u64,
    pub(crate) commit: Commit,
}

/// What the log says.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) standing: BTreeMap<PartitionId, Standing>,
    /// The files of the entries that are not folded.
    pub(crate) files: Vec<LoggedFile>,
    /// The newest snapshot; 0: none.
    pub(crate) snapshot: u64,
    /// The entries after it, oldest first, with their size in bytes.
    pub(crate) entries: VecDeque<(u64, u64)>,
    /// The highest fence in it.
    pub(crate) fence: u64,
}

impl Contents {
    /// The number of the last commit.
    pub(crate) fn last(&self) -> u64 {
        self.entries.back().map_or(self.snapshot, |(number, _)| *number)
    }
}
