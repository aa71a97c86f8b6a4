//! The limit of one attempt, and how long it took.

use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Response, stack, timer::Timer};
use crate::{Delivery, Error, Result};

/// Ends an attempt that is not answered in time, and measures each as `http.client.request.duration`.
///
/// Once the answer has begun, its body may take longer: then the transport watches that it does not
/// fall silent, and the deadline bounds all. A service below that does not say when the answer begins
/// has to be done within the limit.
///
/// The failure is Transient; nobody knows whether the vendor has acted.
#[derive(Debug, Clone, Copy)]
pub struct AttemptLayer {
    limit: Duration,
}

impl AttemptLayer {
    /// This limit.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = AttemptService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        AttemptService { inner, limit: self.limit }
    }
}

/// See [`AttemptLayer`].
#[derive(Debug, Clone)]
pub struct AttemptService<S> {
    inner: S,
    limit: Duration,
}

impl<S> Service<Call> for AttemptService<S>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = AttemptFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::ATTEMPT);
        let since = call.now();
        call.attempting(since);
        let limit = self.limit.max(call.request().patience());
        AttemptFuture {
            since,
            timer: Timer::new(since.saturating_add(limit)),
            limit,
            inner: self.inner.call(call.clone()),
            call,
        }
    }
}

pin_project! {
    /// The future of [`AttemptService`].
    #[derive(Debug)]
    pub struct AttemptFuture<F> {
        call: Call,
        since: Duration,
        limit: Duration,
        timer: Timer,
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response>>> Future for AttemptFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let clock = &**this.call.context().clock();
        let result = match this.inner.poll(task) {
            Poll::Ready(result) => result,
            Poll::Pending if this.call.is_answering() => return Poll::Pending,
            Poll::Pending if this.timer.poll(clock, task).is_pending() => return Poll::Pending,
            Poll::Pending => {
                this.call.counters().timeouts.increment();
                let message = format!("no answer within {:?}", this.limit);
                let error = Error::transient(this.call.request().operation(), message);
                Err(error.with_delivery(Delivery::Unknown))
            }
        };
        let taken = this.call.tick().saturating_sub(*this.since);
        this.call.counters().durations.record(this.call.request().http_method(), &result, taken);
        Poll::Ready(result)
    }
}
