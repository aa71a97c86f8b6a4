//! Method `email/imap`: reads mailboxes.

mod account;
mod after;
mod capability;
mod catalog;
mod command;
mod config;
mod connector;
mod cost;
mod date;
mod fault;
mod fetch;
mod flags;
mod idle;
mod listing;
mod mailbox;
mod manifest;
mod messages;
mod plan;
mod position;
mod retry;
mod select;
mod session;
mod uids;
mod utf7;
pub(crate) mod wire;

use connector_sdk::{Context, Factory, contract::TypedFactory};

#[cfg(fuzzing)]
pub(crate) use self::wire::fuzz;
pub use self::{
    config::{After, Attachments, ImapConfig},
    connector::Imap,
};
use crate::auth;

pub(crate) fn factory() -> impl Factory {
    TypedFactory::new(manifest::manifest(), |config: ImapConfig, cx: &Context| Imap::connect(&config, cx))
        .with_sign_in(|config, cx| {
            let settings = config.check(cx.network())?;
            auth::sign_in(&config.auth, settings.vendor.oauth(), cx)
        })
}
