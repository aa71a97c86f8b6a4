//! JWT bearer (RFC 7523): a signed statement about a user, in exchange for a token.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto::aws_lc};
use serde::Serialize;

use super::{SingleFlight, Token, TokenEndpoint, TokenSource};
use crate::{Context, Error, Result, Secret, Timestamp};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Long enough for a clock that goes a little wrong, and what vendors accept at most.
const LIFE: Duration = Duration::from_secs(180);

/// Signs in as a user who has allowed the client to, with assertions signed by RS256.
pub struct JwtBearer {
    assertions: Arc<Assertions>,
    flight: SingleFlight,
}

struct Assertions {
    endpoint: TokenEndpoint,
    issuer: String,
    subject: String,
    audience: String,
    key: EncodingKey,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
}

impl JwtBearer {
    /// Assertions of `issuer` (the client id) about `subject` (the user) for `audience` (who the vendor
    /// says it is), signed with this RSA private key in PEM. Where line breaks cannot be kept, as in a
    /// variable, they may be written `\n`.
    ///
    /// # Errors
    /// Config when the key is no RSA private key in PEM, or is encrypted.
    pub fn new(
        endpoint: TokenEndpoint,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        audience: impl Into<String>,
        private_key: &Secret,
    ) -> Result<Self> {
        let assertions = Assertions {
            endpoint,
            issuer: issuer.into(),
            subject: subject.into(),
            audience: audience.into(),
            key: key(private_key)?,
        };
        // What the key cannot sign now it cannot sign later: say so while a person is looking.
        assertions.sign(Timestamp::from_millis(0))?;
        Ok(Self { assertions: Arc::new(assertions), flight: SingleFlight::default() })
    }

    fn fetch(&self) -> impl FnOnce(Context) -> BoxFuture<'static, Result<Token>> + use<> {
        let assertions = Arc::clone(&self.assertions);
        |cx| {
            Box::pin(async move {
                let assertion = assertions.sign(cx.clock().now())?;
                let who = [&*assertions.issuer, &*assertions.subject, &*assertions.audience];
                assertions.endpoint.assertion(&cx, GRANT_TYPE, &who, &assertion).await?.token
            })
        }
    }
}

fn key(pem: &Secret) -> Result<EncodingKey> {
    let text = zeroize::Zeroizing::new(pem.expose().trim().replace("\\n", "\n"));
    EncodingKey::from_rsa_pem(text.as_bytes()).map_err(|_| unusable())
}

fn unusable() -> Error {
    Error::config(
        "connect",
        "`private_key` is no RSA private key in PEM (PKCS#1 or PKCS#8, not encrypted, 2048 bits or more)",
    )
}

impl Assertions {
    fn sign(&self, now: Timestamp) -> Result<Secret> {
        let claims = Claims {
            iss: &self.issuer,
            sub: &self.subject,
            aud: &self.audience,
            exp: (now + LIFE).as_millis() / 1000,
        };
        let part = |json: serde_json::Result<Vec<u8>>| match json {
            Ok(json) => Ok(BASE64_URL_SAFE_NO_PAD.encode(json)),
            Err(_) => Err(Error::bug("token", "the claims of an assertion cannot be written as JSON")),
        };
        let header = part(serde_json::to_vec(&Header::new(Algorithm::RS256)))?;
        let message = format!("{header}.{}", part(serde_json::to_vec(&claims))?);
        // Not jsonwebtoken's `encode`: that takes the provider from a global, which another crate of the
        // process may have left in a state that panics.
        let signer = (aws_lc::DEFAULT_PROVIDER.signer_factory)(&Algorithm::RS256, &self.key)
            .map_err(|_| unusable())?;
        let signature = signer.try_sign(message.as_bytes()).map_err(|_| unusable())?;
        Ok(Secret::new(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[async_trait]
impl TokenSource for JwtBearer {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.flight.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.flight.token(cx, self.fetch()).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.flight.renew(cx, refused, self.fetch()).await
    }
}

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("endpoint", &self.assertions.endpoint)
            .field("issuer", &self.assertions.issuer)
            .field("subject", &self.assertions.subject)
            .finish_non_exhaustive()
    }
}
