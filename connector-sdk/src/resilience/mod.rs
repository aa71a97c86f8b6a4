//! How failures of the outside system are met: policies, as data and pure functions.
//!
//! No I/O and no tower here, so that a connector without HTTP (email) uses the same ones, and so that
//! tests drive them a million times without waiting.

mod backoff;
mod breaker;
mod budget;
mod concurrency;
mod rate;
pub mod rate_headers;
mod retry;
pub mod retry_after;

use std::time::Duration;

pub use backoff::{Backoff, Jitter};
pub use breaker::{Breaker, BreakerSettings, BreakerState, Outcome, Pass, Refused};
pub use budget::{BudgetBalance, BudgetSettings, RetryBudget};
pub use concurrency::{Aimd, AimdSettings};
pub use rate::{MAX_KEYS, Quota, QuotaKey, RateLimiter, RateState, Wait};
pub use retry::{Decision, Failure, Reason, RetryPolicy, Standing};

/// The `resilience:` settings of a connection. See the table of defaults in ARCHITECTURE.md.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Resilience {
    /// How often a request is tried in all.
    pub max_attempts: u32,
    /// The first wait between attempts; full jitter, doubling.
    pub base_delay: Duration,
    /// The longest wait between attempts that we choose ourselves.
    pub max_delay: Duration,
    /// The limit of one attempt.
    pub attempt_timeout: Duration,
    /// The limit of connecting.
    pub connect_timeout: Duration,
    /// The longest silence within a body.
    pub idle_timeout: Duration,
    /// The limit of an operation: all attempts and waits.
    pub deadline: Duration,
    /// How much is tried again at most.
    pub retry_budget: BudgetSettings,
    /// When the vendor is not asked any more, and for how long.
    pub breaker: BreakerSettings,
    /// How many attempts go at once.
    pub concurrency: AimdSettings,
    /// Whether quotas known beforehand pace us. What the vendor answers is obeyed in any case.
    pub paced: bool,
    /// The largest body, in bytes, as sent.
    pub max_body: u64,
    /// The largest body, in bytes, decompressed.
    pub max_decompressed_body: u64,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(20),
            attempt_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(300),
            retry_budget: BudgetSettings::default(),
            breaker: BreakerSettings::default(),
            concurrency: AimdSettings::default(),
            paced: true,
            max_body: 64 << 20,
            max_decompressed_body: 256 << 20,
        }
    }
}
