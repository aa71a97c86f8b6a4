//! Bytes as they may stand in a mail: short lines of ASCII.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::Result;

use super::super::input::wrong;

/// A line without its end (RFC 5322, 2.1.1).
const LONGEST_LINE: usize = 998;
/// An encoded line without its end (RFC 2045, 6.7 and 6.8).
const ENCODED_LINE: usize = 76;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    SevenBit,
    /// What is not plain ASCII is written in hexadecimal.
    QuotedPrintable,
    /// All of it in base64.
    Base64,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }
}

/// The text with CR LF at the end of each line, whatever ended it before: CR, LF or both. The last line has an end, too.
pub(super) fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32 + 2);
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        out.push_str("\r\n");
        let end = &rest[at..];
        rest = end.strip_prefix("\r\n").unwrap_or(&end[1..]);
    }
    out.push_str(rest);
    if !rest.is_empty() {
        out.push_str("\r\n");
    }
    out
}

/// A normalised text, encoded so that it arrives as it is.
pub(super) fn text(text: &str) -> (Encoding, Vec<u8>) {
    let is_odd = |byte: u8| !(byte == b'\t' || (b' '..=b'~').contains(&byte));
    let odd = text.bytes().filter(|byte| is_odd(*byte) && !matches!(byte, b'\r' | b'\n')).count();
    // Spaces at the end of a line are lost on the way, and `From ` at its beginning is changed by some.
    let is_plain =
        |line: &str| line.len() <= LONGEST_LINE && !line.ends_with([' ', '\t']) && !line.starts_with("From ");
    if odd == 0 && text.split("\r\n").all(is_plain) {
        (Encoding::SevenBit, text.as_bytes().to_vec())
    } else if odd * 6 <= text.len() {
        (Encoding::QuotedPrintable, quoted_printable(text))
    } else {
        (Encoding::Base64, base64_lines(text.as_bytes()))
    }
}

fn quoted_printable(text: &str) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    let body = text.strip_suffix("\r\n").unwrap_or(text);
    for (index, line) in body.split("\r\n").enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\r\n");
        }
        let bytes = line.as_bytes();
        let mut column = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let is_last = at + 1 == bytes.len();
            let is_plain = match byte {
                b' ' | b'\t' => !is_last,
                b'=' => false,
                b'F' => at != 0 || !line.starts_with("From "),
                _ => byte.is_ascii_graphic(),
            };
            let width = if is_plain { 1 } else { 3 };
            // A line that goes on ends with `=`, which needs a place, too.
            if column + width + usize::from(!is_last) > ENCODED_LINE {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            match is_plain {
                true => out.push(byte),
                false => {
                    out.extend_from_slice(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
            }
            column += width;
        }
    }
    if text.ends_with("\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// In lines of 76, the last with an end.
pub(super) fn base64_lines(bytes: &[u8]) -> Vec<u8> {
    // 57 bytes are one line.
    let mut out = Vec::with_capacity(bytes.len() / 57 * (ENCODED_LINE + 2) + ENCODED_LINE + 2);
    for line in bytes.chunks(57) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Whether bytes may stand in a mail as they are, in lines: what a part of a message type has to be (RFC 2046, 5.2.1).
pub(super) fn is_seven_bit(bytes: &[u8]) -> bool {
    let is_line = |line: &[u8]| {
        line.len() <= LONGEST_LINE && line.iter().all(|byte| byte.is_ascii() && !matches!(byte, b'\r' | 0))
    };
    bytes.split(|byte| *byte == b'\n').all(|line| is_line(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// What stands in base64 in an input. Line breaks in it are nothing.
///
/// # Errors
/// Config, naming the field.
pub(super) fn unpacked(field: &str, text: &str) -> Result<Vec<u8>> {
    let decoded = match text.contains(['\r', '\n']) {
        true => STANDARD.decode(text.replace(['\r', '\n'], "")),
        false => STANDARD.decode(text),
    };
    decoded.map_err(|_| wrong(field, "is no base64"))
}
