//! The fake Salesforce org, asked over HTTP as a client asks.

mod approving;
mod bulk;
mod changing;
mod client;
mod describing;
mod faults;
mod front;
mod paging;
mod program;
mod querying;
mod replication;
mod signing_in;

pub(crate) use client::{Answer, Client, within};
