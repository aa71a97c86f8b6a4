//! A vendor that is down altogether, and a thousand operations that want something of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    http::{AuthLayer, Call, Hosts, OneQuota, Response, StackState, StatusFaults, stack},
    resilience::{QuotaKey, Resilience},
};
use futures_util::future::{Ready, join_all, ready};
use tower::{Service, ServiceExt as _};

use super::get;
use crate::support::{Log, clock::ManualClock};

/// Counts what reaches it, and fails.
#[derive(Debug, Clone)]
struct Down(Arc<AtomicU64>, Delivery);

impl Service<Call> for Down {
    type Response = Response;
    type Error = Error;
    type Future = Ready<Result<Response>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        self.0.fetch_add(1, Ordering::Relaxed);
        ready(Err(Error::transient("query", "down").with_delivery(self.1)))
    }
}

const OFFERED: u64 = 1000;

/// A thousand operations within 20 s; what reached the vendor.
async fn traffic(delivery: Delivery, settings: Resilience) -> u64 {
    let clock = ManualClock::new(Log::default());
    let cx = Context::builder("acme", "desk").clock(clock.clone()).build();
    let state = StackState::new(&settings, 7);
    let quotas = Arc::new(OneQuota::new(QuotaKey::new("acme/desk")));
    let down = Down(Arc::default(), delivery);
    let auth = AuthLayer::new(Hosts::default());
    let stack = stack::build(&settings, &state, auth, quotas, Arc::new(StatusFaults), down.clone());
    let operations = (0..OFFERED).map(|n| {
        let (mut stack, cx) = (stack.clone(), cx.clone());
        async move {
            cx.clock().sleep(Duration::from_millis(20 * n)).await;
            let error = stack.ready().await.unwrap().call(Call::new(cx, get())).await.unwrap_err();
            assert_eq!(error.class(), Class::Transient);
        }
    });
    clock.run(join_all(operations)).await;
    down.0.load(Ordering::Relaxed)
}

fn settings(with_breaker: bool) -> Resilience {
    let mut settings = Resilience::default();
    settings.deadline = Duration::from_secs(20);
    if !with_breaker {
        settings.breaker.failure_ratio = 2.0;
        settings.breaker.connect_failures = 0;
    }
    settings
}

#[tokio::test]
async fn under_total_outage_the_budget_alone_keeps_traffic_to_a_fifth_more_than_offered_and_a_reserve() {
    for delivery in [Delivery::Answered, Delivery::NotSent] {
        let traffic = traffic(delivery, settings(false)).await;
        // Three windows of ten seconds, each with its reserve of ten.
        assert!(traffic <= OFFERED * 12 / 10 + 3 * 10, "{delivery:?}: {traffic}");
        assert!(traffic > OFFERED, "it does try again: {traffic}");
    }
}

#[tokio::test]
async fn without_the_budget_it_would_be_three_times_as_much() {
    let mut settings = settings(false);
    settings.retry_budget.ratio = 1e6;
    assert_eq!(traffic(Delivery::Answered, settings).await, 3 * OFFERED);
}

#[tokio::test]
async fn with_the_breaker_hardly_anything_reaches_a_vendor_that_is_down() {
    for delivery in [Delivery::Answered, Delivery::NotSent] {
        let traffic = traffic(delivery, settings(true)).await;
        assert!(traffic < 40, "{delivery:?}: {traffic}");
    }
}
