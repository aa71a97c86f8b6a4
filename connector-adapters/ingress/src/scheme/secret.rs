//! Secrets of Standard Webhooks as text (standard-webhooks.md, "Signature scheme", "Secret serialization").

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use connector_sdk::{Error, Result, Secret};

use super::asymmetric::{PrivateKey, PublicKey};

/// The fewest bytes of a shared secret (the same table: 192 bits).
const LEAST: usize = 24;

/// A secret of one of three kinds.
#[derive(Debug)]
pub(super) enum WebhookSecret {
    /// `whsec_`: shared by both sides.
    Symmetric(Secret<Vec<u8>>),
    /// `whpk_`: of who is called.
    Public(PublicKey),
    /// `whsk_`: of who calls.
    Private(PrivateKey),
}

/// Reads a secret. What it is stands before it: one that is taken for another would be another key.
pub(super) fn read(secret: &Secret) -> Result<WebhookSecret> {
    let text = secret.expose();
    if let Some(text) = text.strip_prefix("whsec_") {
        let bytes = bytes(text)?;
        if bytes.expose().len() < LEAST {
            let what = format!("one is shorter than {LEAST} bytes, and could be guessed");
            return Err(Error::config("connect", what));
        }
        return Ok(WebhookSecret::Symmetric(bytes));
    }
    if let Some(text) = text.strip_prefix("whpk_") {
        return PublicKey::new(bytes(text)?.expose()).map(WebhookSecret::Public);
    }
    if let Some(text) = text.strip_prefix("whsk_") {
        return PrivateKey::new(bytes(text)?.expose()).map(WebhookSecret::Private);
    }
    Err(Error::config("connect", "one begins with none of whsec_, whpk_ and whsk_"))
}

/// Secrets come with padding and without, and the libraries of Standard Webhooks take both. A signature has one form, a
/// secret that its owner has copied need not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn bytes(text: &str) -> Result<Secret<Vec<u8>>> {
    let bytes = LENIENT.decode(text).map(Secret::new);
    // The decoder's error holds a character of it.
    bytes.map_err(|_| Error::config("connect", "one is no base64 after its prefix"))
}
