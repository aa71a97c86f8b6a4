//! The connector against a fake workspace, over HTTP.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test that fails panics")]

mod acting;
mod complaints;
mod conformance;
mod crashing;
mod events;
mod faults;
mod host;
mod lists;
mod messages;
mod recorded;
mod signing_in;
