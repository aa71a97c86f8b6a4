//! Trying again: whether and when is decided by the policies of the SDK; this waits.

use std::time::Duration;

use connector_sdk::{
    Class, Context, Counters, Delivery, Error, Result,
    resilience::{Decision, Failure, Reason, RetryPolicy, Standing},
};
use futures_util::future::{Either, select};

use super::account::Account;

/// How an operation fares that is tried again.
#[derive(Debug)]
pub(crate) struct Retries {
    policy: RetryPolicy,
    attempts: u32,
    /// Until when there is time, by the monotonic clock.
    until: Duration,
    limit: Duration,
    /// The connection that failed had lain idle: it was gone before we used it, and that once counts for nothing.
    forgives: bool,
}

impl Retries {
    pub(crate) fn new(cx: &Context, account: &Account) -> Self {
        let now = cx.clock().monotonic();
        account.budget.deposit(now);
        let resilience = cx.resilience();
        Self {
            policy: RetryPolicy::from(resilience),
            attempts: 0,
            until: now.saturating_add(resilience.deadline),
            limit: resilience.deadline,
            forgives: true,
        }
    }

    /// Something was read: what fails from now on is another failure.
    pub(crate) fn progressed(&mut self, cx: &Context) {
        if self.attempts > 0 || !self.forgives {
            self.attempts = 0;
            self.forgives = true;
        }
        self.until = cx.clock().monotonic().saturating_add(self.limit);
    }

    /// Waits until it makes sense to try again.
    ///
    /// # Errors
    /// The failure itself, when it does not: exhausted, and with the time at which it may work where that is known.
    pub(crate) async fn wait(
        &mut self,
        cx: &Context,
        account: &Account,
        error: Error,
        was_fresh: bool,
    ) -> Result<()> {
        let clock = cx.clock();
        if error.class() == Class::RateLimited {
            Counters::add(&cx.counters().throttled, 1);
        }
        if !was_fresh
            && self.forgives
            && error.class() == Class::Transient
            && error.delivery() == Delivery::Unknown
        {
            self.forgives = false;
            return Ok(());
        }
        self.attempts += 1;
        let failure = Failure {
            class: error.class(),
            delivery: error.delivery(),
            exhausted: error.is_exhausted(),
            retry_after: error.retry_after(),
            // Reading changes nothing, and what is done besides may be done twice.
            repeatable: true,
        };
        let standing = Standing {
            attempts: self.attempts,
            remaining: Some(self.until.saturating_sub(clock.monotonic())),
            stopping: cx.is_stopping(),
        };
        let (wait, counts) = match self.policy.decide(failure, standing, account.jitter.draw()) {
            Decision::Retry { .. } if !account.budget.withdraw(clock.monotonic()) => {
                return Err(error.into_exhausted());
            }
            Decision::Retry { wait, counts } => (wait, counts),
            Decision::GiveUp(Reason::Final) => return Err(error),
            Decision::GiveUp(Reason::TooLong(wait)) => {
                let at = clock.now() + wait;
                return Err(error.with_resume_at(at).into_exhausted());
            }
            Decision::GiveUp(_) => return Err(error.into_exhausted()),
        };
        self.attempts -= u32::from(!counts);
        tracing::info!(?wait, attempts = self.attempts, "trying again: {error}");
        Counters::add(&cx.counters().retries, 1);
        let since = clock.monotonic();
        let stop = std::pin::pin!(cx.stop().cancelled());
        let is_stopped = matches!(select(clock.sleep(wait), stop).await, Either::Right(_));
        let waited = clock.monotonic().saturating_sub(since);
        Counters::add(&cx.counters().waited_millis, u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        if is_stopped { Err(error.into_exhausted()) } else { Ok(()) }
    }
}
