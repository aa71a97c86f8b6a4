//! Signatures as text. One signature has one form: what could be written in another way is not read.

use base64::{Engine, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::Deserialize;

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Encoding {
    /// Hexadecimal, in lower case.
    #[default]
    Hex,
    /// Base64 with the alphabet of RFC 4648, section 4, padded.
    Base64,
}

impl Encoding {
    /// The bytes of a text, of this length.
    pub(super) fn decode<const N: usize>(self, text: &str) -> Option<[u8; N]> {
        match self {
            Self::Hex => unhex(text),
            Self::Base64 => unbase64(text),
        }
    }

    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex(bytes),
            Self::Base64 => base64(bytes),
        }
    }
}

/// The bytes of a text in hexadecimal, of this length, in lower case.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N * 2 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Bytes in hexadecimal, in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of a text in base64 (RFC 4648, section 4), of this length: padded, no bit left over.
pub(super) fn unbase64<const N: usize>(text: &str) -> Option<[u8; N]> {
    // More than any length here; nothing is allocated for what a stranger sends.
    let mut bytes = [0; 96];
    if text.len() != N.div_ceil(3) * 4 {
        return None;
    }
    let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok()
}

/// The bytes of a text in base64, whatever their number.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Bytes in base64, padded.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
