//! Ed25519 (RFC 8032), as Standard Webhooks v1a uses it.

use std::{fmt, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use connector_sdk::{Error, Result};

use super::config::MOST_ASYMMETRIC;

/// A key that others sign for.
#[derive(Debug, Clone)]
pub(super) struct PublicKey(UnparsedPublicKey<[u8; 32]>);

impl PublicKey {
    pub(super) fn new(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::config("connect", "one is no public key of Ed25519");
        let key = UnparsedPublicKey::new(&ED25519, bytes.try_into().map_err(|_| wrong())?);
        key.parse().map_err(|_| wrong())?;
        Ok(Self(key))
    }
}

/// The keys that a sender may sign with.
#[derive(Debug, Clone, Default)]
pub(super) struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// These, if they are not too many.
    pub(super) fn new(keys: Vec<PublicKey>) -> Result<Self> {
        few(keys.len())?;
        Ok(Self(keys))
    }

    /// Whether one of the signatures is one of the keys' for these parts, one after the other. Each is tried.
    pub(super) fn have_signed(&self, parts: &[&[u8]], signatures: &[[u8; 64]]) -> bool {
        if self.0.is_empty() || signatures.is_empty() {
            return false;
        }
        let message = parts.concat();
        let mut signed = false;
        for PublicKey(key) in &self.0 {
            for signature in signatures {
                signed |= key.verify(&message, signature).is_ok();
            }
        }
        signed
    }
}

/// Fails where keys are more than are good at once.
pub(super) fn few(keys: usize) -> Result<()> {
    match keys > MOST_ASYMMETRIC {
        true => Err(Error::config(
            "connect",
            format!("there are {keys} asymmetric ones; at most {MOST_ASYMMETRIC}"),
        )),
        false => Ok(()),
    }
}

/// A key to sign with.
#[derive(Clone)]
pub(super) struct PrivateKey(Arc<Ed25519KeyPair>);

impl PrivateKey {
    /// A seed of 32 bytes, or the seed and the public key that belongs to it.
    pub(super) fn new(bytes: &[u8]) -> Result<Self> {
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(Error::config("connect", "one is no private key of Ed25519")),
        };
        let pair = pair.map_err(|_| Error::config("connect", "one is no private key of Ed25519"))?;
        Ok(Self(Arc::new(pair)))
    }

    /// The signature for these parts, one after the other.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> Result<[u8; 64]> {
        let failed = || Error::bug("sign", "Ed25519 failed to sign");
        let signature = self.0.try_sign(&parts.concat()).map_err(|_| failed())?;
        signature.as_ref().try_into().map_err(|_| failed())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests;
