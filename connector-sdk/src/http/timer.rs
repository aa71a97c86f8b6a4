//! A limit in time on a future that is polled by hand.

use std::{
    fmt,
    task::{self, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;

use crate::Clock;

/// Ends at a reading of the monotonic clock. It takes nothing from the clock before it is polled, so
/// an answer that is there at once costs no timer.
pub(super) struct Timer {
    ends_at: Duration,
    sleep: Option<BoxFuture<'static, ()>>,
}

impl Timer {
    pub(super) fn new(ends_at: Duration) -> Self {
        Self { ends_at, sleep: None }
    }

    /// Ends later. A sleep that has begun goes on; the rest is slept when it ends.
    pub(super) fn postpone(&mut self, ends_at: Duration) {
        self.ends_at = ends_at;
    }

    /// Ready when the time has come.
    pub(super) fn poll(&mut self, clock: &dyn Clock, task: &mut task::Context<'_>) -> Poll<()> {
        loop {
            if self.sleep.is_none() {
                let left = self.ends_at.saturating_sub(clock.monotonic());
                if left.is_zero() {
                    return Poll::Ready(());
                }
                self.sleep = Some(clock.sleep(left));
            }
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(task));
                self.sleep = None;
            }
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timer({:?})", self.ends_at)
    }
}
