//! Innermost: sends one attempt with reqwest and reads its whole answer.
//!
//! reqwest neither retries, nor follows redirects, nor decompresses here: the layers above decide on
//! the first two, and [`body`] decompresses under our caps and counts the bytes of the wire.

mod body;
mod failure;
mod inflate;

use std::{
    fs,
    task::{self, Poll},
    time::Duration,
};

use ::http::{HeaderValue, header};
use futures_util::future::BoxFuture;
use tower::Service;
use url::Url;

use super::{Call, Outgoing, Response};
use crate::{Counters, Error, Network, Result, resilience::Resilience};

/// Sends requests over HTTP/1.1 or HTTP/2, over TLS unless the connection's network allows plain http.
///
/// | failure | class | delivery |
/// |---|---|---|
/// | plain http that is not allowed; a certificate that is not trusted, no TLS there | Config | not sent |
/// | the name cannot be resolved; no connection | Transient | not sent |
/// | the connection ends before the answer | Transient | unknown |
/// | the body breaks off, falls silent, or is damaged | Transient | answered |
/// | the body is larger than the caps | Permanent | answered |
///
/// All limits in time are by the context's clock, but for that of connecting, which is reqwest's own.
#[derive(Debug, Clone)]
pub struct Transport {
    client: reqwest::Client,
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
    /// Config when the user agent, the proxy or the file of certificate authorities does not make sense.
    pub fn new(network: &Network, settings: &Resilience, user_agent: &str) -> Result<Self> {
        let limits = Limits {
            // A body that stands still is no better than an answer that does not begin.
            idle: settings.idle_timeout.min(settings.attempt_timeout),
            max_body: settings.max_body,
            max_decompressed_body: settings.max_decompressed_body,
        };
        let client = client(network, settings.connect_timeout, user_agent)?;
        Ok(Self { client, limits, allow_http: network.allow_http })
    }

    async fn send(self, call: Call) -> Result<Response> {
        let request = self.prepare(&call)?;
        let url = request.url().clone();
        call.counters().requests.increment();
        Counters::add(&call.context().counters().requests, 1);
        let answer = match self.client.execute(request).await {
            Ok(answer) => answer,
            Err(error) => return Err(failure::before_the_answer(error, &call, &url)),
        };
        call.answering();
        let (head, body) = ::http::Response::from(answer).into_parts();
        let reader = body::Reader { call: &call, url: &url, limits: self.limits };
        let body = reader.read(body, &head).await?;
        Ok(Response::new(head.status, head.headers, body, url, call.context().clock().now()))
    }

    fn prepare(&self, call: &Call) -> Result<reqwest::Request> {
        let Outgoing { url, headers: credential } = call.outgoing()?;
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                let message =
                    "plain http is refused: use https, or set `network.allow_http` on a network you trust";
                return Err(Error::config(call.request().operation(), message).with_context("host", host));
            }
            other => {
                let message = format!("cannot send over `{other}`");
                return Err(Error::config(call.request().operation(), message).with_context("host", host));
            }
        }
        let mut request = reqwest::Request::new(call.request().http_method().clone(), url);
        let headers = request.headers_mut();
        headers.clone_from(call.request().headers());
        headers.extend(credential);
        headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        if !call.request().payload().is_empty() {
            *request.body_mut() = Some(call.request().payload().clone().into());
        }
        Ok(request)
    }
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

fn client(network: &Network, connect_timeout: Duration, user_agent: &str) -> Result<reqwest::Client> {
    let authorities = authorities(network)?;
    let user_agent = HeaderValue::try_from(user_agent)
        .map_err(|_| Error::config("connect", "the user agent holds characters that no header can carry"))?;
    let builder = || {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .user_agent(user_agent.clone())
            .connect_timeout(connect_timeout)
            .tls_certs_merge(authorities.clone());
        // A proxy is configuration too: none is taken from the environment behind the template's back.
        match network.proxy.as_ref().map(|url| url.expose().as_str()).filter(|url| !url.is_empty()) {
            None => Ok(builder.no_proxy()),
            Some(url) => reqwest::Proxy::all(url)
                .map(|proxy| builder.proxy(proxy))
                // The URL may hold a password, and so may what reqwest says about it.
                .map_err(|_| Error::config("connect", "`network.proxy` is no URL of a proxy")),
        }
    };
    builder()?
        .build()
        // A machine without any certificate authority of its own can still trust those of `ca_file`, and
        // speak plain http where that is allowed; https then fails with a certificate that is not trusted.
        .or_else(|_| builder()?.tls_certs_only(authorities.clone()).build().map_err(unusable))
}

fn unusable(error: reqwest::Error) -> Error {
    Error::config("connect", "no HTTP client can be made of the network settings")
        .with_source(error.without_url())
}

fn authorities(network: &Network) -> Result<Vec<reqwest::Certificate>> {
    let Some(path) = &network.ca_file else { return Ok(Vec::new()) };
    let refused =
        |why: String| Error::config("connect", format!("`network.ca_file` {}: {why}", path.display()));
    let pem = fs::read(path).map_err(|error| refused(error.to_string()))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(refused("holds no certificates in PEM".to_owned())),
    }
}

/// Where a failure happened, as far as it may be shown.
fn at(error: Error, url: &Url) -> Error {
    error.with_context("host", url.host_str().unwrap_or_default())
}
