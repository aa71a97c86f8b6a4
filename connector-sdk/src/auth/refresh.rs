//! Being built.

use async_trait::async_trait;

use super::{Token, TokenEndpoint, TokenSource};
use crate::{Context, Error, Result, Secret};

/// OAuth2 refresh token (RFC 6749, 6), which may rotate.
#[derive(Debug)]
pub struct RefreshToken {
    endpoint: TokenEndpoint,
    client_id: String,
    client_secret: Option<Secret>,
    refresh_token: Secret,
}

impl RefreshToken {
    /// This refresh token, until the vendor gives another.
    #[must_use]
    pub fn new(
        endpoint: TokenEndpoint,
        client_id: impl Into<String>,
        client_secret: Option<Secret>,
        refresh_token: Secret,
    ) -> Self {
        Self { endpoint, client_id: client_id.into(), client_secret, refresh_token }
    }
}

#[async_trait]
impl TokenSource for RefreshToken {
    async fn token(&self, _cx: &Context) -> Result<Token> {
        Err(Error::bug("authenticate", "this source is being built"))
    }

    async fn renew(&self, cx: &Context, _refused: &Token) -> Result<Token> {
        self.token(cx).await
    }
}
