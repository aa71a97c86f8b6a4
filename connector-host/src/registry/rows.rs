//! What the registry's tables hold, row by row.

use connector_sdk::{
    ConnectionName, ConnectorId, PartitionId, RunId, State, StreamId, StreamState, TenantId, Timestamp,
    contract::Lease,
};
use serde::{Deserialize, Serialize};

/// The name of a stream of a tenant's connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionName,
    /// Which stream.
    pub stream: StreamId,
}

impl StreamKey {
    /// The stream of that name.
    pub fn new(
        tenant: impl Into<TenantId>,
        connection: impl Into<ConnectionName>,
        stream: impl Into<StreamId>,
    ) -> Self {
        Self { tenant: tenant.into(), connection: connection.into(), stream: stream.into() }
    }

    /// The stream that a lease is for.
    #[must_use]
    pub fn of(lease: &Lease) -> Self {
        Self::new(lease.tenant.clone(), lease.connection.clone(), lease.stream.clone())
    }

    pub(super) fn lease(&self, fence: u64, owner: &str) -> Lease {
        Lease {
            tenant: self.tenant.clone(),
            connection: self.connection.clone(),
            stream: self.stream.clone(),
            fence,
            owner: owner.to_owned(),
        }
    }
}

/// A claimed stream.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The right to write it.
    pub lease: Lease,
    /// The previous owner did not release it.
    pub takeover: bool,
}

/// A change of a stream's own state.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    /// The stream's own state from now on; none: it stays.
    pub state: Option<State>,
    /// Completed partitions that are folded into it.
    pub forget: Vec<PartitionId>,
    /// The generation from now on.
    pub generation: u64,
    /// Empties every partition's cursor: a new full read begins.
    pub restart: bool,
}

/// A row of connector_definitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Which connector.
    pub connector: ConnectorId,
    /// In which version.
    pub version: String,
    /// Its manifest.
    pub manifest: serde_json::Value,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// A row of tenant_connections. The configuration is the template's, with its `${…}` unresolved: no secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub connection: ConnectionName,
    /// Which connector it uses.
    pub connector: ConnectorId,
    /// The configuration, with references instead of secrets.
    pub config: serde_json::Value,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Where a stream stands, as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredState {
    /// The stream.
    pub stream: StreamId,
    /// Where it stands.
    pub state: StreamState,
    /// When each partition last moved; the stream's own state under no name.
    pub updated_at: Vec<(Option<PartitionId>, Timestamp)>,
}

/// A row of connector_runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionName,
    /// Which run.
    pub run: RunId,
    /// `running`, or how it ended.
    pub status: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The run document of the interface.
    pub document: serde_json::Value,
}

/// A row of stream_registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaVersion {
    /// 1 for the first one seen, then growing.
    pub version: u64,
    /// [`connector_sdk::StreamSpec::fingerprint`].
    pub fingerprint: String,
    /// The whole specification of the stream.
    pub spec: serde_json::Value,
    /// When it was first seen.
    pub seen_at: Timestamp,
}

/// A row of compat_alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompatAlert {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionName,
    /// Which stream.
    pub stream: StreamId,
    /// In which run it was found.
    pub run: RunId,
    /// The field.
    pub field: String,
    /// What changed: `added`, `removed`, `type_changed`, `key_changed`.
    pub change: String,
    /// What was done about it: the stream's drift policy.
    pub policy: String,
    /// From and to, and the first record where one is known (its key).
    pub detail: serde_json::Value,
    /// When it was found.
    pub raised_at: Timestamp,
}

/// A row of actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connection.
    pub connection: ConnectionName,
    /// The caller's key, or one made up.
    pub key: String,
    /// Which action.
    pub name: String,
    /// Hash of the input: the same key with another input is a mistake.
    pub input_hash: String,
    /// `intended`, or what came of it.
    pub status: String,
    /// The answer.
    pub answer: Option<serde_json::Value>,
    /// When it was intended.
    pub started_at: Timestamp,
    /// When it was answered.
    pub finished_at: Option<Timestamp>,
}
