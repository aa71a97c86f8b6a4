//! The testkit's own behaviour, over the same wire that connectors use.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails panics, and one that is skipped says so"
)]

mod conformance;
mod faults;
mod history;
mod mail;
mod run;
mod salesforce_org;
mod slack;
mod spec;
mod sweep;
mod tidy;
mod vendor;
mod webhook;
mod wiremock;
