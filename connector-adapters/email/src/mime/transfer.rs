//! Content-Transfer-Encoding (RFC 2045 §6), and the Q encoding of RFC 2047: whatever the bytes, as much as can be read.

/// How a part is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is: 7bit, 8bit, binary.
    Identity,
    /// Base64.
    Base64,
    /// Quoted-printable.
    QuotedPrintable,
    /// Uuencode, which no RFC has made an encoding and old mail uses.
    Uuencode,
    /// One that we do not know: taken as it is.
    Unknown,
}

impl Encoding {
    /// What the field says; comments and parameters behind the name are not looked at.
    pub(super) fn of(value: &[u8]) -> Self {
        let value = value.trim_ascii();
        let end = value.iter().position(|byte| matches!(byte, b';' | b'(' | b' ' | b'\t' | b'\r' | b'\n'));
        let name = &value[..end.unwrap_or(value.len())];
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"7bit") || is(b"8bit") || is(b"binary") || name.is_empty() {
            Self::Identity
        } else if is(b"base64") {
            Self::Base64
        } else if is(b"quoted-printable") {
            Self::QuotedPrintable
        } else if is(b"x-uuencode") || is(b"uuencode") || is(b"x-uue") || is(b"uue") {
            Self::Uuencode
        } else {
            Self::Unknown
        }
    }

    /// Decodes a body, into `scratch` where something has to be decoded. Says also whether all of it was well-formed.
    pub(super) fn decode<'a>(self, body: &'a [u8], scratch: &'a mut Vec<u8>) -> (&'a [u8], bool) {
        scratch.clear();
        let clean = match self {
            Self::Identity | Self::Unknown => return (body, true),
            Self::Base64 => base64(body, scratch),
            Self::QuotedPrintable => quoted_printable(body, scratch),
            Self::Uuencode => uuencode(body, scratch),
        };
        (scratch, clean)
    }

    /// Decodes a body into a buffer of its own; `None` where there is nothing to decode.
    pub(super) fn decoded(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Identity | Self::Unknown => return None,
            _ => self.decode(body, &mut bytes),
        };
        Some(bytes)
    }
}

const INVALID: u32 = 1 << 31;

/// The value of a letter at each of the four places of a group.
static PLACES: [[u32; 256]; 4] = places();

const fn places() -> [[u32; 256]; 4] {
    let mut tables = [[INVALID; 256]; 4];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0;
    while value < 64 {
        let letter = letters[value] as usize;
        let mut place = 0;
        while place < 4 {
            tables[place][letter] = (value as u32) << (18 - 6 * place as u32);
            place += 1;
        }
        value += 1;
    }
    tables
}

/// Decodes base64 in lines. Letters that it does not have are passed over (RFC 2045 §6.8) and make it not well-formed, as
/// does what stands behind padding on its line; the next line is decoded again, because some senders encode in pieces.
pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(bytes.len() / 4 * 3 + 3);
    let mut clean = true;
    let mut pending = 0_u32;
    let mut count = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        if count == 0 {
            while let Some((group, after)) = rest.split_first_chunk::<4>() {
                let word = PLACES[0][usize::from(group[0])]
                    | PLACES[1][usize::from(group[1])]
                    | PLACES[2][usize::from(group[2])]
                    | PLACES[3][usize::from(group[3])];
                if word & INVALID != 0 {
                    break;
                }
                let [_, a, b, c] = word.to_be_bytes();
                out.extend_from_slice(&[a, b, c]);
                rest = after;
            }
        }
        let Some((&byte, after)) = rest.split_first() else { break };
        rest = after;
        let value = PLACES[3][usize::from(byte)];
        if value & INVALID == 0 {
            pending = (pending << 6) | value;
            count += 1;
            if count == 4 {
                out.extend_from_slice(&pending.to_be_bytes()[1..]);
                (pending, count) = (0, 0);
            }
        } else if byte == b'=' {
            clean &= close_group(pending, count, out);
            (pending, count) = (0, 0);
            let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            clean &= rest[..line].iter().all(|byte| *byte == b'=' || byte.is_ascii_whitespace());
            rest = &rest[line..];
        } else if !byte.is_ascii_whitespace() {
            clean = false;
        }
    }
    close_group(pending, count, out) & clean
}

/// Whether a text that is said to be base64 begins like it: many are sent as they are, and would become noise.
pub(super) fn begins_like_base64(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())];
    line.iter().all(|byte| {
        PLACES[3][usize::from(*byte)] & INVALID == 0 || *byte == b'=' || byte.is_ascii_whitespace()
    })
}

/// What a group that ends early holds. One letter alone is six bits: no byte.
fn close_group(pending: u32, count: u32, out: &mut Vec<u8>) -> bool {
    match count {
        2 => out.push((pending >> 4) as u8),
        3 => out.extend_from_slice(&[(pending >> 10) as u8, (pending >> 2) as u8]),
        1 => return false,
        _ => {}
    }
    true
}

/// Decodes quoted-printable line by line: white space at the end of a line was added on the way (RFC 2045 §6.7 rule 3).
pub(super) fn quoted_printable(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(bytes.len());
    let mut clean = true;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, end, after) = match memchr::memchr(b'\n', rest) {
            Some(at) => {
                let line = &rest[..at];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                (line, &rest[line.len()..=at], &rest[at + 1..])
            }
            None => (rest, &rest[rest.len()..], &rest[rest.len()..]),
        };
        rest = after;
        let line = line.trim_ascii_end();
        match line.strip_suffix(b"=") {
            Some(line) => clean &= escapes(line, out),
            None => {
                clean &= escapes(line, out);
                out.extend_from_slice(end);
            }
        }
    }
    clean
}

/// `=XX` of one line. What looks like it and is not stays as it is.
fn escapes(line: &[u8], out: &mut Vec<u8>) -> bool {
    let mut clean = true;
    let mut rest = line;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1..at + 3).and_then(hex) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                clean = false;
                out.push(b'=');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
    clean
}

/// The Q encoding: as quoted-printable, and `_` is a space.
pub(super) fn q(payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for (index, piece) in payload.split(|byte| *byte == b'_').enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        escapes(piece, out);
    }
    // A word that was folded in the middle.
    if memchr::memchr2(b'\r', b'\n', &out[start..]).is_some() {
        let unfolded: Vec<u8> =
            out[start..].iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        out.truncate(start);
        out.extend_from_slice(&unfolded);
    }
}

/// `%XX` of RFC 2231.
pub(super) fn percent(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1..at + 3).and_then(hex) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                out.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

fn hex(pair: &[u8]) -> Option<u8> {
    let [high, low] = pair else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(*high)? << 4 | digit(*low)?)
}

/// Decodes from the line `begin …` to the line `end`; without a `begin` there is nothing to decode.
fn uuencode(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    if !lines.by_ref().any(|line| line.starts_with(b"begin ")) {
        out.extend_from_slice(bytes);
        return false;
    }
    let mut clean = true;
    for line in lines {
        let Some((&first, data)) = line.split_first() else { continue };
        if line == b"end" {
            return clean;
        }
        let value = |byte: u8| byte.wrapping_sub(b' ') & 0x3f;
        let length = usize::from(value(first));
        let start = out.len();
        for group in data.chunks(4) {
            let at = |index: usize| u32::from(group.get(index).map_or(0, |byte| value(*byte)));
            let word = at(0) << 18 | at(1) << 12 | at(2) << 6 | at(3);
            out.extend_from_slice(&word.to_be_bytes()[1..]);
        }
        clean &= out.len() - start >= length;
        out.truncate(start + length);
    }
    false
}
