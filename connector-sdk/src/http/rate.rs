//! Keeps to the vendor's quotas. What they admit, is decided by [`RateLimiter`]; this layer waits.

use std::{
    fmt::{self, Debug},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Call, Request, Response, spare::Spare, stack};
use crate::{
    Class, Delivery, Error, Result,
    resilience::{
        Quota, QuotaKey, RateLimiter,
        rate_headers::{self, Told},
    },
};

/// Waits up to this are waited here. Longer ones are told to retry, which waits without holding
/// anybody's place.
const LONGEST_HELD: Duration = Duration::from_secs(1);

/// A 429 that does not say for how long pauses its key for this.
const UNSTATED_PAUSE: Duration = Duration::from_millis(100);

/// However long a vendor asks to be left alone, and whatever its headers say: after so much time one request
/// asks again. The wait that was told stands in the error. Vendors have asked for days by mistake, and a
/// process that lives for months must not obey until it is started anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How a vendor counts requests.
///
/// ```
/// use connector_sdk::{http::{Quotas, Request}, resilience::{Quota, QuotaKey}};
/// use std::time::Duration;
///
/// /// Fifty a minute for listing, for each workspace; all else uncounted.
/// #[derive(Debug)]
/// struct Desk { list: QuotaKey, other: QuotaKey }
///
/// impl Quotas for Desk {
///     fn key(&self, request: &Request) -> QuotaKey {
///         if request.operation() == "list" { self.list.clone() } else { self.other.clone() }
///     }
///     fn quota(&self, request: &Request) -> Option<Quota> {
///         let quota = Quota { requests: 50, period: Duration::from_secs(60), burst: 10 };
///         (request.operation() == "list").then_some(quota)
///     }
/// }
/// ```
pub trait Quotas: Send + Sync + Debug {
    /// The quota that the request draws on. A 429 pauses all that draw on the same one.
    fn key(&self, request: &Request) -> QuotaKey;

    /// How much of it is known beforehand; the default: nothing.
    fn quota(&self, request: &Request) -> Option<Quota> {
        let _ = request;
        None
    }

    /// What an answer says of the rest. The default reads `RateLimit` and `X-RateLimit-*` headers.
    fn allowance(&self, response: &Response) -> Option<Told> {
        rate_headers::parse(&response.headers, response.date().unwrap_or(response.received_at))
    }
}

/// All requests of a client draw on one quota, of which nothing is known beforehand.
#[derive(Debug, Clone)]
pub struct OneQuota(QuotaKey);

impl OneQuota {
    /// Under this name.
    #[must_use]
    pub fn new(key: QuotaKey) -> Self {
        Self(key)
    }
}

impl Quotas for OneQuota {
    fn key(&self, _: &Request) -> QuotaKey {
        self.0.clone()
    }
}

/// Lets an attempt through when its quota has room, and makes it wait otherwise.
///
/// Waits up to a second are waited here; for a longer one the attempt fails as RateLimited, not sent,
/// with the wait, and retry comes back then. A 429 pauses its quota for all who draw on it, for 15 minutes at
/// most; after that one of them asks again.
#[derive(Debug, Clone)]
pub struct RateLayer(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    limiter: Arc<RateLimiter>,
    quotas: Arc<dyn Quotas>,
    paced: bool,
}

impl RateLayer {
    /// Keeps to these quotas, whose state is in the limiter: shared by all clients that draw on them.
    #[must_use]
    pub fn new(limiter: Arc<RateLimiter>, quotas: Arc<dyn Quotas>) -> Self {
        Self(Arc::new(Settings { limiter, quotas, paced: true }))
    }

    /// Does not pace by quotas known beforehand; what the vendor answers is obeyed all the same.
    #[must_use]
    pub fn unpaced(self) -> Self {
        let Settings { limiter, quotas, .. } = &*self.0;
        Self(Arc::new(Settings { limiter: Arc::clone(limiter), quotas: Arc::clone(quotas), paced: false }))
    }
}

impl Settings {
    fn admit(&self, key: &QuotaKey, request: &Request, now: Duration) -> Result<(), Duration> {
        let quota = if self.paced { self.quotas.quota(request) } else { None };
        self.limiter.admit(key, quota, now).map_err(|held| held.wait)
    }

    /// Remembers what an answer says about the quota.
    fn learn(&self, key: &QuotaKey, call: &Call, since: Duration, result: &Result<Response>) {
        let cx = call.context();
        match result {
            Ok(response) => {
                if let Some(Told { remaining, resets_in }) = self.quotas.allowance(response) {
                    let now = call.now_after(since);
                    let resets_at = now.saturating_add(resets_in.min(LONGEST_PAUSE));
                    self.limiter.tighten(key, remaining, resets_at, now);
                }
            }
            Err(error) if error.class() == Class::RateLimited && error.delivery() == Delivery::Answered => {
                let until = || error.resume_at().map(|at| at.saturating_since(cx.clock().now()));
                let wait = error.retry_after().or_else(until).unwrap_or(UNSTATED_PAUSE);
                let now = call.now_after(since);
                self.limiter.pause(key, now.saturating_add(wait.min(LONGEST_PAUSE)), now);
            }
            Err(_) => {}
        }
    }
}

fn must_wait(call: &Call, key: &QuotaKey, wait: Duration) -> Error {
    call.counters().held_back.increment();
    let message = "the vendor's quota is used up for now";
    Error::new(Class::RateLimited, call.request().operation(), message)
        .with_delivery(Delivery::NotSent)
        .with_retry_after(wait)
        .with_context("quota", key.as_str())
}

impl<S: Clone> Layer<S> for RateLayer {
    type Service = RateService<S>;
    fn layer(&self, inner: S) -> Self::Service {
        RateService { inner: Spare::new(inner), layer: self.clone() }
    }
}

/// See [`RateLayer`].
#[derive(Debug, Clone)]
pub struct RateService<S> {
    inner: Spare<S>,
    layer: RateLayer,
}

impl<S> Service<Call> for RateService<S>
where
    S: Service<Call, Response = Response, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Error;
    type Future = RateFuture<S::Future>;

    fn poll_ready(&mut self, task: &mut task::Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        stack::passes(stack::RATE);
        let settings = &self.layer.0;
        let key = settings.quotas.key(call.request());
        let since = call.now();
        let way = match settings.admit(&key, call.request(), since) {
            Ok(()) => {
                let sent = self.inner.call(call.clone());
                Way::Admitted { sent, call, since, key, settings: Arc::clone(settings) }
            }
            Err(wait) if wait <= LONGEST_HELD => {
                let held = held(self.inner.take(), Arc::clone(settings), call, key, wait);
                Way::Held { future: Box::pin(held) }
            }
            Err(wait) => Way::Refused { error: Some(must_wait(&call, &key, wait)) },
        };
        RateFuture { way }
    }
}

async fn held<S>(
    mut service: S,
    settings: Arc<Settings>,
    call: Call,
    key: QuotaKey,
    mut wait: Duration,
) -> Result<Response>
where
    S: Service<Call, Response = Response, Error = Error>,
{
    call.holding();
    let give_up_at = call.now().saturating_add(LONGEST_HELD);
    loop {
        call.context().clock().sleep(wait).await;
        let now = call.tick();
        match settings.admit(&key, call.request(), now) {
            Ok(()) => break,
            Err(more) if now.saturating_add(more) <= give_up_at => wait = more,
            Err(more) => return Err(must_wait(&call, &key, more)),
        }
    }
    call.passing_on();
    let since = call.now();
    let result = service.call(call.clone()).await;
    settings.learn(&key, &call, since, &result);
    result
}

pin_project! {
    /// The future of [`RateService`].
    pub struct RateFuture<F> {
        #[pin]
        way: Way<F>,
    }
}

pin_project! {
    #[project = WayOf]
    enum Way<F> {
        /// There was room: most of them, and without an allocation.
        Admitted { #[pin] sent: F, call: Call, since: Duration, key: QuotaKey, settings: Arc<Settings> },
        Held { future: BoxFuture<'static, Result<Response>> },
        Refused { error: Option<Error> },
    }
}

impl<F: Future<Output = Result<Response>>> Future for RateFuture<F> {
    type Output = Result<Response>;

    fn poll(self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        match self.project().way.project() {
            WayOf::Admitted { sent, call, since, key, settings } => {
                let result = ready!(sent.poll(task));
                settings.learn(key, call, *since, &result);
                Poll::Ready(result)
            }
            WayOf::Held { future } => future.as_mut().poll(task),
            WayOf::Refused { error } => error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
        }
    }
}

impl<F> fmt::Debug for RateFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RateFuture")
    }
}
