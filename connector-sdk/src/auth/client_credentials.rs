//! Being built.

use async_trait::async_trait;

use super::{Token, TokenEndpoint, TokenSource};
use crate::{Context, Error, Result, Secret};

/// OAuth2 client credentials (RFC 6749, 4.4).
#[derive(Debug)]
pub struct ClientCredentials {
    endpoint: TokenEndpoint,
    client_id: String,
    client_secret: Secret,
}

impl ClientCredentials {
    /// These credentials, at this endpoint.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, client_id: impl Into<String>, client_secret: Secret) -> Self {
        Self { endpoint, client_id: client_id.into(), client_secret }
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
    async fn token(&self, _cx: &Context) -> Result<Token> {
        Err(Error::bug("authenticate", "this source is being built"))
    }

    async fn renew(&self, cx: &Context, _refused: &Token) -> Result<Token> {
        self.token(cx).await
    }
}
