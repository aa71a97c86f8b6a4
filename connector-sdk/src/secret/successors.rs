//! Who comes after a secret that was refused.

use std::fmt;

use async_trait::async_trait;

use super::Secret;
use crate::Result;

/// Knows, for a secret in a connector's configuration, which comes after it. A connector sees only texts;
/// the host knows which store gave them, and lends this in the [`Context`](crate::Context).
///
/// [`Rotating`](crate::auth::Rotating) asks it; a connector seldom does.
#[async_trait]
pub trait Successors: Send + Sync + fmt::Debug {
    /// The secret to try in place of the refused one: what its store holds by now, if that is another
    /// (somebody may have changed it), else its next one. None: there is no other.
    ///
    /// # Errors
    /// As [`SecretStore::get`](super::SecretStore::get).
    async fn after(&self, refused: &Secret) -> Result<Option<Secret>>;

    /// The vendor has accepted what [`after`](Self::after) gave: it becomes the current one.
    ///
    /// # Errors
    /// As [`SecretStore::promote`](super::SecretStore::promote). The successor is good all the same.
    async fn promote(&self, accepted: &Secret) -> Result<()>;
}

/// No secret has a successor: where a host does not say otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSuccessors;

#[async_trait]
impl Successors for NoSuccessors {
    async fn after(&self, _refused: &Secret) -> Result<Option<Secret>> {
        Ok(None)
    }

    async fn promote(&self, _accepted: &Secret) -> Result<()> {
        Ok(())
    }
}
