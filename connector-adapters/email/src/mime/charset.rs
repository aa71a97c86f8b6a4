//! Bytes of a charset as text: what the label says where that works, else what is most likely, and never a failure.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use mail_parser::decoders::charsets::map::charset_decoder;

/// How far decoded text is what the sender meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fidelity {
    /// It is.
    Exact,
    /// No charset was named (or ASCII), but there are other bytes: read as UTF-8 or as windows-1252.
    Guessed,
    /// Bytes that the charset does not have became U+FFFD.
    Replaced,
    /// Nobody knows this charset: read as UTF-8 or as windows-1252.
    Unknown,
}

/// Decodes what a label names. Labels are those of the WHATWG Encoding Standard (as mail readers in browsers take
/// them; ISO-8859-1 and US-ASCII are windows-1252 there), and those that mail-parser knows besides, such as UTF-7.
pub(super) fn decode<'a>(label: Option<&[u8]>, bytes: &'a [u8]) -> (Cow<'a, str>, Fidelity) {
    let label = label.map(<[u8]>::trim_ascii).filter(|label| !label.is_empty());
    let Some(label) = label else {
        return guess(bytes, Fidelity::Guessed);
    };
    match named(label) {
        Some(encoding) if encoding == UTF_8 => utf_8(bytes),
        // ASCII that is not: what the sender really uses is unknown.
        Some(encoding) if encoding == WINDOWS_1252 && is_ascii_label(label) => {
            guess(bytes, Fidelity::Guessed)
        }
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => {
            let (text, _, broken) = encoding.decode(bytes);
            (text, fidelity(broken))
        }
        Some(encoding) => {
            let (text, broken) = encoding.decode_without_bom_handling(bytes);
            (text, fidelity(broken))
        }
        None => match charset_decoder(label) {
            Some(decoder) if !is_replacement(label) => (Cow::Owned(decoder(bytes)), Fidelity::Exact),
            _ => guess(bytes, Fidelity::Unknown),
        },
    }
}

/// Text of bytes that nothing is said about: UTF-8 if they are, else windows-1252, which has a character for every byte.
pub(super) fn guess(bytes: &[u8], fidelity: Fidelity) -> (Cow<'_, str>, Fidelity) {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) if fidelity == Fidelity::Guessed => (Cow::Borrowed(text), Fidelity::Exact),
        Ok(text) => (Cow::Borrowed(text), if text.is_ascii() { Fidelity::Exact } else { fidelity }),
        Err(_) => (WINDOWS_1252.decode_without_bom_handling(bytes).0, fidelity),
    }
}

fn utf_8(bytes: &[u8]) -> (Cow<'_, str>, Fidelity) {
    // A byte order mark says nothing in UTF-8, and would stand in front of the text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), Fidelity::Exact),
        Err(_) => (Cow::Owned(String::from_utf8_lossy(bytes).into_owned()), Fidelity::Replaced),
    }
}

fn fidelity(broken: bool) -> Fidelity {
    if broken { Fidelity::Replaced } else { Fidelity::Exact }
}

fn named(label: &[u8]) -> Option<&'static Encoding> {
    if label.eq_ignore_ascii_case(b"utf-8") {
        return Some(UTF_8);
    }
    if let Some(encoding) = Encoding::for_label(label) {
        return Some(encoding).filter(|encoding| *encoding != REPLACEMENT);
    }
    let alias: &[u8] = match label.to_ascii_lowercase().as_slice() {
        b"utf_8" | b"utf-8-sig" | b"utf-8mb4" => b"utf-8",
        b"cp932" => b"shift_jis",
        b"cp949" | b"uhc" => b"euc-kr",
        b"cp950" => b"big5",
        _ => return None,
    };
    Encoding::for_label(alias)
}

/// Charsets that the Encoding Standard refuses on purpose (ISO-2022-KR, HZ …): their decoder answers one U+FFFD for all.
fn is_replacement(label: &[u8]) -> bool {
    Encoding::for_label(label).is_some()
}

fn is_ascii_label(label: &[u8]) -> bool {
    [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968", b"iso-ir-6", b"us"]
        .iter()
        .any(|name| label.eq_ignore_ascii_case(name))
}
