//! How a sender proves that it is who it says, and what a receiver answers it.
//!
//! A [`SchemeConfig`] names a scheme and its secrets, and makes of them what judges requests ([`Scheme`]) or what signs
//! them ([`Signer`]). All schemes have these rules in common:
//!
//! - The raw bytes are judged; the body is looked into only when its sender has proved itself.
//! - A header that comes twice, or that is not written in the one way that it is written, is malformed: 400. What is
//!   missing, wrong, old or from the future is not proved: 401.
//! - The time that was signed is judged by the clock before the signature.
//! - Each secret is tried with each signature, whatever came of the others, in constant time; 16 of either at most, and
//!   four where a signature takes the work of an asymmetric one.

mod asymmetric;
mod authorization;
mod config;
mod encoding;
mod field;
mod head;
mod hmac;
mod keys;
mod open;
mod secret;
mod signer;
mod slack;
mod standard;
mod stripe;
mod template;
#[cfg(test)]
mod wycheproof;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use connector_sdk::Timestamp;
use http::{HeaderMap, StatusCode, request::Parts};

pub use config::{SchemeConfig, SchemeName};
pub use encoding::Encoding;
pub use hmac::{Hash, HmacConfig, TimestampFormat};
pub use signer::{Signature, Signer};
pub use slack::Slack;

/// How one kind of sender proves that it is who it says.
///
/// An implementation judges the raw bytes before it looks into them, judges the time that was signed by the clock before
/// the signature, compares in constant time, and tries each secret whatever the others said.
pub trait Scheme: Send + Sync + fmt::Debug {
    /// Its name, as a configuration says it: `standard-webhooks`.
    fn name(&self) -> &'static str;

    /// Whether the sender is who it should be, now.
    ///
    /// # Errors
    /// [`Refused`], with the status to answer.
    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Proof, Refused>;
}

/// What is known of a request whose sender has proved itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// What the sender tells the event apart by, the same each time that it sends it; none: it says nothing of the kind.
    /// 1 to 255 visible characters of ASCII.
    pub id: Option<String>,
    /// Whether who has read a request could not send it again under another id: the id is part of what was signed. True as
    /// well where nothing at all is signed, and the id is as good as all the rest.
    pub id_is_signed: bool,
    /// When it was sent, where the sender has signed that.
    pub sent_at: Option<Timestamp>,
    /// The sender asks whether this is a receiver at all: answer this, and keep nothing.
    pub answer: Option<Bytes>,
}

/// What is kept of a request, beside its body and when it came.
///
/// The scheme has proved the sender; what an event is told apart by, and what else of it is kept, is the adapter's affair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// What it is told apart by; empty: by nothing.
    pub id: String,
    /// What is kept of the request beside its body.
    pub head: Bytes,
}

/// Says what is kept of a request that is proved; not asked where the proof is to be answered only.
pub type Keep = Arc<dyn Fn(&Parts, &Bytes, Proof) -> Result<Verified, Refused> + Send + Sync>;

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
