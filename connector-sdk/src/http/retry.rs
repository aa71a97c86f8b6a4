//! Tries again what may go away. Whether and when is decided by [`RetryPolicy`]; this layer waits.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tower::{Layer, Service};

use super::{Call, Response, spare::Spare, stack, timer::Timer};
use crate::{
    Class, Counters, Delivery, Error, Result,
    resilience::{Decision, Failure, Jitter, Reason, RetryBudget, RetryPolicy, Standing},
};

/// Tries an operation again, after a wait, as a [`RetryPolicy`] decides and a [`RetryBudget`] permits.
///
/// It is outside of all that a single attempt needs: no permit is held through a wait, and each
/// attempt has a fresh token. What it gives up is exhausted. A stop of the host ends a wait.
#[derive(Debug, Clone)]
pub struct RetryLayer(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    policy: RetryPolicy,
    jitter: Arc<Jitter>,
    budget: Arc<RetryBudget>,
}

impl RetryLayer {
    /// This policy, with waits drawn from `jitter` and further attempts paid from `budget`.
    #[must_use]
    pub fn new(policy: RetryPolicy, jitter: Arc<Jitter>, budget: Arc<RetryBudget>) -> Self {
        Self(Arc::new(Settings { policy, jitter, budget }))
    }
}

impl<S: Clone> Layer<S> for RetryLayer {
    type Service = RetryService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        RetryService { inner: Spare::new(inner), layer: self.clone() }
    }
}

/// See [`RetryLayer`].
#[derive(Debug, Clone)]
pub struct RetryService<S> {
    inner: Spare<S>,
    layer: RetryLayer,
}

impl<S> Service<Call> for RetryService<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone,
{
    type Response = Response;
    type Error = Error;
    type Future = RetryFuture<S>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::RETRY);
        self.layer.0.budget.deposit(call.now());
        let state = State::Trying { attempt: self.inner.call(call.clone()) };
        RetryFuture { service: self.inner.copy(), layer: self.layer.clone(), call, counted: 0, state }
    }
}

pin_project! {
    /// The future of [`RetryService`].
    pub struct RetryFuture<S>
    where
        S: Service<Call>,
    {
        service: Arc<S>,
        layer: RetryLayer,
        call: Call,
        counted: u32,
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateOf]
    enum State<S, F> {
        Trying {
            #[pin]
            attempt: F,
        },
        Waiting {
            wait: Box<Wait>,
        },
        Readying {
            service: S,
        },
    }
}

/// What a wait is for and what ends it. In a box: most operations never wait, and all carry its place.
struct Wait {
    failed: Option<Error>,
    since: Duration,
    timer: Timer,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Future for RetryFuture<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone,
{
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let layer = &*this.layer;
        let call = &*this.call;
        let cx = call.context();
        let clock = &**cx.clock();
        loop {
            match this.state.as_mut().project() {
                StateOf::Trying { attempt } => {
                    let error = match ready!(attempt.poll(task)) {
                        Ok(response) => return Poll::Ready(Ok(response)),
                        Err(error) => error,
                    };
                    call.settle(error.delivery());
                    *this.counted += 1;
                    let wait = match layer.decide(call, &error, *this.counted) {
                        Decision::GiveUp(reason) => {
                            return Poll::Ready(Err(layer.give_up(call, error, reason)));
                        }
                        Decision::Retry { wait, counts } => {
                            *this.counted -= u32::from(!counts);
                            wait
                        }
                    };
                    let attempts = call.attempts();
                    tracing::info!(?wait, attempts, "trying again: {error}");
                    let since = clock.monotonic();
                    let stop = Box::pin(CancellationToken::clone(cx.stop()).cancelled_owned());
                    let timer = Timer::new(since.saturating_add(wait));
                    this.state.set(State::Waiting {
                        wait: Box::new(Wait { failed: Some(error), since, timer, stop }),
                    });
                }
                StateOf::Waiting { wait } => {
                    let stopped = wait.stop.as_mut().poll(task).is_ready();
                    if !stopped {
                        ready!(wait.timer.poll(clock, task));
                    }
                    let waited = call.tick().saturating_sub(wait.since);
                    let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                    call.counters().waited_millis.add(millis);
                    Counters::add(&cx.counters().waited_millis, millis);
                    if let (true, Some(error)) = (stopped, wait.failed.take()) {
                        return Poll::Ready(Err(layer.give_up(call, error, Reason::Stopping)));
                    }
                    this.state.set(State::Readying { service: S::clone(this.service) });
                }
                StateOf::Readying { service } => {
                    ready!(service.poll_ready(task))?;
                    call.counters().retries.increment();
                    Counters::add(&cx.counters().retries, 1);
                    call.passing_on();
                    let attempt = service.call(call.clone());
                    this.state.set(State::Trying { attempt });
                }
            }
        }
    }
}

impl RetryLayer {
    fn decide(&self, call: &Call, error: &Error, counted: u32) -> Decision {
        let cx = call.context();
        let until = || error.resume_at().map(|at| at.saturating_since(cx.clock().now()));
        let failure = Failure {
            class: error.class(),
            delivery: error.delivery(),
            exhausted: error.is_exhausted(),
            retry_after: error.retry_after().or_else(until),
            repeatable: call.request().is_repeatable(),
        };
        let standing =
            Standing { attempts: counted, remaining: call.remaining(), stopping: cx.is_stopping() };
        let decision = self.0.policy.decide(failure, standing, self.0.jitter.draw());
        // Coming back when a limit ends, the vendor's or our own, is no storm. A vendor that fails pays
        // from the budget even where it says when to come back.
        let is_free = failure.retry_after.is_some()
            && (failure.class == Class::RateLimited || failure.delivery == Delivery::NotSent);
        match decision {
            Decision::Retry { .. } if !is_free && !self.0.budget.withdraw(call.now()) => {
                Decision::GiveUp(Reason::Budget)
            }
            decision => decision,
        }
    }

    /// What the caller gets to see of the last failure.
    fn give_up(&self, call: &Call, error: Error, reason: Reason) -> Error {
        let attempts = call.attempts();
        // An earlier attempt may have had an effect that the last one had not.
        let worst = if call.request().is_safe() { error.delivery() } else { call.delivery() };
        let error = error.with_delivery(worst);
        let error = match reason {
            Reason::Final => return error,
            Reason::Ambiguous => {
                call.counters().ambiguous.increment();
                let message = format!(
                    "it is unknown whether the vendor did it ({}): look before repeating it",
                    error.message()
                );
                return instead_of(error, Class::Ambiguous, message);
            }
            Reason::TooLong(wait) => {
                let resume_at = call.context().clock().now() + wait;
                let (class, message) = match error.delivery() {
                    // A layer of ours held it back, and has said why.
                    Delivery::NotSent => (error.class(), error.message().to_owned()),
                    _ => (
                        Class::RateLimited,
                        format!(
                            "the vendor asks to wait for {wait:?}, longer than the deadline leaves: come back later"
                        ),
                    ),
                };
                instead_of(error, class, message).with_retry_after(wait).with_resume_at(resume_at)
            }
            // Not exhausted: nothing is used up, and who waited for it too need not stop.
            Reason::Stopping => {
                let message = format!("stopping, so not tried again ({})", error.message());
                return instead_of(error, Class::Transient, message);
            }
            Reason::Attempts | Reason::Deadline => error,
            Reason::Budget => error.with_context("retry_budget", "spent"),
        };
        call.counters().given_up.increment();
        error.with_context("attempts", attempts).into_exhausted()
    }
}

/// Another error in the place of this one, which becomes its source.
fn instead_of(error: Error, class: Class, message: String) -> Error {
    let other = Error::new(class, error.operation().to_owned(), message).with_delivery(error.delivery());
    let other = error.context().fold(other, |other, (name, value)| other.with_context(name, value));
    other.with_source(error)
}

impl<S: Service<Call>> fmt::Debug for RetryFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture")
            .field("call", &self.call)
            .field("counted", &self.counted)
            .finish_non_exhaustive()
    }
}
