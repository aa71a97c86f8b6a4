//! What is kept of a request: what it is told apart by, and its head, as the journal holds them.

use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use connector_ingress::{
    journal::Entry,
    scheme::{Keep, Proof, Verified},
};
use connector_sdk::Timestamp;
use http::{HeaderMap, HeaderName, header, request::Parts};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;

/// Headers that are a credential, or prove with it: who reads Bronze need not be able to send in another's name.
const SECRET: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-forwarded-client-cert"];

/// What is in the name of a header that holds one, whoever it is that sends: `x-hub-signature-256`, `x-gitlab-token`,
/// `x-shopify-hmac-sha256`, `x-amz-security-token`, `x-goog-iap-jwt-assertion`.
const SECRETS: [&str; 7] = ["signature", "token", "secret", "api-key", "apikey", "hmac", "jwt"];

/// Separates an endpoint from an id: stands in neither.
const BETWEEN: char = '\n';

/// Which headers are kept.
#[derive(Debug, Clone)]
pub(super) struct Headers {
    /// None: all.
    only: Option<Vec<HeaderName>>,
    /// The header of the proof, beside those that are known.
    proof: Option<HeaderName>,
}

impl Headers {
    pub(super) fn all_but_secrets(proof: Option<HeaderName>) -> Self {
        Self { only: None, proof }
    }

    /// Only these, and of them only those that are no credential.
    pub(super) fn only(names: Vec<HeaderName>, proof: Option<HeaderName>) -> Self {
        Self { only: Some(names), proof }
    }

    fn has(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        if SECRET.contains(&text) || self.proof.as_ref() == Some(name) {
            return false;
        }
        match &self.only {
            Some(only) => only.contains(name),
            None => !SECRETS.iter().any(|secret| text.contains(secret)),
        }
    }
}

/// What the journal holds beside a body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Head<'a> {
    /// An event.
    Event {
        /// When it was sent, in milliseconds, where the sender has signed that.
        sent_at: Option<i64>,
        /// The fields of the record that are known when it comes: an object.
        #[serde(borrow)]
        fields: &'a RawValue,
    },
    /// The endpoint is not taken from any more.
    Removed,
}

#[derive(Serialize)]
struct Fields<'a> {
    endpoint: &'a str,
    scheme: &'a str,
    headers: Kept<'a>,
    content_type: Option<String>,
}

/// Headers as an object. Those that come several times are one, as HTTP reads them (RFC 9110, section 5.3).
struct Kept<'a>(&'a HeaderMap, &'a Headers);

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.0.keys().filter(|name| self.1.has(name)) {
            let mut values = self.0.get_all(name).iter().map(|value| text(value.as_bytes()));
            let mut joined = values.next().unwrap_or_default();
            for value in values {
                joined.push_str(", ");
                joined.push_str(&value);
            }
            map.serialize_entry(name.as_str(), &joined)?;
        }
        map.end()
    }
}

/// UTF-8 where it is, else as Latin-1, which any bytes are.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Says what is kept of requests to this endpoint.
pub(super) fn keep(endpoint: String, scheme: &'static str, headers: Headers) -> Keep {
    Arc::new(move |parts: &Parts, body: &Bytes, proof: Proof| {
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(|value| text(value.as_bytes()));
        let kept = Kept(&parts.headers, &headers);
        let fields = Fields { endpoint: &endpoint, scheme, headers: kept, content_type };
        let id = match proof.id {
            // Otherwise whoever has seen one signed body could send it under the ids of those that come after it.
            Some(id) if !proof.id_is_signed => format!("{id}{BETWEEN}{}", hash(&endpoint, None, body)),
            Some(id) => id,
            None => hash(&endpoint, proof.sent_at, body),
        };
        let head = serde_json::value::to_raw_value(&fields)
            .and_then(|fields| {
                let sent_at = proof.sent_at.map(Timestamp::as_millis);
                serde_json::to_vec(&Head::Event { sent_at, fields: &fields })
            })
            // Maps with text for keys are always JSON.
            .unwrap_or_default();
        Ok(Verified { id: format!("{endpoint}{BETWEEN}{id}"), head: head.into() })
    })
}

/// What an event is told apart by that has no id. Not a quick hash: what a body says is often up to somebody else than its
/// sender, who must not be able to make two that look the same.
fn hash(endpoint: &str, sent_at: Option<Timestamp>, body: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(endpoint.as_bytes());
    context.update(b"\n");
    if let Some(sent_at) = sent_at {
        context.update(sent_at.as_millis().to_string().as_bytes());
    }
    context.update(b"\n");
    context.update(body);
    let hash = context.finish();
    let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("sha256:".to_owned()).chain(hex).collect()
}

/// Says that an endpoint was removed. `life` counts how often it was there.
pub(super) fn removal(endpoint: &str, life: u64, now: Timestamp) -> Entry {
    Entry {
        // No event's: those begin with their path.
        id: format!("{BETWEEN}{endpoint}{BETWEEN}{life}"),
        received_at: now,
        head: serde_json::to_vec(&Head::Removed).unwrap_or_default().into(),
        body: Bytes::copy_from_slice(endpoint.as_bytes()),
    }
}

/// The id of an event, as its sender says it.
pub(super) fn id_of(entry: &Entry) -> &str {
    entry.id.split(BETWEEN).nth(1).unwrap_or(&entry.id)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn kept(headers: &[(&'static str, &'static [u8])], which: Headers, proof: Proof) -> (String, String) {
        let mut request = Request::new(());
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().append(HeaderName::from_static(name), value);
        }
        let (parts, ()) = request.into_parts();
        let keep = keep("/in".to_owned(), "hmac", which);
        let verified = keep(&parts, &Bytes::from_static(b"body"), proof).unwrap();
        (verified.id, String::from_utf8(verified.head.to_vec()).unwrap())
    }

    #[test]
    fn headers_are_kept_without_what_proves_the_sender() {
        let proof = Some(HeaderName::from_static("x-acme-mac"));
        let headers: [(&str, &[u8]); 7] = [
            ("authorization", b"Bearer canary"),
            ("x-gitlab-token", b"canary"),
            ("x-acme-mac", b"canary"),
            ("x-hub-signature-256", b"sha256=canary"),
            ("x-event", b"push"),
            ("accept", b"a"),
            ("accept", b"b\xff"),
        ];
        let id = Proof { id: Some("e1".to_owned()), ..Proof::default() };
        let (found, head) = kept(&headers, Headers::all_but_secrets(proof.clone()), id.clone());
        assert!(found.starts_with("/in\ne1\nsha256:"), "{found}");
        assert!(head.contains(r#""headers":{"x-event":"push","accept":"a, bÿ"}"#), "{head}");
        assert!(!head.contains("canary"), "{head}");
        let named = vec![HeaderName::from_static("x-event"), HeaderName::from_static("authorization")];
        let (_, head) = kept(&headers, Headers::only(named, proof), id);
        assert!(head.contains(r#""headers":{"x-event":"push"}"#), "{head}");
    }

    #[test]
    fn an_id_that_is_not_signed_is_not_enough_to_be_known_by() {
        let verified = |id_is_signed, id: &str, body: &'static [u8]| {
            let (parts, ()) = Request::new(()).into_parts();
            let keep = keep("/in".to_owned(), "some", Headers::all_but_secrets(None));
            let proof = Proof { id: Some(id.to_owned()), id_is_signed, ..Proof::default() };
            keep(&parts, &Bytes::from_static(body), proof).unwrap().id
        };
        assert_eq!(verified(false, "1", b"a"), verified(false, "1", b"a"));
        assert_ne!(verified(false, "1", b"a"), verified(false, "1", b"b"));
        assert_eq!(verified(true, "1", b"a"), "/in\n1");
        let entry =
            |id| Entry { id, received_at: Timestamp::from_millis(0), head: Bytes::new(), body: Bytes::new() };
        assert_eq!(id_of(&entry(verified(false, "1", b"a"))), "1");
        assert_eq!(id_of(&entry(verified(true, "1", b"a"))), "1");
    }

    #[test]
    fn without_an_id_an_event_is_told_apart_by_place_time_and_body() {
        let at = |millis| Proof { sent_at: Some(Timestamp::from_millis(millis)), ..Proof::default() };
        let all = Headers::all_but_secrets(None);
        let (one, _) = kept(&[], all.clone(), at(1));
        assert!(one.starts_with("/in\nsha256:") && one.len() == 11 + 64, "{one}");
        assert_eq!(one, kept(&[("x-event", b"other")], all.clone(), at(1)).0);
        assert_ne!(one, kept(&[], all.clone(), at(2)).0);
        assert_ne!(one, kept(&[], all, Proof::default()).0);
    }
}
