//! The private key that signs assertions.

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaKeyPair,
    },
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::{Error, Result, Secret};

/// How an assertion is signed (RFC 7518, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-256: what every vendor takes.
    #[default]
    Rs256,
    /// RSA PSS with SHA-256.
    Ps256,
    /// ECDSA on the curve P-256 with SHA-256.
    Es256,
}

impl SigningAlgorithm {
    /// Its name in the header of a JWT.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Self::Rs256 | Self::Ps256 => {
                "an RSA private key in PEM (PKCS#1 or PKCS#8, not encrypted, 2048 bits or more)"
            }
            Self::Es256 => "an EC private key of the curve P-256 in PEM (SEC 1 or PKCS#8, not encrypted)",
        }
    }
}

/// A private key that can sign with one algorithm. Debug shows the algorithm only.
pub struct SigningKey {
    algorithm: SigningAlgorithm,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// The first private key of this PEM. Where line breaks cannot be kept, as in a variable, they may be
    /// written `\n`.
    ///
    /// # Errors
    /// Config when it is no private key of the kind that the algorithm needs, is encrypted, damaged, or an
    /// RSA key of less than 2048 bits (NIST SP 800-131A).
    pub fn new(algorithm: SigningAlgorithm, pem: &Secret) -> Result<Self> {
        let text = Zeroizing::new(pem.expose().trim().replace("\\n", "\n"));
        let refused = |why: &str| {
            Error::config("connect", format!("`private_key` {why}: it must be {}", algorithm.wants()))
        };
        // Both ways of writing an encrypted key: PKCS#8, and the older headers of PKCS#1.
        if text.contains("BEGIN ENCRYPTED") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(refused("is encrypted"));
        }
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| refused("holds no private key"))?;
        let pair = match (algorithm, &*der) {
            (SigningAlgorithm::Es256, PrivateKeyDer::Pkcs1(_)) => None,
            (SigningAlgorithm::Es256, der) => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der())
                    .map(Pair::P256)
                    .ok()
            }
            (_, PrivateKeyDer::Pkcs1(der)) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Pair::Rsa).ok()
            }
            (_, PrivateKeyDer::Pkcs8(der)) => {
                RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map(Pair::Rsa).ok()
            }
            _ => None,
        };
        let key = Self { algorithm, pair: pair.ok_or_else(|| refused("cannot be used"))? };
        // What the key cannot sign now it cannot sign later: say so while a person is looking.
        key.sign(b"").map_err(|_| refused("cannot be used"))?;
        Ok(key)
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The signature of these bytes.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let failed = |_| Error::bug("token", "the private key that signed before does not sign now");
        match &self.pair {
            Pair::P256(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let padding = match self.algorithm {
                    SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
        }
    }

    /// Tells keys apart without showing anything of them.
    pub(super) fn fingerprint(&self) -> String {
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(self.public_key()))
    }

    /// The public half, as the bit string of a certificate holds it (RFC 8017, A.1.1; RFC 5480, 2.2).
    pub(super) fn public_key(&self) -> &[u8] {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref(),
            Pair::P256(pair) => pair.public_key().as_ref(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
