//! What assertions of both kinds, JWT and SAML, have in common (RFC 7521).

use std::{fmt::Write as _, time::Duration};

use crate::{Error, Result};

/// How long an assertion is good: long enough for clocks that go a little wrong, and what the strictest
/// vendor we know accepts at most (Salesforce, three minutes). Others count five minutes from the issue,
/// within which this stays together with [`EARLY`].
pub(super) const LIFE: Duration = Duration::from_secs(180);

/// How long before now it says to have been issued: a vendor whose clock is behind ours refuses what comes
/// from its future.
pub(super) const EARLY: Duration = Duration::from_secs(60);

/// A value that an assertion states, as given. It is compared character by character at the other end
/// (RFC 7523, 3), so nothing is trimmed or added.
///
/// # Errors
/// Config when there is none, or when it holds characters that XML cannot hold (XML 1.0, 2.2) or other
/// controls. Tab and line breaks may stand in it.
pub(super) fn stated(field: &'static str, text: String) -> Result<String> {
    let what = if text.trim().is_empty() {
        "is empty"
    } else if text.chars().any(is_unfit) {
        "holds control characters"
    } else {
        return Ok(text);
    };
    let error = Error::config("connect", format!("the `{field}` of an assertion {what}"));
    Err(error.with_context("field", field))
}

fn is_unfit(c: char) -> bool {
    c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// A text that no other assertion has: 128 random bits, in hexadecimal.
pub(super) fn unique() -> Result<String> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::bug("token", "the system gives no random numbers"))?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
