//! OAuth2 client credentials (RFC 6749, 4.4).

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    Token, TokenEndpoint, TokenSource,
    source::{Delegate, Fetch, Fetched},
};
use crate::{Context, Result, Secret};

/// Signs in as the client itself: id and secret, no user.
pub struct ClientCredentials(Fetched<Credential>);

struct Credential {
    endpoint: TokenEndpoint,
    client_id: String,
    client_secret: Secret,
}

impl ClientCredentials {
    /// These credentials, at this endpoint.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, client_id: impl Into<String>, client_secret: Secret) -> Self {
        Self(Fetched::new(Credential { endpoint, client_id: client_id.into(), client_secret }))
    }
}

impl Fetch for Credential {
    fn fetch(self: Arc<Self>, cx: Context) -> BoxFuture<'static, Result<Token>> {
        Box::pin(async move {
            self.endpoint.client_credentials(&cx, &self.client_id, &self.client_secret).await?.token
        })
    }
}

impl Delegate for ClientCredentials {
    fn source(&self) -> &dyn TokenSource {
        &self.0
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("endpoint", &self.0.how().endpoint)
            .field("client_id", &self.0.how().client_id)
            .finish_non_exhaustive()
    }
}
