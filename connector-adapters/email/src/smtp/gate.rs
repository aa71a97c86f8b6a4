//! Who may go to the server: so many at once, nobody while it is down, and nobody with a password that it has refused.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    resilience::{Breaker, Outcome, Pass},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    session::{Server, Session},
    wire::Limits,
};

/// A credential that was refused is not shown again before this time has passed: servers lock out who keeps asking.
const REFUSAL_HOLDS: Duration = Duration::from_secs(60);

/// Lets operations to the server.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) server: Server,
    permits: Semaphore,
    breaker: Breaker,
    /// Until when, and what the server said.
    refused: Mutex<Option<(Duration, Error)>>,
}

impl Gate {
    pub(super) fn new(server: Server, cx: &Context) -> Self {
        Self {
            permits: Semaphore::new(server.settings.connections),
            breaker: Breaker::new(cx.resilience().breaker),
            refused: Mutex::default(),
            server,
        }
    }

    /// Waits for a place, and opens a session.
    ///
    /// # Errors
    /// As [`Server::open`]; Transient while the server is left alone.
    pub(super) async fn enter(
        &self,
        cx: &Context,
        limits: &Limits,
    ) -> Result<(SemaphorePermit<'_>, Session)> {
        let place = limits.within("connect", limits.left(), self.permits.acquire()).await?;
        let place = place.map_err(|_| Error::bug("connect", "the gate is closed"))?;
        let now = || cx.clock().monotonic();
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, error)) = refused.filter(|(until, _)| now() < *until) {
            return Err(error);
        }
        let pass = self.breaker.admit(now()).map_err(|refused| {
            Error::transient(
                "connect",
                "the server has failed again and again, and is left alone for a while",
            )
            .with_retry_after(refused.retry_in)
        })?;
        let mut pass = Guarded { breaker: &self.breaker, pass: Some(pass), now: now() };
        let opened = Box::pin(self.server.open(cx, limits)).await;
        let outcome = match &opened {
            Ok(_) => Outcome::Success,
            Err(error) => match error.class() {
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
            let until = now().saturating_add(REFUSAL_HOLDS);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((until, error.clone()));
        }
        Ok((place, opened?))
    }
}

/// A pass that is given back when nobody waits for the session any more.
struct Guarded<'a> {
    breaker: &'a Breaker,
    pass: Option<Pass>,
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
