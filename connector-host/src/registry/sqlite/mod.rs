//! The registry in a SQLite file, which the processes of one machine may share.
//!
//! # Tables
//! Every key starts with the tenant. Times are integer milliseconds since 1970 UTC, documents JSON text,
//! all tables STRICT. The SQL has `$n` placeholders and keeps to what PostgreSQL understands too.
//!
//! - **connector_definitions** (connector, version): manifest and configuration schema of each connector that
//!   was ever registered. The one table without a tenant: it describes programs, not data.
//! - **tenant_connections** (tenant, connection): which connector a connection uses, and its configuration
//!   with references instead of secrets.
//! - **leases** (… stream): the stream's fence, which only grows, and who holds it until when. A row without
//!   an owner was released cleanly. Renewed every few seconds, so it is small and apart from the next.
//! - **streams** (… stream): epoch (counts resets), generation (counts full reads), the stream's own state.
//! - **connector_run_state** (… stream, partition): epoch, generation and sequence of the last commit, and the
//!   reader's state, null after a reset or at the start of a new full read. A checkpoint writes here only.
//! - **stream_registry** (… stream, version): each schema that a stream had, never changed.
//! - **connector_runs** (tenant, connection, run): the run document, with status and times to list by.
//! - **compat_alerts** (… stream, run, field, change): what drifted, and what was done about it.
//! - **receipts** (tenant, run): what a run proves about itself.
//! - **actions** (tenant, connection, key): the intent before the call, the answer after it.
//! - **tokens** (tenant, connection, name): rotated credentials, sealed. Who exchanges one holds a lock on a
//!   file of its own in `DATABASE.owners/`.
//!
//! # How it writes
//! One connection writes, in WAL mode with `synchronous = full`; its transactions begin `immediate`, so two
//! processes wait for each other instead of failing in the middle. A checkpoint is one transaction whatever
//! its number of partitions, hence one sync of the log; its fence is checked inside. Two connections read
//! beside it and never wait. Statements are prepared once for each connection. Nothing here waits on a
//! timer of the runtime.
//!
//! # Who lives
//! Each value of [`SqliteRegistry`] that has claimed a stream holds a lock on a file of its own in
//! `DATABASE.owners/`, which the operating system frees when the process ends, however it ends. So a dead
//! owner's streams are claimed at once, and a paused one's when its lease has expired.

mod catalog;
mod fault;
mod lease;
mod owners;
mod runs;
mod schema;
mod state;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use connector_sdk::{
    Checkpoint, Clock, ConnectionName, Error, Result, RunId, StreamId, StreamState, TenantId,
    contract::{Commit, Lease},
    secret::TokenLock,
};
use sqlx::{Connection, Sqlite, SqliteConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use self::{fault::fault, owners::Owners};
use super::{
    ActionRecord, Claim, CompatAlert, ConnectionRecord, Definition, Fold, Registry, RunRecord, SchemaVersion,
    StoredState, StreamKey,
};

/// How long a write waits for that of another process, of which the longest takes a few syncs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A [`Registry`] in a SQLite file. See the [module](self) for its tables.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_host::registry::{Registry, SqliteRegistry, StreamKey};
/// use connector_sdk::SystemClock;
/// use std::time::Duration;
///
/// let folder = tempfile::tempdir().unwrap();
/// let registry = SqliteRegistry::open(folder.path().join("connector.db"), SystemClock::shared()).await?;
/// let contacts = StreamKey::new("acme", "acme-crm", "Contact");
/// let claim = registry.claim(&contacts, "run 1 of this example", Duration::from_secs(30)).await?;
/// assert_eq!((claim.lease.fence, claim.takeover), (1, false));
///
/// let second = registry.claim(&contacts, "run 2", Duration::from_secs(30)).await.unwrap_err();
/// assert!(second.to_string().contains("is being run by run 1 of this example until"));
/// registry.release(&claim.lease).await?;
/// # Ok(()) }
/// ```
pub struct SqliteRegistry {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    owners: Owners,
    writer: Mutex<SqliteConnection>,
    readers: [Mutex<SqliteConnection>; 2],
    next_reader: AtomicUsize,
}

impl SqliteRegistry {
    /// Opens the registry in this file, or makes a new one; leases expire by this clock.
    ///
    /// # Errors
    /// Config with the context `path` when the folder is missing, the file cannot be opened, is no registry,
    /// or is one of a newer schema (nothing is written then). Transient while another process keeps it busy.
    pub async fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<Self> {
        let path = std::path::absolute(path.as_ref()).map_err(|error| {
            Error::config("open registry", "the path of the registry is empty").with_source(error)
        })?;
        let owners = Owners::of(&path);
        let writer = schema::open_writer(&path, &owners, &*clock).await?;
        let readers =
            [Mutex::new(schema::open_reader(&path).await?), Mutex::new(schema::open_reader(&path).await?)];
        Ok(Self {
            path,
            clock,
            owners,
            writer: Mutex::new(writer),
            readers,
            next_reader: AtomicUsize::new(0),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that writes. Held as long as the transaction begun on it.
    async fn writer(&self) -> MutexGuard<'_, SqliteConnection> {
        self.writer.lock().await
    }

    /// One of those that read: the next in turn, since none knows how long the others take.
    async fn reader(&self) -> MutexGuard<'_, SqliteConnection> {
        let turn = self.next_reader.fetch_add(1, Ordering::Relaxed);
        self.readers[turn % self.readers.len()].lock().await
    }
}

/// A transaction that will write. Dropped without a commit, it never was.
async fn begin<'a>(
    writer: &'a mut SqliteConnection,
    operation: &'static str,
) -> Result<Transaction<'a, Sqlite>> {
    writer.begin_with("begin immediate").await.map_err(fault(operation))
}

impl fmt::Debug for SqliteRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRegistry").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl Checkpoint for SqliteRegistry {
    async fn load(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        stream: &StreamId,
    ) -> Result<StreamState> {
        state::load(self, tenant, connection, stream).await
    }

    async fn checkpoint(&self, lease: &Lease, commits: &[Commit]) -> Result<()> {
        state::checkpoint(self, lease, commits).await
    }
}

#[async_trait]
impl Registry for SqliteRegistry {
    async fn define(&self, definition: &Definition) -> Result<()> {
        catalog::define(self, definition).await
    }

    async fn definitions(&self) -> Result<Vec<Definition>> {
        catalog::definitions(self).await
    }

    async fn put_connection(&self, connection: &ConnectionRecord) -> Result<()> {
        catalog::put_connection(self, connection).await
    }

    async fn connections(&self, tenant: &TenantId) -> Result<Vec<ConnectionRecord>> {
        catalog::connections(self, tenant).await
    }

    async fn claim(&self, key: &StreamKey, owner: &str, lease: Duration) -> Result<Claim> {
        lease::claim(self, key, owner, lease).await
    }

    async fn renew(&self, lease: &Lease, extend: Duration) -> Result<()> {
        lease::renew(self, lease, extend).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        lease::release(self, lease).await
    }

    async fn fold(&self, lease: &Lease, fold: &Fold) -> Result<()> {
        state::fold(self, lease, fold).await
    }

    async fn reset(&self, lease: &Lease) -> Result<()> {
        state::reset(self, lease).await
    }

    async fn states(&self, tenant: &TenantId, connection: &ConnectionName) -> Result<Vec<StoredState>> {
        state::states(self, tenant, connection).await
    }

    async fn start_run(&self, run: &RunRecord) -> Result<()> {
        runs::put_run(self, run).await
    }

    async fn finish_run(&self, run: &RunRecord) -> Result<()> {
        runs::put_run(self, run).await
    }

    async fn runs(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<RunRecord>> {
        runs::runs(self, tenant, connection, limit).await
    }

    async fn schema(&self, key: &StreamKey) -> Result<Option<SchemaVersion>> {
        catalog::schema(self, key).await
    }

    async fn add_schema(&self, lease: &Lease, schema: &SchemaVersion) -> Result<()> {
        catalog::add_schema(self, lease, schema).await
    }

    async fn alert(&self, alert: &CompatAlert) -> Result<()> {
        catalog::alert(self, alert).await
    }

    async fn alerts(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<CompatAlert>> {
        catalog::alerts(self, tenant, connection, limit).await
    }

    async fn put_receipt(&self, tenant: &TenantId, run: &RunId, receipt: &serde_json::Value) -> Result<()> {
        runs::put_receipt(self, tenant, run, receipt).await
    }

    async fn receipt(&self, tenant: &TenantId, run: &RunId) -> Result<Option<serde_json::Value>> {
        runs::receipt(self, tenant, run).await
    }

    async fn begin_action(&self, action: &ActionRecord) -> Result<Option<ActionRecord>> {
        runs::begin_action(self, action).await
    }

    async fn finish_action(&self, action: &ActionRecord) -> Result<()> {
        runs::finish_action(self, action).await
    }

    async fn put_token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
        sealed: &[u8],
    ) -> Result<()> {
        catalog::put_token(self, tenant, connection, name, sealed).await
    }

    async fn token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<Option<Vec<u8>>> {
        catalog::token(self, tenant, connection, name).await
    }

    async fn try_lock_token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<TokenLock> {
        self.owners.lock_token(&[tenant.as_str(), connection.as_str(), name])
    }
}
