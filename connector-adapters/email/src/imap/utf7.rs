//! The names of mailboxes: modified UTF-7 (RFC 3501, 5.1.3) both ways.
//!
//! Servers hand out names that are no modified UTF-7, made by clients that did not know of it. Such a name is shown as
//! it stands, and its bytes go back to the server as they came, so that it can be read like any other.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The alphabet has a comma where that of base64 has a slash, because that separates levels.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        // Bits that fill the last character are to be zero; some clients leave others there.
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The name that this stands for. None where it is not modified UTF-7: `&` that begins nothing, what does not decode
/// to UTF-16, characters beyond ASCII.
pub(crate) fn decode(raw: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'&' => {
                let end = rest.iter().position(|byte| *byte == b'-')?;
                let (shifted, after) = rest.split_at_checked(end)?;
                rest = after.get(1..)?;
                if shifted.is_empty() {
                    name.push('&');
                    continue;
                }
                let bytes = ENGINE.decode(shifted).ok()?;
                let (units, odd) = bytes.as_chunks::<2>();
                if !odd.is_empty() || units.is_empty() {
                    return None;
                }
                for unit in char::decode_utf16(units.iter().map(|unit| u16::from_be_bytes(*unit))) {
                    name.push(unit.ok()?);
                }
            }
            0x20..=0x7e => name.push(char::from(byte)),
            _ => return None,
        }
    }
    Some(name)
}

/// How a server wants to see the name.
pub(crate) fn encode(name: &str) -> String {
    let mut raw = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    let end = |shifted: &mut Vec<u8>, raw: &mut String| {
        if !shifted.is_empty() {
            raw.push('&');
            ENGINE.encode_string(&shifted, raw);
            raw.push('-');
            shifted.clear();
        }
    };
    for char in name.chars() {
        match char {
            ' '..='~' => {
                end(&mut shifted, &mut raw);
                raw.push(char);
                if char == '&' {
                    raw.push('-');
                }
            }
            _ => {
                let mut units = [0; 2];
                shifted.extend(char.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
            }
        }
    }
    end(&mut shifted, &mut raw);
    raw
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_of_the_standard() {
        for (raw, name) in [
            ("INBOX", "INBOX"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("a &- b", "a & b"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("&2D3cjA-", "\u{1f48c}"),
            ("", ""),
        ] {
            assert_eq!(decode(raw.as_bytes()).as_deref(), Some(name));
            assert_eq!(encode(name), raw);
        }
    }

    #[test]
    fn a_name_in_broken_utf7_is_said_to_be_none() {
        for raw in [&b"A&B"[..], b"&", b"&U-", b"&2D0-", b"\xc3\xbc", b"a\tb", b"&!!!-", b"&AA-"] {
            assert_eq!(decode(raw), None, "{}", raw.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(name in "\\PC*") {
            let raw = encode(&name);
            prop_assert!(raw.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
            prop_assert_eq!(decode(raw.as_bytes()), Some(name));
        }

        #[test]
        fn no_bytes_make_it_panic(raw: Vec<u8>) {
            let _ = decode(&raw);
        }
    }
}
