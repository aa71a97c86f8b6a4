//! Values that nobody asked for: checked and skipped, in a loop that knows nothing of paths.

use super::{
    MAX_DEPTH, ScanErrorKind,
    error::{Fault, end, expected, fault},
    number::number,
    text::{key_string, string},
};

/// The first byte of what comes next, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) byte: u8,
    pub(super) at: usize,
}

/// Skips white space from `at`.
///
/// # Errors
/// The page ends.
#[inline(always)]
pub(super) fn token(page: &[u8], at: usize) -> Result<Token, Fault> {
    match page.get(at) {
        Some(&byte) if byte > b' ' => Ok(Token { byte, at }),
        _ => {
            let at = behind_space(page, at);
            page.get(at).map(|&byte| Token { byte, at }).ok_or_else(|| end(page))
        }
    }
}

/// The first byte from `at` that is no white space.
#[inline(never)]
pub(super) fn behind_space(page: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = page.get(at) {
        at += 1;
    }
    at
}

/// A key that has been read.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// Behind its closing quote.
    pub(super) end: usize,
    /// Behind its colon.
    pub(super) colon_end: usize,
    /// Whether surely nothing is escaped in it.
    pub(super) plain: bool,
}

/// Reads `"key":` where `first` should be the quote.
#[inline(always)]
pub(super) fn key(page: &[u8], first: Token) -> Result<Key, Fault> {
    if first.byte != b'"' {
        return Err(expected("a key in quotes", page, first.at));
    }
    let (end, plain) = key_string(page, first.at)?;
    let colon = token(page, end)?;
    if colon.byte != b':' {
        return Err(expected("':' after a key", page, colon.at));
    }
    Ok(Key { end, colon_end: colon.at + 1, plain })
}

/// Reads a key and gives the first byte of its value.
#[inline(always)]
fn behind_key(page: &[u8], first: Token) -> Result<Token, Fault> {
    let key = key(page, first)?;
    token(page, key.colon_end)
}

/// Checks the value that starts with `first`, of any kind, inside `depth` containers; gives its end.
#[inline(always)]
pub(super) fn value(page: &[u8], first: Token, depth: usize) -> Result<usize, Fault> {
    match first.byte {
        b'{' | b'[' => container(page, first, depth),
        _ => scalar(page, first),
    }
}

#[inline(always)]
fn scalar(page: &[u8], first: Token) -> Result<usize, Fault> {
    match first.byte {
        b'"' => string(page, first.at),
        b'-' | b'0'..=b'9' => number(page, first.at),
        b't' => literal(page, first.at, b"true"),
        b'f' => literal(page, first.at, b"false"),
        b'n' => literal(page, first.at, b"null"),
        _ => Err(expected("a value", page, first.at)),
    }
}

#[inline(always)]
fn literal<const N: usize>(page: &[u8], at: usize, word: &[u8; N]) -> Result<usize, Fault> {
    match page.get(at..at + N) {
        Some(bytes) if bytes == word => Ok(at + N),
        _ => Err(bad_literal(page, at, word)),
    }
}

#[cold]
#[inline(never)]
fn bad_literal(page: &[u8], at: usize, word: &[u8]) -> Fault {
    let same =
        word.iter().enumerate().take_while(|&(index, byte)| page.get(at + index) == Some(byte)).count();
    expected("true, false or null", page, at + same)
}

/// The containers that are open, innermost in the lowest bit: one for an object, zero for an array.
struct Open {
    objects: u128,
    depth: usize,
    outside: usize,
}

impl Open {
    fn push(&mut self, object: bool, at: usize) -> Result<(), Fault> {
        self.depth = deeper(self.depth, at)?;
        self.objects = self.objects << 1 | u128::from(object);
        Ok(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn none(&self) -> bool {
        self.depth == self.outside
    }
}

/// One level down from `depth`, into the container that opens at `at`.
///
/// # Errors
/// That is too deep.
#[inline(always)]
pub(super) fn deeper(depth: usize, at: usize) -> Result<usize, Fault> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(fault(ScanErrorKind::Depth, at)) }
}

/// Checks the object or array that opens at `first`, with all that is in it; gives its end.
#[inline(never)]
fn container(page: &[u8], first: Token, outside: usize) -> Result<usize, Fault> {
    let mut open = Open { objects: 0, depth: outside, outside };
    let mut next = first;
    loop {
        // A value starts at `next`.
        let mut end = match next.byte {
            b'{' | b'[' => {
                let object = next.byte == b'{';
                open.push(object, next.at)?;
                next = token(page, next.at + 1)?;
                if next.byte != close(object) {
                    if object {
                        next = behind_key(page, next)?;
                    }
                    continue;
                }
                open.pop();
                next.at + 1
            }
            _ => scalar(page, next)?,
        };
        // A value has ended at `end`, and containers may end with it.
        loop {
            if open.none() {
                return Ok(end);
            }
            next = token(page, end)?;
            let object = open.in_object();
            if next.byte == b',' {
                next = token(page, next.at + 1)?;
                if object {
                    next = behind_key(page, next)?;
                }
                break;
            }
            if next.byte != close(object) {
                return Err(after_value(object, page, next));
            }
            open.pop();
            end = next.at + 1;
        }
    }
}

const fn close(object: bool) -> u8 {
    if object { b'}' } else { b']' }
}

/// Neither a comma nor the container's end stands at `next`.
#[cold]
#[inline(never)]
pub(super) fn after_value(object: bool, page: &[u8], next: Token) -> Fault {
    let comma_or_end =
        if object { "',' or '}' after a value in an object" } else { "',' or ']' after a value in an array" };
    expected(comma_or_end, page, next.at)
}
