//! A secret in the shapes that it takes on the way into a text.

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What is shorter than this in base64 may stand in a text by chance.
const TELLING: usize = 8;

/// A secret, and what else would show it.
pub(super) struct Secret<'a> {
    plain: &'a str,
    /// Shape and text, as each would stand there.
    shapes: Vec<(&'static str, String)>,
    /// In small letters.
    hex: String,
}

impl<'a> Secret<'a> {
    pub(super) fn new(plain: &'a str) -> Self {
        let json = |text: &str| {
            let quoted = serde_json::Value::from(text).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        let debug = |text: &str| {
            let quoted = format!("{text:?}");
            quoted[1..quoted.len() - 1].to_owned()
        };
        let list = format!("{:?}", plain.as_bytes());
        let mut shapes = vec![
            ("escaped as JSON", json(plain)),
            ("escaped as JSON twice", json(&json(plain))),
            ("escaped by Debug", debug(plain)),
            ("escaped as JSON and by Debug", debug(&json(plain))),
            ("as a list of bytes", list.trim_matches(['[', ']']).to_owned()),
        ];
        for before in 0..3 {
            let (standard, url_safe) =
                (in_base64(plain, before, &STANDARD_NO_PAD), in_base64(plain, before, &URL_SAFE_NO_PAD));
            for text in [standard, url_safe] {
                if text.len() >= TELLING {
                    shapes.push(("in base64", text));
                }
            }
        }
        let hex = plain.bytes().map(|byte| format!("{byte:02x}")).collect();
        Self { plain, shapes, hex }
    }

    /// The shape in which the text shows it, if it does.
    pub(super) fn shape_in(&self, text: &str) -> Option<&'static str> {
        if text.contains(self.plain) {
            return Some("as it is");
        }
        if let Some((shape, _)) = self.shapes.iter().find(|(_, shown)| text.contains(shown)) {
            return Some(shape);
        }
        if text.to_ascii_lowercase().contains(&self.hex) {
            return Some("in hex");
        }
        // Which letters are percent-encoded differs; decoded, all are alike.
        let is_there = |decoded: &str| decoded.contains(self.plain);
        (is_there(&decoded(text)) || is_there(&decoded(&text.replace('+', " ")))).then_some("percent-encoded")
    }
}

/// The letters that only the secret decides, after so many bytes of something else and before anything.
fn in_base64(secret: &str, before: usize, engine: &impl base64::Engine) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret.as_bytes());
    let text = engine.encode(&bytes);
    // A letter is six bits.
    let (from, to) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    text.get(from..to).unwrap_or_default().to_owned()
}

fn decoded(text: &str) -> String {
    let digit =
        |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => {
                found.push(high * 16 + low);
                at += 3;
            }
            _ => {
                found.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&found).into_owned()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    /// With letters that each of the encodings changes.
    const PLAIN: &str = "s\"ec\\re't/+ ?~\u{fc}\u{7f}>>1";

    #[test]
    fn a_secret_is_found_in_every_shape() {
        let secret = Secret::new(PLAIN);
        let json = serde_json::json!({ "a": PLAIN }).to_string();
        let form: String = url::form_urlencoded::byte_serialize(PLAIN.as_bytes()).collect();
        let hex: String = PLAIN.bytes().map(|byte| format!("{byte:02X}")).collect();
        let all_percent: String = PLAIN.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for (shape, text) in [
            ("as it is", format!("a {PLAIN} b")),
            ("escaped as JSON", json.clone()),
            ("escaped as JSON twice", serde_json::Value::from(json.clone()).to_string()),
            ("escaped by Debug", format!("{PLAIN:?}")),
            ("as a list of bytes", format!("{:?}", PLAIN.as_bytes())),
            ("in hex", hex.to_lowercase()),
            ("in hex", hex),
            ("percent-encoded", form),
            ("percent-encoded", all_percent),
        ] {
            let found = secret.shape_in(&text);
            assert!(found.is_some_and(|found| found.starts_with(shape)), "{shape}: {found:?} in {text}");
        }
        assert!(secret.shape_in(&format!("{json:?}")).is_some());
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_stands() {
        let secret = Secret::new(PLAIN);
        for before in ["", "a", "ab", "abc", "id:"] {
            for after in ["", "z", "yz", ":x"] {
                let text = format!("{before}{PLAIN}{after}");
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    assert_eq!(secret.shape_in(&encoded), Some("in base64"), "{text}: {encoded}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_not_found() {
        let secret = Secret::new(PLAIN);
        for text in ["", "%", "%zz", "s\"ec", "c1wi", "[115, 34, 101]"] {
            assert_eq!(secret.shape_in(text), None, "{text}");
        }
    }
}
