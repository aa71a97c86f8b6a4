//! What each layer of one client has done.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use super::durations::Durations;

/// A number that only grows, and that anybody may read at any time.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

/// What the layers of one stack have done since it was built, outermost first. The host's
/// [`Counters`](crate::Counters) add up all stacks of a run.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StackCounters {
    /// Operation: requests that a connector asked for.
    pub operations: Counter,
    /// Operation: those that failed in the end.
    pub failed: Counter,
    /// Deadline: operations that it cut off.
    pub overdue: Counter,
    /// Retry: attempts after the first.
    pub retries: Counter,
    /// Retry: milliseconds waited between attempts.
    pub waited_millis: Counter,
    /// Retry: failures that might have gone away, given up for want of attempts or time.
    pub given_up: Counter,
    /// Retry: writes of which nobody knows whether they happened.
    pub ambiguous: Counter,
    /// Breaker: attempts that it refused.
    pub refused: Counter,
    /// Rate: attempts that a quota sent back to wait.
    pub held_back: Counter,
    /// Auth: requests repeated with a renewed token.
    pub replays: Counter,
    /// Faults: answers that were failures.
    pub faults: Counter,
    /// Faults: answers that asked to slow down.
    pub throttled: Counter,
    /// Attempt: attempts that were not answered in time.
    pub timeouts: Counter,
    /// Transport: requests sent.
    pub requests: Counter,
    /// Transport: connections that could not be made.
    pub unreachable: Counter,
    /// Transport: bodies that broke off.
    pub truncated: Counter,
    /// Transport: bytes of bodies received, as sent over the wire.
    pub received_bytes: Counter,
    /// Attempt: how long they took.
    pub(super) durations: Durations,
}
