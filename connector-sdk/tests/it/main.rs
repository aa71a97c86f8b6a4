//! What the HTTP stack and the token sources promise, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod auth;
mod http;
mod support;
mod vault;
