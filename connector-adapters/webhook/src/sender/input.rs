//! What the actions take and give.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use connector_sdk::{Error, Result, Timestamp};
use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::outbox::{Disabled, Letter};

/// Characters of a type, at most.
const LONGEST_TYPE: usize = 255;

/// Input of `send`: one of `payload`, `body` and `body_base64`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Send {
    /// What is sent, as JSON. Numbers beyond 64 bits, or with more digits than a double has, change on the way: use `body`.
    pub(super) payload: Option<Value>,
    /// The same as text, sent as it is.
    pub(super) body: Option<String>,
    /// The same as bytes, in base64.
    pub(super) body_base64: Option<String>,
    /// What it is. Default: `application/json` for `payload`, `text/plain; charset=utf-8`, `application/octet-stream`.
    pub(super) content_type: Option<String>,
    /// What receivers tell the message apart by. The same id again is the same message. Default: drawn from the idempotency
    /// key, else by chance.
    pub(super) id: Option<String>,
    /// What kind of event it is, for the record of its delivery; it is not sent.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
}

/// Output of `send` and `replay`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Sent {
    /// The message's id.
    pub(super) id: String,
    /// How it stands.
    pub(super) state: State,
}

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It is in the outbox, and a run delivers it.
    Waiting,
    /// The endpoint has answered 2xx.
    Delivered,
    /// It is not tried any more, until it is replayed.
    Dead,
}

/// Input of `replay` and `discard`: one of both.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Letters {
    /// The dead letter.
    pub(super) id: Option<String>,
    /// All of them.
    pub(super) all: bool,
}

/// Output of `replay` of all.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Replayed {
    /// How many were taken back.
    pub(super) replayed: usize,
}

/// Output of `discard`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Discarded {
    /// How many were given up.
    pub(super) discarded: usize,
}

/// Input of `enable` and `outbox`: nothing.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Output of `enable`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Enabled {
    /// Whether it was disabled.
    pub(super) was_disabled: bool,
}

/// Output of `outbox`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Outbox {
    /// Messages that wait.
    pub(super) waiting: usize,
    /// Dead letters.
    pub(super) dead: usize,
    /// Messages whose file was damaged, and was put aside.
    pub(super) damaged: usize,
    /// Bytes of what waits and of dead letters.
    pub(super) bytes: u64,
    /// How many bytes they may become.
    pub(super) max_size: u64,
    /// There are too many dead letters: nothing is sent until some are replayed or discarded.
    pub(super) held: bool,
    /// Since when the endpoint wants nothing; null: it is enabled.
    pub(super) disabled: Option<Stopped>,
    /// The dead letters that died last, the last first, 100 at most.
    pub(super) dead_letters: Vec<Letter>,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Stopped {
    /// Since when.
    pub(super) since: Timestamp,
    /// What the endpoint answered.
    pub(super) status: u16,
    /// To which message.
    pub(super) id: String,
}

impl From<Disabled> for Stopped {
    fn from(disabled: Disabled) -> Self {
        let Disabled { since, status, id } = disabled;
        Self { since, status, id }
    }
}

impl Send {
    /// What is sent, and what it is.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(super) fn content(&self) -> Result<(Bytes, String)> {
        let (body, default) = match (&self.payload, &self.body, &self.body_base64) {
            (Some(payload), None, None) => (Bytes::from(payload.to_string()), "application/json"),
            (None, Some(body), None) => (Bytes::from(body.clone()), "text/plain; charset=utf-8"),
            (None, None, Some(base64)) => {
                let bytes = STANDARD.decode(base64).map_err(|_| wrong("body_base64", "is no base64"))?;
                (Bytes::from(bytes), "application/octet-stream")
            }
            _ => return Err(wrong("payload", "or `body`, or `body_base64` is needed, and only one of them")),
        };
        let kind = self.content_type.as_deref().unwrap_or(default);
        let is_header = HeaderValue::try_from(kind).is_ok_and(|value| value.to_str().is_ok());
        if kind.trim().is_empty() || kind.len() > LONGEST_TYPE || !is_header {
            return Err(wrong("content_type", "is none"));
        }
        Ok((body, kind.to_owned()))
    }

    /// The kind of event.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(super) fn kind(&self) -> Result<Option<String>> {
        let Some(kind) = &self.kind else { return Ok(None) };
        if kind.is_empty() || kind.len() > LONGEST_TYPE || kind.chars().any(char::is_control) {
            return Err(wrong("type", "is empty, too long, or holds control characters"));
        }
        Ok(Some(kind.clone()))
    }
}

/// An error that names a field of the input.
pub(super) fn wrong(field: &'static str, what: impl std::fmt::Display) -> Error {
    Error::config("act", format!("`{field}` {what}")).with_context("field", field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_json_or_text_or_bytes_and_says_which() {
        for (input, expected) in [
            (json!({ "payload": { "b": 1, "a": "é" } }), Some((r#"{"a":"é"#.as_bytes(), "application/json"))),
            (json!({ "body": "héllo" }), Some(("héllo".as_bytes(), "text/plain; charset=utf-8"))),
            (json!({ "body_base64": "/wA=" }), Some((b"\xff\0", "application/octet-stream"))),
            (json!({ "body": "<a/>", "content_type": "text/xml" }), Some((b"<a/>", "text/xml"))),
            (json!({}), None),
            (json!({ "payload": null }), None),
            (json!({ "payload": 1, "body": "1" }), None),
            (json!({ "body_base64": "/wA" }), None),
            (json!({ "body": "", "content_type": " " }), None),
            (json!({ "body": "", "content_type": "text/plain\r\nX-Evil: 1" }), None),
        ] {
            let send: Send = serde_json::from_value(input.clone()).unwrap();
            let found = send.content().ok();
            let found = found.as_ref().map(|(body, kind)| (&body[..], kind.as_str()));
            match expected {
                Some((body, kind)) => {
                    let (found, said) = found.unwrap();
                    assert!(found.starts_with(body) && said == kind, "{input}: {found:?} {said}");
                }
                None => assert!(found.is_none(), "{input}"),
            }
        }
    }
}
