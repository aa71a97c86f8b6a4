//! Slack's signature, version v0 (docs.slack.dev, "Verifying requests from Slack").

use std::{fmt, time::Duration};

use bytes::Bytes;
use connector_sdk::{Result, Secret, Timestamp};
use http::{HeaderMap, HeaderName};

use super::{Refused, Scheme, Verified, mac, only};

/// How far the sender's clock may be from ours, either way (the same page: five minutes).
const TOLERANCE: Duration = Duration::from_secs(300);

const SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-slack-request-timestamp");

/// What becomes of a request that Slack has signed: what is in it is the receiver's affair.
pub type Look = fn(&HeaderMap, &Bytes) -> Result<Verified, Refused>;

/// `v0=` and the HMAC-SHA256, in hexadecimal, of `v0:{timestamp}:{raw body}`.
#[derive(Clone)]
pub struct Slack {
    keys: mac::Keys,
    look: Look,
}

impl Slack {
    /// Takes what was signed with one of these secrets; `look` is asked only then.
    ///
    /// # Errors
    /// Config when there is no secret, or an empty one.
    pub fn new(secrets: &[Secret], look: Look) -> Result<Self> {
        Ok(Self { keys: mac::Keys::sha256(secrets)?, look })
    }

    /// Whether the request was signed with one of the secrets, not long ago.
    fn check(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), Refused> {
        let sent = only(headers, &TIMESTAMP)?;
        let signature = only(headers, &SIGNATURE)?;
        let is_number = !sent.is_empty() && sent.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: Option<i64> = sent.parse().ok().filter(|_| is_number);
        let millis = seconds.and_then(|seconds| seconds.checked_mul(1000));
        let at = millis.ok_or(Refused::malformed("the timestamp is no number of seconds"))?;
        let tag = signature.strip_prefix("v0=").and_then(mac::unhex::<32>);
        let tag = tag.ok_or(Refused::malformed("the signature is none of version v0"))?;
        let at = Timestamp::from_millis(at);
        // By the clock first: an old signature tells nothing, even to who measures how long this takes.
        if now.saturating_since(at).max(at.saturating_since(now)) > TOLERANCE {
            return Err(Refused::unauthorized("the signature is too old, or from the future"));
        }
        match self.keys.have_signed(&[b"v0:", sent.as_bytes(), b":", body], &tag) {
            true => Ok(()),
            false => Err(Refused::unauthorized("the signature is wrong")),
        }
    }
}

impl Scheme for Slack {
    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Verified, Refused> {
        self.check(headers, body, now)?;
        (self.look)(headers, body)
    }
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").finish_non_exhaustive()
    }
}
