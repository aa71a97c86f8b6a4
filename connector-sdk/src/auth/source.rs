//! What the sources are made of: a token that is given, or one that is fetched; the vendor's ways to sign in
//! add where it comes from and where it goes.

use std::{fmt, sync::Arc};

use ::http::HeaderMap;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use url::Url;

use super::{SingleFlight, Token, TokenSource, owner::Owner};
use crate::{Class, Context, Delivery, Error, Result, Secret};

/// A source that gives what another one gives.
pub(super) trait Delegate: Send + Sync + fmt::Debug {
    /// The other one.
    fn source(&self) -> &dyn TokenSource;

    /// As [`TokenSource::apply`].
    fn place(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        self.source().apply(token, headers, url)
    }
}

#[async_trait]
impl<T: Delegate> TokenSource for T {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.source().held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.source().token(cx).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.source().renew(cx, refused).await
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        self.place(token, headers, url)
    }
}

/// Obtains a token from the vendor.
pub(super) trait Fetch: Send + Sync + 'static {
    /// One request for a token, which is not left half done.
    fn fetch(self: Arc<Self>, cx: Context) -> BoxFuture<'static, Result<Token>>;
}

/// Tokens that are fetched, for all who need one at once.
pub(super) struct Fetched<F> {
    fetch: Arc<F>,
    flight: SingleFlight,
}

impl<F> Fetched<F> {
    pub(super) fn new(fetch: F) -> Self {
        Self { fetch: Arc::new(fetch), flight: SingleFlight::default() }
    }

    pub(super) fn how(&self) -> &F {
        &self.fetch
    }

    /// Changes how they are fetched, before the first one is.
    pub(super) fn change(mut self, edit: impl FnOnce(&mut F)) -> Self {
        if let Some(fetch) = Arc::get_mut(&mut self.fetch) {
            edit(fetch);
        }
        self
    }
}

#[async_trait]
impl<F: Fetch> TokenSource for Fetched<F> {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.flight.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        let fetch = Arc::clone(&self.fetch);
        self.flight.token(cx, |cx| fetch.fetch(cx)).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        let fetch = Arc::clone(&self.fetch);
        self.flight.renew(cx, refused, |cx| fetch.fetch(cx)).await
    }
}

impl<F> fmt::Debug for Fetched<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetched")
    }
}

/// A credential that stands in the configuration. It is of the first connection that asks, as those of a
/// [`SingleFlight`] are; and when the vendor refuses it, a person has to act.
#[derive(Debug, Clone)]
pub(super) struct Given {
    token: Token,
    /// What a person calls it.
    what: &'static str,
    owner: Owner,
}

impl Given {
    pub(super) fn new(what: &'static str, secret: Secret) -> Self {
        Self { token: Token::new(secret), what, owner: Owner::default() }
    }

    pub(super) fn given(&self) -> &Token {
        &self.token
    }

    pub(super) fn with_base_url(self, url: Url) -> Self {
        Self { token: self.token.with_base_url(url), ..self }
    }
}

#[async_trait]
impl TokenSource for Given {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.owner.admits(cx).then(|| self.token.clone())
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.owner.admit(cx).map(|()| self.token.clone())
    }

    async fn renew(&self, cx: &Context, _refused: &Token) -> Result<Token> {
        self.owner.admit(cx)?;
        let message = format!(
            "the vendor refuses the {}, which is given in the configuration and cannot be renewed: obtain a new one",
            self.what
        );
        Err(Error::new(Class::Auth, "authenticate", message).with_delivery(Delivery::Answered))
    }
}
