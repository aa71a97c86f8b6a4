//! What is sent: the vendor's wrapper around a payload.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Kind;

/// One event, the same each time that it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What the vendor tells it apart by; in a header, or in the body.
    pub id: String,
    /// The body, byte for byte.
    pub body: Bytes,
    /// What the vendor says the body is.
    pub content_type: String,
    /// More headers, which are not signed.
    pub headers: Vec<(&'static str, String)>,
}

impl Event {
    /// An event with a body of a test's own, of any bytes.
    #[must_use]
    pub fn new(id: impl Into<String>, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { id: id.into(), body: body.into(), content_type: content_type.into(), headers: Vec::new() }
    }

    /// The vendor's event with this number, counted from 1, around a payload.
    pub(super) fn of(kind: Kind, number: u64, at: i64, payload: &Value) -> Self {
        let (id, body, header) = match kind {
            Kind::Slack => {
                let id = format!("Ev0{number:08}");
                let body = json!({
                    "token": "XXYYZZ", "team_id": "T123ABC456", "api_app_id": "A123ABC456", "event": payload,
                    "type": "event_callback", "event_id": id, "event_time": at,
                });
                (id, body, None)
            }
            Kind::Stripe => {
                let id = format!("evt_1{number:023}");
                let body = json!({
                    "id": id, "object": "event", "api_version": "2026-10-29.clover", "created": at, "livemode": false,
                    "data": { "object": payload }, "type": "setup_intent.created",
                });
                (id, body, None)
            }
            Kind::Github => {
                let id = format!("72d3162e-cc78-11e3-81ab-{number:012x}");
                (id, payload.clone(), Some(("X-GitHub-Event", "issues".to_owned())))
            }
            Kind::Shopify => {
                let id = format!("b54557e4-bdd9-4b37-8a5f-{number:012x}");
                (id, payload.clone(), Some(("X-Shopify-Topic", "orders/create".to_owned())))
            }
            _ => (format!("msg_{number:027}"), payload.clone(), None),
        };
        Self { headers: header.into_iter().collect(), ..Self::new(id, "application/json", body.to_string()) }
    }
}
