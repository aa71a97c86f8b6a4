//! Who may go to a server: nobody while it is down, and nobody with a credential that it has just refused.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    resilience::{Breaker, Outcome, Pass},
};

/// A credential that was refused is not shown again before that: servers lock accounts that guess.
const REFUSAL_HOLDS: Duration = Duration::from_secs(60);

/// Stands before a server, for all who want to go there.
#[derive(Debug)]
pub(crate) struct Admission {
    breaker: Breaker,
    /// Until when, and what the server said.
    refused: Mutex<Option<(Duration, Error)>>,
}

impl Admission {
    pub(crate) fn new(cx: &Context) -> Self {
        Self { breaker: Breaker::new(cx.resilience().breaker), refused: Mutex::default() }
    }

    /// Lets this open a session, and takes note of what comes of it.
    ///
    /// # Errors
    /// As `opening`; Auth while a credential is known to be refused, Transient while the server is left alone. Nobody
    /// went there then.
    pub(crate) async fn open<T>(&self, cx: &Context, opening: impl Future<Output = Result<T>>) -> Result<T> {
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
        let opened = opening.await;
        pass.report(opened.as_ref().map_or_else(outcome, |_| Outcome::Success), now());
        if let Err(error) = &opened
            && error.class() == Class::Auth
        {
            let until = now().saturating_add(REFUSAL_HOLDS);
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((until, error.clone()));
        }
        opened
    }
}

/// What a failure tells of the server.
fn outcome(error: &Error) -> Outcome {
    match error.class() {
        // Who answered, and says that it cannot, is there.
        Class::Transient if error.delivery() == Delivery::Answered => Outcome::Failure,
        Class::Transient => Outcome::ConnectFailure,
        Class::RateLimited | Class::Auth => Outcome::Answered,
        _ => Outcome::Neutral,
    }
}

/// A permission that is given back when nobody waits for the session any more.
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

#[cfg(test)]
mod tests {
    use connector_sdk::Timestamp;
    use connector_testkit::clock::ManualClock;

    use super::*;

    fn context(clock: &ManualClock) -> Context {
        Context::builder("acme", "mail").clock(clock.shared()).build()
    }

    #[tokio::test]
    async fn a_credential_that_was_refused_is_not_shown_again_for_a_minute() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let cx = context(&clock);
        let admission = Admission::new(&cx);
        let refused = async { Err::<(), _>(Error::new(Class::Auth, "sign in", "no")) };
        assert_eq!(admission.open(&cx, refused).await.unwrap_err().class(), Class::Auth);
        clock.advance(REFUSAL_HOLDS - Duration::from_millis(1));
        let held = admission.open(&cx, async { Ok(()) }).await;
        assert_eq!(held.unwrap_err().message(), "no", "and nobody went there");
        clock.advance(Duration::from_millis(1));
        assert!(admission.open(&cx, async { Ok(()) }).await.is_ok());
    }

    #[tokio::test]
    async fn a_server_that_fails_again_and_again_is_left_alone_and_one_that_refuses_is_not() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let cx = context(&clock);
        let (down, busy) = (Admission::new(&cx), Admission::new(&cx));
        let mut last = None;
        for _ in 0..100 {
            last = down
                .open(&cx, async { Err::<(), _>(Error::transient("connect", "nobody there")) })
                .await
                .err();
            let slow = async { Err::<(), _>(Error::new(Class::RateLimited, "connect", "too many")) };
            assert_eq!(busy.open(&cx, slow).await.unwrap_err().message(), "too many");
        }
        let last = last.unwrap();
        assert!(last.message().contains("left alone") && last.retry_after().is_some(), "{last}");
    }
}
