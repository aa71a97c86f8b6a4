//! A text as it reads once its encodings are taken off: `%3D`, `\"`, `&quot;` are one character each.

/// A character, where it stands in the text, and under how many encodings it lay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) char: char,
    pub(super) start: usize,
    /// 0: as it is; 1: `%3D`, `\"` or `&quot;`; 2: `%253D`; 3: `\\\"`.
    pub(super) depth: usize,
}

const ENTITIES: [(&str, char); 9] = [
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&#x22;", '"'),
    ("&apos;", '\''),
    ("&#39;", '\''),
    ("&amp;", '&'),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&#61;", '='),
];

/// All of them, in order; together they are the text.
pub(super) fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let (char, length, depth) = unit(rest);
        units.push(Unit { char, start, depth });
        start += length;
    }
    units
}

/// The first one, its length in bytes, and its depth.
fn unit(rest: &str) -> (char, usize, usize) {
    let first = rest.chars().next().unwrap_or_default();
    let encoded = match first {
        '%' => percent(rest.as_bytes()),
        '\\' => Some(escaped(rest)),
        '&' => ENTITIES
            .iter()
            .find(|(entity, _)| rest.starts_with(entity))
            .map(|(entity, char)| (*char, entity.len(), 1)),
        _ => None,
    };
    encoded.unwrap_or((first, first.len_utf8(), 0))
}

/// `%3D`, and `%253D`, `%25253D` as a client has it that encodes what is encoded.
fn percent(rest: &[u8]) -> Option<(char, usize, usize)> {
    let two = |at: usize| -> Option<u8> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        Some(rest.get(at).and_then(digit)? << 4 | rest.get(at + 1).and_then(digit)?)
    };
    let (mut at, mut depth) = (1, 1);
    let mut byte = two(at)?;
    while byte == b'%'
        && let Some(next) = two(at + 2)
    {
        (at, depth, byte) = (at + 2, depth + 1, next);
    }
    byte.is_ascii().then_some((char::from(byte), at + 2, depth))
}

/// Backslashes and what they escape, where that can stand around a value; else the backslashes alone.
fn escaped(rest: &str) -> (char, usize, usize) {
    let depth = rest.bytes().take_while(|byte| *byte == b'\\').count();
    let after = rest.get(depth..).unwrap_or_default();
    let coded = after.strip_prefix('u').and_then(|code| code.get(..4)).and_then(|code| {
        char::from_u32(u32::from_str_radix(code, 16).ok()?)
            .filter(|c| matches!(c, '"' | '\'' | '=' | '&' | ':' | '<' | '>'))
    });
    match (coded, after.chars().next()) {
        (Some(char), _) => (char, depth + 5, depth),
        (None, Some(char @ ('"' | '\'' | '/'))) => (char, depth + 1, depth),
        // A line break in a text that is itself in quotes.
        (None, Some('n' | 'r')) => ('\n', depth + 1, depth),
        _ => ('\\', depth, 0),
    }
}
