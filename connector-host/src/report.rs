//! What a run says about itself: the run document of the interface, and its receipt.

use std::sync::Arc;

use connector_sdk::{ConnectionName, ConnectorId, Error, PartitionId, RunId, StreamId, TenantId, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

/// The document of a run: `connector run --json` prints it, the registry keeps it.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// Which run.
    pub run_id: RunId,
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionName,
    /// Which connector.
    pub connector: ConnectorId,
    /// How it ended.
    pub status: RunStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What happened to each stream.
    pub streams: Vec<StreamReport>,
    /// The sums.
    pub totals: Totals,
    /// Where the receipt lies, relative to the Bronze folder; none where none was written.
    pub receipt: Option<String>,
    /// What ended the run, where something did.
    pub error: Option<Arc<Error>>,
}

/// How a run or a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Everything was read.
    Succeeded,
    /// Something was not read; what was read is durable.
    Incomplete,
    /// Nothing went right.
    Failed,
    /// It was asked to stop; what was read is durable.
    Stopped,
}

impl RunStatus {
    /// As the document writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// What happened to a stream.
#[derive(Debug, Serialize)]
pub struct StreamReport {
    /// Which stream.
    pub name: StreamId,
    /// How it ended.
    pub status: RunStatus,
    /// Records made durable in this run, deletes included.
    pub records: u64,
    /// Of these: deletes.
    pub deletes: u64,
    /// Bytes of the records as the vendor sent them.
    pub bytes: u64,
    /// Partitions read.
    pub partitions: u64,
    /// Partitions that failed, with their errors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<PartitionReport>,
    /// Partitions that may not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<PartitionReport>,
    /// Changes of the schema found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// Records that went to the dead letters.
    pub dead_letters: u64,
    /// What each commit has made durable; the receipt lists it, the run document does not.
    #[serde(skip)]
    pub commits: Vec<connector_sdk::contract::Receipt>,
    /// Count and hash of the records made durable.
    pub tally: connector_sdk::record::Tally,
    /// What ended it, where something did.
    pub error: Option<Arc<Error>>,
}

impl StreamReport {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(name: StreamId) -> Self {
        Self {
            name,
            status: RunStatus::Succeeded,
            records: 0,
            deletes: 0,
            bytes: 0,
            partitions: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
            drift: Vec::new(),
            dead_letters: 0,
            commits: Vec::new(),
            tally: connector_sdk::record::Tally::default(),
            error: None,
        }
    }
}

/// A partition that failed or was skipped.
#[derive(Debug)]
pub struct PartitionReport {
    /// Which partition.
    pub partition: PartitionId,
    /// Why.
    pub error: Arc<Error>,
}

impl Serialize for PartitionReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("PartitionReport", 3)?;
        out.serialize_field("partition", &self.partition)?;
        out.serialize_field("class", &self.error.class())?;
        out.serialize_field("message", &self.error.to_string())?;
        out.end()
    }
}

/// A change of a stream's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The field.
    pub field: String,
    /// `added`, `removed`, `type_changed`, `key_changed`.
    pub change: String,
    /// What was done about it.
    pub policy: String,
}

/// The sums of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records made durable.
    pub records: u64,
    /// Their bytes as the vendor sent them.
    pub bytes: u64,
    /// Requests sent.
    pub requests: u64,
    /// Of these: repeated ones.
    pub retries: u64,
    /// Records that went to the dead letters.
    pub dead_letters: u64,
}
