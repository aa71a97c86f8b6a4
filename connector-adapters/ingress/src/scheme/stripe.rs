//! Stripe's signature, version v1 (docs.stripe.com/webhooks, "Verify manually").

use std::time::Duration;

use bytes::Bytes;
use connector_sdk::{Result, Secret, Timestamp};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Proof, Refused, Scheme, Signature, Signer,
    config::MOST,
    encoding, field, head,
    keys::Keys,
    signer::{check_id, said, seconds},
};

const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");

/// `t=…,v1=…`: the time, and the HMAC-SHA256, in hexadecimal, of `{t}.{raw body}`; while a secret is changed there are
/// several of them. The secret is the text as Stripe shows it, with its `whsec_`. An event is told apart by its `id`.
///
/// Stripe's libraries let a time from the future pass; here it is judged like one that is past.
#[derive(Debug)]
pub(super) struct Stripe {
    keys: Keys,
    tolerance: Duration,
}

#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// What the header holds.
struct Said<'a> {
    sent: &'a str,
    at: Timestamp,
    tags: Vec<[u8; 32]>,
}

impl Stripe {
    pub(super) fn new(secrets: &[Secret], tolerance: Duration) -> Result<Self> {
        Ok(Self { keys: Keys::text(secrets)?, tolerance })
    }
}

/// Reads the header. Entries of other versions (`v0`: events of the test mode) say nothing.
fn read(header: &str) -> Result<Said<'_>, Refused> {
    let malformed = || Refused::malformed("the signature is none of Stripe");
    let (mut sent, mut tags) = (None, Vec::new());
    for (count, entry) in header.split(',').enumerate() {
        // One of them is the time.
        if count > MOST {
            return Err(Refused::malformed("there are too many signatures"));
        }
        match entry.split_once('=').ok_or_else(malformed)? {
            ("t", time) if sent.is_none() => sent = Some(time),
            ("t", _) => return Err(Refused::malformed("the timestamp comes twice")),
            ("v1", tag) => tags.push(encoding::unhex(tag).ok_or_else(malformed)?),
            (name, value) if is_entry(name) && is_entry(value) => {}
            _ => return Err(malformed()),
        }
    }
    let sent = sent.ok_or_else(malformed)?;
    let at = head::seconds(sent)?;
    match tags.is_empty() {
        true => Err(Refused::unauthorized("there is no signature of a version that is known here")),
        false => Ok(Said { sent, at, tags }),
    }
}

fn is_entry(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Scheme for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Proof, Refused> {
        let Said { sent, at, tags } = read(head::only(headers, &SIGNATURE)?)?;
        head::is_near(at, now, self.tolerance)?;
        self.keys.check(&[sent.as_bytes(), b".", body], &tags)?;
        let event = serde_json::from_slice::<Event<'_>>(body).ok();
        let id = event.and_then(|event| field::id(event.id));
        Ok(Proof { id, id_is_signed: true, sent_at: Some(at), answer: None })
    }
}

impl Signer for Stripe {
    fn sign(&self, id: &str, at: Timestamp, body: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        let sent = seconds(at).to_string();
        let mut header = format!("t={sent}");
        for tag in self.keys.sign(&[sent.as_bytes(), b".", body]) {
            header.push_str(",v1=");
            header.push_str(&encoding::hex(tag.as_ref()));
        }
        Ok(vec![said(&SIGNATURE, &header)?])
    }
}
