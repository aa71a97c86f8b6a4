//! Method `email/smtp`: sends mail.
//!
//! ```text
//!  actions ─ compose ─ (dkim) ─▶ deliver ─▶ session ─▶ transaction ─▶ a fate for each recipient
//!                                   └── again, for who was put off ──┘
//! ```

mod actions;
mod address;
mod alert;
mod compose;
mod config;
mod connector;
mod deliver;
mod dkim;
mod ehlo;
mod fault;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod gate;
mod input;
mod ledger;
mod manifest;
mod reply;
mod session;
mod transaction;
mod wire;

use connector_sdk::{Context, Factory, contract::TypedFactory};

pub use self::{
    address::{AddressFields, AddressText},
    config::SmtpConfig,
    connector::Smtp,
    dkim::DkimConfig,
};
use crate::auth;

pub(crate) fn factory() -> impl Factory {
    TypedFactory::new(manifest::smtp(), |config: SmtpConfig, cx: &Context| Smtp::connect(&config, cx))
        .with_sign_in(|config, cx| {
            let settings = config.check(cx.network())?;
            match &config.auth {
                Some(auth) => auth::sign_in(auth, settings.vendor, cx),
                None => Ok(None),
            }
        })
}
