//! Refuses at once what would fail anyway. When, is decided by [`Breaker`]; this layer asks and reports.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Response, stack};
use crate::{
    Class, Delivery, Error, Result,
    resilience::{Breaker, Outcome, Pass, Refused},
};

/// Lets no attempt through while the vendor is down, but for one probe now and then.
///
/// A refusal is Transient, not sent, with the wait until it is worth asking again; retry waits for that
/// within the deadline, and it costs no attempt. What an attempt proves:
///
/// | it ended | it is |
/// |---|---|
/// | well | a success |
/// | Transient, not sent | a connect failure |
/// | Transient, not sent, because who is there turned it away (HTTP/2 `REFUSED_STREAM`) | a failure |
/// | Transient, answered or unknown (5xx, a reset, a timeout, a body that broke off) | a failure |
/// | another way, answered (4xx, 429, the vendor's own errors) | an answer: the vendor is there |
/// | not at all: dropped, refused by us, a mistake of the configuration | nothing |
#[derive(Debug, Clone)]
pub struct BreakerLayer(Arc<Breaker>);

impl BreakerLayer {
    /// Asks this breaker, which its clones share.
    #[must_use]
    pub fn new(breaker: Arc<Breaker>) -> Self {
        Self(breaker)
    }
}

impl<S> Layer<S> for BreakerLayer {
    type Service = BreakerService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, breaker: Arc::clone(&self.0) }
    }
}

/// See [`BreakerLayer`].
#[derive(Debug, Clone)]
pub struct BreakerService<S> {
    inner: S,
    breaker: Arc<Breaker>,
}

impl<S> Service<Call> for BreakerService<S>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = BreakerFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::BREAKER);
        let since = call.now();
        let way = match self.breaker.admit(since) {
            Ok(pass) => {
                let breaker = Arc::clone(&self.breaker);
                let admitted = Admitted { breaker, call, since, pass: Some(pass) };
                Way::Admitted { sent: self.inner.call(admitted.call.clone()), admitted }
            }
            Err(refused) => {
                call.counters().refused.increment();
                Way::Refused { error: Some(refusal(&call, refused)) }
            }
        };
        BreakerFuture { way }
    }
}

fn refusal(call: &Call, refused: Refused) -> Error {
    let message = "the vendor has failed again and again, so it is not asked for a while";
    Error::transient(call.request().operation(), message)
        .with_delivery(Delivery::NotSent)
        .with_retry_after(refused.retry_in)
        .with_context("circuit", "open")
}

/// A pass, which is given back when the attempt is dropped.
struct Admitted {
    breaker: Arc<Breaker>,
    call: Call,
    since: Duration,
    pass: Option<Pass>,
}

impl Admitted {
    fn report(&mut self, result: &Result<Response>) {
        if let Some(pass) = self.pass.take() {
            let outcome = outcome(result, &self.call);
            self.breaker.report(pass, outcome, self.call.now_after(self.since));
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.breaker.release(pass, self.call.tick());
        }
    }
}

fn outcome(result: &Result<Response>, call: &Call) -> Outcome {
    let Err(error) = result else { return Outcome::Success };
    match (error.class(), error.delivery()) {
        (Class::Transient, Delivery::NotSent) if call.is_turned_away() => Outcome::Failure,
        (Class::Transient, Delivery::NotSent) => Outcome::ConnectFailure,
        (Class::Transient, _) => Outcome::Failure,
        (_, Delivery::Answered) => Outcome::Answered,
        (_, Delivery::NotSent | Delivery::Unknown) => Outcome::Neutral,
    }
}

pin_project! {
    /// The future of [`BreakerService`].
    pub struct BreakerFuture<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project! {
    #[project = WayOf]
    enum Way<F> {
        Admitted { #[pin] sent: F, admitted: Admitted },
        Refused { error: Option<Error> },
    }
}

impl<F: Future<Output = Result<Response>>> Future for BreakerFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayOf::Admitted { sent, admitted } => {
                let result = ready!(sent.poll(task));
                admitted.report(&result);
                Poll::Ready(result)
            }
            WayOf::Refused { error } => error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }
}

impl<F> fmt::Debug for BreakerFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BreakerFuture")
    }
}
