//! Signing in more often than there is need to.

use async_trait::async_trait;
use connector_sdk::{
    Context, Result, Secret,
    auth::{ClientCredentials, Token, TokenEndpoint, TokenSource},
};

/// A token for each request.
#[derive(Debug)]
pub(super) struct ForEachRequest {
    pub(super) endpoint: TokenEndpoint,
    pub(super) client_id: String,
    pub(super) secret: Secret,
}

#[async_trait]
impl TokenSource for ForEachRequest {
    async fn token(&self, cx: &Context) -> Result<Token> {
        ClientCredentials::new(self.endpoint.clone(), &self.client_id, self.secret.clone()).token(cx).await
    }

    async fn renew(&self, cx: &Context, _refused: &Token) -> Result<Token> {
        self.token(cx).await
    }
}

/// Two tokens for one that was refused.
#[derive(Debug)]
pub(super) struct TwiceAtOnce(pub(super) ClientCredentials);

#[async_trait]
impl TokenSource for TwiceAtOnce {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.0.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.0.token(cx).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        let once = self.0.renew(cx, refused).await?;
        self.0.renew(cx, &once).await
    }
}
