//! What a host remembers: connections, runs, leases, states, schemas, alerts, receipts, actions.
//!
//! Every key starts with the tenant. There is one set of SQL with `$n` placeholders, migrations per
//! engine, and an in-memory registry that passes the same tests.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Checkpoint, ConnectionName, ConnectorId, Error, PartitionId, Result, RunId, State, StreamId, StreamState, TenantId,
    Timestamp,
    contract::Lease,
};
use serde::{Deserialize, Serialize};

/// Keeps what a host remembers; [`Checkpoint`] is its part for states.
///
/// What an implementation must do: every write that names a [`Lease`] happens only while its fence is the
/// current one, in one transaction with that check, and is durable when the call returns (rule D-16).
#[async_trait]
pub trait Registry: Checkpoint + fmt::Debug {
    /// Remembers a connector's definition (table connector_definitions); the same version again replaces it.
    ///
    /// # Errors
    /// Transient or Permanent when the registry cannot write; so for all methods.
    async fn define(&self, definition: &Definition) -> Result<()>;

    /// Remembers a tenant's connection (tenant_connections); again replaces it.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn put_connection(&self, connection: &ConnectionRecord) -> Result<()>;

    /// A tenant's connections, by name.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn connections(&self, tenant: &TenantId) -> Result<Vec<ConnectionRecord>>;

    /// Claims a stream: its fence grows by one.
    ///
    /// # Errors
    /// Transient with the contexts `owner` and `expires_at` while another owner lives.
    async fn claim(&self, key: &StreamKey, owner: &str, lease: Duration) -> Result<Claim>;

    /// Extends the lease.
    ///
    /// # Errors
    /// Permanent with the context `fence` when it is no longer ours.
    async fn renew(&self, lease: &Lease, extend: Duration) -> Result<()>;

    /// Gives the stream back, cleanly. A lease that is no longer ours is left alone.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Sets the stream's own state, forgets partitions that were folded into it, sets the generation: all
    /// or nothing. With `restart` every partition's cursor is emptied (a new full read); sequences stay.
    ///
    /// # Errors
    /// Permanent with the context `fence` when the lease is no longer ours.
    async fn fold(&self, lease: &Lease, fold: &Fold) -> Result<()>;

    /// Resets the stream: epoch + 1, no cursors, no state of its own; sequences stay.
    ///
    /// # Errors
    /// Permanent with the context `fence` when the lease is no longer ours.
    async fn reset(&self, lease: &Lease) -> Result<()>;

    /// Where all streams of the connection stand.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    async fn states(&self, tenant: &TenantId, connection: &ConnectionName) -> Result<Vec<StoredState>>;

    /// Notes that a run has started (connector_runs). The document is the run document of the interface.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn start_run(&self, run: &RunRecord) -> Result<()>;

    /// Notes how it ended.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn finish_run(&self, run: &RunRecord) -> Result<()>;

    /// The connection's runs, newest first.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn runs(&self, tenant: &TenantId, connection: &ConnectionName, limit: usize) -> Result<Vec<RunRecord>>;

    /// The newest schema known of a stream (stream_registry).
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn schema(&self, key: &StreamKey) -> Result<Option<SchemaVersion>>;

    /// Adds a version of a stream's schema.
    ///
    /// # Errors
    /// Permanent with the context `fence` when the lease is no longer ours.
    async fn add_schema(&self, lease: &Lease, schema: &SchemaVersion) -> Result<()>;

    /// Raises an alert about a stream's schema (compat_alerts). The same one again is the same row.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn alert(&self, alert: &CompatAlert) -> Result<()>;

    /// The connection's alerts, newest first.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn alerts(&self, tenant: &TenantId, connection: &ConnectionName, limit: usize) -> Result<Vec<CompatAlert>>;

    /// Keeps a run's receipt (receipts).
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn put_receipt(&self, tenant: &TenantId, run: &RunId, receipt: &serde_json::Value) -> Result<()>;

    /// Notes the intent of an action before the call (actions). With a key that is known already nothing is
    /// written, and what is known is answered.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn begin_action(&self, action: &ActionRecord) -> Result<Option<ActionRecord>>;

    /// Notes the answer of an action.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn finish_action(&self, action: &ActionRecord) -> Result<()>;
}

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

/// The error of a write whose lease is no longer the current one.
#[must_use]
pub fn fenced(lease: &Lease, current: u64) -> Error {
    Error::permanent(
        "write state",
        "this stream has been taken over by another run, which goes on; this one stops here and loses nothing",
    )
    .with_context("stream", &lease.stream)
    .with_context("fence", lease.fence)
    .with_context("current", current)
}
