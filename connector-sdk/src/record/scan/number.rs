//! Numbers: checked against the grammar, never parsed.

use super::error::{Fault, expected};

/// A byte repeated in all eight places of a word.
const fn all(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Reads the number that starts at `start` with a minus or a digit; gives its end.
#[inline(always)]
pub(super) fn number(page: &[u8], start: usize) -> Result<usize, Fault> {
    let whole = start + usize::from(page.get(start) == Some(&b'-'));
    let mut at = match page.get(whole) {
        // What follows a leading zero is no part of the number: the caller finds a digit where a comma should be.
        Some(b'0') => whole + 1,
        _ => some_digits(page, whole)?,
    };
    if page.get(at) == Some(&b'.') {
        at = some_digits(page, at + 1)?;
    }
    if let Some(b'e' | b'E') = page.get(at) {
        let sign = matches!(page.get(at + 1), Some(b'+' | b'-'));
        at = some_digits(page, at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

/// The end of the digits at `at`, of which there must be one.
#[inline(always)]
fn some_digits(page: &[u8], at: usize) -> Result<usize, Fault> {
    let end = digits(page, at);
    if end == at { Err(expected("a digit", page, at)) } else { Ok(end) }
}

#[inline(always)]
fn digits(page: &[u8], mut at: usize) -> usize {
    while let Some(bytes) = page.get(at..).and_then(<[u8]>::first_chunk) {
        // Eight bytes as one word: a digit is 0 to 9 after the exclusive or, and adding 0x76 to more than 9 sets
        // its top bit. A carry spoils only bytes behind the first mark, which are not looked at.
        let word = u64::from_le_bytes(*bytes);
        let others = ((word ^ all(b'0')).wrapping_add(all(0x76)) | word) & all(0x80);
        if others != 0 {
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while page.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}
