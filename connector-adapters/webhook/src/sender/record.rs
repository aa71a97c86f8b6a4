//! The record of the stream `deliveries`: what became of a message.

use bytes::Bytes;
use connector_ingress::journal::Entry;
use connector_sdk::{Error, Result, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::progress::{Answer, Ended, Fate, Try};

#[derive(Serialize)]
struct Record<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    url: &'a str,
    status: Fate,
    reason: Option<&'a str>,
    round: u32,
    attempts: usize,
    tries: &'a [Try],
    answer: Option<&'a Answer>,
    accepted_at: Timestamp,
    ended_at: Timestamp,
}

/// JSON Schema of a record.
pub(super) fn schema() -> Value {
    let text = json!({ "type": ["string", "null"] });
    let time = json!({ "type": "string", "format": "date-time" });
    json!({ "type": "object", "properties": {
        "id": { "type": "string" },
        "type": text,
        "url": { "type": "string" },
        "status": { "enum": ["delivered", "dead"] },
        "reason": text,
        "round": { "type": "integer" },
        "attempts": { "type": "integer" },
        "tries": { "type": "array", "items": { "type": "object", "properties": {
            "at": time,
            "took_ms": { "type": "integer" },
            "status": { "type": "integer" },
            "class": { "type": "string" },
            "error": { "type": "string" },
        }}},
        "answer": { "type": ["object", "null"], "properties": {
            "status": { "type": "integer" },
            "content_type": { "type": "string" },
            "retry_after": { "type": "string" },
            "body": { "type": "string" },
            "body_base64": { "type": "string" },
            "cut": { "type": "boolean" },
        }},
        "accepted_at": time,
        "ended_at": time,
    }})
}

/// The end of a message, as the journal keeps it: the key, then the record. Told again it has the same id.
///
/// # Errors
/// Bug when it cannot be written as JSON.
pub(super) fn entry(name: &str, origin: &str, ended: &Ended) -> Result<Entry> {
    let Ended { id, kind, fate, accepted_at, ended_at, reason, progress, .. } = ended;
    let record = Record {
        id,
        kind: kind.as_deref(),
        url: origin,
        status: *fate,
        reason: reason.as_deref(),
        round: progress.round,
        attempts: progress.tries.len(),
        tries: &progress.tries,
        answer: progress.answer.as_ref(),
        accepted_at: *accepted_at,
        ended_at: *ended_at,
    };
    let body = serde_json::to_vec(&record)
        .map_err(|error| Error::bug(super::DELIVERIES, "a record cannot be written").with_source(error))?;
    Ok(Entry {
        // An end that is told again is the same; another end of a message with this id is another.
        id: format!("{name}:{}:{}", progress.round, ended_at.as_millis()),
        received_at: *ended_at,
        head: Bytes::from(json!({ "id": id }).to_string()),
        body: Bytes::from(body),
    })
}
