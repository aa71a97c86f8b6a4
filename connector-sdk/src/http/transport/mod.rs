//! Innermost: sends one attempt with reqwest and reads its whole answer.
//!
//! reqwest neither retries, nor follows redirects, nor decompresses here: the layers above decide on the
//! first, [`redirect`] on the second, and [`body`] decompresses under our caps and counts the bytes of
//! the wire. [`guard`] decides which addresses are connected at all, on every hop.

mod body;
mod client;
mod failure;
mod guard;
mod head;
mod inflate;
mod redirect;
mod resolve;
mod upgrade;

use std::{
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use ::http::response::Parts;
use futures_util::future::BoxFuture;
use tower::Service;
use url::Url;

use self::redirect::{Hop, Trail};
pub(crate) use failure::to_change;
pub(crate) use guard::Guard;
pub use resolve::Resolve;
pub(crate) use resolve::SystemResolver;
pub use upgrade::{Duplex, Upgraded, upgrade};

use super::{Call, Response};
use crate::{Counters, Error, Network, Result, resilience::Resilience};

/// Sends requests over HTTP/1.1 or HTTP/2, over TLS unless the connection's network allows plain http, to
/// public addresses unless it allows others, and follows redirects within the origin.
///
/// | failure | class | delivery |
/// |---|---|---|
/// | plain http that is not allowed; a certificate that is not trusted, no TLS there | Config | not sent |
/// | an address that is not public, and not allowed | Permanent | not sent |
/// | the name cannot be resolved; no connection | Transient | not sent |
/// | the connection ends before the answer | Transient | unknown |
/// | the head is too large; redirects that do not end | Permanent | answered |
/// | the body breaks off, falls silent, or is damaged | Transient | answered |
/// | the body is larger than the caps | Permanent | answered; Ambiguous and unknown for what may not be repeated |
/// | the result of a write, to which 303 points, cannot be read | Ambiguous | unknown |
///
/// All limits in time are by the context's clock, but for that of connecting, which is reqwest's own.
#[derive(Debug, Clone)]
pub struct Transport {
    client: reqwest::Client,
    guard: Guard,
    limits: Limits,
    allow_http: bool,
}

/// What an answer may cost.
#[derive(Debug, Clone, Copy)]
struct Limits {
    idle: Duration,
    max_body: u64,
    max_decompressed_body: u64,
}

impl Transport {
    /// A transport with these settings.
    ///
    /// # Errors
    /// Config when the user agent, the proxy or the file of certificate authorities does not make sense;
    /// Permanent when the proxy's address is not public, and not allowed.
    pub fn new(network: &Network, settings: &Resilience, user_agent: &str) -> Result<Self> {
        Self::with_resolver(network, settings, user_agent, Arc::new(resolve::SystemResolver))
    }

    /// A transport that asks this resolver for addresses, and not the system. It judges the answers alike.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_resolver(
        network: &Network,
        settings: &Resilience,
        user_agent: &str,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self> {
        let limits = Limits {
            // A body that stands still is no better than an answer that does not begin.
            idle: settings.idle_timeout.min(settings.attempt_timeout),
            max_body: settings.max_body,
            max_decompressed_body: settings.max_decompressed_body,
        };
        let guard = Guard::new(Arc::new(network.clone()), resolver);
        let client = client::client(network, &guard, settings.connect_timeout, user_agent)?;
        Ok(Self { client, guard, limits, allow_http: network.allow_http })
    }

    /// Whether a request may go there, as far as the URL says; asks nobody. A name may still turn out to be at an
    /// address that is refused.
    ///
    /// # Errors
    /// As sending it would fail: Config where it is plain http that is not allowed, or no HTTP; Permanent where it names
    /// an address that is not public, and not allowed.
    pub fn check(&self, operation: &'static str, url: &Url) -> Result<()> {
        self.permit(operation, url)
    }

    async fn send(self, call: Call) -> Result<Response> {
        let mut trail = Trail::new(&call)?;
        let outcome = self.walk(&call, &mut trail).await;
        trail.judge(outcome)
    }

    /// Goes on until there is an answer that is not followed.
    async fn walk(&self, call: &Call, trail: &mut Trail<'_>) -> Result<Response> {
        loop {
            let (head, body) = self.exchange(call, &trail.hop).await?;
            // The body of a redirect that is followed is not read: nobody wants it.
            if trail.follow(head.status, &head.headers)? {
                continue;
            }
            call.answering();
            let url = trail.hop.url.clone();
            let reader = body::Reader { call, url: &url, limits: self.limits };
            let body = match call.request().glanced() {
                Some(glance) => reader.glance(body, glance).await,
                None => reader.read(body, &head).await?,
            };
            let url = call.without_credential(url);
            return Ok(Response::new(head.status, head.headers, body, url, call.context().clock().now()));
        }
    }

    /// Sends one request and waits for the head of its answer.
    async fn exchange(&self, call: &Call, hop: &Hop) -> Result<(Parts, reqwest::Body)> {
        let operation = call.request().operation();
        self.permit(operation, &hop.url)?;
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        request.headers_mut().clone_from(&hop.headers);
        if !hop.body.is_empty() {
            *request.body_mut() = Some(hop.body.clone().into());
        }
        call.counters().requests.increment();
        Counters::add(&call.context().counters().requests, 1);
        let answer = match self.client.execute(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(failure::before_the_answer(error, call, &hop.url)),
        };
        let (head, body) = ::http::Response::from(answer).into_parts();
        if head::is_too_large(&head.headers) {
            return Err(at(head::too_large(operation), &hop.url));
        }
        Ok((head, body))
    }

    fn permit(&self, operation: &'static str, url: &Url) -> Result<()> {
        permit(&self.guard, self.allow_http, operation, url)
    }
}

/// Whether a request may go there, as far as its URL says.
fn permit(guard: &Guard, allow_http: bool, operation: &'static str, url: &Url) -> Result<()> {
    let refused = match url.scheme() {
        "https" => None,
        "http" if allow_http => None,
        "http" => Some(
            "plain http is refused: use https, or set `network.allow_http` on a network you trust".to_owned(),
        ),
        other => Some(format!("cannot send over `{other}`")),
    };
    if let Some(message) = refused {
        return Err(at(Error::config(operation, message), url));
    }
    guard.check(url).map_err(|refused| refused.into_error(operation))
}

impl Service<Call> for Transport {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response>>;

    fn poll_ready(&mut self, _task: &mut task::Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Box::pin(self.clone().send(call))
    }
}

/// Where a failure happened, as far as it may be shown.
fn at(error: Error, url: &Url) -> Error {
    error.with_context("host", url.host_str().unwrap_or_default())
}
