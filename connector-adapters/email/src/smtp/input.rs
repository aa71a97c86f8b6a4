//! What the actions take and give.

use std::fmt;

use connector_sdk::{Class, Error};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::{AddressList, AddressText};

/// Input of `send`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Send {
    /// Who it is from. Default: the connection's `from`.
    pub(crate) from: Option<AddressText>,
    /// Who it is to.
    pub(crate) to: AddressList,
    /// Who gets a copy.
    pub(crate) cc: AddressList,
    /// Who gets a copy that nobody else sees: these stand in no header.
    pub(crate) bcc: AddressList,
    /// Where answers go.
    pub(crate) reply_to: AddressList,
    /// What it is about.
    pub(crate) subject: String,
    /// Its text.
    pub(crate) text: Option<String>,
    /// The same as HTML. With both, a reader shows the one it can.
    pub(crate) html: Option<String>,
    /// More headers, in order. Those that have a field of their own may not stand here.
    pub(crate) headers: Vec<Header>,
    /// Its Message-ID, without the angle brackets or with them. Default: drawn from the idempotency key, else by chance.
    pub(crate) message_id: Option<String>,
    /// The Message-ID that it answers.
    pub(crate) in_reply_to: Option<String>,
    /// The Message-IDs of the conversation, oldest first.
    pub(crate) references: Vec<String>,
    /// Files, and images that the HTML shows.
    pub(crate) attachments: Vec<Attachment>,
    /// Which notifications the servers on the way are to send back (RFC 3461).
    pub(crate) dsn: Option<Dsn>,
}

/// A header.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Its name: letters, digits, and what else RFC 5322 allows there.
    pub(crate) name: String,
    /// Its value, in one line.
    pub(crate) value: String,
}

/// A file that goes with the mail.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attachment {
    /// Its name, without a path.
    pub(crate) filename: String,
    /// Its type, such as `application/pdf`. Default `application/octet-stream`.
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    /// What is in it, in base64.
    pub(crate) content_base64: String,
    /// An id by which the HTML shows it: `<img src="cid:logo">`. It then belongs to the HTML and is shown in it.
    #[serde(default)]
    pub(crate) content_id: Option<String>,
}

/// Notifications of delivery.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dsn {
    /// When: `success`, `failure`, `delay`; empty: never.
    pub(crate) notify: Vec<Notify>,
    /// How much of the mail comes back with one. Default: what the server does.
    #[serde(default, rename = "return")]
    pub(crate) content: Option<Return>,
    /// An id that comes back with each: up to 100 characters of ASCII.
    #[serde(default)]
    pub(crate) envelope_id: Option<String>,
}

/// When a notification comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notify {
    /// It was delivered.
    Success,
    /// It could not be delivered.
    Failure,
    /// It takes longer.
    Delay,
}

/// How much comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Return {
    /// All of it.
    Full,
    /// Its headers.
    Headers,
}

/// Output of `send` and `alert`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Sent {
    /// Its Message-ID, without angle brackets.
    pub(crate) message_id: String,
    /// Whether the server takes notifications of delivery; null where none were asked for.
    pub(crate) dsn: Option<bool>,
    /// What became of each recipient, in the order of `to`, `cc`, `bcc`.
    pub(crate) recipients: Vec<Recipient>,
}

/// What became of one recipient.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Recipient {
    /// As it was given.
    pub(crate) address: String,
    /// In one word.
    pub(crate) status: Status,
    /// The server's code, where it has answered.
    pub(crate) code: Option<u16>,
    /// Its enhanced code.
    pub(crate) enhanced: Option<String>,
    /// Its words, or ours where it was not asked.
    pub(crate) message: String,
    /// Who has to act; null where it was accepted.
    pub(crate) class: Option<Class>,
    /// When to come back, in milliseconds, where that is known.
    pub(crate) retry_after_ms: Option<u64>,
}

/// What became of one recipient, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The server has taken it upon itself.
    Accepted,
    /// Not now: it may be sent again.
    Deferred,
    /// Never.
    Refused,
    /// The connection was lost after everything was sent: it may have been taken. Look before sending it again.
    Unknown,
}

/// An error that names a field of the input.
pub(crate) fn wrong(field: &str, what: impl fmt::Display) -> Error {
    Error::config("send", format!("`{field}` {what}")).with_context("field", field)
}
