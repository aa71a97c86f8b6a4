//! The journal, the listener and the schemes, from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod journal;
mod journal_disk;
mod listening;
mod schemes;
mod signatures;
mod support;
