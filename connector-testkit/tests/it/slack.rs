//! The fake Slack workspace, asked over HTTP as a client asks.

mod client;
mod events;
mod fixtures;
mod paging;
mod reading;
mod refusing;
mod signing_in;
mod sockets;
mod writing;

pub(crate) use client::{Answer, Client, builder, within};
