//! The one place where the order of the layers is drawn and built.
//!
//! ```text
//!  request                                                                              answer
//!     │                                                                                    ▲
//!     ▼                                                                                    │
//!  ┌─ operation ── span and count of the whole ────────────────────────────────────────────┴─┐
//!  │ ┌─ deadline ── bounds everything below: attempts, waits, queues ──────────────────────┐ │
//!  │ │ ┌─ retry ── no permit is held through a wait; each attempt passes all below anew ──┐ │ │
//!  │ │ │ ┌─ concurrency ── sees every 429 and timeout, as each attempt ends ────────────┐ │ │ │
//!  │ │ │ │ ┌─ auth ── address and token; one replay with a renewed one ───────────────┐ │ │ │ │
//!  │ │ │ │ │ ┌─ breaker ── counts 5xx and connect failures, knows nothing of 401 ───┐ │ │ │ │ │
//!  │ │ │ │ │ │ ┌─ rate ── each attempt pays the vendor's quota; waits are bounded ──┤ │ │ │ │ │
//!  │ │ │ │ │ │ │ ┌─ faults ── answers that are failures become errors with a class ─┤ │ │ │ │ │
//!  │ │ │ │ │ │ │ │ ┌─ attempt ── bounds and measures one attempt ───────────────────┤ │ │ │ │ │
//!  │ │ │ │ │ │ │ │ │   transport ── guard, TLS, caps; the whole body                │ │ │ │ │ │
//!  └─┴─┴─┴─┴─┴─┴─┴─┴────────────────────────────────────────────────────────────────┴─┴─┴─┴─┴─┘
//! ```
//!
//! Token calls go through a stack of their own, which is this one without tokens.

use std::sync::Arc;

use tower::ServiceBuilder;

use super::{
    AttemptLayer, AttemptService, AuthLayer, AuthService, BreakerLayer, BreakerService, ConcurrencyLayer,
    ConcurrencyService, DeadlineLayer, DeadlineService, Faults, FaultsLayer, FaultsService, OperationLayer,
    OperationService, Quotas, RateLayer, RateService, RetryLayer, RetryService, StackState, Transport,
};
use crate::resilience::{Resilience, RetryPolicy};

pub(super) const OPERATION: &str = "operation";
pub(super) const DEADLINE: &str = "deadline";
pub(super) const RETRY: &str = "retry";
pub(super) const CONCURRENCY: &str = "concurrency";
pub(super) const AUTH: &str = "auth";
pub(super) const BREAKER: &str = "breaker";
pub(super) const RATE: &str = "rate";
pub(super) const FAULTS: &str = "faults";
pub(super) const ATTEMPT: &str = "attempt";

/// The layers, outermost first. Each says its name as an event of level TRACE when a request passes it.
pub const ORDER: [&str; 9] = [OPERATION, DEADLINE, RETRY, CONCURRENCY, AUTH, BREAKER, RATE, FAULTS, ATTEMPT];

/// The layers in their order, around a transport.
pub type Stack<T = Transport> = OperationService<DeadlineService<RetryService<Limited<T>>>>;

/// What each attempt passes.
pub type Limited<T> =
    ConcurrencyService<AuthService<BreakerService<RateService<FaultsService<AttemptService<T>>>>>>;

/// Builds the stack around `transport`, which may be any service that answers calls.
pub fn build<T: Clone>(
    settings: &Resilience,
    state: &StackState,
    auth: AuthLayer,
    quotas: Arc<dyn Quotas>,
    faults: Arc<dyn Faults>,
    transport: T,
) -> Stack<T> {
    let retry =
        RetryLayer::new(RetryPolicy::from(settings), Arc::clone(&state.jitter), Arc::clone(&state.budget));
    let rate = RateLayer::new(Arc::clone(&state.limiter), quotas);
    ServiceBuilder::new()
        .layer(OperationLayer)
        .layer(DeadlineLayer::new(settings.deadline))
        .layer(retry)
        .layer(ConcurrencyLayer::new(Arc::clone(&state.gate)))
        .layer(auth)
        .layer(BreakerLayer::new(Arc::clone(&state.breaker)))
        .layer(if settings.paced { rate } else { rate.unpaced() })
        .layer(FaultsLayer::new(faults))
        .layer(AttemptLayer::new(settings.attempt_timeout))
        .service(transport)
}

/// A request passes a layer.
#[inline]
pub(super) fn passes(layer: &'static str) {
    tracing::trace!(target: "connector_sdk::http::stack", layer);
}
