//! What the org remembers of the requests it got: never a header, never a body.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests that are remembered; older ones are forgotten so that a long run does not grow.
const KEPT: usize = 20_000;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Running number from 1, in the order of arrival.
    pub number: u64,
    /// Method in capitals.
    pub method: String,
    /// Path as it came.
    pub path: String,
    /// Query string with percent-encoding undone; empty without one.
    pub query: String,
    /// Bytes of address and headers, as the front end counts them.
    pub head_bytes: usize,
    /// Status of the answer; none while there is none yet, or when the connection went down before.
    pub status: Option<u16>,
    /// When it arrived, by the org's clock, in milliseconds since the epoch.
    pub at: i64,
    /// Whether it came with a session the org knows, and got past the gate with it.
    pub authorised: bool,
    /// The scripted fault that happened to it.
    pub fault: Option<&'static str>,
}

/// Totals since the org started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// HTTP requests of any kind.
    pub requests: u64,
    /// Sign-ins and refreshes that gave a token.
    pub tokens: u64,
    /// Queries that were run (first pages).
    pub queries: u64,
    /// Pages of records that were rendered, first pages included.
    pub pages: u64,
    /// Records in those pages.
    pub records: u64,
    /// Calls that were counted against the daily limit.
    pub api_calls: u64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    kept: VecDeque<LoggedRequest>,
    counters: Counters,
}

impl Log {
    /// Notes a request; the number goes to the other methods.
    pub(super) fn open(&self, mut request: LoggedRequest) -> u64 {
        let mut inner = self.lock();
        inner.counters.requests += 1;
        request.number = inner.counters.requests;
        let number = request.number;
        if inner.kept.len() == KEPT {
            inner.kept.pop_front();
        }
        inner.kept.push_back(request);
        number
    }

    pub(super) fn update(&self, number: u64, change: impl FnOnce(&mut LoggedRequest)) {
        let mut inner = self.lock();
        let first = inner.kept.front().map_or(0, |request| request.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| inner.kept.get_mut(index)) {
            change(request);
        }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.lock().counters);
    }

    pub(super) fn counters(&self) -> Counters {
        self.lock().counters
    }

    pub(super) fn requests(&self) -> Vec<LoggedRequest> {
        self.lock().kept.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
