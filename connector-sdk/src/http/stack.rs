//! The one place where the order of the layers is drawn and built.
//!
//! ```text
//!  request                                                                              answer
//!     │                                                                                    ▲
//!     ▼                                                                                    │
//!  ┌─ operation ── span and count of the whole ────────────────────────────────────────────┴─┐
//!  │ ┌─ deadline ── bounds everything below: attempts, waits, queues ──────────────────────┐ │
//!  │ │ ┌─ retry ── no permit is held through a wait; each attempt passes all below anew ──┐ │ │
//!  │ │ │ ┌─ (concurrency) ── sees every 429 and timeout, as each attempt ends ──────────┐ │ │ │
//!  │ │ │ │ ┌─ auth ── address and token; one replay with a renewed one ───────────────┐ │ │ │ │
//!  │ │ │ │ │ ┌─ (breaker) ── counts 5xx and connect failures, knows nothing of 401 ─┐ │ │ │ │ │
//!  │ │ │ │ │ │ ┌─ (rate) ── each attempt pays the vendor's quota; waits are bounded ─┤ │ │ │ │
//!  │ │ │ │ │ │ │ ┌─ faults ── answers that are failures become errors with a class ─┤ │ │ │ │
//!  │ │ │ │ │ │ │ │ ┌─ attempt ── bounds one attempt ────────────────────────────────┤ │ │ │ │
//!  │ │ │ │ │ │ │ │ │   transport ── guard, TLS, caps; the whole body                │ │ │ │ │
//!  └─┴─┴─┴─┴─┴─┴─┴─┴────────────────────────────────────────────────────────────────┴─┴─┴─┴─┘
//! ```
//!
//! Those in parentheses are not built yet; that is their place. Token calls go through a stack of their
//! own, which is this one without tokens.

use std::sync::Arc;

use tower::ServiceBuilder;

use super::{
    AttemptLayer, AttemptService, AuthLayer, AuthService, DeadlineLayer, DeadlineService, Faults,
    FaultsLayer, FaultsService, OperationLayer, OperationService, RetryLayer, RetryService, StackCounters,
    Transport,
};
use crate::resilience::{Resilience, RetryPolicy};

/// The layers in their order, around a transport.
pub type Stack<T = Transport> =
    OperationService<DeadlineService<RetryService<AuthService<FaultsService<AttemptService<T>>>>>>;

/// Builds the stack around `transport`, which may be any service that answers calls.
pub fn build<T>(
    settings: &Resilience,
    seed: u64,
    auth: AuthLayer,
    faults: Arc<dyn Faults>,
    counters: &Arc<StackCounters>,
    transport: T,
) -> Stack<T> {
    ServiceBuilder::new()
        .layer(OperationLayer::default().counters(Arc::clone(counters)))
        .layer(DeadlineLayer::new(settings.deadline).counters(Arc::clone(counters)))
        .layer(RetryLayer::new(RetryPolicy::from(settings), seed).counters(Arc::clone(counters)))
        .layer(auth.counters(Arc::clone(counters)))
        .layer(FaultsLayer::new(faults).counters(Arc::clone(counters)))
        .layer(AttemptLayer::new(settings.attempt_timeout).counters(Arc::clone(counters)))
        .service(transport)
}
