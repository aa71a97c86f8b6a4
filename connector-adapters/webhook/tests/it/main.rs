//! The receiver and the sender, from outside.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test that fails panics")]

mod documented;
mod receiver;
mod sender;
