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
/// is accepted: no run fails because a secret was changed. A wrapper forwards all five methods.
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

    /// Puts the one that will take its place; durable when it returns. The default refuses.
    ///
    /// # Errors
    /// Config when nothing can be written here, and when the name has no current secret; else as
    /// [`get`](Self::get).
    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        let _ = next;
        Err(unwritable(name))
    }

    /// Makes the next one, which is this, the current one; durable when it returns, where the store is.
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

/// Somebody has put another next one in the meantime.
pub(super) fn replaced(name: &str) -> Error {
    Error::permanent("secret", "the next one is another by now, so it was not promoted")
        .with_context("name", name)
}

/// Whether both are the same text. What it leaks by its timing, only who holds one of them could measure.
pub(super) fn same(one: &Secret, other: &Secret) -> bool {
    one.expose() == other.expose()
}

/// A name that is a file's name and a variable's name and nothing else: no path leads out of a folder.
/// `#` stands before the field of a secret that has several.
pub(super) fn checked(name: &str) -> Result<&str> {
    let ends = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let within = |c: char| ends(c) || c == '-' || c == '.';
    let fits = |part: &str| part.starts_with(ends) && part.ends_with(ends) && part.chars().all(within);
    let fits_all = match name.split_once('#') {
        Some((name, field)) => fits(name) && fits(field),
        None => fits(name),
    };
    if name.len() <= 128 && fits_all {
        return Ok(name);
    }
    let message = "a secret's name is made of letters, digits, `_`, and `-` or `.` between them; `#` may stand before \
                   a field";
    Err(Error::config("secret", message).with_context("name", name.escape_debug()))
}
