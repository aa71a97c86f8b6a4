//! The private key that signs mails.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Error, Result, Secret};
use zeroize::Zeroizing;

use crate::config::wrong;

const FIELD: &str = "dkim.private_key";
const WANTED: &str =
    "an RSA key (PKCS#1 or PKCS#8, not encrypted, 2048 bits or more) or an Ed25519 key (PKCS#8) in PEM";

pub(super) enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// The first private key of this PEM. Where line breaks cannot be kept, as in a variable, they may be written `\n`.
    ///
    /// # Errors
    /// Config when there is none that can sign.
    pub(super) fn parse(pem: &Secret) -> Result<Self> {
        let text = Zeroizing::new(pem.expose().replace("\\n", "\n"));
        let refused = |why: &str| wrong(FIELD, format!("{why}: it must be {WANTED}"));
        if text.contains("BEGIN ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(refused("is encrypted"));
        }
        let (label, der) = first(&text).ok_or_else(|| refused("holds no private key"))?;
        let rsa = match label {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der).ok(),
            _ => RsaKeyPair::from_pkcs8(&der).ok(),
        };
        let key = match rsa {
            Some(pair) => Some(Self::Rsa(Box::new(pair))),
            // Keys that openssl makes hold no public half, against which it could be checked.
            None => Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok().map(Self::Ed25519),
        };
        let key = key.ok_or_else(|| refused("cannot be used"))?;
        // What cannot sign now cannot sign later: say so while a person is looking.
        key.sign(b"").map_err(|_| refused("cannot be used"))?;
        Ok(key)
    }

    /// Its name in a signature.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// # Errors
    /// Bug when it does not sign.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(
                    |_| Error::bug("send", "the key of DKIM that signed before does not sign now"),
                )?;
                Ok(signature)
            }
            // The hash is signed, and not the text (RFC 8463, 3).
            Self::Ed25519(pair) => Ok(pair.sign(digest(&SHA256, message).as_ref()).as_ref().to_vec()),
        }
    }
}

/// The label and the bytes of the first private key.
fn first(pem: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let labels = ["PRIVATE KEY", "RSA PRIVATE KEY"];
    let found =
        labels.iter().filter_map(|label| Some((pem.find(&format!("-----BEGIN {label}-----"))?, *label)));
    let (at, label) = found.min()?;
    let (_, rest) = pem.get(at..)?.split_once(&format!("-----BEGIN {label}-----"))?;
    let (text, _) = rest.split_once("-----END ")?;
    let text = Zeroizing::new(text.split_whitespace().collect::<String>());
    Some((label, Zeroizing::new(STANDARD.decode(&*text).ok()?)))
}
