//! Gives each attempt its address and its token, and replays it once with another when it is refused.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use futures_util::future::{BoxFuture, Ready, ready};
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt};
use url::Url;

use super::{Call, Outgoing, Response, StackCounters, hosts::Hosts};
use crate::{
    Class, Delivery, Error, Result,
    auth::{Token, TokenSource},
};

/// Resolves where a request goes and puts a token on it, anew for each attempt: a vendor may move us
/// to another host with a new token, and a token may end while we wait.
///
/// An answer of class Auth that is not exhausted means that the token was refused: it is renewed, and
/// the request replayed, once, which is no attempt of the retry. Nothing goes to a host that the
/// connection does not name.
#[derive(Debug, Clone)]
pub struct AuthLayer(Arc<Settings>);

#[derive(Debug, Clone)]
struct Settings {
    tokens: Option<Arc<dyn TokenSource>>,
    base_url: Option<Url>,
    hosts: Hosts,
    counters: Arc<StackCounters>,
}

impl AuthLayer {
    /// Requests and credentials may go to these hosts. Where none is named, requests without
    /// credentials go anywhere, and credentials nowhere.
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        Self(Arc::new(Settings { tokens: None, base_url: None, hosts, counters: Arc::default() }))
    }

    /// Puts tokens of this source on requests.
    #[must_use]
    pub fn tokens(self, tokens: Arc<dyn TokenSource>) -> Self {
        self.change(|settings| settings.tokens = Some(tokens))
    }

    /// Resolves paths here where the token names no other origin.
    #[must_use]
    pub fn base_url(self, url: Url) -> Self {
        self.change(|settings| settings.base_url = Some(url))
    }

    /// Counts here.
    #[must_use]
    pub fn counters(self, counters: Arc<StackCounters>) -> Self {
        self.change(|settings| settings.counters = counters)
    }

    fn change(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }
}

impl Settings {
    /// The call with its address, and with the token on it.
    fn address(&self, call: &Call, with: Option<(&dyn TokenSource, &Token)>) -> Result<Call> {
        let request = call.request();
        let base = with.and_then(|(_, token)| token.base_url()).or(self.base_url.as_ref());
        let url = request.url(base)?;
        let anywhere = self.hosts.is_empty() && with.is_none();
        if !anywhere && !self.hosts.holds(&url) {
            let message = "the connection does not name this host: add it to `network.allow_hosts` if requests and \
                           credentials may go there";
            let host = url.host_str().unwrap_or_default();
            return Err(Error::config(request.operation(), message).with_context("host", host));
        }
        let mut outgoing = Outgoing::new(url);
        if let Some((source, token)) = with {
            source.apply(token, &mut outgoing.headers, &mut outgoing.url)?;
        }
        Ok(call.clone().going_to(outgoing))
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = AuthService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        AuthService { inner, layer: self.clone() }
    }
}

/// See [`AuthLayer`].
#[derive(Debug, Clone)]
pub struct AuthService<S> {
    inner: S,
    layer: AuthLayer,
}

impl<S> Service<Call> for AuthService<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Error;
    type Future = AuthFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let settings = Arc::clone(&self.layer.0);
        if let Some(tokens) = settings.tokens.clone() {
            // The one that was made ready goes along; its clone is not ready.
            let clone = self.inner.clone();
            let inner = mem::replace(&mut self.inner, clone);
            let future = Box::pin(signed(inner, settings, tokens, call));
            return AuthFuture { way: Way::Signed { future } };
        }
        let way = match settings.address(&call, None) {
            Ok(call) => Way::Unsigned { future: self.inner.call(call) },
            Err(error) => Way::Refused { future: ready(Err(error)) },
        };
        AuthFuture { way }
    }
}

async fn signed<S>(
    mut inner: S,
    settings: Arc<Settings>,
    tokens: Arc<dyn TokenSource>,
    call: Call,
) -> Result<Response>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    call.holding();
    let token = tokens.token(call.context()).await.map_err(not_sent)?;
    let first = settings.address(&call, Some((&*tokens, &token)))?;
    call.passing_on();
    let refusal = match inner.call(first).await {
        Err(error) if was_token_refused(&error) => error,
        result => return result,
    };
    call.holding();
    let token =
        tokens.renew(call.context(), &token).await.map_err(|error| not_sent(error).with_source(refusal))?;
    let second = settings.address(&call, Some((&*tokens, &token)))?;
    let service = inner.ready().await?;
    settings.counters.replays.increment();
    call.passing_on();
    match service.call(second).await {
        // A token that is refused at birth: another would be, too.
        Err(error) if was_token_refused(&error) => Err(error.into_exhausted()),
        result => result,
    }
}

fn was_token_refused(error: &Error) -> bool {
    error.class() == Class::Auth && error.delivery() == Delivery::Answered && !error.is_exhausted()
}

/// Whatever became of the request for a token, the operation itself has not been sent.
fn not_sent(error: Error) -> Error {
    error.with_delivery(Delivery::NotSent)
}

pin_project! {
    /// The future of [`AuthService`].
    pub struct AuthFuture<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project! {
    #[project = WayOf]
    enum Way<F> {
        Signed { future: BoxFuture<'static, Result<Response>> },
        Unsigned { #[pin] future: F },
        Refused { future: Ready<Result<Response>> },
    }
}

impl<F: Future<Output = Result<Response>>> Future for AuthFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayOf::Signed { future } => future.as_mut().poll(task),
            WayOf::Unsigned { future } => future.poll(task),
            WayOf::Refused { future } => Pin::new(future).poll(task),
        }
    }
}

impl<F> fmt::Debug for AuthFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthFuture")
    }
}
