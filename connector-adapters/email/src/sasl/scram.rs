//! SCRAM-SHA-256 (RFC 5802 with the hash of RFC 7677), without channel binding.

use std::num::NonZeroU32;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{self, SHA256_OUTPUT_LEN},
    hmac, pbkdf2, rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Class, Error, Result, Secret};
use zeroize::Zeroizing;

use super::{OPERATION, Words, bearer::escaped, broken};
use crate::auth::Credential;

/// Fewer make a stolen proof cheap to guess at (RFC 7677, 4).
const FEWEST_ITERATIONS: u32 = 4_096;
/// More would let a server keep us busy: this is a third of a second.
const MOST_ITERATIONS: u32 = 600_000;
/// `n,,`: no channel binding, and none possible; in base64 as it is said again at the end.
const NO_BINDING: (&str, &str) = ("n,,", "biws");

type Digest = Zeroizing<[u8; SHA256_OUTPUT_LEN]>;

/// What nobody can foresee.
///
/// # Errors
/// Bug when the system has no randomness.
pub(super) fn nonce() -> Result<String> {
    let mut bytes = [0; 18];
    rand::fill(&mut bytes).map_err(|_| Error::bug(OPERATION, "there is no randomness"))?;
    Ok(STANDARD.encode(bytes))
}

pub(super) struct Scram {
    password: Secret,
    nonce: String,
    /// The client's first message without its beginning.
    bare: String,
    state: State,
}

enum State {
    Begun,
    /// The first message is said.
    Asked,
    /// The proof is given; this is what the server has to answer.
    Proven(Digest),
    Verified,
}

impl Scram {
    pub(super) fn new(credential: &Credential, nonce: &str) -> Self {
        let bare = format!("n={},r={nonce}", escaped(&credential.username));
        Self { password: credential.secret().clone(), nonce: nonce.to_owned(), bare, state: State::Begun }
    }

    pub(super) fn first(&mut self) -> Option<Words> {
        if !matches!(self.state, State::Begun) {
            return None;
        }
        self.state = State::Asked;
        Some(Words::new(format!("{}{}", NO_BINDING.0, self.bare).into_bytes()))
    }

    pub(super) fn step(&mut self, challenge: &[u8]) -> Result<Words> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| broken("the challenge is no text"))?;
        match &self.state {
            State::Asked => self.prove(challenge),
            State::Proven(expected) => {
                verify(challenge, expected)?;
                self.state = State::Verified;
                Ok(Words::default())
            }
            State::Begun | State::Verified => {
                Err(broken("the server asks once more than SCRAM has questions"))
            }
        }
    }

    pub(super) fn finish(&self) -> Result<()> {
        match self.state {
            State::Verified => Ok(()),
            _ => Err(broken("the server lets us in without proof that it knows the password")),
        }
    }

    fn prove(&mut self, challenge: &str) -> Result<Words> {
        let mut fields = challenge.split(',');
        let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
        let wrong = || broken("the server's challenge is none of SCRAM");
        // An extension that has to be understood begins with `m=`, in the first place (RFC 5802, 5.1).
        let nonce = field("r=").ok_or_else(wrong)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(broken("the server's nonce does not begin with ours"));
        }
        let salt = field("s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or_else(wrong)?;
        let iterations: u32 = field("i=").and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
        if !(FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations) {
            return Err(broken("the server asks for too few iterations, or too many")
                .with_context("iterations", iterations)
                .with_context("allowed", format!("{FEWEST_ITERATIONS} to {MOST_ITERATIONS}")));
        }
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = Digest::default();
        let password = self.password.expose().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password, &mut *salted);
        let client_key = mac(&*salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &*client_key);
        let without_proof = format!("c={},r={nonce}", NO_BINDING.1);
        let signed = format!("{},{challenge},{without_proof}", self.bare);
        let signature = mac(stored_key.as_ref(), signed.as_bytes());
        let mut proof = client_key;
        proof.iter_mut().zip(signature.iter()).for_each(|(key, signature)| *key ^= signature);
        self.state = State::Proven(mac(&*mac(&*salted, b"Server Key"), signed.as_bytes()));
        Ok(Words::new(format!("{without_proof},p={}", STANDARD.encode(*proof)).into_bytes()))
    }
}

fn verify(challenge: &str, expected: &Digest) -> Result<()> {
    if let Some(error) = challenge.strip_prefix("e=") {
        let error: String = error.chars().take(100).filter(|c| !c.is_control()).collect();
        // A wrong password, mostly: `invalid-proof` (RFC 5802, 7).
        let refused = broken("the server refuses the proof").with_class(Class::Auth);
        return Err(refused.with_context("error", error));
    }
    let signature = challenge.split(',').next().and_then(|field| field.strip_prefix("v="));
    let signature = signature.and_then(|signature| STANDARD.decode(signature).ok());
    let is_right =
        signature.is_some_and(|signature| verify_slices_are_equal(&signature, &**expected).is_ok());
    if is_right { Ok(()) } else { Err(broken("the server does not know the password that it asks for")) }
}

fn mac(key: &[u8], text: &[u8]) -> Digest {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut digest = Digest::default();
    digest.copy_from_slice(tag.as_ref());
    digest
}
