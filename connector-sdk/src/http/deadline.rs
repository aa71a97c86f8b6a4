//! The limit of the whole operation: all attempts, all waits, all queues on the way.

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
use crate::{Class, Delivery, Error, Result};

/// Ends an operation that is not done in time. The layers below see the end coming
/// ([`Call::remaining`]), so that none of them starts a wait beyond it.
///
/// The failure is Transient and exhausted; Ambiguous for a write that may have been sent.
#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    limit: Duration,
    counters: Arc<StackCounters>,
}

impl DeadlineLayer {
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

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, layer: self.clone() }
    }
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct DeadlineService<S> {
    inner: S,
    layer: DeadlineLayer,
}

impl<S> Service<Call> for DeadlineService<S>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let end = call.context().clock().monotonic().saturating_add(self.layer.limit);
        let call = call.ending_at(end);
        DeadlineFuture {
            timer: Timer::new(end),
            layer: self.layer.clone(),
            inner: self.inner.call(call.clone()),
            call,
        }
    }
}

pin_project! {
    /// The future of [`DeadlineService`].
    #[derive(Debug)]
    pub struct DeadlineFuture<F> {
        call: Call,
        layer: DeadlineLayer,
        timer: Timer,
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response>>> Future for DeadlineFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.inner.poll(task) {
            return Poll::Ready(result);
        }
        if this.timer.poll(&**this.call.context().clock(), task).is_pending() {
            return Poll::Pending;
        }
        this.layer.counters.overdue.increment();
        Poll::Ready(Err(overdue(this.call, this.layer.limit)))
    }
}

fn overdue(call: &Call, limit: Duration) -> Error {
    let delivery = call.delivery();
    let operation = call.request().operation();
    let error = if delivery == Delivery::Unknown && !call.request().is_repeatable() {
        let message = format!(
            "not done within {limit:?}, and it is unknown whether the vendor did it: look before repeating it"
        );
        Error::new(Class::Ambiguous, operation, message)
    } else {
        Error::transient(operation, format!("not done within {limit:?}, the deadline of an operation"))
    };
    error.with_delivery(delivery).with_context("attempts", call.attempts()).into_exhausted()
}
