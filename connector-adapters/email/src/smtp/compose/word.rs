//! Words that are not ASCII: in headers (RFC 2047), and in their parameters (RFC 2231).

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A line of a header that holds an encoded word (RFC 2047, 2).
const LONGEST_LINE: usize = 76;
/// An encoded word.
const LONGEST_WORD: usize = 75;
/// What stands around its text: `=?utf-8?q?` and `?=`.
const FRAME: usize = 12;
/// A piece of a parameter, so that its line is short.
const LONGEST_PIECE: usize = 60;

/// The text as encoded words, each on a line of its own from the second on; the first begins at this column.
pub(super) fn encoded(text: &str, column: usize) -> String {
    let plain = text.bytes().filter(|byte| is_plain(*byte) || *byte == b' ').count();
    let is_q = plain * 3 >= text.len() * 2;
    let mut out = String::new();
    let mut room = LONGEST_LINE.saturating_sub(column).min(LONGEST_WORD);
    let mut rest = text;
    while !rest.is_empty() {
        // At least one character goes into each word, whatever room there is.
        let capacity = room.saturating_sub(FRAME);
        let length = fitting(rest, capacity, is_q);
        let (word, next) = rest.split_at(length);
        if !out.is_empty() {
            out.push_str("\r\n ");
        }
        out.push_str(&if is_q {
            format!("=?utf-8?q?{}?=", q(word))
        } else {
            format!("=?utf-8?b?{}?=", STANDARD.encode(word))
        });
        rest = next;
        room = LONGEST_WORD;
    }
    out
}

/// How many bytes of the text fit, in whole characters, and one character at least.
fn fitting(text: &str, capacity: usize, is_q: bool) -> usize {
    let mut length = 0;
    let mut used = 0;
    for c in text.chars() {
        let bytes = c.len_utf8();
        used = match is_q {
            true => used + if c == ' ' || (c.is_ascii() && is_plain(c as u8)) { 1 } else { 3 * bytes },
            false => (length + bytes).div_ceil(3) * 4,
        };
        if used > capacity && length > 0 {
            break;
        }
        length += bytes;
    }
    length
}

/// Letters that may stand in a word wherever it stands (RFC 2047, 5 (3)).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'*' | b'+' | b'-' | b'/')
}

fn q(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('_'),
            byte if is_plain(byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("={byte:02X}")),
        }
    }
    out
}

/// A parameter such as `filename="a.txt"`, on lines of its own, with what goes before each.
pub(super) fn parameter(name: &str, value: &str) -> String {
    let is_quotable = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
    if value.len() <= LONGEST_PIECE && value.bytes().all(is_quotable) {
        return format!(";\r\n {name}=\"{value}\"");
    }
    let encoded: Vec<String> = value
        .chars()
        .map(|c| {
            let is_plain = c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).bytes();
            if is_plain { c.to_string() } else { bytes.map(|byte| format!("%{byte:02X}")).collect() }
        })
        .collect();
    let mut pieces = vec![String::new()];
    for c in encoded {
        match pieces.last_mut() {
            Some(piece) if piece.len() + c.len() <= LONGEST_PIECE => piece.push_str(&c),
            _ => pieces.push(c),
        }
    }
    if let [piece] = pieces.as_slice() {
        return format!(";\r\n {name}*=utf-8''{piece}");
    }
    let numbered = pieces.iter().enumerate().map(|(index, piece)| {
        let charset = if index == 0 { "utf-8''" } else { "" };
        format!(";\r\n {name}*{index}*={charset}{piece}")
    });
    numbered.collect()
}
