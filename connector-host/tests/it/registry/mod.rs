//! What every registry must do, on both of them; and what only files and processes can show.

mod agreement;
mod contract;
mod files;
mod journal;
mod processes;
mod tokens;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use connector_host::registry::{MemoryRegistry, Registry, SqliteRegistry, StreamKey};
use connector_sdk::{
    Clock, Error, PartitionId, State, SystemClock, Timestamp,
    clock::timeout,
    contract::{Commit, Lease},
    record::Tally,
};
use futures_util::future::BoxFuture;

/// How long a lease lasts in these tests.
const LEASE: Duration = Duration::from_secs(30);

/// A clock that stands still until it is told.
#[derive(Debug)]
struct TestClock(AtomicI64);

impl TestClock {
    fn at(millis: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(millis)))
    }

    fn advance(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// A registry, its clock, and the folder it lies in.
struct Bench {
    registry: Arc<dyn Registry>,
    clock: Arc<TestClock>,
    _folder: Option<tempfile::TempDir>,
}

impl Bench {
    fn memory() -> Self {
        let clock = TestClock::at(1_000_000);
        Self { registry: Arc::new(MemoryRegistry::new(clock.clone())), clock, _folder: None }
    }

    async fn sqlite() -> Self {
        let clock = TestClock::at(1_000_000);
        let folder = tempfile::tempdir().unwrap();
        let registry = SqliteRegistry::open(folder.path().join("r.db"), clock.clone()).await.unwrap();
        Self { registry: Arc::new(registry), clock, _folder: Some(folder) }
    }

    /// Claims the stream, which is free.
    async fn claim(&self, stream: &str) -> Lease {
        self.registry.claim(&key(stream), "the first run", LEASE).await.unwrap().lease
    }

    async fn load(&self, stream: &str) -> connector_sdk::StreamState {
        let key = key(stream);
        self.registry.load(&key.tenant, &key.connection, &key.stream).await.unwrap()
    }
}

/// Runs each test on both registries, within a deadline.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $name() {
                super::super::in_time(super::$name(super::super::Bench::memory())).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() {
                super::super::in_time(async { super::$name(super::super::Bench::sqlite().await).await }).await;
            })*
        }
    };
}
use on_both;

async fn in_time<T>(test: impl Future<Output = T>) -> T {
    timeout(&SystemClock::new(), Duration::from_secs(120), test).await.expect("the test is done in time")
}

fn key(stream: &str) -> StreamKey {
    StreamKey::new("acme", "acme-crm", stream)
}

/// A commit of epoch 0 whose cursor is its sequence.
fn commit(partition: &str, sequence: u64) -> Commit {
    Commit {
        partition: partition.into(),
        epoch: 0,
        generation: 0,
        sequence,
        tally: Tally::default(),
        state: cursor(sequence),
    }
}

fn cursor(n: u64) -> State {
    State::encode(1, &n).unwrap()
}

fn context(error: &Error, name: &str) -> Option<String> {
    error.context().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// Partition, epoch, sequence, cursor.
fn standing(state: &connector_sdk::StreamState) -> Vec<(PartitionId, u64, u64, Option<String>)> {
    let row = |(id, known): (&PartitionId, &connector_sdk::state::PartitionState)| {
        let cursor = known.state.as_ref().map(|state| state.cursor().get().to_owned());
        (id.clone(), known.epoch, known.sequence, cursor)
    };
    state.partitions.iter().map(row).collect()
}
