//! A clock that stands still until a test moves it.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, Weak},
    task::Poll,
    time::Duration,
};

use connector_sdk::{Clock, Timestamp};
use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use super::Log;

/// 2026-01-31T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::from_millis(1_769_860_800_000);

#[derive(Debug, Default)]
pub(crate) struct ManualClock {
    state: Mutex<State>,
    pub(crate) log: Log,
    me: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    sleepers: Vec<(Duration, oneshot::Sender<()>)>,
}

impl ManualClock {
    pub(crate) fn new(log: Log) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { state: Mutex::default(), log, me: me.clone() })
    }

    /// Moves on, waking who has slept enough.
    pub(crate) fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap();
        state.now += by;
        let now = state.now;
        for (_, sleeper) in state.sleepers.extract_if(.., |(at, _)| *at <= now) {
            let _ = sleeper.send(());
        }
    }

    /// Moves on to when the next sleeper wakes.
    pub(crate) fn skip(&self) {
        if let Some(left) = self.next() {
            self.advance(left);
        }
    }

    /// How many wait on it.
    pub(crate) fn sleepers(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.sleepers.retain(|(_, sleeper)| !sleeper.is_closed());
        state.sleepers.len()
    }

    fn next(&self) -> Option<Duration> {
        self.sleepers();
        let state = self.state.lock().unwrap();
        state.sleepers.iter().map(|(at, _)| at.saturating_sub(state.now)).min()
    }

    /// Runs a future that waits for nothing but this clock, moving on whenever it waits.
    pub(crate) async fn run<F: Future>(&self, future: F) -> F::Output {
        // Unconstrained: a future that tokio makes wait because it has done much is not one that waits for
        // the clock.
        let mut future = pin!(tokio::task::unconstrained(future));
        for _ in 0..10_000 {
            if let Poll::Ready(output) = futures_util::poll!(&mut future) {
                return output;
            }
            match self.next() {
                Some(left) => self.advance(left),
                None => tokio::task::yield_now().await,
            }
        }
        panic!("it waits for something that the clock does not bring");
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        NOON + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.log.push(format!("sleep {duration:?}"));
        let (sleeper, woken) = oneshot::channel();
        let mut state = self.state.lock().unwrap();
        let at = state.now + duration;
        state.sleepers.push((at, sleeper));
        // The clock lives at least as long as who sleeps by it.
        let clock = self.me.upgrade();
        woken.map(move |_| drop(clock)).boxed()
    }
}
