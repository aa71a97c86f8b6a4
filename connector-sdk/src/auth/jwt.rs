//! Being built.

use async_trait::async_trait;

use super::{Token, TokenEndpoint, TokenSource};
use crate::{Context, Error, Result, Secret};

/// JWT bearer (RFC 7523), signed with RS256.
#[derive(Debug)]
pub struct JwtBearer {
    endpoint: TokenEndpoint,
    issuer: String,
    subject: String,
    audience: String,
    private_key: Secret,
}

impl JwtBearer {
    /// Assertions of `issuer` about `subject` for `audience`, signed with this RSA key (PEM).
    ///
    /// # Errors
    /// Config when the key is no RSA private key in PEM.
    pub fn new(
        endpoint: TokenEndpoint,
        issuer: impl Into<String>,
        subject: impl Into<String>,
        audience: impl Into<String>,
        private_key: Secret,
    ) -> Result<Self> {
        Ok(Self {
            endpoint,
            issuer: issuer.into(),
            subject: subject.into(),
            audience: audience.into(),
            private_key,
        })
    }
}

#[async_trait]
impl TokenSource for JwtBearer {
    async fn token(&self, _cx: &Context) -> Result<Token> {
        Err(Error::bug("authenticate", "this source is being built"))
    }

    async fn renew(&self, cx: &Context, _refused: &Token) -> Result<Token> {
        self.token(cx).await
    }
}
