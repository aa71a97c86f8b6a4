//! What travels through the layers: a request, whose call it is, and what the layers know of it so far.
//!
//! One allocation holds all of it; a clone is the same operation. What changes on the way stands in
//! atomics that one task at a time writes, so relaxed loads and stores are enough.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ::http::HeaderMap;
use url::Url;

use super::{Request, StackCounters, auth::Credential};
use crate::{Context, Delivery, Result};

/// One operation on its way through the stack. A clone is the same operation: retries share it.
#[derive(Debug, Clone)]
pub struct Call(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cx: Context,
    request: Request,
    counters: Arc<StackCounters>,
    /// The reading of the clock that the layers last took, in nanoseconds; [`NEVER`]: none yet.
    now: AtomicU64,
    /// The reading of the clock at which it has to be done; [`NEVER`]: it takes as long as it takes.
    ends_at: AtomicU64,
    attempts: AtomicU32,
    /// The reading of the clock at which the last attempt began.
    attempted_at: AtomicU64,
    turned_away: AtomicBool,
    sending: AtomicBool,
    answering: AtomicBool,
    /// The worst delivery of the attempts that ended, as a number.
    settled: AtomicU8,
    /// What the attempt under way may use. In here, because a clone of the call is made by each layer.
    credential: Mutex<Option<Credential>>,
}

/// No reading of a clock.
const NEVER: u64 = u64::MAX;

/// Where an attempt goes, and the headers that layers add to those of the request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Outgoing {
    /// The resolved URL.
    pub url: Url,
    /// Credentials.
    pub headers: HeaderMap,
}

impl Outgoing {
    /// There, with no headers yet.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, headers: HeaderMap::new() }
    }
}

/// Shows the URL without its query, and no headers.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::request::without_query(&self.url))
    }
}

impl Call {
    /// A new operation.
    #[must_use]
    pub fn new(cx: Context, request: Request) -> Self {
        Self::counted(cx, request, Arc::default())
    }

    /// A new operation, which the layers count here.
    #[must_use]
    pub fn counted(cx: Context, request: Request, counters: Arc<StackCounters>) -> Self {
        let shared = Shared {
            cx,
            request,
            counters,
            now: AtomicU64::new(NEVER),
            ends_at: AtomicU64::new(NEVER),
            attempts: AtomicU32::new(0),
            attempted_at: AtomicU64::new(0),
            turned_away: AtomicBool::new(false),
            sending: AtomicBool::new(true),
            answering: AtomicBool::new(false),
            settled: AtomicU8::new(0),
            credential: Mutex::default(),
        };
        Self(Arc::new(shared))
    }

    /// Whose call it is.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.0.cx
    }

    /// What is asked.
    pub fn request(&self) -> &Request {
        &self.0.request
    }

    /// Where layers count what they do.
    #[must_use]
    pub fn counters(&self) -> &StackCounters {
        &self.0.counters
    }

    /// The monotonic clock as the layers last read it. A layer that has waited reads it
    /// [anew](Self::tick); all others share the reading, because each costs as much as a layer.
    #[must_use]
    pub fn now(&self) -> Duration {
        match self.0.now.load(Relaxed) {
            NEVER => self.tick(),
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Reads the monotonic clock.
    pub fn tick(&self) -> Duration {
        let now = self.context().clock().monotonic();
        self.0.now.store(nanos(now), Relaxed);
        now
    }

    /// The clock after something that began at `since`: as a layer below read it when that ended.
    pub(super) fn now_after(&self, since: Duration) -> Duration {
        Some(self.now()).filter(|now| *now > since).unwrap_or_else(|| self.tick())
    }

    /// The reading of the monotonic clock at which the operation has to be done; set by the deadline.
    #[must_use]
    pub fn ends_at(&self) -> Option<Duration> {
        let end = self.0.ends_at.load(Relaxed);
        (end != NEVER).then(|| Duration::from_nanos(end))
    }

    /// The time that is left; none: as long as it takes.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.ends_at().map(|end| end.saturating_sub(self.context().clock().monotonic()))
    }

    /// Has to be done then, or earlier if it had to.
    pub(super) fn end_at(&self, end: Duration) {
        self.0.ends_at.store(self.0.ends_at.load(Relaxed).min(nanos(end)), Relaxed);
    }

    /// Where this attempt goes, with its credential: what a transport sends. The only way to the
    /// credential leads through here, past the check of the host.
    ///
    /// # Errors
    /// Config when the request cannot be sent as it is, has no base, or goes to a host that the
    /// connection does not name.
    pub fn outgoing(&self) -> Result<Outgoing> {
        match &*self.credential() {
            Some(credential) => credential.address(self.request()),
            None => Ok(Outgoing::new(self.request().url(None)?)),
        }
    }

    /// The same for another URL of the same origin, to which the vendor redirects.
    ///
    /// # Errors
    /// As [`outgoing`](Self::outgoing).
    pub fn outgoing_to(&self, url: Url) -> Result<Outgoing> {
        match &*self.credential() {
            Some(credential) => credential.sign(self.request(), url),
            None => Ok(Outgoing::new(url)),
        }
    }

    /// The URL as others may see it: without a credential that is in its query.
    #[must_use]
    pub fn without_credential(&self, url: Url) -> Url {
        match &*self.credential() {
            Some(credential) => credential.hide(url),
            None => url,
        }
    }

    /// Gives it to the attempt that begins; there is one at a time.
    pub(super) fn set_credential(&self, credential: Credential) {
        *self.credential() = Some(credential);
    }

    fn credential(&self) -> MutexGuard<'_, Option<Credential>> {
        self.0.credential.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it has been tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts.load(Relaxed)
    }

    /// An attempt begins at this reading of the clock.
    pub(super) fn attempting(&self, now: Duration) {
        self.0.attempts.store(self.attempts().saturating_add(1), Relaxed);
        self.0.attempted_at.store(nanos(now), Relaxed);
        self.0.answering.store(false, Relaxed);
        self.0.turned_away.store(false, Relaxed);
    }

    /// The reading of the monotonic clock at which the last attempt began.
    pub(super) fn attempted_at(&self) -> Duration {
        Duration::from_nanos(self.0.attempted_at.load(Relaxed))
    }

    /// The vendor is there and did not take the attempt: what was not sent is no connect failure.
    pub fn turned_away(&self) {
        self.0.turned_away.store(true, Relaxed);
    }

    pub(super) fn is_turned_away(&self) -> bool {
        self.0.turned_away.load(Relaxed)
    }

    /// The answer has begun: from here on the body's limits apply, not the attempt's.
    pub(super) fn answering(&self) {
        self.0.answering.store(true, Relaxed);
    }

    pub(super) fn is_answering(&self) -> bool {
        self.0.answering.load(Relaxed)
    }

    /// The layer that says so holds the operation back: it waits, or fetches a token. Nothing is on
    /// the wire until it [passes on](Self::passing_on).
    pub fn holding(&self) {
        self.0.sending.store(false, Relaxed);
    }

    /// The layers below have it, and may have sent it. So it is taken to be from the start, that a
    /// layer used alone never claims that a write was not sent.
    pub fn passing_on(&self) {
        self.0.sending.store(true, Relaxed);
    }

    /// An attempt has ended, with this effect.
    pub(super) fn settle(&self, delivery: Delivery) {
        let number = match delivery {
            Delivery::NotSent => 0,
            Delivery::Answered => 1,
            Delivery::Unknown => 2,
        };
        self.0.settled.fetch_max(number, Relaxed);
        self.holding();
    }

    /// The worst that may be true of all attempts so far: has the vendor acted on one?
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        match self.0.settled.load(Relaxed) {
            _ if self.0.sending.load(Relaxed) => Delivery::Unknown,
            0 => Delivery::NotSent,
            1 => Delivery::Answered,
            _ => Delivery::Unknown,
        }
    }
}

/// A reading of a monotonic clock as a number; five centuries fit.
fn nanos(reading: Duration) -> u64 {
    u64::try_from(reading.as_nanos()).unwrap_or(NEVER - 1).min(NEVER - 1)
}
