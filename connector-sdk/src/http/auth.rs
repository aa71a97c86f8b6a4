//! Gives each attempt its address and its token, and replays it once with another when it is refused.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt};
use url::{Url, form_urlencoded};

use super::{Call, Outgoing, Request, Response, hosts::Hosts, spare::Spare, stack};
use crate::{
    Class, Delivery, Error, Result,
    auth::{Token, TokenSource},
};

/// Says where a request goes and puts a token on it, anew for each attempt: a vendor may move us
/// to another host with a new token, and a token may end while we wait.
///
/// An answer of class Auth that is not exhausted means that the token was refused: it is renewed, and
/// the request replayed, once, which is no attempt of the retry. Nothing goes to a host that the
/// connection does not name: who sends gets address and credential from [`Call::outgoing`] alone, which
/// checks the one before it gives the other.
#[derive(Debug, Clone)]
pub struct AuthLayer(Arc<Settings>);

#[derive(Debug, Clone)]
struct Settings {
    tokens: Option<Arc<dyn TokenSource>>,
    base_url: Option<Url>,
    hosts: Hosts,
}

/// What an attempt may use: the settings of its client, and a token.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    settings: Arc<Settings>,
    token: Option<Token>,
}

impl AuthLayer {
    /// Requests and credentials may go to these hosts. Where none is named, requests without
    /// credentials go anywhere, and credentials nowhere.
    #[must_use]
    pub fn new(hosts: Hosts) -> Self {
        Self(Arc::new(Settings { tokens: None, base_url: None, hosts }))
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

    fn change(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(Arc::make_mut(&mut self.0));
        self
    }

    /// What the source has to do now that the vendor has accepted its token; nearly always nothing.
    fn accepted(&self, call: &Call, token: &Token) -> Option<BoxFuture<'static, ()>> {
        self.0.tokens.as_ref()?.accepted(call.context(), token)
    }

    /// The call of an attempt, with this token.
    fn with(&self, call: &Call, token: Option<Token>) -> Call {
        call.set_credential(Credential { settings: Arc::clone(&self.0), token });
        call.clone()
    }
}

impl Credential {
    /// Where a request goes, with the token on it.
    pub(super) fn address(&self, request: &Request) -> Result<Outgoing> {
        let base_url = self.settings.base_url.as_ref();
        let base = self.token.as_ref().and_then(Token::base_url).or(base_url);
        self.sign(request, request.url(base)?)
    }

    /// The token on a request that goes there.
    pub(super) fn sign(&self, request: &Request, url: Url) -> Result<Outgoing> {
        let Settings { tokens, hosts, .. } = &*self.settings;
        let anywhere = hosts.is_empty() && self.token.is_none();
        if !anywhere && !hosts.holds(&url) {
            let message = "the connection does not name this host: add it to `network.allow_hosts` if requests and \
                           credentials may go there";
            let host = url.host_str().unwrap_or_default();
            return Err(Error::config(request.operation(), message).with_context("host", host));
        }
        let mut outgoing = Outgoing::new(url);
        if let (Some(source), Some(token)) = (tokens, &self.token) {
            source.apply(token, &mut outgoing.headers, &mut outgoing.url)?;
        }
        Ok(outgoing)
    }

    /// The URL without the parameters that hold the token, wherever they came from: a vendor that redirects
    /// may repeat what it was asked.
    pub(super) fn hide(&self, mut url: Url) -> Url {
        let Some(token) = &self.token else { return url };
        let holds = |pair: &&str| {
            form_urlencoded::parse(pair.as_bytes())
                .any(|(_, value)| value == token.secret().expose().as_str())
        };
        let query = url.query().unwrap_or_default();
        if query.split('&').any(|pair| holds(&pair)) {
            let others: Vec<_> = query.split('&').filter(|pair| !holds(pair)).collect();
            let others = others.join("&");
            url.set_query(Some(others.as_str()).filter(|others| !others.is_empty()));
        }
        url
    }
}

impl<S: Clone> Layer<S> for AuthLayer {
    type Service = AuthService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        AuthService { inner: Spare::new(inner), layer: self.clone() }
    }
}

/// See [`AuthLayer`].
#[derive(Debug, Clone)]
pub struct AuthService<S> {
    inner: Spare<S>,
    layer: AuthLayer,
}

impl<S> Service<Call> for AuthService<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Error;
    type Future = AuthFuture<S>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::AUTH);
        let layer = &self.layer;
        let way = match &layer.0.tokens {
            None => Way::Unsigned { sent: self.inner.call(layer.with(&call, None)) },
            Some(tokens) => match tokens.held(call.context()) {
                Some(token) => Way::Signed {
                    sent: self.inner.call(layer.with(&call, Some(token.clone()))),
                    again: Some(Again { service: self.inner.copy(), layer: layer.clone(), call, token }),
                },
                None => {
                    let fetched = fetched(self.inner.take(), layer.clone(), call);
                    Way::Waiting { future: Box::pin(fetched) }
                }
            },
        };
        AuthFuture { way }
    }
}

/// What it takes to send an attempt again.
struct Again<S> {
    service: Arc<S>,
    layer: AuthLayer,
    call: Call,
    token: Token,
}

/// Fetches a token, and sends the attempt with it.
async fn fetched<S>(mut service: S, layer: AuthLayer, call: Call) -> Result<Response>
where
    S: Service<Call, Response = Response, Error = Error> + Clone,
{
    let Some(tokens) = &layer.0.tokens else { return service.call(call).await };
    call.holding();
    let token = tokens.token(call.context()).await.map_err(not_sent)?;
    call.tick();
    call.passing_on();
    match service.call(layer.with(&call, Some(token.clone()))).await {
        Err(error) if was_token_refused(&error) => replayed(service, &layer, &call, &token, error).await,
        result => told(result, &layer, &call, &token).await,
    }
}

/// The result, after its source has heard that the token is good.
async fn told(result: Result<Response>, layer: &AuthLayer, call: &Call, token: &Token) -> Result<Response> {
    if result.is_ok()
        && let Some(news) = layer.accepted(call, token)
    {
        news.await;
    }
    result
}

/// Sends the attempt once more, with another token than the refused one.
async fn replayed<S>(
    mut service: S,
    layer: &AuthLayer,
    call: &Call,
    refused: &Token,
    refusal: Error,
) -> Result<Response>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    let Some(tokens) = &layer.0.tokens else { return Err(refusal) };
    call.holding();
    let token =
        tokens.renew(call.context(), refused).await.map_err(|error| not_sent(error).with_source(refusal))?;
    let service = service.ready().await?;
    call.counters().replays.increment();
    call.tick();
    call.passing_on();
    match service.call(layer.with(call, Some(token.clone()))).await {
        // A token that is refused at birth: another would be, too.
        Err(error) if was_token_refused(&error) => Err(error.into_exhausted()),
        result => told(result, layer, call, &token).await,
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
    pub struct AuthFuture<S>
    where
        S: Service<Call>,
    {
        #[pin]
        way: Way<S, S::Future>,
    }
}

pin_project! {
    #[project = WayOf]
    enum Way<S, F> {
        Unsigned { #[pin] sent: F },
        /// With the token in hand: most of them, and without an allocation.
        Signed { #[pin] sent: F, again: Option<Again<S>> },
        /// For a token, or for the answer to a replay.
        Waiting { future: BoxFuture<'static, Result<Response>> },
    }
}

impl<S> Future for AuthFuture<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut way = self.project().way;
        loop {
            let (result, again) = match way.as_mut().project() {
                WayOf::Unsigned { sent } => return sent.poll(task),
                WayOf::Waiting { future } => return future.as_mut().poll(task),
                WayOf::Signed { sent, again } => (ready!(sent.poll(task)), again.take()),
            };
            match (result, again) {
                (Err(refusal), Some(Again { service, layer, call, token }))
                    if was_token_refused(&refusal) =>
                {
                    let future = Box::pin(async move {
                        replayed(S::clone(&service), &layer, &call, &token, refusal).await
                    });
                    way.set(Way::Waiting { future });
                }
                (Ok(response), Some(Again { layer, call, token, .. })) => {
                    let Some(news) = layer.accepted(&call, &token) else { return Poll::Ready(Ok(response)) };
                    let future = Box::pin(async move {
                        news.await;
                        Ok(response)
                    });
                    way.set(Way::Waiting { future });
                }
                (result, _) => return Poll::Ready(result),
            }
        }
    }
}

impl<S: Service<Call>> fmt::Debug for AuthFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthFuture")
    }
}
