//! The other side of a scheme: what a sender says to prove itself.

use std::fmt;

use bytes::Bytes;
use connector_sdk::{Error, Result, Timestamp};
use http::{HeaderName, HeaderValue};

use super::head;

/// Headers that prove a request.
pub type Signature = Vec<(HeaderName, HeaderValue)>;

/// Signs requests, in one scheme.
pub trait Signer: Send + Sync + fmt::Debug {
    /// Whether a message can have this id: 1 to 255 visible characters of ASCII, and for schemes that sign the id nothing
    /// in it that is between the parts that are signed.
    fn accepts(&self, id: &str) -> bool {
        head::is_id(id)
    }

    /// The headers that prove that this body, of the message with this id, was sent at this time: each attempt is signed
    /// anew. They hold the id where the scheme has a place for it; Slack and Stripe have it in the body.
    ///
    /// # Errors
    /// Permanent when the id is none that can be signed ([`accepts`](Self::accepts)).
    fn sign(&self, id: &str, at: Timestamp, body: &Bytes) -> Result<Signature>;
}

/// Fails where the id cannot be signed.
pub(super) fn check_id(signer: &dyn Signer, id: &str) -> Result<()> {
    match signer.accepts(id) {
        true => Ok(()),
        false => {
            Err(Error::permanent("sign", "`id` is none that this scheme can sign")
                .with_context("field", "id"))
        }
    }
}

/// A header with this value.
pub(super) fn said(name: &HeaderName, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(value);
    // What is signed here is ASCII throughout.
    Ok((name.clone(), value.map_err(|_| Error::permanent("sign", "the value is none for a header"))?))
}

/// A header with this value, which nobody may log.
pub(super) fn said_secretly(name: &HeaderName, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let (name, mut value) = said(name, value)?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// Whole seconds since 1970.
pub(super) fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}
