//! What every store does alike with the current secret and the next one. For those who write a
//! [`SecretStore`](super::SecretStore).

use super::Secret;
use crate::{Error, Result};

/// The name, if it is one that a store may be asked for: a file's name and a variable's name and nothing
/// else, so that no path leads out of a folder. `#` stands before the field of a secret that has several.
///
/// `next` at the end of it is refused (`token-next`, `token.next`, `token#value_next`): stores keep the next
/// secret of `token` under such names, and one would be taken for the other.
///
/// # Errors
/// Config.
pub fn checked(name: &str) -> Result<&str> {
    let ends = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let within = |c: char| ends(c) || c == '-' || c == '.';
    let fits = |part: &str| part.starts_with(ends) && part.ends_with(ends) && part.chars().all(within);
    let fits_all = match name.split_once('#') {
        Some((name, field)) => fits(name) && fits(field),
        None => fits(name),
    };
    let refused = |why| Err(Error::config("secret", why).with_context("name", name.escape_debug()));
    if name.len() > 128 || !fits_all {
        return refused(
            "a secret's name is made of letters, digits, `_`, and `-` or `.` between them; `#` may stand before a \
             field",
        );
    }
    match name.rsplit_once(['-', '.', '_', '#']) {
        Some((_, last)) if last.eq_ignore_ascii_case("next") => {
            refused("a secret's name does not end in `next`: there lies what takes another's place")
        }
        _ => Ok(name),
    }
}

/// What a store has found, unless it is empty: an empty secret opens nothing, and is what a variable or a
/// field holds that somebody has cleared.
#[must_use]
pub fn present(found: Option<Secret>) -> Option<Secret> {
    found.filter(|secret| !secret.expose().is_empty())
}

/// The secret that is to be the next one.
///
/// # Errors
/// Config when it is empty.
pub fn stageable<'a>(name: &str, next: &'a Secret) -> Result<&'a Secret> {
    if next.expose().is_empty() {
        return Err(Error::config("secret", "an empty text is no secret").with_context("name", name));
    }
    Ok(next)
}

/// Whether both are the same text. What it leaks by its timing, only who holds one of them could measure.
#[must_use]
pub fn same(one: &Secret, other: &Secret) -> bool {
    one.expose() == other.expose()
}

/// There is no current one: class Config.
#[must_use]
pub fn missing(name: &str) -> Error {
    Error::config("secret", "there is no secret of that name whose place it could take")
        .with_context("name", name)
}

/// Somebody has put another next one in the meantime: class Permanent.
#[must_use]
pub fn replaced(name: &str) -> Error {
    Error::permanent("secret", "the next one is another by now, so it was not promoted")
        .with_context("name", name)
}
