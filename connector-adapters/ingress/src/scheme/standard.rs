//! Standard Webhooks, v1 and v1a (standard-webhooks.md, "Signature scheme"), and Svix, which says the same under names of
//! its own (docs.svix.com, "Verifying Webhooks Manually").

mod signing;
mod tags;

use std::time::Duration;

use bytes::Bytes;
use connector_sdk::{Error, Result, Secret, Timestamp};
use http::{HeaderMap, HeaderName};

pub(super) use signing::StandardSigner;

use self::tags::Tags;
use super::{
    Proof, Refused, Scheme,
    asymmetric::PublicKeys,
    head,
    keys::Keys,
    secret::{WebhookSecret, read},
};

/// Whose names the headers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Standard,
    Svix,
}

/// Names of the three headers.
#[derive(Debug)]
struct Names {
    id: HeaderName,
    timestamp: HeaderName,
    signature: HeaderName,
}

static STANDARD: Names = Names {
    id: HeaderName::from_static("webhook-id"),
    timestamp: HeaderName::from_static("webhook-timestamp"),
    signature: HeaderName::from_static("webhook-signature"),
};

static SVIX: Names = Names {
    id: HeaderName::from_static("svix-id"),
    timestamp: HeaderName::from_static("svix-timestamp"),
    signature: HeaderName::from_static("svix-signature"),
};

/// Whether an id can be signed: a full stop in it could as well be the one after it (the spec's "Signature scheme").
fn is_signable(id: &str) -> bool {
    head::is_id(id) && !id.contains('.')
}

/// `{id}.{timestamp}.{raw body}`, signed by HMAC-SHA256 (v1) or Ed25519 (v1a). A header holds several signatures; one of
/// them by one of our keys will do.
#[derive(Debug)]
pub(super) struct Standard {
    family: Family,
    symmetric: Keys,
    public: PublicKeys,
    tolerance: Duration,
}

impl Standard {
    /// Takes what was signed by the owner of one of these: `whsec_…` or `whpk_…`.
    pub(super) fn new(family: Family, secrets: &[Secret], tolerance: Duration) -> Result<Self> {
        let (mut symmetric, mut public) = (Vec::new(), Vec::new());
        for secret in secrets {
            match read(secret)? {
                WebhookSecret::Symmetric(bytes) => symmetric.push(bytes),
                WebhookSecret::Public(key) => public.push(key),
                WebhookSecret::Private(_) => {
                    let what = "one is a private key, whsk_: who is called has only the public one, whpk_";
                    return Err(Error::config("connect", what));
                }
            }
        }
        let symmetric = Keys::raw(symmetric.iter().map(|bytes| bytes.expose().as_slice()));
        Ok(Self { family, symmetric, public: PublicKeys::new(public)?, tolerance })
    }

    /// Svix says one of two names for each; whose first header is there is who speaks.
    fn names(&self, headers: &HeaderMap) -> &'static Names {
        let says_svix =
            [&SVIX.id, &SVIX.timestamp, &SVIX.signature].iter().any(|name| headers.contains_key(*name));
        let says_standard = headers.contains_key(&STANDARD.signature);
        match self.family {
            Family::Svix if says_svix || !says_standard => &SVIX,
            _ => &STANDARD,
        }
    }
}

impl Scheme for Standard {
    fn name(&self) -> &'static str {
        match self.family {
            Family::Standard => "standard-webhooks",
            Family::Svix => "svix",
        }
    }

    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Proof, Refused> {
        let names = self.names(headers);
        let id = head::only(headers, &names.id)?;
        let sent = head::only(headers, &names.timestamp)?;
        let tags = Tags::read(head::only(headers, &names.signature)?)?;
        if !is_signable(id) {
            return Err(Refused::malformed("the id of the event is none"));
        }
        let at = head::seconds(sent)?;
        head::is_near(at, now, self.tolerance)?;
        let parts = [id.as_bytes(), b".", sent.as_bytes(), b".", body];
        let symmetric = self.symmetric.have_signed(&parts, &tags.v1);
        let asymmetric = self.public.have_signed(&parts, &tags.v1a);
        match symmetric | asymmetric {
            true => {
                Ok(Proof { id: Some(id.to_owned()), id_is_signed: true, sent_at: Some(at), answer: None })
            }
            false => Err(Refused::unauthorized("the signature is wrong")),
        }
    }
}
