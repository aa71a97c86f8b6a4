//! Which answers are failures, and of what class: the vendor's error bodies are read here, innermost
//! but for the transport, so that every layer above decides on classes and never on statuses.

use std::{
    fmt::Debug,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
};

use ::http::{StatusCode, header};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Request, Response, stack};
use crate::{Class, Counters, Delivery, Error, Result, resilience::retry_after};

/// Reads a vendor's answers: which of them are failures?
///
/// An implementation looks at the body where the status alone misleads (an error with status 200), and
/// asks [`StatusFaults`] about the rest. It need not set the delivery (the vendor answered) nor read
/// `Retry-After`: the layer does. An [`Class::Auth`] error makes the client renew the token and repeat
/// the request once; where that cannot help, say so with [`Error::into_exhausted`].
///
/// ```
/// use connector_sdk::{Class, Error, http::{Faults, Request, Response, StatusFaults}};
///
/// /// This vendor answers 200 with `{"ok": false}`.
/// #[derive(Debug)]
/// struct DeskFaults;
///
/// impl Faults for DeskFaults {
///     fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
///         if response.body.starts_with(br#"{"ok":false"#) {
///             return Some(Error::new(Class::Permanent, request.operation(), "the desk says no"));
///         }
///         StatusFaults.fault(request, response)
///     }
/// }
/// ```
pub trait Faults: Send + Sync + Debug {
    /// The failure that this answer is; none: it is a success. Called with every answer, also 2xx.
    fn fault(&self, request: &Request, response: &Response) -> Option<Error>;
}

/// The meaning of a status where nothing more is known.
///
/// | status | class | because |
/// |---|---|---|
/// | 2xx, 304 | success | |
/// | 401 | Auth | the token is not accepted: it is renewed, and the request repeated, once |
/// | 403 | Permanent | who we are is accepted, what we want is not: no new token helps |
/// | 408, 425, 500, 502, 503, 504, other 5xx | Transient | it may work in a moment |
/// | 429 | RateLimited | |
/// | 501, 505 | Permanent | the vendor will not learn it in a moment |
/// | other 3xx | Permanent | a redirect that is not followed: to another origin, say, which credentials must not reach |
/// | other 4xx | Permanent | the same request will fail again |
#[derive(Debug, Clone, Copy, Default)]
pub struct StatusFaults;

impl Faults for StatusFaults {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        let status = response.status;
        let (class, what) = match status {
            StatusCode::NOT_MODIFIED => return None,
            _ if status.is_success() => return None,
            StatusCode::UNAUTHORIZED => (Class::Auth, "does not accept the credential"),
            StatusCode::FORBIDDEN => (Class::Permanent, "does not allow it to this credential"),
            StatusCode::NOT_FOUND => (Class::Permanent, "knows no such thing"),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => (Class::Transient, "asks to try again"),
            StatusCode::TOO_MANY_REQUESTS => (Class::RateLimited, "asks to slow down"),
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {
                (Class::Permanent, "cannot do that")
            }
            _ if status.is_server_error() => (Class::Transient, "has failed"),
            _ if status.is_redirection() => (Class::Permanent, "redirects, which is refused"),
            _ => (Class::Permanent, "refuses the request"),
        };
        let mut error =
            Error::new(class, request.operation(), format!("the vendor {what} (status {})", status.as_u16()));
        if let Some(host) = response.url.host_str() {
            error = error.with_context("host", host);
        }
        if status.is_redirection()
            && let Some(target) = redirect_host(response)
        {
            error = error.with_context("redirects_to", target);
        }
        Some(error)
    }
}

fn redirect_host(response: &Response) -> Option<String> {
    let target = response.url.join(response.header(header::LOCATION.as_str())?).ok()?;
    target.host_str().map(str::to_owned)
}

/// Turns answers that are failures into errors.
#[derive(Debug, Clone)]
pub struct FaultsLayer {
    faults: Arc<dyn Faults>,
}

impl FaultsLayer {
    /// Reads answers this way.
    #[must_use]
    pub fn new(faults: Arc<dyn Faults>) -> Self {
        Self { faults }
    }
}

impl<S> Layer<S> for FaultsLayer {
    type Service = FaultsService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        FaultsService { inner, layer: self.clone() }
    }
}

/// See [`FaultsLayer`].
#[derive(Debug, Clone)]
pub struct FaultsService<S> {
    inner: S,
    layer: FaultsLayer,
}

impl<S> Service<Call> for FaultsService<S>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = FaultsFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::FAULTS);
        FaultsFuture { faults: self.layer.clone(), inner: self.inner.call(call.clone()), call }
    }
}

pin_project! {
    /// The future of [`FaultsService`].
    #[derive(Debug)]
    pub struct FaultsFuture<F> {
        faults: FaultsLayer,
        call: Call,
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response>>> Future for FaultsFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(task))?;
        let Some(error) = this.faults.faults.fault(this.call.request(), &response) else {
            return Poll::Ready(Ok(response));
        };
        this.call.counters().faults.increment();
        if error.class() == Class::RateLimited {
            this.call.counters().throttled.increment();
            Counters::add(&this.call.context().counters().throttled, 1);
        }
        Poll::Ready(Err(answered(error, &response)))
    }
}

/// What the layer knows and a vendor's [`Faults`] need not repeat.
fn answered(error: Error, response: &Response) -> Error {
    let error = match error.delivery() {
        // What came was no answer: what the vendor has done and said is not known.
        Delivery::Unknown => error,
        _ => error.with_delivery(Delivery::Answered),
    };
    if error.retry_after().is_some() || !matches!(error.class(), Class::Transient | Class::RateLimited) {
        return error;
    }
    let answered_at = response.date().unwrap_or(response.received_at);
    match response
        .header(header::RETRY_AFTER.as_str())
        .and_then(|value| retry_after::parse(value, answered_at))
    {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}
