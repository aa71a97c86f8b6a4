//! Reads a signed SAML 2.0 assertion, as far as the token endpoint needs it.
//!
//! This is no XML: it takes an assertion that already is in exclusive canonical form and hashes what stands
//! there. One that is merely equal to it, which the vendor would take, is refused.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};

/// What an assertion with a good signature says. Times are milliseconds since 1970.
#[derive(Debug)]
pub(super) struct SamlAssertion {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) recipient: String,
    pub(super) not_before: i64,
    pub(super) not_on_or_after: i64,
}

impl SamlAssertion {
    /// None where it is damaged, says less than it has to, or is not signed by this key.
    pub(super) fn read(encoded: &str, public_key: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
        let (head, rest) = text.split_once("<ds:Signature ")?;
        let (signature, rest) = rest.split_once("</ds:Signature>")?;
        let plain = format!("{head}{rest}");
        is_signed(&plain, signature, public_key).then_some(())?;
        let conditions = between(&plain, "<saml:Conditions ", ">")?;
        Some(Self {
            issuer: value(&plain, "<saml:Issuer>", "<")?,
            subject: value(plain.split_once("<saml:NameID")?.1, ">", "<")?,
            audience: value(&plain, "<saml:Audience>", "<")?,
            recipient: value(&plain, "Recipient=\"", "\"")?,
            not_before: time(between(conditions, "NotBefore=\"", "\"")?)?,
            not_on_or_after: time(between(conditions, "NotOnOrAfter=\"", "\"")?)?,
        })
    }
}

fn is_signed(plain: &str, signature: &str, public_key: &str) -> bool {
    let found = || {
        let (_, behind) = signature.split_once("<ds:SignedInfo ")?;
        let (signed, _) = behind.split_once("</ds:SignedInfo>")?;
        let signed = format!("<ds:SignedInfo {signed}</ds:SignedInfo>");
        let id = between(plain, " ID=\"", "\"")?;
        let names = between(&signed, "URI=\"#", "\"")? == id;
        let hash = STANDARD.encode(digest(&SHA256, plain.as_bytes()));
        let holds = between(&signed, "<ds:DigestValue>", "<")? == hash;
        let value = STANDARD.decode(between(signature, "<ds:SignatureValue>", "<")?).ok()?;
        let key = DecodingKey::from_rsa_pem(public_key.as_bytes()).ok()?;
        let value = URL_SAFE_NO_PAD.encode(value);
        Some(names && holds && crypto::verify(&value, signed.as_bytes(), &key, Algorithm::RS256).ok()?)
    };
    found().unwrap_or(false)
}

/// The text between two marks, the first time they stand there.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

fn value(text: &str, start: &str, end: &str) -> Option<String> {
    let escaped = between(text, start, end)?;
    Some(escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

fn time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
