//! What the tests stand on: a clock moved by hand, a scripted service in place of the transport, and a
//! server of raw bytes on loopback.

pub(crate) mod clock;
pub(crate) mod script;
pub(crate) mod server;

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What happened, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.entries().iter().filter(|entry| entry.contains(what)).count()
    }
}

/// What does not come soon does not come: a test fails, and does not hang.
#[allow(clippy::disallowed_methods, reason = "the machine's own time bounds a test whose clock stands still")]
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("this should have happened long ago")
}

/// Waits until something is so, while other tasks go on.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    soon(waiting).await;
}
