//! The limit of one attempt.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Response, StackCounters, timer::Timer};
use crate::{Delivery, Error, Result};

/// Ends an attempt that is not answered in time.
///
/// Once the answer has begun, its body may take longer: then the transport watches that it does not
/// fall silent, and the deadline bounds all. A service below that does not say when the answer begins
/// has to be done within the limit.
///
/// The failure is Transient; nobody knows whether the vendor has acted.
#[derive(Debug, Clone)]
pub struct AttemptLayer {
    limit: Duration,
    counters: Arc<StackCounters>,
}

impl AttemptLayer {
    /// This limit.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, counters: Arc::default() }
    }

    /// Counts here.
    #[must_use]
    pub fn counters(mut self, counters: Arc<StackCounters>) -> Self {
        self.counters = counters;
        self
    }
}

impl<S> Layer<S> for AttemptLayer {
    type Service = AttemptService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        AttemptService { inner, layer: self.clone() }
    }
}

/// See [`AttemptLayer`].
#[derive(Debug, Clone)]
pub struct AttemptService<S> {
    inner: S,
    layer: AttemptLayer,
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
        call.attempting();
        let end = call.context().clock().monotonic().saturating_add(self.layer.limit);
        AttemptFuture {
            timer: Timer::new(end),
            layer: self.layer.clone(),
            call: call.watched(),
            inner: self.inner.call(call),
        }
    }
}

pin_project! {
    /// The future of [`AttemptService`].
    #[derive(Debug)]
    pub struct AttemptFuture<F> {
        call: Call,
        layer: AttemptLayer,
        timer: Timer,
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response>>> Future for AttemptFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.inner.poll(task) {
            return Poll::Ready(result);
        }
        if this.call.is_answering() || this.timer.poll(&**this.call.context().clock(), task).is_pending() {
            return Poll::Pending;
        }
        this.layer.counters.timeouts.increment();
        let message = format!("no answer within {:?}", this.layer.limit);
        Poll::Ready(Err(
            Error::transient(this.call.request().operation(), message).with_delivery(Delivery::Unknown)
        ))
    }
}
