//! HMAC with several secrets.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use connector_sdk::{Error, Result, Secret};

use super::Refused;

/// The secrets that a sender may sign with: the one in use, and others while they are changed.
#[derive(Clone)]
pub(super) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// Keys for HMAC-SHA256 of secrets that are used as text, each as it is written.
    pub(super) fn text(secrets: &[Secret]) -> Result<Self> {
        Self::texts(hmac::HMAC_SHA256, secrets)
    }

    /// The same for another hash.
    pub(super) fn texts(hash: hmac::Algorithm, secrets: &[Secret]) -> Result<Self> {
        if secrets.is_empty() {
            return Err(Error::config("connect", "no secret: name at least one"));
        }
        let key = |secret: &Secret| {
            if secret.expose().trim().is_empty() {
                // Anybody can sign with it.
                return Err(Error::config("connect", "one is empty"));
            }
            Ok(hmac::Key::new(hash, secret.expose().as_bytes()))
        };
        secrets.iter().map(key).collect::<Result<_>>().map(Self)
    }

    /// Keys for HMAC-SHA256 of bytes.
    pub(super) fn raw<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(secrets.into_iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret)).collect())
    }

    /// Whether one of the tags is one of the keys' for these parts, one after the other.
    pub(super) fn have_signed(&self, parts: &[&[u8]], tags: &[impl AsRef<[u8]>]) -> bool {
        let mut signed = false;
        // Each key with each tag, whatever came of the others, in constant time.
        for key in &self.0 {
            let expected = mac(key, parts);
            for tag in tags {
                signed |= verify_slices_are_equal(expected.as_ref(), tag.as_ref()).is_ok();
            }
        }
        signed
    }

    /// The same, as an answer.
    pub(super) fn check(&self, parts: &[&[u8]], tags: &[impl AsRef<[u8]>]) -> Result<(), Refused> {
        match self.have_signed(parts, tags) {
            true => Ok(()),
            false => Err(Refused::unauthorized("the signature is wrong")),
        }
    }

    /// The tags of all keys, in their order.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> Vec<hmac::Tag> {
        self.0.iter().map(|key| mac(key, parts)).collect()
    }

    /// The tag of the first key, for schemes that have a place for one.
    pub(super) fn sign_once(&self, parts: &[&[u8]]) -> Result<hmac::Tag> {
        let key = self.0.first().ok_or_else(|| Error::bug("sign", "there is no key"))?;
        Ok(mac(key, parts))
    }
}

fn mac(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

#[cfg(test)]
mod tests;
