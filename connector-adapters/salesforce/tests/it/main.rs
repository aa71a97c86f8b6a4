//! The connector against a fake org, over HTTP.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test that fails panics")]

mod acting;
mod bulk;
mod choosing;
mod collecting;
mod complaints;
mod conformance;
mod crashing;
mod deletions;
mod discovering;
mod faults;
mod full;
mod host;
mod incremental;
mod ingesting;
mod limits;
mod misbehaving;
mod narrowing;
mod querying;
mod recorded;
mod signing_in;
mod skipping;
mod wide;
mod writing;
