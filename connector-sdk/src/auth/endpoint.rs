//! An authorisation server's token endpoint (RFC 6749, 3.2).

use url::Url;

use crate::{Context, Result, http::HttpClient};

/// How a client shows the token endpoint who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Id and secret as fields of the form, which is what most vendors document.
    #[default]
    Form,
    /// Id and secret as HTTP Basic authentication.
    Basic,
}

/// An authorisation server's token endpoint, with a stack of its own: a deadline, retries of what may
/// go away, nothing else.
#[derive(Debug, Clone)]
#[must_use]
pub struct TokenEndpoint {
    url: Url,
    client: HttpClient,
    client_auth: ClientAuth,
    base_url_field: Option<String>,
    scopes: Vec<String>,
}

impl TokenEndpoint {
    /// The endpoint at this URL. Credentials go to its host and to no other.
    ///
    /// # Errors
    /// Config when the URL or the network settings do not make sense.
    pub fn new(cx: &Context, url: Url) -> Result<Self> {
        let client = HttpClient::builder(cx).base_url(url.clone()).build()?;
        Ok(Self { url, client, client_auth: ClientAuth::default(), base_url_field: None, scopes: Vec::new() })
    }

    /// Shows who we are this way.
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Asks for these scopes.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Reads from this field of the answer to which origin requests go (Salesforce: `instance_url`).
    pub fn base_url_field(mut self, name: impl Into<String>) -> Self {
        self.base_url_field = Some(name.into());
        self
    }
}
