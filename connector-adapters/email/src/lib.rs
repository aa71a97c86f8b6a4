#![doc = include_str!("../README.md")]

mod admission;
mod auth;
mod config;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod imap;
pub mod mime;
mod sasl;
mod smtp;

use connector_sdk::Factory;

pub use config::{Auth, Grant, Oauth, PasswordAuth, Profile, Tls, TokenAuth};
pub use imap::{After, Attachments, Imap, ImapConfig};
pub use smtp::{AddressFields, AddressText, DkimConfig, Smtp, SmtpConfig};

/// Mailboxes, read by IMAP: what a host registers as `email/imap`.
///
/// ```
/// use connector_sdk::{Context, Factory};
/// use serde_json::value::RawValue;
///
/// let factory = connector_email::imap();
/// assert_eq!(factory.manifest().id().as_str(), "email/imap");
///
/// let config = r#"{ "host": "imap.example.com", "auth": { "password": { "username": "u", "password": "…" } } }"#;
/// let config = RawValue::from_string(config.into()).unwrap();
/// let connector = factory.connect(&config, &Context::builder("acme", "acme-mail").build());
/// assert!(connector.is_ok());
/// ```
pub fn imap() -> impl Factory {
    imap::factory()
}

#[doc = include_str!("smtp/README.md")]
///
/// ```
/// use connector_sdk::Factory;
/// assert_eq!(connector_email::smtp().manifest().id().as_str(), "email/smtp");
/// ```
pub fn smtp() -> impl Factory {
    smtp::factory()
}
