//! The fake Slack workspace, asked over HTTP as a client asks.

mod client;
mod reading;

pub(crate) use client::{Answer, Client, within};
