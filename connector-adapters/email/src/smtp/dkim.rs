//! Signs mails, so that who receives them can see that the domain has sent them (DKIM: RFC 6376, RFC 8463).
//!
//! Headers and body are brought into their relaxed form, which survives what servers on the way do to spaces. `From` and
//! what else people or their programs go by are named once more than they stand there, so that nobody can add another
//! (RFC 6376, 8.15).

mod key;
mod relaxed;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use connector_sdk::{Result, Secret, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use self::key::Key;
use crate::config::wrong;

/// Headers that are signed, in this order, and named once more.
const SIGNED: [&str; 12] = [
    "from",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];
/// Headers that are signed where they stand in a mail. Whoever passes it on to a list may add one (RFC 8058 wants the second
/// and the third signed).
const SIGNED_IF_THERE: [&str; 4] = ["sender", "list-unsubscribe", "list-unsubscribe-post", "auto-submitted"];
/// Columns of the signature before it is folded.
const LINE: usize = 72;

/// How mails are signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DkimConfig {
    /// The domain that signs: mostly that of `from`.
    pub domain: String,
    /// The name under which the domain's DNS has the public key, at `SELECTOR._domainkey.DOMAIN`.
    pub selector: String,
    /// The private key in PEM: RSA (PKCS#1 or PKCS#8, 2048 bits or more) or Ed25519 (PKCS#8).
    pub private_key: Secret,
}

/// Signs mails. Debug shows no key.
pub(crate) struct Signer {
    domain: String,
    selector: String,
    key: Key,
}

impl DkimConfig {
    /// # Errors
    /// Config, naming the field.
    pub(crate) fn check(&self) -> Result<Signer> {
        let is_name = |text: &str| {
            let is_label = |label: &str| {
                let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                (1..=63).contains(&label.len()) && label.bytes().all(is_part)
            };
            text.len() <= 253 && text.split('.').all(is_label)
        };
        if !is_name(&self.domain) {
            return Err(wrong("dkim.domain", "is no name of a domain in ASCII"));
        }
        if !is_name(&self.selector) {
            return Err(wrong("dkim.selector", "is no name"));
        }
        Ok(Signer {
            domain: self.domain.to_ascii_lowercase(),
            selector: self.selector.clone(),
            key: Key::parse(&self.private_key)?,
        })
    }
}

impl Signer {
    /// The header that signs this mail, with its end. `head` is where the headers end: before the empty line.
    ///
    /// # Errors
    /// Bug when the key that signed before does not sign now.
    pub(crate) fn sign(&self, mail: &[u8], head: usize, now: Timestamp) -> Result<String> {
        let (headers, body) = mail.split_at(head.min(mail.len()));
        let body = body.strip_prefix(b"\r\n").unwrap_or(body);
        let headers = relaxed::headers(headers);
        let mut names: Vec<&str> = Vec::new();
        let mut signed = Vec::new();
        for name in SIGNED.into_iter().chain(SIGNED_IF_THERE) {
            // From the last on (RFC 6376, 5.4.2).
            for header in headers.iter().rev().filter(|header| header.0 == name) {
                names.push(name);
                signed.extend_from_slice(&header.1);
                signed.extend_from_slice(b"\r\n");
            }
            if SIGNED.contains(&name) {
                // One that is not there is signed as nothing.
                names.push(name);
            }
        }
        let unsigned = format!(
            "v=1; a={}; c=relaxed/relaxed;\r\n d={}; s={}; t={};\r\n h={};\r\n bh={};\r\n b=",
            self.key.algorithm(),
            self.domain,
            self.selector,
            now.as_millis() / 1_000,
            names.join(":\r\n  "),
            STANDARD.encode(digest(&SHA256, &relaxed::body(body))),
        );
        signed.extend_from_slice(&relaxed::header("DKIM-Signature", unsigned.as_bytes()));
        let signature = STANDARD.encode(self.key.sign(&signed)?);
        let mut out = format!("DKIM-Signature: {unsigned}");
        for (index, line) in signature.as_bytes().chunks(LINE).enumerate() {
            if index > 0 {
                out.push_str("\r\n  ");
            }
            out.push_str(&String::from_utf8_lossy(line));
        }
        out.push_str("\r\n");
        Ok(out)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("domain", &self.domain)
            .field("selector", &self.selector)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
