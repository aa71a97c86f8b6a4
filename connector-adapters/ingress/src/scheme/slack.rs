//! Slack's signature, version v0 (docs.slack.dev, "Verifying requests from Slack").

use std::time::Duration;

use bytes::Bytes;
use connector_sdk::{Result, Secret, Timestamp};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Proof, Refused, Scheme, Signature, Signer, encoding, field, head,
    keys::Keys,
    signer::{check_id, said, seconds},
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

/// `v0=` and the HMAC-SHA256, in hexadecimal, of `v0:{timestamp}:{raw body}`.
///
/// An event is told apart by its `event_id`. The question whether this is a receiver (`url_verification`) is answered with
/// its challenge (docs.slack.dev, "url_verification event").
#[derive(Debug, Clone)]
pub struct Slack {
    keys: Keys,
    tolerance: Duration,
}

/// What is looked for in a body; each may be missing, or of another type than documented.
#[derive(Debug, Deserialize)]
struct Wrapper<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    challenge: Option<&'a RawValue>,
}

impl Slack {
    /// Takes what was signed with one of these secrets, at most five minutes from now by the sender's clock (the same
    /// page).
    ///
    /// # Errors
    /// Config when there is no secret, or an empty one.
    pub fn new(secrets: &[Secret]) -> Result<Self> {
        Ok(Self { keys: Keys::text(secrets)?, tolerance: head::TOLERANCE })
    }

    /// Takes what was signed that long before or after now.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }
}

impl Scheme for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Proof, Refused> {
        let sent = head::only(headers, &TIMESTAMP)?;
        let signature = head::only(headers, &SIGNATURE)?;
        let at = head::seconds(sent)?;
        let tag = signature.strip_prefix("v0=").and_then(encoding::unhex);
        let tag: [u8; 32] = tag.ok_or(Refused::malformed("the signature is none of version v0"))?;
        head::is_near(at, now, self.tolerance)?;
        self.keys.check(&[b"v0:", sent.as_bytes(), b":", body], &[tag])?;
        // Commands and interactions are forms, and have no id.
        let Ok(wrapper) = serde_json::from_slice::<Wrapper<'_>>(body) else {
            return Ok(Proof { id_is_signed: true, sent_at: Some(at), ..Proof::default() });
        };
        let mut answer = None;
        if field::text(wrapper.kind).as_deref() == Some("url_verification") {
            let challenge = field::text(wrapper.challenge);
            answer = Some(challenge.ok_or(Refused::malformed("there is no challenge"))?.into());
        }
        Ok(Proof { id: field::id(wrapper.event_id), id_is_signed: true, sent_at: Some(at), answer })
    }
}

impl Signer for Slack {
    fn sign(&self, id: &str, at: Timestamp, body: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        let sent = seconds(at).to_string();
        let tag = self.keys.sign_once(&[b"v0:", sent.as_bytes(), b":", body])?;
        Ok(vec![said(&TIMESTAMP, &sent)?, said(&SIGNATURE, &format!("v0={}", encoding::hex(tag.as_ref())))?])
    }
}
