//! The connector against real servers, and against servers that do what real ones will not.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test that fails panics")]

mod imap;
mod mime;
mod smtp;
