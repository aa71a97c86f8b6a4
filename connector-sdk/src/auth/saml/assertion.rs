//! The text of a SAML 2.0 assertion, and its signature.
//!
//! Nothing here canonicalises XML: the template *is* exclusive canonical XML (W3C xml-exc-c14n), so that
//! what is hashed is what stands there, byte for byte. For that, every element has an end tag; namespaces
//! stand before attributes, and attributes in the order of their names; there is no white space between
//! elements; and values are escaped as canonical XML escapes them, which differs for text and attributes.
//!
//! The signature is enveloped (W3C xmldsig-core, 6.6.4): the digest is that of the assertion without its
//! `ds:Signature`, and the signature that of `ds:SignedInfo`, which repeats its namespace so that it is
//! canonical where it stands as well.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{Result, auth::SigningKey};

/// What an assertion says. The caller has checked that XML can hold every character of it.
pub(super) struct Statement<'a> {
    /// Its own id: a name in the sense of XML, so it begins with `_` or a letter.
    pub(super) id: &'a str,
    pub(super) issuer: &'a str,
    pub(super) subject: &'a str,
    pub(super) audience: &'a str,
    pub(super) recipient: &'a str,
    /// When it was issued, and good from.
    pub(super) issued: &'a str,
    pub(super) not_on_or_after: &'a str,
    /// The certificate of the key, in DER.
    pub(super) certificate: Option<&'a [u8]>,
}

impl Statement<'_> {
    /// The assertion, signed by RSA-SHA256.
    pub(super) fn sign(&self, key: &SigningKey) -> Result<String> {
        // The schema wants the signature right after the issuer (saml-core-2.0, 2.3.3).
        let (head, rest) = (self.head(), self.rest());
        let hash = digest(&SHA256, format!("{head}{rest}").as_bytes());
        let signed_info = self.signed_info(&BASE64_STANDARD.encode(hash));
        let signature = BASE64_STANDARD.encode(key.sign(signed_info.as_bytes())?);
        let key_info = self.key_info();
        Ok(format!(
            r#"{head}<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">{signed_info}<ds:SignatureValue>{signature}</ds:SignatureValue>{key_info}</ds:Signature>{rest}"#
        ))
    }

    fn head(&self) -> String {
        format!(
            r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" IssueInstant="{issued}" Version="2.0"><saml:Issuer>{issuer}</saml:Issuer>"#,
            id = attribute(self.id),
            issued = attribute(self.issued),
            issuer = text(self.issuer),
        )
    }

    /// RFC 7522, 3: who it is about and who may use it where, until when, for whom, and that the subject is
    /// known to the issuer.
    fn rest(&self) -> String {
        let issued = attribute(self.issued);
        let until = attribute(self.not_on_or_after);
        [
            r#"<saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">"#,
            &text(self.subject),
            r#"</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">"#,
            &format!(
                r#"<saml:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{recipient}">"#,
                recipient = attribute(self.recipient),
            ),
            "</saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>",
            &format!(r#"<saml:Conditions NotBefore="{issued}" NotOnOrAfter="{until}">"#),
            "<saml:AudienceRestriction><saml:Audience>",
            &text(self.audience),
            "</saml:Audience></saml:AudienceRestriction></saml:Conditions>",
            &format!(r#"<saml:AuthnStatement AuthnInstant="{issued}"><saml:AuthnContext>"#),
            "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified",
            "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement></saml:Assertion>",
        ]
        .concat()
    }

    fn signed_info(&self, digest: &str) -> String {
        [
            r#"<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">"#,
            r#"<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">"#,
            "</ds:CanonicalizationMethod>",
            r#"<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">"#,
            "</ds:SignatureMethod>",
            &format!(r##"<ds:Reference URI="#{}"><ds:Transforms>"##, attribute(self.id)),
            r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>"#,
            r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></ds:Transform></ds:Transforms>"#,
            r#"<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"></ds:DigestMethod>"#,
            &format!("<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"),
        ]
        .concat()
    }

    fn key_info(&self) -> String {
        self.certificate.map_or_else(String::new, |der| {
            format!(
                "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
                BASE64_STANDARD.encode(der)
            )
        })
    }
}

/// A value as canonical XML writes it between tags (W3C xml-c14n, 2.3).
fn text(value: &str) -> String {
    escaped(value, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\r' => Some("&#xD;"),
        _ => None,
    })
}

/// A value as canonical XML writes it in an attribute.
fn attribute(value: &str) -> String {
    escaped(value, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '"' => Some("&quot;"),
        '\t' => Some("&#x9;"),
        '\n' => Some("&#xA;"),
        '\r' => Some("&#xD;"),
        _ => None,
    })
}

fn escaped(value: &str, escape: impl Fn(char) -> Option<&'static str>) -> String {
    let mut written = String::with_capacity(value.len());
    for c in value.chars() {
        match escape(c) {
            Some(entity) => written.push_str(entity),
            None => written.push(c),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_value_stays_a_value() {
        let all = "<a b=\"c\">&amp;'\t\n\r]]><!---->é\u{2028}";
        assert_eq!(text(all), "&lt;a b=\"c\"&gt;&amp;amp;'\t\n&#xD;]]&gt;&lt;!----&gt;é\u{2028}");
        assert_eq!(attribute(all), "&lt;a b=&quot;c&quot;>&amp;amp;'&#x9;&#xA;&#xD;]]>&lt;!---->é\u{2028}");
    }
}
