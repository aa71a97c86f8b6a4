//! The streams: what a record of each looks like, and by what it is known.

use connector_sdk::StreamSpec;
use serde_json::{Value, json};

/// A stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Mailboxes,
    Messages,
    Flags,
}

impl Stream {
    pub(crate) const ALL: [Self; 3] = [Self::Mailboxes, Self::Messages, Self::Flags];

    /// The stream of that name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mailboxes => "mailboxes",
            Self::Messages => "messages",
            Self::Flags => "flags",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Mailboxes => "The mailboxes of the account, with how each stands.",
            Self::Messages => "The mails of each mailbox, parsed; one that is gone is a delete.",
            Self::Flags => "The flags of the mails of each mailbox, and their changes.",
        }
    }

    pub(crate) fn spec(self) -> StreamSpec {
        let object = |fields: Value| json!({ "type": "object", "properties": fields });
        match self {
            Self::Mailboxes => StreamSpec::new(self.name(), object(mailbox())).with_primary_key(["name"]),
            Self::Messages => StreamSpec::new(self.name(), object(message()))
                .with_primary_key(["mailbox", "uid_validity", "uid"])
                .with_cursor("uid"),
            Self::Flags => StreamSpec::new(self.name(), object(flags()))
                .with_primary_key(["mailbox", "uid_validity", "uid"])
                .with_cursor("modseq"),
        }
    }
}

fn mailbox() -> Value {
    json!({
        "name": { "type": "string" },
        "raw_name": { "type": "string" },
        "delimiter": { "type": ["string", "null"] },
        "attributes": { "type": "array", "items": { "type": "string" } },
        "special_use": { "type": ["string", "null"] },
        "uid_validity": { "type": ["integer", "null"] },
        "uid_next": { "type": ["integer", "null"] },
        "messages": { "type": ["integer", "null"] },
        "unseen": { "type": ["integer", "null"] },
        "highest_modseq": { "type": ["integer", "null"] },
    })
}

fn flags() -> Value {
    json!({
        "mailbox": { "type": "string" },
        "uid_validity": { "type": "integer" },
        "uid": { "type": "integer" },
        "modseq": { "type": ["integer", "null"] },
        "flags": { "type": "array", "items": { "type": "string" } },
    })
}

fn message() -> Value {
    let text = json!({ "type": ["string", "null"] });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let people = json!({ "type": "array", "items": { "type": "object", "properties": {
        "name": text, "address": text,
    } } });
    let objects = json!({ "type": "array", "items": { "type": "object" } });
    json!({
        "mailbox": { "type": "string" },
        "uid_validity": { "type": "integer" },
        "uid": { "type": "integer" },
        "modseq": { "type": ["integer", "null"] },
        "flags": texts,
        "internal_date": { "type": ["string", "null"], "format": "date-time" },
        "size": { "type": ["integer", "null"] },
        "gm_msgid": { "type": "string" },
        "gm_thrid": { "type": "string" },
        "gm_labels": texts,
        "message_id": text,
        "date": { "type": ["string", "null"], "format": "date-time" },
        "subject": text,
        "from": people,
        "to": people,
        "cc": people,
        "bcc": people,
        "reply_to": people,
        "in_reply_to": text,
        "references": texts,
        "headers": { "type": "array", "items": { "type": "object", "properties": {
            "name": { "type": "string" }, "value": text, "raw": text,
        } } },
        "text": text,
        "html": text,
        "attachments": { "type": "array", "items": { "type": "object", "properties": {
            "filename": text,
            "content_type": text,
            "size": { "type": ["integer", "null"] },
            "sha256": text,
            "inline": { "type": ["boolean", "null"] },
            "content_id": text,
            "file": text,
        } } },
        "defects": objects,
        "raw_sha256": text,
        "raw": text,
    })
}
