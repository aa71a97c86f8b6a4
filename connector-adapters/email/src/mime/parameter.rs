//! Fields with parameters: Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2183), with what RFC 2231 adds and
//! what senders do instead. Our own, because continuations of mail-parser cost the square of their number.

use std::borrow::Cow;

use super::charset::{self, Fidelity};
use super::{transfer, words};

/// More parameters than any field has.
const MOST: usize = 128;

/// A value and its parameters.
#[derive(Debug, Default)]
pub(super) struct Parameters<'a> {
    /// What stands before the first semicolon, in lower case, without space.
    pub(super) value: String,
    all: Vec<Parameter<'a>>,
}

#[derive(Debug)]
struct Parameter<'a> {
    name: &'a [u8],
    /// `name*2`: the third piece.
    section: Option<u16>,
    /// `name*` or `name*2*`: percent-encoded, with a charset in front of the first.
    extended: bool,
    value: Cow<'a, [u8]>,
}

impl<'a> Parameters<'a> {
    /// Reads the value of a field.
    pub(super) fn of(field: &'a [u8]) -> Self {
        let end = end_of_value(field);
        let value = without_comment(&field[..end])
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .filter(|letter| letter.is_ascii_graphic())
            .collect();
        let mut found = Self { value, all: Vec::new() };
        let mut rest = &field[end..];
        while found.all.len() < MOST {
            rest = skip(rest, |byte| byte.is_ascii_whitespace() || byte == b';');
            let Some(name_end) = rest.iter().position(|byte| matches!(byte, b'=' | b';')) else { break };
            let name = rest[..name_end].trim_ascii();
            if rest[name_end] == b';' {
                rest = &rest[name_end..];
                continue;
            }
            rest = skip(&rest[name_end + 1..], |byte| byte.is_ascii_whitespace());
            let value;
            (value, rest) = take_value(rest);
            if let Some(parameter) = Parameter::of(name, value) {
                found.all.push(parameter);
            }
        }
        found
    }

    /// The value of a parameter as text. RFC 2231 goes before a plain value, which may hold encoded words (RFC 2047)
    /// though no RFC allows them there.
    pub(super) fn get(&self, name: &str) -> Option<(String, Fidelity)> {
        let named =
            || self.all.iter().filter(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()));
        let mut pieces: Vec<&Parameter<'_>> = named().filter(|one| one.section.is_some()).collect();
        pieces.sort_by_key(|one| one.section);
        pieces.dedup_by_key(|one| one.section);
        if let Some(whole) = named().find(|one| one.extended && one.section.is_none()) {
            return Some(joined(&[whole]));
        }
        if !pieces.is_empty() {
            return Some(joined(&pieces));
        }
        let plain = named().find(|one| !one.extended)?;
        let text = words::text(&plain.value);
        Some((text.text.into_owned(), text.fidelity))
    }

    /// The bytes of a parameter that is not text for people: a boundary. Continuations are joined, nothing is decoded
    /// that is not marked.
    pub(super) fn bytes(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut named =
            self.all.iter().filter(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()));
        let first = named.next()?;
        if first.section.is_none() && !first.extended {
            return Some(Cow::Borrowed(&first.value));
        }
        self.get(name).map(|(text, _)| Cow::Owned(text.into_bytes()))
    }
}

impl<'a> Parameter<'a> {
    fn of(name: &'a [u8], value: Cow<'a, [u8]>) -> Option<Self> {
        let mut pieces = name.split(|byte| *byte == b'*');
        let name = pieces.next().filter(|name| !name.is_empty())?;
        let (section, extended) = match (pieces.next(), pieces.next()) {
            (None, _) => (None, false),
            (Some(b""), _) => (None, true),
            (Some(number), last) => {
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok())?;
                (Some(number), last.is_some())
            }
        };
        Some(Self { name, section, extended, value })
    }
}

/// Pieces of one value in order. The charset stands in the first (RFC 2231 §4.1); each says itself whether it is encoded.
fn joined(pieces: &[&Parameter<'_>]) -> (String, Fidelity) {
    let mut bytes = Vec::new();
    let mut charset = None;
    for (index, piece) in pieces.iter().enumerate() {
        let mut value = &*piece.value;
        if piece.extended {
            if index == 0 {
                let mut parts = value.splitn(3, |byte| *byte == b'\'');
                if let (Some(name), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                    charset = Some(name);
                    value = rest;
                }
            }
            transfer::percent(value, &mut bytes);
        } else {
            bytes.extend_from_slice(value);
        }
    }
    let (text, fidelity) = charset::decode(charset, &bytes);
    (text.into_owned(), fidelity)
}

/// A quoted string or all up to the semicolon; a name with spaces and without quotes is common.
fn take_value(field: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let Some(quoted) = field.strip_prefix(b"\"") else {
        let end = field.iter().position(|byte| *byte == b';').unwrap_or(field.len());
        // The next line begins another parameter when the semicolon was forgotten.
        let end = memchr::memchr(b'\n', &field[..end])
            .filter(|fold| memchr::memchr(b'=', &field[*fold..end]).is_some())
            .unwrap_or(end);
        return (Cow::Borrowed(without_comment(&field[..end]).trim_ascii()), &field[end..]);
    };
    let Some(plain) = quoted.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\r' | b'\n')) else {
        return (Cow::Borrowed(quoted), &quoted[quoted.len()..]);
    };
    if quoted[plain] == b'"' {
        return (Cow::Borrowed(&quoted[..plain]), &quoted[plain + 1..]);
    }
    let mut value = quoted[..plain].to_vec();
    let mut at = plain;
    while let Some(&byte) = quoted.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\r' | b'\n' => {}
            // A backslash quotes a quote or itself; elsewhere it is that of a path on Windows.
            b'\\' => match quoted.get(at) {
                Some(next @ (b'"' | b'\\')) => {
                    value.push(*next);
                    at += 1;
                }
                _ => value.push(byte),
            },
            _ => value.push(byte),
        }
    }
    (Cow::Owned(value), &quoted[at..])
}

/// Where the value ends: at the semicolon, or, where that was forgotten, at the white space before a parameter.
fn end_of_value(field: &[u8]) -> usize {
    let end = field.iter().position(|byte| *byte == b';').unwrap_or(field.len());
    let value = &field[..end];
    let Some(equals) = memchr::memchr(b'=', value) else { return end };
    let start = value.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let gap = value[start..equals].iter().position(u8::is_ascii_whitespace);
    gap.map_or(end, |gap| start + gap)
}

fn without_comment(value: &[u8]) -> &[u8] {
    // Only after white space: names of files have brackets.
    let comment = value.windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'(');
    match comment {
        Some(at) if value.trim_ascii_end().ends_with(b")") => &value[..at],
        _ => value,
    }
}

fn skip(bytes: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !what(*byte)).unwrap_or(bytes.len());
    &bytes[end..]
}
