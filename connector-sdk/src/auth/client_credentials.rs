//! OAuth2 client credentials (RFC 6749, 4.4).

use std::sync::Arc;

use async_trait::async_trait;

use super::{SingleFlight, Token, TokenEndpoint, TokenSource};
use crate::{Context, Result, Secret};

/// Signs in as the client itself: id and secret, no user.
#[derive(Debug)]
pub struct ClientCredentials {
    credential: Arc<Credential>,
    flight: SingleFlight,
}

#[derive(Debug)]
struct Credential {
    endpoint: TokenEndpoint,
    client_id: String,
    client_secret: Secret,
}

impl ClientCredentials {
    /// These credentials, at this endpoint.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, client_id: impl Into<String>, client_secret: Secret) -> Self {
        let credential = Credential { endpoint, client_id: client_id.into(), client_secret };
        Self { credential: Arc::new(credential), flight: SingleFlight::default() }
    }

    fn fetch(
        &self,
    ) -> impl FnOnce(Context) -> futures_util::future::BoxFuture<'static, Result<Token>> + use<> {
        let credential = Arc::clone(&self.credential);
        |cx| {
            Box::pin(async move {
                let Credential { endpoint, client_id, client_secret } = &*credential;
                endpoint.client_credentials(&cx, client_id, client_secret).await?.token
            })
        }
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
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
