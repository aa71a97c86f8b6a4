//! One HMAC in a header of its own: GitHub's, Shopify's, and any other that a configuration describes.

mod config;

use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use connector_sdk::{Error, Result, Secret, Timestamp};
use http::{HeaderMap, HeaderName};

pub use config::{Hash, HmacConfig, TimestampFormat};

use super::{
    Proof, Refused, Scheme, Signature, Signer,
    config::{header, wrong},
    encoding::Encoding,
    head,
    keys::Keys,
    signer::{check_id, said},
    template::Template,
};

/// A prefix and the HMAC of some parts of the request.
#[derive(Debug)]
pub(super) struct Hmac {
    name: &'static str,
    keys: Keys,
    hash: Hash,
    encoding: Encoding,
    header: HeaderName,
    prefix: String,
    signed: Template,
    timestamp: Option<(HeaderName, TimestampFormat)>,
    id: Option<HeaderName>,
    tolerance: Duration,
}

impl Hmac {
    /// GitHub: `sha256=` and the hexadecimal HMAC-SHA256 of the body in `X-Hub-Signature-256` (docs.github.com,
    /// "Validating webhook deliveries"); a delivery is told apart by `X-GitHub-Delivery`, which is the same when it is
    /// delivered again by hand, and is not signed.
    pub(super) fn github(secrets: &[Secret]) -> Result<Self> {
        Ok(Self {
            name: "github",
            header: HeaderName::from_static("x-hub-signature-256"),
            prefix: "sha256=".to_owned(),
            id: Some(HeaderName::from_static("x-github-delivery")),
            ..Self::of_the_body(secrets)?
        })
    }

    /// Shopify: the HMAC-SHA256 of the body in base64 (shopify.dev, "Verify webhook deliveries"); a delivery is told apart
    /// by `X-Shopify-Webhook-Id`, which is not signed.
    pub(super) fn shopify(secrets: &[Secret]) -> Result<Self> {
        Ok(Self {
            name: "shopify",
            header: HeaderName::from_static("x-shopify-hmac-sha256"),
            encoding: Encoding::Base64,
            id: Some(HeaderName::from_static("x-shopify-webhook-id")),
            ..Self::of_the_body(secrets)?
        })
    }

    /// The hexadecimal HMAC-SHA256 of the body.
    fn of_the_body(secrets: &[Secret]) -> Result<Self> {
        let signed = Template::parse("{body}").map_err(|what| Error::bug("connect", what))?;
        Ok(Self {
            name: "hmac",
            keys: Keys::text(secrets)?,
            hash: Hash::Sha256,
            encoding: Encoding::Hex,
            header: HeaderName::from_static("x-signature"),
            prefix: String::new(),
            signed,
            timestamp: None,
            id: None,
            tolerance: head::TOLERANCE,
        })
    }

    /// As it is described.
    pub(super) fn new(
        config: &HmacConfig,
        secrets: &[Secret],
        id: Option<HeaderName>,
        tolerance: Duration,
    ) -> Result<Self> {
        let algorithm = match config.hash {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        let keys = Keys::texts(algorithm, secrets);
        let keys = keys.map_err(|error| wrong("secrets", format!("do not fit: {}", error.message())))?;
        let signed = Template::parse(&config.signed).map_err(|what| wrong("hmac.signed", what))?;
        let name = header("hmac.header", &config.header)?;
        let timestamp = config.timestamp_header.as_ref();
        let timestamp = timestamp.map(|name| header("hmac.timestamp_header", name)).transpose()?;
        if config.prefix.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(wrong("hmac.prefix", "holds what is no visible character of ASCII"));
        }
        if signed.signs_time() != timestamp.is_some() {
            // A time that nobody signs can be changed by anybody.
            return Err(wrong("hmac.timestamp_header", "and {timestamp} in `hmac.signed` need each other"));
        }
        if signed.signs_id() && id.is_none() {
            return Err(wrong("id_header", "is missing: `hmac.signed` has an {id}"));
        }
        let names = [Some(&name), timestamp.as_ref(), id.as_ref()];
        if names
            .iter()
            .enumerate()
            .any(|(at, name)| name.is_some() && names.iter().skip(at + 1).any(|other| other == name))
        {
            return Err(wrong("hmac.header", "is the header of something else, too"));
        }
        Ok(Self {
            name: "hmac",
            keys,
            hash: config.hash,
            encoding: config.encoding,
            header: name,
            prefix: config.prefix.clone(),
            signed,
            timestamp: timestamp.map(|name| (name, config.timestamp_format)),
            id,
            tolerance,
        })
    }

    fn tag(&self, header: &str) -> Result<Tag, Refused> {
        let text = header.strip_prefix(&self.prefix);
        let tag = text.and_then(|text| match self.hash {
            Hash::Sha256 => self.encoding.decode(text).map(Tag::Short),
            Hash::Sha512 => self.encoding.decode(text).map(Tag::Long),
        });
        tag.ok_or(Refused::malformed("the signature is not written as it should be"))
    }
}

/// A signature of either hash.
#[derive(Debug)]
enum Tag {
    Short([u8; 32]),
    Long([u8; 64]),
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Short(tag) => tag,
            Self::Long(tag) => tag,
        }
    }
}

impl Scheme for Hmac {
    fn name(&self) -> &'static str {
        self.name
    }

    fn verify(&self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Result<Proof, Refused> {
        let tag = self.tag(head::only(headers, &self.header)?)?;
        let id = self.id.as_ref().map(|name| head::only_id(headers, name)).transpose()?;
        let signed_id = id.as_deref().unwrap_or_default();
        if !self.signed.is_clear(signed_id) {
            return Err(Refused::malformed("the id of the event is none"));
        }
        let (mut sent, mut sent_at) = ("", None);
        if let Some((name, format)) = &self.timestamp {
            sent = head::only(headers, name)?;
            let at = format.read(sent)?;
            head::is_near(at, now, self.tolerance)?;
            sent_at = Some(at);
        }
        self.keys.check(&self.signed.parts(sent, signed_id, body), &[tag])?;
        Ok(Proof { id, id_is_signed: self.signed.signs_id(), sent_at, answer: None })
    }
}

impl Signer for Hmac {
    fn accepts(&self, id: &str) -> bool {
        head::is_id(id) && self.signed.is_clear(id)
    }

    fn sign(&self, id: &str, at: Timestamp, body: &Bytes) -> Result<Signature> {
        check_id(self, id)?;
        let sent = self.timestamp.as_ref().map(|(_, format)| format.write(at)).unwrap_or_default();
        let tag = self.keys.sign_once(&self.signed.parts(&sent, id, body))?;
        let tag = format!("{}{}", self.prefix, self.encoding.encode(tag.as_ref()));
        let mut headers = vec![said(&self.header, &tag)?];
        if let Some((name, _)) = &self.timestamp {
            headers.push(said(name, &sent)?);
        }
        if let Some(name) = &self.id {
            headers.push(said(name, id)?);
        }
        Ok(headers)
    }
}
