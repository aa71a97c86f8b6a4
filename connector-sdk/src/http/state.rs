//! What the layers of a stack remember from one operation to the next, and how it is doing.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{Gate, GateState};
use crate::resilience::{
    Aimd, Breaker, BreakerState, BudgetBalance, Jitter, RateLimiter, RateState, Resilience, RetryBudget,
};

/// The memory of one stack: shared by its clones, and with whoever watches it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StackState {
    /// Where waits between attempts are drawn from.
    pub jitter: Arc<Jitter>,
    /// How many may be tried again.
    pub budget: Arc<RetryBudget>,
    /// How many go at once.
    pub gate: Arc<Gate>,
    /// Whether the vendor is asked at all.
    pub breaker: Arc<Breaker>,
    /// What the vendor's quotas admit.
    pub limiter: Arc<RateLimiter>,
}

impl StackState {
    /// A stack's that has seen nothing. Waits are drawn from the sequence that starts at `seed` (0: another
    /// one each time).
    #[must_use]
    pub fn new(settings: &Resilience, seed: u64) -> Self {
        Self {
            jitter: Arc::new(Jitter::new(seed)),
            budget: Arc::new(RetryBudget::new(settings.retry_budget)),
            gate: Arc::new(Gate::new(Aimd::new(settings.concurrency))),
            breaker: Arc::new(Breaker::new(settings.breaker)),
            limiter: Arc::default(),
        }
    }

    /// How it is doing at this reading of the monotonic clock.
    #[must_use]
    pub fn health(&self, now: Duration) -> StackHealth {
        StackHealth {
            breaker: self.breaker.state(now),
            concurrency: self.gate.state(),
            quotas: self.limiter.state(now),
            retries: self.budget.balance(now),
        }
    }
}

/// How a stack is doing, for a health page.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StackHealth {
    /// Whether the vendor is asked at all.
    pub breaker: BreakerState,
    /// How many go at once.
    pub concurrency: GateState,
    /// The quotas that hold requests back or soon will.
    pub quotas: Vec<RateState>,
    /// How much may still be tried again.
    pub retries: BudgetBalance,
}
