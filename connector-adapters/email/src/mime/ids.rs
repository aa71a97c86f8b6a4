//! Message ids: Message-ID, In-Reply-To, References, Content-ID.

use super::words;

/// More than any thread has; RFC 5322 lets References grow with it.
const MOST: usize = 1_000;

/// A line has no more bytes (RFC 5322 §2.1.1), and an id has no fold.
const LONGEST: usize = 998;

/// The ids of a field, without their angle brackets, which are "semantically not part of the msg-id" (RFC 5322 §3.6.4).
/// Where there is no bracket, the words of the field are ids.
pub(super) fn ids(value: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while found.len() < MOST
        && let Some(start) = memchr::memchr(b'<', rest)
    {
        let after = &rest[start + 1..];
        let Some(end) = memchr::memchr(b'>', after) else { break };
        // White space inside is that of a fold.
        let id: Vec<u8> = after[..end].iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if (1..=LONGEST).contains(&id.len()) {
            found.push(words::text(&id).text.into_owned());
        }
        rest = &after[end + 1..];
    }
    if found.is_empty() {
        let text = words::text(value).text;
        let ids = text.split_ascii_whitespace().map(|id| id.trim_matches(['<', '>']));
        found.extend(ids.take(MOST).filter(|id| (1..=LONGEST).contains(&id.len())).map(str::to_owned));
    }
    found
}
