//! A server's words without the secret that it may say back.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use connector_sdk::secret::redacted;

use crate::auth::Credential;

const HIDDEN: &str = "[secret]";
/// Shorter words of base64 are looked at by nobody: they cannot hold more than a few letters.
const SHORTEST: usize = 8;
/// A secret as short as this may stand in a word by chance.
const SHORT: usize = 8;

/// The text without this credential's secret, plain, quoted or within base64, and without what
/// [`redacted`] finds.
pub(crate) fn without_secret(text: &str, credential: &Credential) -> String {
    let secret = credential.secret().expose();
    let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
    let text = replaced(&replaced(text, &quoted), secret);
    redacted(&without_encoded(&text, secret.as_bytes()))
}

/// Every occurrence; of a short secret only those that stand alone.
fn replaced(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let stands_alone = !is_letter(before.chars().next_back()) && !is_letter(after.chars().next());
        out.push_str(before);
        out.push_str(if secret.len() > SHORT || stands_alone { HIDDEN } else { secret });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Words of base64 that hold the secret.
fn without_encoded(text: &str, secret: &[u8]) -> String {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_base64) {
        let length = rest[start..].find(|c| !is_base64(c)).unwrap_or(rest.len() - start);
        let word = &rest[start..start + length];
        out.push_str(&rest[..start]);
        // What was cut off in the middle of a group still decodes up to there.
        let whole = &word[..word.len() - usize::from(word.len() % 4 == 1)];
        let holds = word.len() >= SHORTEST
            && STANDARD_NO_PAD
                .decode(whole)
                .or_else(|_| STANDARD_NO_PAD.decode(&whole[..whole.len() / 4 * 4]))
                .is_ok_and(|decoded| decoded.windows(secret.len().max(1)).any(|window| window == secret));
        out.push_str(if holds { HIDDEN } else { word });
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    out
}
