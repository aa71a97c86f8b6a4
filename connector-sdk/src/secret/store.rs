//! Where secrets are looked up, and how one takes another's place.

use std::fmt;

use async_trait::async_trait;

use super::Secret;
use crate::{Error, Result};

/// Where a template's `${secret:NAME}` is looked up.
///
/// An implementation answers `Ok(None)` for a name it does not hold, so that stores can be asked in
/// order, and an error only where it could not look (class Config: unreadable, wrong mode).
///
/// A store may hold two secrets of a name: the current one, and the next, which was put there before the
/// vendor is told of it. When the vendor refuses the current one, the next is tried, and promoted once it
/// is accepted: no run fails because a secret was changed. A wrapper forwards all six methods.
///
/// An empty text is no secret: a store that finds one answers as if it had found nothing. [`pair`](super::pair)
/// has what all stores do alike.
#[async_trait]
pub trait SecretStore: Send + Sync + fmt::Debug {
    /// The secret of that name, if this store holds it.
    ///
    /// # Errors
    /// Config when the store cannot be read as it is set up; Auth when it refuses who asks; Transient when
    /// it cannot be reached.
    async fn get(&self, name: &str) -> Result<Option<Secret>>;

    /// The one that will take its place, if there is one and it is another. The default: there is none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let _ = name;
        Ok(None)
    }

    /// Whether what is staged and promoted here is so for every other process too, and after this one has
    /// ended. The default refuses.
    ///
    /// # Errors
    /// Config when it is not, saying what a person has to do instead; else as [`get`](Self::get).
    async fn writable(&self, name: &str) -> Result<()> {
        Err(unwritable(name))
    }

    /// Puts the one that will take its place; durable when it returns. The default refuses.
    ///
    /// # Errors
    /// Config when nothing can be written here, when it is empty, and when the name has no current secret; else as
    /// [`get`](Self::get).
    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        let _ = next;
        Err(unwritable(name))
    }

    /// Makes the next one, which is this, the current one: for all and for good where the store is
    /// [`writable`](Self::writable), else for this value and its clones.
    /// Doing it twice is no error: two processes may find out at the same time. The default refuses.
    ///
    /// # Errors
    /// Config when nothing can be written here; Permanent when the next one is another by now, and nothing
    /// was changed; else as [`get`](Self::get).
    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        let _ = next;
        Err(unwritable(name))
    }
}

fn unwritable(name: &str) -> Error {
    Error::config("secret", "this store takes no secrets: change it where it is kept")
        .with_context("name", name)
}
