//! A clock that stands still until a test moves it.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use connector_sdk::{Clock, Timestamp};
use futures_util::future::BoxFuture;

/// A [`Clock`] that a test drives: a day passes in a millisecond, and only when the test says so.
///
/// ```
/// use connector_sdk::{Clock, Timestamp};
/// use connector_testkit::clock::ManualClock;
/// use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap());
/// let nap = tokio::spawn(clock.sleep(Duration::from_secs(3600)));
/// tokio::task::yield_now().await;
/// clock.advance(Duration::from_secs(3600));
/// nap.await.unwrap();
/// assert_eq!(clock.now().to_string(), "2026-01-31T13:00:00.000Z");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    start: Timestamp,
    passed: Duration,
    next_id: u64,
    /// Who waits, by when it is due.
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl ManualClock {
    /// A clock that stands at this instant.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            start,
            passed: Duration::ZERO,
            next_id: 0,
            sleepers: BTreeMap::new(),
        })))
    }

    /// The same, shared as a host wants it.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Clock> {
        Arc::new(self.clone())
    }

    /// Moves the clock, and wakes who is due.
    pub fn advance(&self, by: Duration) {
        let due = {
            let mut inner = self.lock();
            inner.passed += by;
            let passed = inner.passed;
            let later = inner.sleepers.split_off(&(passed, u64::MAX));
            std::mem::replace(&mut inner.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Moves the clock to when the next sleeper is due, if anybody sleeps. Answers by how much.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let by = {
            let inner = self.lock();
            let ((due, _), _) = inner.sleepers.first_key_value()?;
            due.saturating_sub(inner.passed)
        };
        self.advance(by);
        Some(by)
    }

    /// How many futures sleep on it.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let inner = self.lock();
        inner.start + inner.passed
    }

    fn monotonic(&self) -> Duration {
        self.lock().passed
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut inner = self.lock();
        inner.next_id += 1;
        let key = (inner.passed + duration, inner.next_id);
        Box::pin(Sleep { clock: self.clone(), key })
    }
}

struct Sleep {
    clock: ManualClock,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.lock();
        if inner.passed >= self.key.0 {
            inner.sleepers.remove(&self.key);
            return Poll::Ready(());
        }
        inner.sleepers.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.key);
    }
}

/// A [`Clock`] that runs twenty times as fast as the wall's: a minute takes three seconds. For tests that talk to
/// servers, where nobody knows when to move a clock by hand.
///
/// Limits in time have to be as many times as long as by the wall's clock, or they end what is merely slow. It is
/// no faster, because some limits stand fast: an exchange of a token has a minute, three seconds by the wall's.
///
/// ```
/// use connector_sdk::Clock;
/// use connector_testkit::clock::FastClock;
/// use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let clock = FastClock::shared();
/// let before = clock.monotonic();
/// clock.sleep(Duration::from_secs(1)).await; // fifty milliseconds
/// assert!(clock.monotonic() - before >= Duration::from_secs(1));
/// # }
/// ```
#[derive(Debug)]
pub struct FastClock(Arc<dyn Clock>);

impl FastClock {
    /// How many times as fast.
    pub const SPEED: u32 = 20;

    /// A clock that begins to run now, on 2027-02-01, half a month after the data of the fakes.
    #[must_use]
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self(connector_sdk::clock::SystemClock::shared()))
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_801_440_000_000) + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() * Self::SPEED
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Rounded up: whoever slept has slept enough.
        self.0.sleep(duration / Self::SPEED + Duration::from_nanos(1))
    }
}
