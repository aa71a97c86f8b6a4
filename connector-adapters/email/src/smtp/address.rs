//! Addresses: as they are configured and given, as they stand in a header, and as a server is told them.

use std::fmt;

use connector_sdk::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Host;

use super::input::wrong;

/// Octets before the `@` (RFC 5321, 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;
/// Octets behind it (RFC 5321, 4.5.3.1.2).
const LONGEST_DOMAIN: usize = 255;
/// Characters of a name that is shown.
const LONGEST_NAME: usize = 500;

/// An address as people write it, or in two fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AddressText {
    /// `anna@example.com`, or `Anna <anna@example.com>`.
    Text(String),
    /// Name and address apart: a name may then hold anything but line breaks and NUL.
    Fields(AddressFields),
}

/// Name and address apart.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressFields {
    /// The name that is shown.
    #[serde(default)]
    pub name: Option<String>,
    /// The address itself: `anna@example.com`.
    pub address: String,
}

/// One address, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum AddressList {
    /// Any number. It stands first: two texts in a list would be taken for the two fields of one address.
    Many(Vec<AddressText>),
    /// One.
    One(AddressText),
}

impl Default for AddressList {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// An address that can be sent to, with the name that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mailbox {
    pub(crate) name: Option<String>,
    pub(crate) address: Address,
}

/// An address that can be sent to. It holds nothing that could end a command, a path or a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    local: String,
    /// In ASCII, where it is a name.
    domain: String,
    /// As it was given.
    given: String,
}

impl AddressList {
    /// All of them, checked.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn check(&self, field: &str) -> Result<Vec<Mailbox>> {
        match self {
            Self::One(one) => Ok(vec![one.check(field)?]),
            Self::Many(all) => {
                let each = all.iter().enumerate();
                each.map(|(index, one)| one.check(&format!("{field}[{index}]"))).collect()
            }
        }
    }
}

impl AddressText {
    /// Name and address.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn check(&self, field: &str) -> Result<Mailbox> {
        let (name, address) = match self {
            Self::Fields(fields) => {
                safe(field, fields.name.as_deref().unwrap_or_default())?;
                (fields.name.clone(), fields.address.as_str())
            }
            Self::Text(text) => {
                safe(field, text)?;
                split(text.trim())
            }
        };
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        if name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return Err(wrong(field, format!("holds a name of more than {LONGEST_NAME} characters")));
        }
        Ok(Mailbox { name, address: Address::parse(field, address)? })
    }
}

/// Line breaks and NUL would end a header, a command or a string; other control characters have no business there.
///
/// # Errors
/// Config, naming the field.
pub(crate) fn safe(field: &str, text: &str) -> Result<()> {
    // U+2028 and U+0085 end lines for some readers.
    let is_break = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
    if text.contains(is_break) {
        return Err(wrong(field, "holds line breaks, NUL or other control characters"));
    }
    Ok(())
}

/// `Name <address>`, `"Name" <address>`, `<address>` or `address`.
fn split(text: &str) -> (Option<String>, &str) {
    let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
        return (None, text);
    };
    let name = name.trim();
    let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => unquoted(quoted),
        None => name.to_owned(),
    };
    (Some(name), address.trim())
}

fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            out.push(c);
        }
    }
    out
}

impl Address {
    /// # Errors
    /// Config, naming the field and never the address: it is personal data.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self> {
        let refuse = |why: &str| wrong(field, format!("is no address: {why}"));
        safe(field, text)?;
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| refuse("there is no `@` in it"))?;
        if local.is_empty() || local.len() > LONGEST_LOCAL {
            return Err(refuse("before the `@` there are one to 64 octets"));
        }
        if !is_local(local) {
            return Err(refuse("before the `@` stands what has to be in quotes"));
        }
        let domain = domain_of(domain).ok_or_else(|| refuse("behind the `@` there is no domain"))?;
        Ok(Self { local: local.to_owned(), domain, given: text.to_owned() })
    }

    /// As it was given.
    pub(crate) fn given(&self) -> &str {
        &self.given
    }

    /// The domain in ASCII.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether a server has to know SMTPUTF8 to be told it: a name of a host can be written in ASCII, and what stands
    /// before the `@` cannot.
    pub(crate) fn needs_utf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// As a server is told it, and as it stands in a header.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// A dot-atom (RFC 5322, 3.2.3, with RFC 6532), or a quoted string without anything that needs more than quotes.
fn is_local(text: &str) -> bool {
    let is_atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_utf8(c);
    if let Some(quoted) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        let mut chars = quoted.chars();
        while let Some(c) = chars.next() {
            let is_plain = c == ' ' || c.is_ascii_graphic() || is_utf8(c);
            let is_escape = c == '\\';
            if c == '"'
                || !is_plain
                || (is_escape && !chars.next().is_some_and(|c| c == ' ' || c.is_ascii_graphic()))
            {
                return false;
            }
        }
        return text.len() > 1;
    }
    text.split('.').all(|part| !part.is_empty() && part.chars().all(is_atom))
}

/// A character beyond ASCII that is shown: no control, no space, nothing that turns the direction of what follows.
fn is_utf8(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_invisible(c)
}

/// Zero-width characters, and those that turn the direction of text (Unicode, Bidi_Control).
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{61c}')
}

/// The domain in ASCII; none where it is none.
fn domain_of(text: &str) -> Option<String> {
    if let Some(literal) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        let is_v6 = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
        let is_address = literal.parse::<std::net::Ipv4Addr>().is_ok()
            || literal.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"))
                && literal.get(5..).is_some_and(is_v6);
        return is_address.then(|| text.to_owned());
    }
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') || is_utf8(c);
    if !text.chars().all(is_bare) {
        return None;
    }
    // Non-ASCII names, by the rules that browsers have. One address is one, however it is written.
    let ascii = match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        false => match Host::parse(text).ok()? {
            Host::Domain(domain) => domain,
            _ => return None,
        },
    };
    let is_label =
        |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    (ascii.len() <= LONGEST_DOMAIN && ascii.split('.').all(is_label)).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use connector_sdk::Class;

    use super::*;

    fn parse(text: &str) -> Result<Mailbox> {
        AddressText::Text(text.to_owned()).check("to[3]")
    }

    #[test]
    fn an_address_is_read_with_and_without_a_name() {
        for (text, name, address) in [
            ("anna@example.com", None, "anna@example.com"),
            (" <anna@example.com> ", None, "anna@example.com"),
            ("Anna <anna@example.com>", Some("Anna"), "anna@example.com"),
            ("\"Meier, Anna\" <anna@example.com>", Some("Meier, Anna"), "anna@example.com"),
            (r#""a\"b\\c" <anna@example.com>"#, Some(r#"a"b\c"#), "anna@example.com"),
            ("Ünal <a.b+c@bücher.example>", Some("Ünal"), "a.b+c@xn--bcher-kva.example"),
            ("用户@例子.example", None, "用户@xn--fsqu00a.example"),
            ("\"a b\"@[127.0.0.1]", None, "\"a b\"@[127.0.0.1]"),
            ("a@[IPv6:::1]", None, "a@[IPv6:::1]"),
            ("a@localhost", None, "a@localhost"),
            ("A.b@Example.COM", None, "A.b@example.com"),
        ] {
            let mailbox = parse(text).unwrap();
            assert_eq!((mailbox.name.as_deref(), mailbox.address.to_string().as_str()), (name, address));
        }
        assert!(parse("用户@a.example").unwrap().address.needs_utf8());
        assert!(!parse("a@bücher.example").unwrap().address.needs_utf8());
    }

    #[test]
    fn two_addresses_in_a_list_are_two_addresses() {
        let list: AddressList = serde_json::from_str(r#"["a@b.example", "c@d.example"]"#).unwrap();
        assert_eq!(list.check("to").unwrap().len(), 2);
        let one: AddressList = serde_json::from_str(r#"{ "name": "A", "address": "a@b.example" }"#).unwrap();
        assert_eq!(one.check("to").unwrap()[0].name.as_deref(), Some("A"));
    }

    #[test]
    fn what_is_no_address_is_refused_and_the_field_is_named() {
        for text in [
            "",
            "anna",
            "@example.com",
            "anna@",
            "a b@example.com",
            "a@b@c d",
            "a@exa mple.com",
            "a@-b.example",
            "a@b..example",
            ".a@b.example",
            "a..b@c.example",
            "a@b.example>",
            "<a@b.example",
            "a\"b@c.example",
            "a@[999.1.1.1]",
            "a@b.example\r\nRCPT TO:<x@y>",
            "a\n@b.example",
            "a\0@b.example",
            "A\r\nBcc: x <a@b.example>",
            "a@b.example> SIZE=1",
            "a@b.example,c@d.example",
            "a@b\u{202e}c.example",
            "a\u{200b}b@c.example",
            "\"a\rb\"@c.example",
            "\"a\"b\"@c.example",
            "\"a\\\"@c.example",
            "\u{2028}a@b.example",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.class(), Class::Config, "{text:?}");
            assert!(error.message().contains("to[3]"), "{error}");
            assert!(text.len() < 8 || !error.to_string().contains(text), "personal data in {error}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        assert!(parse(&long).is_err());
        let fields = |name: &str| {
            AddressText::Fields(AddressFields {
                name: Some(name.to_owned()),
                address: "a@b.example".to_owned(),
            })
        };
        for name in ["a\r\nBcc: x@y", "a\nb", "a\0b", "a\u{85}b", "a\u{2028}b"] {
            assert_eq!(fields(name).check("from").unwrap_err().class(), Class::Config);
        }
        assert_eq!(fields("a <x@y>, \"b\"").check("from").unwrap().name.as_deref(), Some("a <x@y>, \"b\""));
    }
}
