//! How a sender proves that it is who it says, and what a receiver answers it.

mod mac;
mod slack;

use std::fmt;

use bytes::Bytes;
use connector_sdk::Timestamp;
use http::{HeaderMap, HeaderName, StatusCode};

pub use slack::{Look, Slack};

/// A way to sign what is sent.
///
/// An implementation judges the raw bytes before it looks into them, compares in constant time, and tries each secret
/// whatever the others said.
pub trait Scheme: Send + Sync + fmt::Debug {
    /// Whether the sender is who it should be, now, and what this is.
    ///
    /// # Errors
    /// [`Refused`], with the status to answer.
    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Verified, Refused>;
}

/// What a sender that has proved itself wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It tells of an event: keep it.
    Event {
        /// What it is told apart by; empty: by nothing.
        id: String,
        /// What is kept of the request beside its body.
        head: Bytes,
    },
    /// It wants an answer, and there is nothing to keep.
    Answer {
        /// The body of the answer.
        body: Bytes,
    },
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What to answer.
    pub status: StatusCode,
    /// For the log and the sender; holds nothing of the request.
    pub why: &'static str,
}

impl Refused {
    /// The signature is missing, wrong or too old: 401.
    #[must_use]
    pub fn unauthorized(why: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, why }
    }

    /// The request is no request of this scheme: 400.
    #[must_use]
    pub fn malformed(why: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why }
    }
}

/// The one value of a header. One that comes twice could be judged by one of them and used by the other.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Err(Refused::unauthorized("a header of the signature is missing"));
    };
    if values.next().is_some() {
        return Err(Refused::malformed("a header of the signature comes twice"));
    }
    value.to_str().map_err(|_| Refused::malformed("a header of the signature is no text"))
}
