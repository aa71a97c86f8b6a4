//! A body as a record holds it: JSON as it came, else text, else base64.
//!
//! | body | field |
//! |---|---|
//! | an object or array of JSON; any JSON where the content type says so | `body`: the value, byte for byte |
//! | other UTF-8 | `body`: a string |
//! | anything else | `body_base64`: a string |
//!
//! JSON that others could not read again (nested deeper than 100, half a surrogate pair, a number out of range) is text.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep a value may be.
const MAX_DEPTH: usize = 100;

/// Writes the field, name and value.
pub(super) fn write(body: &[u8], content_type: Option<&str>, out: &mut Vec<u8>) {
    let trimmed = body.trim_ascii();
    let is_container = trimmed.starts_with(b"{") || trimmed.starts_with(b"[");
    if (is_container || content_type.is_some_and(says_json)) && is_sound(trimmed) {
        out.extend_from_slice(b"\"body\":");
        out.extend_from_slice(trimmed);
        return;
    }
    match std::str::from_utf8(body) {
        Ok(text) => {
            out.extend_from_slice(b"\"body\":");
            // A string is always JSON, and memory always takes it.
            let _ = serde_json::to_writer(out, text);
        }
        Err(_) => {
            out.extend_from_slice(b"\"body_base64\":\"");
            out.extend_from_slice(BASE64_STANDARD.encode(body).as_bytes());
            out.push(b'"');
        }
    }
}

/// `application/json`, `text/json`, and what is built on it (RFC 6839, section 3.1).
fn says_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// Whether it is JSON that any reader reads.
fn is_sound(bytes: &[u8]) -> bool {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    Sound(MAX_DEPTH).deserialize(&mut json).and_then(|()| json.end()).is_ok()
}

/// A value that may be so deep. Nothing of it is kept.
struct Sound(usize);

impl<'de> DeserializeSeed<'de> for Sound {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Sound {
    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.0.checked_sub(1).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper::<A::Error>()?;
        while items.next_element_seed(Self(inner))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let inner = self.deeper::<A::Error>()?;
        while fields.next_key_seed(Self(0))?.is_some() {
            fields.next_value_seed(Self(inner))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(body: &[u8], content_type: &str) -> String {
        let mut out = Vec::new();
        write(body, Some(content_type).filter(|text| !text.is_empty()), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_stays_as_it_came() {
        let odd =
            r#"{"n":1.50e+02,"big":123456789012345678901234567890,"e":"\u00e9\/é🦌","d":{"a":1,"a":2}}"#;
        for content_type in
            ["application/json; charset=utf-8", "", "text/plain", "application/x-www-form-urlencoded"]
        {
            assert_eq!(field(format!(" {odd}\r\n").as_bytes(), content_type), format!("\"body\":{odd}"));
        }
        assert_eq!(field(b"[]", ""), r#""body":[]"#);
        for scalar in ["7", "null", r#""text""#, "true"] {
            assert_eq!(field(scalar.as_bytes(), "application/vnd.api+json"), format!("\"body\":{scalar}"));
        }
    }

    #[test]
    fn what_is_no_json_is_text_and_what_is_no_text_is_base64() {
        assert_eq!(field(b"7", "text/plain"), r#""body":"7""#);
        assert_eq!(field(b"", "application/json"), r#""body":"""#);
        assert_eq!(field(b"a=1&b=\"\n", ""), r#""body":"a=1&b=\"\n""#);
        assert_eq!(field(b"{\"a\":1} trailing", ""), r#""body":"{\"a\":1} trailing""#);
        assert_eq!(field(b"{\"a\":\"\xff\"}", "application/json"), r#""body_base64":"eyJhIjoi/yJ9""#);
        assert_eq!(field(b"\xef\xbb\xbf{}", ""), "\"body\":\"\u{feff}{}\"");
    }

    /// A record that stands in Bronze and that nobody can read would stop every reader after it.
    #[test]
    fn json_that_others_cannot_read_is_text() {
        let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(field(&deep(100), "").starts_with("\"body\":["));
        assert!(field(&deep(101), "").starts_with("\"body\":\"["));
        assert!(field(&deep(1 << 20), "").starts_with("\"body\":\"["));
        for odd in
            [r#"{"a":"\ud800"}"#, r#"{"a":1e999}"#, r#"{"a":01}"#, r#"{"a":1,}"#, "{\"a\":\"\t\"}", "{1:2}"]
        {
            let field = field(odd.as_bytes(), "application/json");
            assert!(field.starts_with("\"body\":\""), "{field}");
            let back: serde_json::Value = serde_json::from_str(&format!("{{{field}}}")).unwrap();
            assert_eq!(back["body"], odd);
        }
    }
}
