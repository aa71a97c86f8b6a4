//! JWT bearer (RFC 7523): a signed statement about a user, in exchange for a token.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{
    SigningAlgorithm, SigningKey, Token, TokenEndpoint, TokenSource,
    bearer::{EARLY, LIFE, stated, unique},
    source::{Delegate, Fetch, Fetched},
};
use crate::{Context, Error, Result, Secret, Timestamp};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Signs in as a user who has allowed the client to, with signed assertions that are good for three minutes.
///
/// The audience is one text, exactly as configured: the authorisation server's issuer identifier, or its
/// token endpoint where the vendor documents that. It is never a list, and never taken from what a server
/// says: an assertion for several audiences, or for one that somebody else chose, can be replayed at the
/// other one (draft-ietf-oauth-rfc7523bis, audience injection).
pub struct JwtBearer(Fetched<Assertions>);

struct Assertions {
    endpoint: TokenEndpoint,
    issuer: String,
    subject: String,
    audience: String,
    key: SigningKey,
    key_id: Option<String>,
    identified: bool,
}

/// RFC 7515, 4.1.
#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

/// RFC 7523, 3. Times are seconds since 1970.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

impl JwtBearer {
    /// Assertions of `issuer` (the client id) about `subject` (the user) for `audience` (who the vendor
    /// says it is), signed by RS256 with this RSA private key in PEM. Where line breaks cannot be kept, as
    /// in a variable, they may be written `\n`.
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
        let key = SigningKey::new(SigningAlgorithm::Rs256, private_key)?;
        Self::signed_with(endpoint, issuer, subject, audience, key)
    }

    /// The same, signed with this key.
    ///
    /// # Errors
    /// Config when one of the others is empty or holds control characters.
    pub fn signed_with(
        endpoint: TokenEndpoint,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        audience: impl Into<String>,
        key: SigningKey,
    ) -> Result<Self> {
        let assertions = Assertions {
            endpoint,
            issuer: stated("issuer", issuer.into())?,
            subject: stated("subject", subject.into())?,
            audience: stated("audience", audience.into())?,
            key,
            key_id: None,
            identified: false,
        };
        Ok(Self(Fetched::new(assertions)))
    }

    /// Names the key in the header (`kid`), for a vendor that knows several of the client.
    #[must_use]
    pub fn with_key_id(self, key_id: impl Into<String>) -> Self {
        Self(self.0.change(|assertions| assertions.key_id = Some(key_id.into())))
    }

    /// States when it was issued (`iat`) and an id of its own (`jti`), for a vendor that wants them
    /// against replays. Without this neither is stated.
    #[must_use]
    pub fn with_id(self) -> Self {
        Self(self.0.change(|assertions| assertions.identified = true))
    }
}

impl Fetch for Assertions {
    fn fetch(self: Arc<Self>, cx: Context) -> BoxFuture<'static, Result<Token>> {
        Box::pin(async move {
            let assertion = self.sign(cx.clock().now())?;
            let key = self.key.fingerprint();
            let who = [&*self.issuer, &*self.subject, &*self.audience, &*key];
            self.endpoint.assertion(&cx, GRANT_TYPE, &who, &assertion).await?.token
        })
    }
}

impl Assertions {
    fn sign(&self, now: Timestamp) -> Result<Secret> {
        let seconds = |time: Timestamp| time.as_millis().div_euclid(1000);
        let claims = Claims {
            iss: &self.issuer,
            sub: &self.subject,
            aud: &self.audience,
            exp: seconds(now + LIFE),
            iat: self.identified.then(|| seconds(now - EARLY)),
            jti: self.identified.then(unique).transpose()?,
        };
        let header = Header { typ: "JWT", alg: self.key.algorithm().name(), kid: self.key_id.as_deref() };
        let message = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature = self.key.sign(message.as_bytes())?;
        Ok(Secret::new(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
}

fn part(value: &impl Serialize) -> Result<String> {
    match serde_json::to_vec(value) {
        Ok(json) => Ok(BASE64_URL_SAFE_NO_PAD.encode(json)),
        Err(_) => Err(Error::bug("token", "the claims of an assertion cannot be written as JSON")),
    }
}

impl Delegate for JwtBearer {
    fn source(&self) -> &dyn TokenSource {
        &self.0
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("endpoint", &self.0.how().endpoint)
            .field("issuer", &self.0.how().issuer)
            .field("subject", &self.0.how().subject)
            .finish_non_exhaustive()
    }
}
