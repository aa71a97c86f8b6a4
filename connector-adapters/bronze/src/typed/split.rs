//! Where the values of a JSON object begin and end.
//!
//! For JSON that is known to be right. Anything else ends in "no object", or in values that do not fit;
//! never in a panic or an endless loop.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Calls `each` with every key, as it stands between its quotes, and every value's text. False when the
/// text is no object.
pub(super) fn object<'a>(json: &'a str, mut each: impl FnMut(&'a str, &'a str)) -> bool {
    let bytes = json.as_bytes();
    let mut at = blank(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return false;
    }
    at = blank(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return true;
    }
    loop {
        let Some(key_end) = string(bytes, at) else { return false };
        let Some(key) = json.get(at + 1..key_end - 1) else { return false };
        at = blank(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return false;
        }
        at = blank(bytes, at + 1);
        let Some(end) = value(bytes, at) else { return false };
        let Some(text) = json.get(at..end) else { return false };
        each(key, text);
        at = blank(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = blank(bytes, at + 1),
            Some(b'}') => return true,
            _ => return false,
        }
    }
}

/// The end of the value that begins at `at`.
fn value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => string(bytes, at),
        b'{' | b'[' => nested(bytes, at),
        _ => {
            let rest = bytes.get(at..)?;
            let length = rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'))?;
            (length > 0).then_some(at + length)
        }
    }
}

/// The end of the string whose opening quote is at `at`.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..)?;
        let stop = at + memchr2(b'"', b'\\', rest)?;
        if bytes.get(stop) == Some(&b'"') {
            return Some(stop + 1);
        }
        at = stop + 2;
    }
}

/// The end of the object or array that begins at `at`. Brackets of both kinds count alike.
fn nested(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// What stands between the quotes of a JSON string, without escapes. As it stands where they are wrong.
pub(super) fn unescape(inner: &str) -> Cow<'_, str> {
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    match serde_json::from_str::<String>(&format!("\"{inner}\"")) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(inner),
    }
}
