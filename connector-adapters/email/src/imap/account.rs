//! An account: the connections to it, at most so many, shared by all that is read of it.
//!
//! A connection is lent. It comes back by itself when what it was lent for is done, and only when nothing is under way
//! on it: whoever drops a read in the middle leaves none behind that is in the middle of something.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    network::Dial,
    resilience::{Breaker, Jitter, Outcome, RetryBudget},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    config::Settings,
    session::{self, Session},
};
use crate::auth::Login;

/// A connection that was not used for so long is not trusted to be there: routers forget them, and many servers end
/// them after half an hour (RFC 9051, 5.4).
const STALE: Duration = Duration::from_secs(5 * 60);
/// A credential that was refused is not shown again before that: servers lock accounts that guess.
const REFUSAL_HOLDS: Duration = Duration::from_secs(60);

/// The connections of an account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) settings: Arc<Settings>,
    login: Login,
    dial: Dial,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
    refused: Mutex<Option<(Duration, Error)>>,
    breaker: Breaker,
    pub(super) budget: RetryBudget,
    pub(super) jitter: Jitter,
}

/// A connection on loan.
#[derive(Debug)]
pub(crate) struct Lent {
    session: Option<Session>,
    account: Arc<Account>,
    _permit: OwnedSemaphorePermit,
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
            permits: Arc::new(Semaphore::new(settings.connections)),
            settings,
            login,
            idle: Mutex::default(),
            refused: Mutex::default(),
            breaker: Breaker::new(resilience.breaker),
            budget: RetryBudget::new(resilience.retry_budget),
            jitter: Jitter::new(cx.seed()),
        })
    }

    /// A connection that is signed in: one that lies idle, best one that has this mailbox open, or a new one. Waits
    /// while as many as may be are on loan.
    ///
    /// # Errors
    /// As [`session::open`]; Transient while the breaker is open.
    pub(crate) async fn lend(self: &Arc<Self>, cx: &Context, mailbox: Option<&[u8]>) -> Result<Lent> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| Error::bug("connect", "the account was closed").with_source(error))?;
        let lent = |session, is_fresh| Lent {
            session: Some(session),
            account: Arc::clone(self),
            _permit: permit,
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
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| Error::bug("connect", "the account was closed").with_source(error))?;
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
        let now = || cx.clock().monotonic();
        if let Some((until, error)) = &*lock(&self.refused)
            && now() < *until
        {
            return Err(error.clone());
        }
        let pass = self.breaker.admit(now()).map_err(|refused| {
            Error::transient(
                "connect",
                "the server has failed again and again, and is left alone for a while",
            )
            .with_retry_after(refused.retry_in)
        })?;
        let mut pass = Guarded { breaker: &self.breaker, pass: Some(pass), now: now() };
        let opened = Box::pin(session::open(cx, &self.dial, &self.settings, &self.login)).await;
        let outcome = match &opened {
            Ok(_) => Outcome::Success,
            Err(error) => match error.class() {
                // Who answered, and says that it cannot, is there.
                Class::Transient if error.delivery() == Delivery::Answered => Outcome::Failure,
                Class::Transient => Outcome::ConnectFailure,
                Class::RateLimited | Class::Auth => Outcome::Answered,
                _ => Outcome::Neutral,
            },
        };
        pass.report(outcome, now());
        if let Err(error) = &opened
            && error.class() == Class::Auth
        {
            *lock(&self.refused) = Some((now().saturating_add(REFUSAL_HOLDS), error.clone()));
        }
        opened
    }
}

/// A permission that is given back when nobody waits for the connection any more.
struct Guarded<'a> {
    breaker: &'a Breaker,
    pass: Option<connector_sdk::resilience::Pass>,
    now: Duration,
}

impl Guarded<'_> {
    fn report(&mut self, outcome: Outcome, now: Duration) {
        if let Some(pass) = self.pass.take() {
            self.breaker.report(pass, outcome, now);
        }
    }
}

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.breaker.release(pass, self.now);
        }
    }
}

impl Lent {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
