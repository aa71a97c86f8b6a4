//! What the tests stand on: a clock moved by hand, a scripted service in place of the transport, and a
//! server of raw bytes on loopback.

pub(crate) mod clock;
pub(crate) mod script;
pub(crate) mod server;

use std::sync::{Arc, Mutex};

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
