//! SAML 2.0 bearer (RFC 7522): a signed statement about a user in XML, in exchange for a token.

mod assertion;

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use memchr::memmem;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use self::assertion::Statement;
use super::{
    SigningAlgorithm, SigningKey, Token, TokenEndpoint, TokenSource,
    bearer::{EARLY, LIFE, stated, unique},
    source::{Delegate, Fetch, Fetched},
};
use crate::{Context, Error, Result, Secret, Timestamp};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";

/// Signs in as a user who has allowed the client to, with SAML 2.0 assertions that this client issues and
/// signs itself, good for three minutes.
///
/// An assertion says who it is from, about and for; that its bearer may use it at the token endpoint
/// (`Recipient`); and from when until when. It has an `AuthnStatement`, which RFC 7522 (3, item 7) leaves
/// out for a client that acts by itself, because vendors' own examples have one and some want it.
///
/// The audience is one text, exactly as configured, for the reason that [`JwtBearer`](super::JwtBearer)
/// gives.
pub struct SamlBearer(Fetched<Assertions>);

struct Assertions {
    endpoint: TokenEndpoint,
    issuer: String,
    subject: String,
    audience: String,
    recipient: String,
    key: SigningKey,
    certificate: Option<CertificateDer<'static>>,
}

impl SamlBearer {
    /// Assertions of `issuer` about `subject` (the user) for `audience` (who the vendor says it is), signed
    /// by RSA-SHA256 with this RSA private key in PEM. Where line breaks cannot be kept, as in a variable,
    /// they may be written `\n`.
    ///
    /// # Errors
    /// Config as [`SigningKey::new`], and when one of the others is empty or holds control characters.
    pub fn new(
        endpoint: TokenEndpoint,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        audience: impl Into<String>,
        private_key: &Secret,
    ) -> Result<Self> {
        let assertions = Assertions {
            recipient: endpoint.url.to_string(),
            endpoint,
            issuer: stated("issuer", issuer.into())?,
            subject: stated("subject", subject.into())?,
            audience: stated("audience", audience.into())?,
            key: SigningKey::new(SigningAlgorithm::Rs256, private_key)?,
            certificate: None,
        };
        Ok(Self(Fetched::new(assertions)))
    }

    /// States this recipient, where the vendor calls its token endpoint by another URL than the one that
    /// the assertion is sent to.
    ///
    /// # Errors
    /// Config when it is empty or holds control characters.
    pub fn with_recipient(self, recipient: impl Into<String>) -> Result<Self> {
        let recipient = stated("recipient", recipient.into())?;
        Ok(Self(self.0.change(|assertions| assertions.recipient = recipient)))
    }

    /// Sends the key's X.509 certificate (PEM; of a chain, the first) along in each assertion, for a vendor
    /// that looks for it there. Which one it trusts is the vendor's own setting.
    ///
    /// # Errors
    /// Config when there is none in the PEM, or when it is another key's.
    pub fn with_certificate(self, pem: &str) -> Result<Self> {
        let refused = |why: &str| {
            let error = Error::config("connect", format!("`certificate` {why}"));
            error.with_context("field", "certificate")
        };
        let pem = pem.trim().replace("\\n", "\n");
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| refused("holds no X.509 certificate in PEM"))?;
        // A certificate holds its public key as we have it, so that no parser is needed to tell that it
        // does not; whether the rest of it is in order is for the vendor to judge.
        if memmem::find(&certificate, self.0.how().key.public_key()).is_none() {
            return Err(refused("is not that of `private_key`"));
        }
        Ok(Self(self.0.change(|assertions| assertions.certificate = Some(certificate))))
    }
}

impl Fetch for Assertions {
    fn fetch(self: Arc<Self>, cx: Context) -> BoxFuture<'static, Result<Token>> {
        Box::pin(async move {
            let assertion = self.sign(cx.clock().now())?;
            let key = self.key.fingerprint();
            let who = [&*self.issuer, &*self.subject, &*self.audience, &*self.recipient, &*key];
            self.endpoint.assertion(&cx, GRANT_TYPE, &who, &assertion).await?.token
        })
    }
}

impl Assertions {
    /// RFC 7522, 2.1: base64url, in one line and without padding.
    fn sign(&self, now: Timestamp) -> Result<Secret> {
        let xml = Statement {
            // An id must not begin with a digit (XML Schema, ID).
            id: &format!("_{}", unique()?),
            issuer: &self.issuer,
            subject: &self.subject,
            audience: &self.audience,
            recipient: &self.recipient,
            issued: &(now - EARLY).to_string(),
            not_on_or_after: &(now + LIFE).to_string(),
            certificate: self.certificate.as_deref(),
        }
        .sign(&self.key)?;
        Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(Secret::new(xml).expose())))
    }
}

impl Delegate for SamlBearer {
    fn source(&self) -> &dyn TokenSource {
        &self.0
    }
}

impl fmt::Debug for SamlBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlBearer")
            .field("endpoint", &self.0.how().endpoint)
            .field("issuer", &self.0.how().issuer)
            .field("subject", &self.0.how().subject)
            .finish_non_exhaustive()
    }
}
