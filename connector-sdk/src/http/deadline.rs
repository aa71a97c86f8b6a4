//! The limit of the whole operation: all attempts, all waits, all queues on the way.

use std::{
    future::Future,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Response, stack, timer::Timer};
use crate::{Class, Delivery, Error, Result};

/// Ends an operation that is not done in time. The layers below see the end coming
/// ([`Call::remaining`]), so that none of them starts a wait beyond it.
///
/// The failure is Transient and exhausted; Ambiguous for a write that may have been sent.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer {
    limit: Duration,
}

impl DeadlineLayer {
    /// This limit.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService { inner, limit: self.limit }
    }
}

/// See [`DeadlineLayer`].
#[derive(Debug, Clone)]
pub struct DeadlineService<S> {
    inner: S,
    limit: Duration,
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
        stack::passes(stack::DEADLINE);
        let end = call.now().saturating_add(self.limit);
        call.end_at(end);
        DeadlineFuture {
            timer: Timer::new(end),
            limit: self.limit,
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
        limit: Duration,
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
        this.call.counters().overdue.increment();
        Poll::Ready(Err(overdue(this.call, *this.limit)))
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
