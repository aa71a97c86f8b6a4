//! JSON strings, written straight into the record's buffer.

/// Writes a string with its quotes.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes a string, or `null`.
pub(super) fn string_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Writes a number.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes what stands between the quotes. What needs no escape, which is nearly all of a mail, is found sixteen bytes
/// at a time and copied in runs.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + bytes.len() / 16);
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at..].first_chunk::<16>() {
            Some(chunk) if plain(chunk) => {
                at += 16;
                continue;
            }
            _ => {}
        }
        let end = bytes.len().min(at + 16);
        while at < end {
            let byte = bytes[at];
            if special(byte) {
                out.extend_from_slice(&bytes[copied..at]);
                escape(out, byte);
                copied = at + 1;
            }
            at += 1;
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Writes as much as fits into `room` bytes of JSON; says how many bytes of the text that was, always whole characters.
pub(super) fn escaped_within(out: &mut Vec<u8>, text: &str, room: usize) -> usize {
    // An escape is six bytes at most, so this fits without counting.
    if text.len() <= room / 6 {
        escaped(out, text);
        return text.len();
    }
    let mut used = 0;
    let mut end = 0;
    for (at, character) in text.char_indices() {
        used += match character {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\u{0}'..='\u{1f}' => 6,
            _ => character.len_utf8(),
        };
        if used > room {
            break;
        }
        end = at + character.len_utf8();
    }
    let kept = text.get(..end).unwrap_or_default();
    escaped(out, kept);
    kept.len()
}

fn plain(chunk: &[u8; 16]) -> bool {
    chunk.iter().fold(false, |found, &byte| found | special(byte)) ^ true
}

fn special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

#[cold]
fn control(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return control(out, byte),
    };
    out.extend_from_slice(&[b'\\', short]);
}
