//! A registry in memory: for tests, and for runs that nobody resumes.
//!
//! It keeps the rules of [`Registry`](super::Registry) and passes the same tests. Nothing outlives the
//! value, and nobody else can see it, so an owner that forgot to release a stream is dead only when its lease
//! has expired.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use connector_sdk::{
    Checkpoint, Clock, ConnectionName, ConnectorId, PartitionId, Result, RunId, StreamId, StreamState,
    TenantId, Timestamp,
    contract::{Commit, Lease},
    secret::TokenLock,
    state::PartitionState,
};

use super::{
    ActionRecord, Claim, CompatAlert, ConnectionRecord, Definition, Fold, Registry, RunRecord, SchemaVersion,
    StoredState, StreamKey, fenced,
    rules::{self, Held},
};

/// A [`Registry`] in memory.
pub struct MemoryRegistry {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    definitions: BTreeMap<(ConnectorId, String), Definition>,
    connections: BTreeMap<(TenantId, ConnectionName), ConnectionRecord>,
    streams: BTreeMap<StreamKey, Stream>,
    runs: BTreeMap<(TenantId, ConnectionName, RunId), RunRecord>,
    alerts: BTreeMap<(StreamKey, RunId, String, String), CompatAlert>,
    receipts: BTreeMap<(TenantId, RunId), serde_json::Value>,
    actions: BTreeMap<(TenantId, ConnectionName, String), ActionRecord>,
    tokens: BTreeMap<(TenantId, ConnectionName, String), Vec<u8>>,
    /// Who exchanges a token; what is dropped is free again.
    exchanging: BTreeMap<(TenantId, ConnectionName, String), Weak<()>>,
}

#[derive(Default)]
struct Stream {
    fence: u64,
    held: Option<Held>,
    state: StreamState,
    updated_at: Option<Timestamp>,
    moved_at: BTreeMap<PartitionId, Timestamp>,
    schemas: Vec<SchemaVersion>,
}

impl MemoryRegistry {
    /// An empty registry, whose leases expire by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, tables: Mutex::default() }
    }

    /// A poisoned lock means that a caller panicked between two calls of this file, each of which leaves
    /// the tables whole.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRegistry")
            .field("streams", &self.tables().streams.len())
            .finish_non_exhaustive()
    }
}

impl Tables {
    /// The stream, if the lease may write it.
    fn leased(&mut self, lease: &Lease) -> Result<&mut Stream> {
        let stream = self.streams.get_mut(&StreamKey::of(lease)).ok_or_else(|| fenced(lease, 0))?;
        rules::may_write(lease, stream.fence, stream.held.is_some())?;
        Ok(stream)
    }
}

#[async_trait]
impl Checkpoint for MemoryRegistry {
    async fn load(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        stream: &StreamId,
    ) -> Result<StreamState> {
        let key = StreamKey::new(tenant.clone(), connection.clone(), stream.clone());
        Ok(self.tables().streams.get(&key).map(|stream| stream.state.clone()).unwrap_or_default())
    }

    async fn checkpoint(&self, lease: &Lease, commits: &[Commit]) -> Result<()> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let stream = tables.leased(lease)?;
        // All or nothing: the copy takes the place of the original when every commit was accepted.
        let mut partitions = stream.state.partitions.clone();
        for (commit, cursor) in rules::to_write(stream.state.epoch, commits)? {
            let known =
                partitions.get(&commit.partition).map_or((0, 0), |known| (known.epoch, known.sequence));
            rules::check_forward(known, commit)?;
            let next =
                PartitionState { sequence: commit.sequence, epoch: commit.epoch, state: cursor.cloned() };
            partitions.insert(commit.partition.clone(), next);
        }
        stream.state.partitions = partitions;
        stream.moved_at.extend(commits.iter().map(|commit| (commit.partition.clone(), now)));
        Ok(())
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn define(&self, definition: &Definition) -> Result<()> {
        let key = (definition.connector.clone(), definition.version.clone());
        self.tables().definitions.insert(key, definition.clone());
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<Definition>> {
        Ok(self.tables().definitions.values().cloned().collect())
    }

    async fn put_connection(&self, connection: &ConnectionRecord) -> Result<()> {
        let key = (connection.tenant.clone(), connection.connection.clone());
        self.tables().connections.insert(key, connection.clone());
        Ok(())
    }

    async fn connections(&self, tenant: &TenantId) -> Result<Vec<ConnectionRecord>> {
        Ok(self.tables().connections.values().filter(|row| row.tenant == *tenant).cloned().collect())
    }

    async fn claim(&self, key: &StreamKey, owner: &str, lease: Duration) -> Result<Claim> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let stream = tables.streams.entry(key.clone()).or_default();
        let takeover = rules::may_claim(&key.stream, stream.held.as_ref(), now, || Ok(true))?;
        stream.fence += 1;
        stream.held = Some(Held { owner: owner.to_owned(), expires_at: now + lease });
        Ok(Claim { lease: key.lease(stream.fence, owner), takeover })
    }

    async fn renew(&self, lease: &Lease, extend: Duration) -> Result<()> {
        let expires_at = self.clock.now() + extend;
        let mut tables = self.tables();
        if let Some(held) = &mut tables.leased(lease)?.held {
            held.expires_at = expires_at;
        }
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        if let Ok(stream) = self.tables().leased(lease) {
            stream.held = None;
        }
        Ok(())
    }

    async fn fold(&self, lease: &Lease, fold: &Fold) -> Result<()> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let stream = tables.leased(lease)?;
        rules::check_fold(stream.state.generation, fold)?;
        for partition in &fold.forget {
            let known = stream.state.partitions.get(partition);
            let known = known.map(|known| (known.epoch, known.state.as_ref()));
            rules::check_forget(stream.state.epoch, partition, known)?;
        }
        for partition in &fold.forget {
            stream.state.partitions.remove(partition);
            stream.moved_at.remove(partition);
        }
        if fold.restart {
            stream.empty_cursors(now);
        }
        if let Some(state) = &fold.state {
            stream.state.state = Some(state.clone());
        }
        stream.state.generation = fold.generation;
        stream.updated_at = Some(now);
        Ok(())
    }

    async fn reset(&self, lease: &Lease) -> Result<()> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let stream = tables.leased(lease)?;
        stream.empty_cursors(now);
        stream.state.epoch += 1;
        stream.state.state = None;
        stream.updated_at = Some(now);
        Ok(())
    }

    async fn states(&self, tenant: &TenantId, connection: &ConnectionName) -> Result<Vec<StoredState>> {
        let tables = self.tables();
        let mine =
            tables.streams.iter().filter(|(key, _)| key.tenant == *tenant && key.connection == *connection);
        Ok(mine.map(|(key, stream)| stream.stored(&key.stream)).collect())
    }

    async fn start_run(&self, run: &RunRecord) -> Result<()> {
        let key = (run.tenant.clone(), run.connection.clone(), run.run.clone());
        self.tables().runs.insert(key, run.clone());
        Ok(())
    }

    async fn finish_run(&self, run: &RunRecord) -> Result<()> {
        self.start_run(run).await
    }

    async fn runs(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<RunRecord>> {
        let mut runs: Vec<RunRecord> = self.tables().runs.values().cloned().collect();
        runs.retain(|run| run.tenant == *tenant && run.connection == *connection);
        runs.sort_by(|a, b| (b.started_at, &b.run).cmp(&(a.started_at, &a.run)));
        runs.truncate(limit);
        Ok(runs)
    }

    async fn schema(&self, key: &StreamKey) -> Result<Option<SchemaVersion>> {
        let tables = self.tables();
        let schemas = tables.streams.get(key).into_iter().flat_map(|stream| &stream.schemas);
        Ok(schemas.max_by_key(|schema| schema.version).cloned())
    }

    async fn add_schema(&self, lease: &Lease, schema: &SchemaVersion) -> Result<()> {
        let mut tables = self.tables();
        let stream = tables.leased(lease)?;
        match stream.schemas.iter().find(|known| known.version == schema.version) {
            None => stream.schemas.push(schema.clone()),
            Some(known) => rules::check_same_schema(&known.fingerprint, schema)?,
        }
        Ok(())
    }

    async fn alert(&self, alert: &CompatAlert) -> Result<()> {
        let stream = StreamKey::new(alert.tenant.clone(), alert.connection.clone(), alert.stream.clone());
        let key = (stream, alert.run.clone(), alert.field.clone(), alert.change.clone());
        self.tables().alerts.entry(key).or_insert_with(|| alert.clone());
        Ok(())
    }

    async fn alerts(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<CompatAlert>> {
        let mut alerts: Vec<CompatAlert> = self.tables().alerts.values().cloned().collect();
        alerts.retain(|alert| alert.tenant == *tenant && alert.connection == *connection);
        // Stable, so that alerts of one instant stay in the order of stream, run, field and change.
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
        alerts.truncate(limit);
        Ok(alerts)
    }

    async fn put_receipt(&self, tenant: &TenantId, run: &RunId, receipt: &serde_json::Value) -> Result<()> {
        self.tables().receipts.insert((tenant.clone(), run.clone()), receipt.clone());
        Ok(())
    }

    async fn receipt(&self, tenant: &TenantId, run: &RunId) -> Result<Option<serde_json::Value>> {
        Ok(self.tables().receipts.get(&(tenant.clone(), run.clone())).cloned())
    }

    async fn begin_action(&self, action: &ActionRecord) -> Result<Option<ActionRecord>> {
        let mut tables = self.tables();
        let known = tables.actions.get(&action.key()).cloned();
        if known.is_none() {
            tables.actions.insert(action.key(), action.clone());
        }
        Ok(known)
    }

    async fn finish_action(&self, action: &ActionRecord) -> Result<()> {
        match self.tables().actions.get_mut(&action.key()) {
            None => Err(rules::never_intended(action)),
            Some(known) => {
                known.status.clone_from(&action.status);
                known.answer.clone_from(&action.answer);
                known.finished_at = action.finished_at;
                Ok(())
            }
        }
    }

    async fn put_token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
        sealed: &[u8],
    ) -> Result<()> {
        let key = (tenant.clone(), connection.clone(), name.to_owned());
        self.tables().tokens.insert(key, sealed.to_vec());
        Ok(())
    }

    async fn token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<Option<Vec<u8>>> {
        let key = (tenant.clone(), connection.clone(), name.to_owned());
        Ok(self.tables().tokens.get(&key).cloned())
    }

    async fn try_lock_token(
        &self,
        tenant: &TenantId,
        connection: &ConnectionName,
        name: &str,
    ) -> Result<TokenLock> {
        let mut tables = self.tables();
        let holder =
            tables.exchanging.entry((tenant.clone(), connection.clone(), name.to_owned())).or_default();
        if holder.strong_count() > 0 {
            return Ok(TokenLock::Busy);
        }
        let held = Arc::new(());
        *holder = Arc::downgrade(&held);
        Ok(TokenLock::Held(Box::new(held)))
    }
}

impl Stream {
    /// Sequences and epochs stay: what stands in Bronze does not change.
    fn empty_cursors(&mut self, now: Timestamp) {
        for (partition, known) in &mut self.state.partitions {
            known.state = None;
            self.moved_at.insert(partition.clone(), now);
        }
    }

    fn stored(&self, stream: &StreamId) -> StoredState {
        let own = self.updated_at.map(|at| (None, at));
        let partitions = self.moved_at.iter().map(|(partition, at)| (Some(partition.clone()), *at));
        StoredState {
            stream: stream.clone(),
            state: self.state.clone(),
            updated_at: own.into_iter().chain(partitions).collect(),
        }
    }
}

impl ActionRecord {
    fn key(&self) -> (TenantId, ConnectionName, String) {
        (self.tenant.clone(), self.connection.clone(), self.key.clone())
    }
}
