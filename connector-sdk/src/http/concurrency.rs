//! As many attempts at once as the vendor bears. How many, is learnt by [`Aimd`]; this layer counts them.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{self, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use serde::Serialize;
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use super::{Call, Response, spare::Spare, stack};
use crate::{Class, Delivery, Error, Result, resilience::Aimd};

/// Lets through as many attempts at once as [`Aimd`] allows; the others wait in line, in their future.
///
/// A 429, a timeout, an HTTP/2 stream that is refused and rising latency lower the limit, successes raise it. An attempt that is dropped
/// gives its place to the next and says nothing about the vendor.
#[derive(Debug, Clone)]
pub struct ConcurrencyLayer(Arc<Gate>);

/// Where the attempts of one vendor's connection pass, one permit each. Clones of a layer share it.
#[derive(Debug)]
pub struct Gate {
    permits: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    policy: Aimd,
    /// Permits to take back when attempts end, because the limit fell below what was out.
    owed: u32,
}

/// How full a [`Gate`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GateState {
    /// Attempts that may be under way at once.
    pub limit: u32,
    /// Attempts that are.
    pub in_flight: u32,
}

impl Gate {
    /// A gate with this policy.
    #[must_use]
    pub fn new(policy: Aimd) -> Self {
        let permits = Semaphore::new(policy.limit() as usize);
        Self { permits, state: Mutex::new(State { policy, owed: 0 }) }
    }

    /// How full it is.
    #[must_use]
    pub fn state(&self) -> GateState {
        let state = self.lock();
        GateState { limit: state.policy.limit(), in_flight: self.in_flight(&state) }
    }

    fn in_flight(&self, state: &State) -> u32 {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        (state.policy.limit() + state.owed).saturating_sub(free)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives one permit back, after the policy has learnt what it may from the attempt.
    fn release(&self, learn: impl FnOnce(&mut Aimd, u32)) {
        let mut state = self.lock();
        let before = state.policy.limit();
        let in_flight = self.in_flight(&state);
        learn(&mut state.policy, in_flight);
        let after = state.policy.limit();
        // The permit of this attempt, and those of a limit that rose, pay first what is owed.
        let returned = 1 + after.saturating_sub(before);
        let paid = returned.min(state.owed);
        state.owed -= paid;
        if returned > paid {
            self.permits.add_permits((returned - paid) as usize);
        }
        if before > after {
            let taken = self.permits.forget_permits((before - after) as usize);
            state.owed += (before - after) - u32::try_from(taken).unwrap_or(0);
        }
    }
}

impl ConcurrencyLayer {
    /// Through this gate.
    #[must_use]
    pub fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }
}

impl<S: Clone> Layer<S> for ConcurrencyLayer {
    type Service = ConcurrencyService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyService { inner: Spare::new(inner), gate: Arc::clone(&self.0) }
    }
}

/// See [`ConcurrencyLayer`].
#[derive(Debug, Clone)]
pub struct ConcurrencyService<S> {
    inner: Spare<S>,
    gate: Arc<Gate>,
}

impl<S> Service<Call> for ConcurrencyService<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Error;
    type Future = ConcurrencyFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::CONCURRENCY);
        let way = match self.gate.permits.try_acquire() {
            Ok(permit) => {
                permit.forget();
                let permit = Permit::new(&self.gate, call);
                Way::Passed { sent: self.inner.call(permit.call.clone()), permit: Some(permit) }
            }
            Err(_) => {
                let queued = queued(self.inner.take(), Arc::clone(&self.gate), call);
                Way::Queued { future: Box::pin(queued) }
            }
        };
        ConcurrencyFuture { way }
    }
}

async fn queued<S>(mut service: S, gate: Arc<Gate>, call: Call) -> Result<Response>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    call.holding();
    // It is never closed.
    if let Ok(permit) = gate.permits.acquire().await {
        permit.forget();
    }
    call.tick();
    let mut permit = Permit::new(&gate, call);
    permit.call.passing_on();
    let result = service.call(permit.call.clone()).await;
    permit.learn(&result);
    result
}

/// A place among those under way, which is given back however the attempt ends.
struct Permit {
    gate: Arc<Gate>,
    call: Call,
    since: Duration,
    /// How many attempts had been made before it.
    attempts: u32,
    lesson: Lesson,
}

/// What an attempt says about how much the vendor bears.
#[derive(Clone, Copy)]
enum Lesson {
    Nothing,
    Success { latency: Duration, now: Duration },
    Overload { now: Duration },
}

impl Permit {
    fn new(gate: &Arc<Gate>, call: Call) -> Self {
        let (since, attempts) = (call.now(), call.attempts());
        Self { gate: Arc::clone(gate), call, since, attempts, lesson: Lesson::Nothing }
    }

    fn learn(&mut self, result: &Result<Response>) {
        // What was waited for in between, a token or a place in the quota, is not the vendor's latency.
        if self.call.attempts() > self.attempts {
            self.since = self.call.attempted_at().max(self.since);
        }
        let now = self.call.now_after(self.since);
        self.lesson = match result {
            Ok(_) => Lesson::Success { latency: now.saturating_sub(self.since), now },
            Err(error) => match (error.class(), error.delivery()) {
                (Class::RateLimited, Delivery::Answered) | (Class::Transient, Delivery::Unknown) => {
                    Lesson::Overload { now }
                }
                (Class::Transient, Delivery::NotSent) if self.call.is_turned_away() => {
                    Lesson::Overload { now }
                }
                _ => Lesson::Nothing,
            },
        };
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (lesson, since) = (self.lesson, self.since);
        self.gate.release(|policy, in_flight| match lesson {
            Lesson::Nothing => {}
            Lesson::Success { latency, now } => policy.on_success(latency, in_flight, now),
            Lesson::Overload { now } => policy.on_overload(since, now),
        });
    }
}

pin_project! {
    /// The future of [`ConcurrencyService`].
    pub struct ConcurrencyFuture<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project! {
    #[project = WayOf]
    enum Way<F> {
        /// There was a place: most of them, and without an allocation.
        Passed { #[pin] sent: F, permit: Option<Permit> },
        Queued { future: BoxFuture<'static, Result<Response>> },
    }
}

impl<F: Future<Output = Result<Response>>> Future for ConcurrencyFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayOf::Queued { future } => future.as_mut().poll(task),
            WayOf::Passed { sent, permit } => {
                let result = ready!(sent.poll(task));
                if let Some(mut permit) = permit.take() {
                    permit.learn(&result);
                }
                Poll::Ready(result)
            }
        }
    }
}

impl<F> fmt::Debug for ConcurrencyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConcurrencyFuture")
    }
}
