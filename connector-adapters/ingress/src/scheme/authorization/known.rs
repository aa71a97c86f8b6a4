//! Secrets that are compared with what a stranger says.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use connector_sdk::Secret;

/// Secrets, and their hashes. What is compared is the hashes: of one length, whatever was said, and nothing can be learned
/// of a secret letter by letter.
#[derive(Debug)]
pub(super) struct Known {
    secrets: Vec<Secret>,
    hashes: Vec<Secret<Vec<u8>>>,
}

fn hash(bytes: &[u8]) -> Secret<Vec<u8>> {
    Secret::new(digest::digest(&digest::SHA256, bytes).as_ref().to_vec())
}

impl Known {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let hashes = secrets.iter().map(|secret| hash(secret.expose().as_bytes())).collect();
        Self { secrets: secrets.to_vec(), hashes }
    }

    /// Whether it is one of them. Each is compared.
    pub(super) fn holds(&self, said: &[u8]) -> bool {
        let said = hash(said);
        let mut holds = false;
        for known in &self.hashes {
            holds |= verify_slices_are_equal(known.expose(), said.expose()).is_ok();
        }
        holds
    }

    /// The one to send.
    pub(super) fn first(&self) -> &str {
        self.secrets.first().map(|secret| secret.expose().as_str()).unwrap_or_default()
    }
}
