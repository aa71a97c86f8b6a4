//! The org: its state, and the server that shows it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::fault::{Connection, Faults, Listener, Open};

use super::builder::{Builder, Settings};
use super::bulk::Jobs;
use super::clock::OrgClock;
use super::cursor::Cursors;
use super::dml::Refusals;
use super::grants::Grants;
use super::ingest::Loads;
use super::log::Log;
use super::replication::Replication;
use super::schema::Object;
use super::server;
use super::table::Table;

/// The tables and the cursors over them.
#[derive(Debug, Default)]
pub(super) struct Data {
    tables: BTreeMap<String, Table>,
    pub(super) cursors: Cursors,
    /// Milliseconds until a write can be seen by queries.
    pub(super) visibility_delay: i64,
    pub(super) replication: Replication,
    /// Records that the next writes are refused for.
    pub(super) refusals: Refusals,
    /// Bulk API 2.0 jobs that write.
    pub(super) ingest: Loads,
    /// Queries that the org finds too much.
    pub(super) too_much: TooMuch,
}

/// What the org refuses in a query for rows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TooMuch {
    /// More rows than these, with this code.
    pub(super) rows: Option<(usize, &'static str)>,
    /// More fields than these.
    pub(super) fields: Option<usize>,
}

impl Data {
    pub(super) fn add(&mut self, table: Table) {
        self.tables.insert(table.object.name.to_lowercase(), table);
    }

    /// The table of an object, whatever the case of its name.
    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(&name.to_lowercase())
    }

    pub(super) fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.get_mut(&name.to_lowercase())
    }

    pub(super) fn object(&self, name: &str) -> Option<Arc<Object>> {
        self.table(name).map(|table| Arc::clone(&table.object))
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.tables.values().map(|table| table.object.as_ref())
    }

    /// Purges the logs of deletions.
    pub(super) fn forget_deletions_before(&mut self, millis: i64) {
        self.tables.values_mut().for_each(|table| table.forget_deletions_before(millis));
    }

    /// The tables as they are, for a transaction that may be taken back.
    pub(super) fn tables(&self) -> BTreeMap<String, Table> {
        self.tables.clone()
    }

    /// Takes a transaction back.
    pub(super) fn roll_back(&mut self, tables: BTreeMap<String, Table>) {
        self.tables = tables;
    }

    /// Shows writes that are due.
    pub(super) fn settle(&mut self, now: i64) {
        self.tables.values_mut().for_each(|table| table.settle(now));
    }
}

/// Everything a handler may look at.
#[derive(Debug)]
pub(super) struct Org {
    /// Where the org is reached, without a slash at the end; also its `instance_url`.
    pub(super) url: String,
    /// What a client is told to go to instead, when something stands in front.
    pub(super) front: Mutex<Option<String>>,
    pub(super) settings: Settings,
    pub(super) clock: OrgClock,
    pub(super) log: Log,
    pub(super) faults: Faults,
    /// Calls behind the gate that have not been answered yet.
    pub(super) running: Arc<AtomicUsize>,
    data: Mutex<Data>,
    grants: Mutex<Grants>,
    bulk: Mutex<Jobs>,
    used: AtomicU64,
    daily: AtomicU64,
}

impl Org {
    /// Where a token says that requests go.
    pub(super) fn instance_url(&self) -> String {
        let front = self.front.lock().unwrap_or_else(PoisonError::into_inner);
        front.clone().unwrap_or_else(|| self.url.clone())
    }

    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bulk(&self) -> MutexGuard<'_, Jobs> {
        self.bulk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// API calls counted today, and the limit.
    pub(super) fn usage(&self) -> (u64, u64) {
        (self.used.load(Ordering::Acquire), self.daily.load(Ordering::Acquire))
    }

    pub(super) fn count_call(&self) {
        self.used.fetch_add(1, Ordering::AcqRel);
        self.log.count(|counters| counters.api_calls += 1);
    }

    pub(super) fn set_usage(&self, used: u64, daily: u64) {
        self.used.store(used, Ordering::Release);
        self.daily.store(daily, Ordering::Release);
    }
}

/// A fake Salesforce org that is being served. Dropping it stops the server and closes its connections.
pub struct FakeOrg {
    pub(super) org: Arc<Org>,
    address: SocketAddr,
    open: Arc<Open>,
    task: JoinHandle<()>,
}

impl fmt::Debug for FakeOrg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeOrg").field("url", &self.org.url).finish_non_exhaustive()
    }
}

impl FakeOrg {
    /// Begins an org.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it is reached: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.org.url
    }

    /// From now on tokens say that requests go there: a proxy stands in front.
    pub fn stands_behind(&self, url: impl Into<String>) {
        *self.org.front.lock().unwrap_or_else(PoisonError::into_inner) = Some(url.into());
    }

    /// Where the server itself listens, for what stands in front of it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server and waits until its last connection is gone.
    pub async fn shutdown(self) {
        self.task.abort();
        self.open.close_all();
        self.open.drained().await;
    }

    /// Makes the data and serves them.
    pub(super) async fn start(settings: Settings) -> io::Result<Self> {
        let listener = Listener::bind(settings.port).await?;
        let address = listener.address()?;
        let url = format!("http://{address}");
        let clock = OrgClock::new(settings.clock.clone(), settings.clock_offset);
        let data = settings.data(clock.stamp())?;
        let sign_in = &settings.sign_in;
        let grants = Grants::new(settings.seed, sign_in.rotate_refresh_tokens, sign_in.requests_per_token);
        let org = Arc::new(Org {
            url,
            front: Mutex::default(),
            clock,
            log: Log::default(),
            faults: Faults::default(),
            running: Arc::default(),
            data: Mutex::new(data),
            grants: Mutex::new(grants),
            bulk: Mutex::new(Jobs::new(settings.bulk.clone())),
            used: AtomicU64::new(0),
            daily: AtomicU64::new(settings.limits.daily),
            settings,
        });
        let open = listener.open_connections();
        let app = server::router(Arc::clone(&org)).into_make_service_with_connect_info::<Connection>();
        let task = tokio::spawn(async move {
            // Serving ends only with the task: accept errors are retried inside.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { org, address, open, task })
    }
}

impl Drop for FakeOrg {
    fn drop(&mut self) {
        self.task.abort();
        self.open.close_all();
    }
}
