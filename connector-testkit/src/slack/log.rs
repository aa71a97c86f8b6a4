//! What the workspace remembers of the requests it got: never a header, no secret, no bytes of an upload.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests that are remembered; older ones are forgotten so that a long run does not grow.
const KEPT: usize = 50_000;
/// Arguments whose value is not written down.
const HIDDEN: &[&str] = &["token", "client_secret", "refresh_token", "code", "code_verifier"];

/// Whose token a request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// None, or one the workspace never gave out.
    Unknown,
    /// A bot's, `xoxb-` or `xoxe.xoxb-`.
    Bot,
    /// A user's, `xoxp-` or `xoxe.xoxp-`.
    User,
    /// The app's own, `xapp-`.
    App,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Running number from 1, in the order of arrival.
    pub number: u64,
    /// HTTP method in capitals.
    pub method: String,
    /// Path as it came.
    pub path: String,
    /// Name of the Web API method: the last part of the path.
    pub api: String,
    /// Arguments of query, form and JSON body together, decoded, in the order of their names. Values of JSON that
    /// are no text stand as JSON.
    pub arguments: Vec<(String, String)>,
    /// Status of the answer; none while there is none yet, or when the connection went down before.
    pub status: Option<u16>,
    /// `error` of the answer, where `ok` was false.
    pub error: Option<String>,
    /// When it arrived, by the workspace's clock, in milliseconds since the epoch.
    pub at: i64,
    /// Whose token it carried.
    pub token: TokenKind,
    /// The scripted fault that happened to it.
    pub fault: Option<&'static str>,
}

impl LoggedRequest {
    /// The value of an argument.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find(|(argument, _)| argument == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
pub(super) struct Log(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    kept: VecDeque<LoggedRequest>,
    count: u64,
}

impl Log {
    /// Notes a request; the number goes to [`Log::update`].
    pub(super) fn open(&self, mut request: LoggedRequest) -> u64 {
        for (name, value) in &mut request.arguments {
            if HIDDEN.contains(&name.as_str()) {
                "…".clone_into(value);
            }
        }
        let mut inner = self.lock();
        inner.count += 1;
        request.number = inner.count;
        if inner.kept.len() == KEPT {
            inner.kept.pop_front();
        }
        inner.kept.push_back(request);
        inner.count
    }

    pub(super) fn update(&self, number: u64, change: impl FnOnce(&mut LoggedRequest)) {
        let mut inner = self.lock();
        let first = inner.kept.front().map_or(0, |request| request.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| inner.kept.get_mut(index)) {
            change(request);
        }
    }

    pub(super) fn requests(&self) -> Vec<LoggedRequest> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
