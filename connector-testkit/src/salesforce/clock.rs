//! The org's own clock: what it stamps rows and answers with. A vendor's clock is never the client's.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the time comes from before the offset is added.
#[derive(Clone)]
pub(super) enum Source {
    /// The machine's clock.
    Machine,
    /// Somebody else's clock, in milliseconds since the epoch: a test's manual one.
    Other(Arc<dyn Fn() -> i64 + Send + Sync>),
    /// Stands still, in milliseconds since the epoch.
    Fixed(i64),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("Machine"),
            Self::Other(_) => f.write_str("Other"),
            Self::Fixed(now) => write!(f, "Fixed({now})"),
        }
    }
}

#[derive(Debug)]
pub(super) struct OrgClock {
    state: Mutex<(Source, i64)>,
}

impl OrgClock {
    pub(super) fn new(source: Source, offset: i64) -> Self {
        Self { state: Mutex::new((source, offset)) }
    }

    /// Milliseconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1
            + match &state.0 {
                Source::Machine => machine(),
                Source::Other(read) => read(),
                Source::Fixed(now) => *now,
            }
    }

    /// The same in whole seconds: Salesforce keeps no fraction in the times it stamps rows with.
    pub(super) fn stamp(&self) -> i64 {
        let now = self.now();
        now - now.rem_euclid(1000)
    }

    /// From now on it stands still at this time.
    pub(super) fn set(&self, now: i64) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (Source::Fixed(now), 0);
    }

    pub(super) fn advance(&self, by: Duration) {
        self.skew(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Forward or back.
    pub(super) fn skew(&self, millis: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = state.1.saturating_add(millis);
    }
}

#[allow(clippy::disallowed_methods, reason = "a vendor's server has a clock of its own")]
fn machine() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
