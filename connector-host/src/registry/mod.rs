//! What a host remembers: connections, runs, leases, states, schemas, alerts, receipts, actions, tokens.
//!
//! Every key starts with the tenant. Two registries stand behind one trait and pass the same tests:
//! [`SqliteRegistry`], a file that several processes of one machine may share, and [`MemoryRegistry`], for
//! tests and for runs that nobody resumes. [`connect`] opens either by its URL.

mod location;
mod memory;
mod rows;
mod rules;
pub mod sqlite;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Checkpoint, ConnectionName, Error, Result, RunId, TenantId, contract::Lease, secret::TokenLock,
};

pub use location::{Location, connect};
pub use memory::MemoryRegistry;
pub use rows::{
    ActionRecord, Claim, CompatAlert, ConnectionRecord, Definition, Fold, RunRecord, SchemaVersion,
    StoredState, StreamKey,
};
pub use sqlite::SqliteRegistry;

/// Keeps what a host remembers; [`Checkpoint`] is its part for states.
///
/// What an implementation must do:
/// - Every write that names a [`Lease`] happens only while its fence is the current one and the stream was
///   not released, in one transaction with that check (rule D-16), all of it or nothing.
/// - What a call has written is durable when the call returns (rule D-01).
/// - `checkpoint` refuses, with class Bug, a commit whose sequence or epoch is lower than the one that
///   stands, and a cursor above the cap. A commit of an epoch before the stream's, as it may stand in Bronze
///   when the stream was reset right after a crash, brings its sequence only: its cursor is void. One of a
///   later epoch is class Config: the registry is an older copy than Bronze.
/// - `load` and `states` answer everything or an error that names the row (rule D-15).
#[async_trait]
pub trait Registry: Checkpoint + fmt::Debug {
    /// Remembers a connector's definition (table connector_definitions); the same version again replaces it.
    ///
    /// # Errors
    /// Transient while another process keeps the registry busy; Config when it may not be written;
    /// Permanent when it cannot be (a full disk, a damaged file). So for all methods that write.
    async fn define(&self, definition: &Definition) -> Result<()>;

    /// The definitions that were remembered, by connector and version.
    ///
    /// # Errors
    /// Config when a row cannot be decoded, naming it; else as [`Registry::define`]. So for all methods
    /// that read.
    async fn definitions(&self) -> Result<Vec<Definition>>;

    /// Remembers a tenant's connection (tenant_connections); again replaces it.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn put_connection(&self, connection: &ConnectionRecord) -> Result<()>;

    /// A tenant's connections, by name.
    ///
    /// # Errors
    /// As [`Registry::definitions`].
    async fn connections(&self, tenant: &TenantId) -> Result<Vec<ConnectionRecord>>;

    /// Claims a stream: its fence grows by one. `owner` is for people: it names host, process and run.
    ///
    /// A stream whose lease has expired is claimed even from an owner that lives: it is fenced off. One whose
    /// owner is known to be dead is claimed at once.
    ///
    /// # Errors
    /// Transient with the contexts `owner` and `expires_at` while another owner lives.
    async fn claim(&self, key: &StreamKey, owner: &str, lease: Duration) -> Result<Claim>;

    /// Extends the lease: it expires so long from now. One that has expired and that nobody has claimed is
    /// still ours.
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
    /// Permanent with the context `fence` when the lease is no longer ours. Bug when a partition to forget is
    /// not complete, or the generation goes backwards.
    async fn fold(&self, lease: &Lease, fold: &Fold) -> Result<()>;

    /// Resets the stream: epoch + 1, no cursors, no state of its own; sequences stay, and each partition
    /// keeps the epoch it was last read in. It works where a state can no longer be decoded.
    ///
    /// # Errors
    /// Permanent with the context `fence` when the lease is no longer ours.
    async fn reset(&self, lease: &Lease) -> Result<()>;

    /// Where all streams of the connection stand, by name.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    async fn states(&self, tenant: &TenantId, connection: &ConnectionName) -> Result<Vec<StoredState>>;

    /// Notes that a run has started (connector_runs). The document is the run document of the interface.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn start_run(&self, run: &RunRecord) -> Result<()>;

    /// Notes how it ended; also where its start was never noted.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn finish_run(&self, run: &RunRecord) -> Result<()>;

    /// The connection's runs, newest first.
    ///
    /// # Errors
    /// As [`Registry::definitions`].
    async fn runs(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<RunRecord>>;

    /// The newest schema known of a stream (stream_registry).
    ///
    /// # Errors
    /// As [`Registry::definitions`].
    async fn schema(&self, key: &StreamKey) -> Result<Option<SchemaVersion>>;

    /// Adds a version of a stream's schema. The same one again changes nothing.
    ///
    /// # Errors
    /// Permanent with the context `fence` when the lease is no longer ours. Bug when the version is taken by
    /// another schema.
    async fn add_schema(&self, lease: &Lease, schema: &SchemaVersion) -> Result<()>;

    /// Raises an alert about a stream's schema (compat_alerts). The same change of the same field in the same
    /// run is one row, and the first one stays.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn alert(&self, alert: &CompatAlert) -> Result<()>;

    /// The connection's alerts, newest first.
    ///
    /// # Errors
    /// As [`Registry::definitions`].
    async fn alerts(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<CompatAlert>>;

    /// Keeps a run's receipt (receipts); again replaces it.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn put_receipt(&self, tenant: &TenantId, run: &RunId, receipt: &serde_json::Value) -> Result<()>;

    /// A run's receipt.
    ///
    /// # Errors
    /// As [`Registry::definitions`].
    async fn receipt(&self, tenant: &TenantId, run: &RunId) -> Result<Option<serde_json::Value>>;

    /// Notes the intent of an action before the call (actions). With a key that is known already nothing is
    /// written, and what is known is answered.
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn begin_action(&self, action: &ActionRecord) -> Result<Option<ActionRecord>>;

    /// Notes the answer of an action.
    ///
    /// # Errors
    /// As [`Registry::define`]; Bug when its intent was never noted.
    async fn finish_action(&self, action: &ActionRecord) -> Result<()>;

    /// Keeps a rotated credential (tokens), already sealed: use [`SealedTokens`](crate::seal::SealedTokens).
    ///
    /// # Errors
    /// As [`Registry::define`].
    async fn put_token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
        sealed: &[u8],
    ) -> Result<()>;

    /// A credential, as it was sealed.
    ///
    /// # Errors
    /// As [`Registry::definitions`].
    async fn token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<Option<Vec<u8>>>;

    /// Takes the right to exchange a credential, which one process at a time has; it ends with the process.
    /// The default: no locks, so that only the vendor tells two apart who exchange at once.
    ///
    /// # Errors
    /// Config when there is no place for locks.
    async fn try_lock_token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<TokenLock> {
        let _ = (tenant, connection, name);
        Ok(TokenLock::None)
    }
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
