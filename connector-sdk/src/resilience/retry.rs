//! Whether to try again: a pure decision on what failed and where the operation stands.
//!
//! The first question is what the outside system may have done with the attempt, the second whether a
//! repetition would do harm, and only then whether there are attempts and time left:
//!
//! | class | delivery | repeatable | decision |
//! |---|---|---|---|
//! | neither Transient nor RateLimited, or an inner layer has given up | | | give up |
//! | Transient, RateLimited | not sent | | try again |
//! | RateLimited | answered | | try again: the vendor says that it did not do it |
//! | Transient, RateLimited | unknown, or answered | yes | try again |
//! | Transient | unknown, or answered | no | give up: nobody knows whether it happened |
//! | RateLimited | unknown | no | give up: nobody knows whether it happened |

use std::time::Duration;

use super::{Backoff, Resilience};
use crate::{Class, Delivery};

/// How often and how long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all. Those that failed with a wait that the vendor asked for do not count.
    pub max_attempts: u32,
    /// The waits that we choose.
    pub backoff: Backoff,
}

impl From<&Resilience> for RetryPolicy {
    fn from(settings: &Resilience) -> Self {
        Self {
            max_attempts: settings.max_attempts,
            backoff: Backoff { base: settings.base_delay, cap: settings.max_delay },
        }
    }
}

/// What an attempt has left to decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub class: Class,
    /// Whether the outside system may have acted on it.
    pub delivery: Delivery,
    /// Whether an inner layer has used up attempts of its own.
    pub exhausted: bool,
    /// The wait that the vendor asked for.
    pub retry_after: Option<Duration>,
    /// Whether the request may be repeated though nobody knows what became of it.
    pub repeatable: bool,
}

/// Where the operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Attempts that count, with the one that just failed.
    pub attempts: u32,
    /// Time until the deadline; none: there is no deadline.
    pub remaining: Option<Duration>,
    /// The host wants the work to stop.
    pub stopping: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait so long, then try again.
    Retry {
        /// The wait.
        wait: Duration,
        /// The attempt that failed counts as one of [`RetryPolicy::max_attempts`].
        counts: bool,
    },
    /// Do not.
    GiveUp(Reason),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Trying again would not help.
    Final,
    /// Trying again might do it twice.
    Ambiguous,
    /// The attempts are used up.
    Attempts,
    /// The time is used up.
    Deadline,
    /// Too many operations are being tried again: the vendor is down, and more would keep it there.
    Budget,
    /// The vendor asks for this wait, and the deadline comes first.
    TooLong(Duration),
    /// The host wants the work to stop.
    Stopping,
}

impl RetryPolicy {
    /// Decides; `random` is any number, all equally likely.
    ///
    /// ```
    /// use connector_sdk::{Class, Delivery, resilience::{Decision, Failure, Reason, Resilience, RetryPolicy, Standing}};
    /// let policy = RetryPolicy::from(&Resilience::default());
    /// let lost = Failure {
    ///     class: Class::Transient, delivery: Delivery::Unknown, exhausted: false, retry_after: None, repeatable: false,
    /// };
    /// let standing = Standing { attempts: 1, remaining: None, stopping: false };
    /// assert_eq!(policy.decide(lost, standing, 0), Decision::GiveUp(Reason::Ambiguous));
    /// ```
    #[must_use]
    pub fn decide(&self, failure: Failure, standing: Standing, random: u64) -> Decision {
        if failure.exhausted || !matches!(failure.class, Class::Transient | Class::RateLimited) {
            return Decision::GiveUp(Reason::Final);
        }
        if !failure.repeatable && !was_refused(failure) {
            return Decision::GiveUp(Reason::Ambiguous);
        }
        let fits = |wait| standing.remaining.is_none_or(|remaining| wait < remaining);
        // A wait of nothing asks for nothing: obeyed, it would use the attempts up at once, or never.
        let (wait, counts) = match failure.retry_after.filter(|wait| !wait.is_zero()) {
            Some(wait) if !fits(wait) => return Decision::GiveUp(Reason::TooLong(wait)),
            // Without a deadline only the attempts bound how often a vendor may put us off.
            Some(wait) => (wait, standing.remaining.is_none()),
            None => (self.backoff.wait(standing.attempts, random), true),
        };
        if counts && standing.attempts >= self.max_attempts {
            Decision::GiveUp(Reason::Attempts)
        } else if !fits(wait) {
            Decision::GiveUp(Reason::Deadline)
        } else if standing.stopping {
            Decision::GiveUp(Reason::Stopping)
        } else {
            Decision::Retry { wait, counts }
        }
    }
}

/// Whether the outside system provably did not act.
fn was_refused(failure: Failure) -> bool {
    match failure.delivery {
        Delivery::NotSent => true,
        Delivery::Answered => failure.class == Class::RateLimited,
        Delivery::Unknown => false,
    }
}

#[cfg(test)]
mod tests;
