//! Bronze as its hosts and its readers see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod crash;
mod disk_faults;
mod failed;
mod fencing;
mod fold;
mod names;
mod round_trip;
mod rules;
mod support;
mod typed;
