//! An account: the connections to it, at most so many, shared by all that is read of it.
//!
//! A connection is lent. It comes back by itself when what it was lent for is done, and only when nothing is under way
//! on it: whoever drops a read in the middle leaves none behind that is in the middle of something.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use connector_sdk::{
    Context, Error, Result,
    clock::timeout,
    network::Dial,
    resilience::{Jitter, RetryBudget},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    config::Settings,
    session::{self, Session},
};
use crate::{admission::Admission, auth::Login};

/// A connection that was not used for so long is not trusted to be there: routers forget them, and many servers end
/// them after half an hour (RFC 9051, 5.4).
const STALE: Duration = Duration::from_secs(5 * 60);
/// Who has read for so long gives the connection to one who waits: a mailbox that takes hours holds up none that takes
/// moments.
const TURN: Duration = Duration::from_secs(10);

/// The connections of an account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) settings: Arc<Settings>,
    login: Login,
    dial: Dial,
    /// For those who read.
    permits: Arc<Semaphore>,
    /// For who does something with what was read, while those who read wait for that.
    acting: Arc<Semaphore>,
    /// How many wait for a permit to read.
    waiting: AtomicUsize,
    /// The partitions that were read by this process, and which state of each was acted on last.
    pub(super) read_here: Mutex<BTreeMap<String, Option<u64>>>,
    idle: Mutex<Vec<Session>>,
    admission: Admission,
    pub(super) budget: RetryBudget,
    pub(super) jitter: Jitter,
}

/// A connection on loan.
#[derive(Debug)]
pub(crate) struct Lent {
    session: Option<Session>,
    account: Arc<Account>,
    _permit: OwnedSemaphorePermit,
    since: Duration,
    /// It was made for this loan.
    pub(crate) is_fresh: bool,
}

impl Account {
    /// # Errors
    /// Config when the network settings do not make sense.
    pub(crate) fn new(settings: Arc<Settings>, login: Login, cx: &Context) -> Result<Self> {
        let resilience = cx.resilience();
        Ok(Self {
            dial: Dial::new(cx.network(), resilience, Arc::clone(cx.clock()))?,
            permits: Arc::new(Semaphore::new(settings.connections - usize::from(settings.after.is_some()))),
            acting: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            read_here: Mutex::default(),
            settings,
            login,
            idle: Mutex::default(),
            admission: Admission::new(cx),
            budget: RetryBudget::new(resilience.retry_budget),
            jitter: Jitter::new(cx.seed()),
        })
    }

    /// A connection that is signed in: one that lies idle, best one that has this mailbox open, or a new one. Waits
    /// while as many as may be are on loan.
    ///
    /// # Errors
    /// As [`session::open`]; Transient while the breaker is open, and when none comes free in time.
    pub(crate) async fn lend(self: &Arc<Self>, cx: &Context, mailbox: Option<&[u8]>) -> Result<Lent> {
        let _waits = Waits::among(&self.waiting);
        self.lend_of(&self.permits, cx, mailbox).await
    }

    /// The connection that is kept for acting on what was read.
    ///
    /// # Errors
    /// As [`lend`](Self::lend).
    pub(crate) async fn lend_to_act(self: &Arc<Self>, cx: &Context, mailbox: &[u8]) -> Result<Lent> {
        self.lend_of(&self.acting, cx, Some(mailbox)).await
    }

    async fn lend_of(
        self: &Arc<Self>,
        permits: &Arc<Semaphore>,
        cx: &Context,
        mailbox: Option<&[u8]>,
    ) -> Result<Lent> {
        let permit = free(permits, cx).await?;
        let since = cx.clock().monotonic();
        let lent = |session, is_fresh| Lent {
            session: Some(session),
            account: Arc::clone(self),
            _permit: permit,
            since,
            is_fresh,
        };
        if let Some(session) = self.take_idle(cx.clock().monotonic(), mailbox) {
            return Ok(lent(session, false));
        }
        self.connect(cx).await.map(|session| lent(session, true))
    }

    /// Signs in on a connection of its own, which can be used after.
    ///
    /// # Errors
    /// As [`lend`](Self::lend).
    pub(crate) async fn sign_in(&self, cx: &Context) -> Result<()> {
        let _permit = free(&self.permits, cx).await?;
        let session = self.connect(cx).await?;
        lock(&self.idle).push(session);
        Ok(())
    }

    fn take_idle(&self, now: Duration, mailbox: Option<&[u8]>) -> Option<Session> {
        let mut idle = lock(&self.idle);
        idle.retain(|session| now.saturating_sub(session.used_at) < STALE);
        let at = idle.iter().position(|session| mailbox.is_some() && session.selected.as_deref() == mailbox);
        let at = at.or_else(|| idle.len().checked_sub(1))?;
        Some(idle.swap_remove(at))
    }

    async fn connect(&self, cx: &Context) -> Result<Session> {
        let opening = session::open(cx, &self.dial, &self.settings, &self.login);
        Box::pin(self.admission.open(cx, opening)).await
    }
}

/// Waits until a connection may be had.
async fn free(permits: &Arc<Semaphore>, cx: &Context) -> Result<OwnedSemaphorePermit> {
    timeout(&**cx.clock(), cx.resilience().deadline, Arc::clone(permits).acquire_owned())
        .await
        .map_err(|_| Error::transient("connect", "all connections of the account are in use"))?
        .map_err(|error| Error::bug("connect", "the account was closed").with_source(error))
}

/// Counts who waits, as long as it waits.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lent {
    /// Whether it was lent for a while, and others wait for their turn.
    pub(crate) fn is_due(&self, cx: &Context) -> bool {
        self.account.waiting.load(Ordering::Relaxed) > 0
            && cx.clock().monotonic().saturating_sub(self.since) > TURN
    }

    /// The connection.
    ///
    /// # Errors
    /// Bug when it was given back, which only its end does.
    pub(crate) fn session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| Error::bug("read", "the connection was given back"))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(Session::is_idle) {
            lock(&self.account.idle).push(session);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
