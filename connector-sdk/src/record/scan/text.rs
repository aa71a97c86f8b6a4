//! Strings: where they end, whether their escapes are right, and what they say.

use std::borrow::Cow;

use super::{
    ScanErrorKind,
    block::{WIDTH, block, stops},
    error::{Fault, end, expected, fault},
};

/// Reads the string whose opening quote is at `open`; gives its end, behind the closing quote.
#[inline(always)]
pub(super) fn string(page: &[u8], open: usize) -> Result<usize, Fault> {
    key_string(page, open).map(|(end, _)| end)
}

/// Reads a string, and tells whether its bytes are surely what it says: nothing is escaped in it.
#[inline(always)]
pub(super) fn key_string(page: &[u8], open: usize) -> Result<(usize, bool), Fault> {
    let mut at = open + 1;
    while let Some(bytes) = block(page, at) {
        let stops = stops(bytes);
        if stops != 0 {
            let stop = stops.trailing_zeros() as usize;
            at += stop;
            if bytes[stop % WIDTH] == b'"' {
                return Ok((at + 1, true));
            }
            break;
        }
        at += WIDTH;
    }
    Ok((rest(page, at)?, false))
}

/// The rest of a string with something more in it than plain text, or near the end of the page.
#[inline(never)]
fn rest(page: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        while let Some(bytes) = block(page, at) {
            let plain = stops(bytes).trailing_zeros() as usize;
            at += plain;
            if plain < WIDTH {
                break;
            }
        }
        match page.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(page, at)?,
            Some(0..0x20) => return Err(fault(ScanErrorKind::ControlCharacter, at)),
            Some(_) => at += 1,
            None => return Err(end(page)),
        }
    }
}

/// Checks the escape whose backslash is at `at`, and the second half of a pair with the first.
fn escape(page: &[u8], at: usize) -> Result<usize, Fault> {
    match page.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match code_unit(page, at + 2)? {
            0xd800..=0xdbff => low_surrogate(page, at),
            0xdc00..=0xdfff => Err(fault(ScanErrorKind::LoneSurrogate, at)),
            _ => Ok(at + 6),
        },
        _ => Err(expected("one of \"\\/bfnrtu after a backslash", page, at + 1)),
    }
}

/// Checks that the high surrogate escaped at `at` is followed by its other half.
fn low_surrogate(page: &[u8], at: usize) -> Result<usize, Fault> {
    let alone = || fault(ScanErrorKind::LoneSurrogate, at);
    for (offset, want) in [(at + 6, b'\\'), (at + 7, b'u')] {
        match page.get(offset) {
            Some(&byte) if byte == want => {}
            Some(_) => return Err(alone()),
            None => return Err(end(page)),
        }
    }
    match code_unit(page, at + 8)? {
        0xdc00..=0xdfff => Ok(at + 12),
        _ => Err(alone()),
    }
}

/// The four hexadecimal digits at `at`.
fn code_unit(page: &[u8], at: usize) -> Result<u32, Fault> {
    (at..at + 4).try_fold(0, |unit, offset| {
        let digit = page.get(offset).and_then(|&byte| char::from(byte).to_digit(16));
        let digit = digit.ok_or_else(|| expected("four hexadecimal digits after \\u", page, offset))?;
        Ok(unit << 4 | digit)
    })
}

/// What a JSON string says: `"a\u0062c"`, quotes included, gives `abc`. Borrows where nothing is escaped.
///
/// None when `raw` is not exactly one JSON string: a number, `null`, white space around it.
///
/// ```
/// use connector_sdk::record::unescape;
/// assert_eq!(unescape(br#""a\u0062c""#).as_deref(), Some("abc"));
/// assert_eq!(unescape(b"null"), None);
/// ```
#[must_use]
pub fn unescape(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if string(raw, 0).ok()? != raw.len() {
        return None;
    }
    if inner.contains(&b'\\') {
        serde_json::from_slice(raw).ok().map(Cow::Owned)
    } else {
        std::str::from_utf8(inner).ok().map(Cow::Borrowed)
    }
}
