//! Outermost: a span around the whole operation, and the count of operations.

use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll, ready},
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::{Span, field::Empty};

use super::{Call, Response, stack};
use crate::{Error, Result};

/// Puts each operation into a span with its name, host, status, attempts and the class of its failure:
/// never headers, bodies, paths or queries.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationLayer;

impl<S> Layer<S> for OperationLayer {
    type Service = OperationService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        OperationService { inner }
    }
}

/// See [`OperationLayer`].
#[derive(Debug, Clone)]
pub struct OperationService<S> {
    inner: S,
}

impl<S> Service<Call> for OperationService<S>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = OperationFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let span = tracing::debug_span!(
            "http",
            operation = call.request().operation(),
            "http.request.method" = call.request().http_method().as_str(),
            "http.request.resend_count" = Empty,
            "http.response.status_code" = Empty,
            "server.address" = Empty,
            "error.type" = Empty,
        );
        stack::passes(stack::OPERATION);
        call.tick();
        call.counters().operations.increment();
        // Where nobody listens, entering costs as much as a layer.
        let inner = match span.is_disabled() {
            true => self.inner.call(call.clone()),
            false => span.in_scope(|| self.inner.call(call.clone())),
        };
        OperationFuture { call, span, inner }
    }
}

pin_project! {
    /// The future of [`OperationService`].
    #[derive(Debug)]
    pub struct OperationFuture<F> {
        call: Call,
        span: Span,
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response>>> Future for OperationFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.span.is_disabled() {
            let result = ready!(this.inner.poll(task));
            this.call.counters().failed.add(u64::from(result.is_err()));
            return Poll::Ready(result);
        }
        let _entered = this.span.enter();
        let result = ready!(this.inner.poll(task));
        this.call.counters().failed.add(u64::from(result.is_err()));
        this.span.record("http.request.resend_count", this.call.attempts().saturating_sub(1));
        match &result {
            Ok(response) => {
                this.span.record("http.response.status_code", response.status.as_u16());
                this.span.record("server.address", response.url.host_str());
            }
            Err(error) => {
                let host = error.context().find(|(name, _)| *name == "host").map(|(_, host)| host);
                this.span.record("server.address", host);
                this.span.record("error.type", tracing::field::display(error.class()));
            }
        }
        Poll::Ready(result)
    }
}
