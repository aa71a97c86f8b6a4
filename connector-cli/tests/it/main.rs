//! The binary, from outside: what scripts and people rely on.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod author;
mod crash;
mod desk;
mod events;
mod full;
mod hooks;
mod known;
mod login;
mod mail;
mod mail_crash;
mod mistakes;
mod new;
mod queue;
mod run;
mod secrets;
