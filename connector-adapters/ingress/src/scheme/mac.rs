//! HMAC with several secrets.

use aws_lc_rs::hmac;
use connector_sdk::{Error, Result, Secret};

/// The secrets that a sender may sign with: the one in use, and others while they are changed.
#[derive(Clone)]
pub(super) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// Keys for HMAC-SHA256 of secrets that are used as text.
    pub(super) fn sha256(secrets: &[Secret]) -> Result<Self> {
        if secrets.is_empty() {
            return Err(Error::config("connect", "no signing secret: name at least one"));
        }
        let key = |secret: &Secret| {
            if secret.expose().trim().is_empty() {
                // Anybody can sign with it.
                return Err(Error::config("connect", "a signing secret is empty"));
            }
            Ok(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
        };
        secrets.iter().map(key).collect::<Result<_>>().map(Self)
    }

    /// Whether one of them has signed these parts, one after the other. Each is tried, in constant time.
    pub(super) fn have_signed(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let mut signed = false;
        for key in &self.0 {
            let mut context = hmac::Context::with_key(key);
            parts.iter().for_each(|part| context.update(part));
            let expected = context.sign();
            signed |= aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref(), tag).is_ok();
        }
        signed
    }
}

/// The bytes of a text in hexadecimal, of this length.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    let mut bytes = [0; N];
    if text.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}
