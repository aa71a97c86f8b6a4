//! Dropped anywhere on its way, an operation leaves nothing behind.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Delivery, Result,
    auth::{SingleFlight, Token, TokenSource},
    http::{AuthLayer, Hosts, StatusFaults},
    resilience::{BreakerState, Resilience},
};
use futures_util::{FutureExt as _, future::BoxFuture, poll};

use super::{Bench, get};
use crate::support::script::{Step, status, with_header};

/// Fetches tokens, a second each.
#[derive(Debug, Default)]
struct Slow(SingleFlight);

fn fetch(cx: Context) -> BoxFuture<'static, Result<Token>> {
    async move {
        cx.clock().sleep(Duration::from_secs(1)).await;
        Ok(Token::new("t".into()))
    }
    .boxed()
}

#[async_trait]
impl TokenSource for Slow {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.0.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.0.token(cx, fetch).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.0.renew(cx, refused, fetch).await
    }
}

/// An operation that meets everything: an open breaker, a slow token, a refused one, a quota, a failure, a
/// silence; and one place for it.
fn bench() -> Bench {
    let mut settings = Resilience::default();
    (settings.concurrency.start, settings.concurrency.max) = (1, 1);
    settings.attempt_timeout = Duration::from_secs(5);
    let mut hosts = Hosts::default();
    hosts.allow("fake").unwrap();
    let steps = [
        vec![Step::Fail(Class::Transient, Delivery::NotSent); 5],
        vec![status(401), with_header(429, "retry-after", "3"), status(429), status(503), Step::Hang],
        vec![status(200); 20],
    ];
    let auth = AuthLayer::new(hosts).tokens(Arc::new(Slow::default()));
    Bench::with(steps.concat(), settings, auth, Arc::new(StatusFaults))
}

#[tokio::test]
async fn an_operation_dropped_at_any_of_its_waits_leaves_no_place_taken_and_no_probe_out() {
    let mut waits = 0;
    for drop_after in 0.. {
        let bench = bench();
        // Three attempts, and two of the second operation, which then waits for the breaker.
        let _ = bench.send(get()).await;
        {
            let mut second = pin!(bench.sending(get()));
            while !matches!(
                bench.state.breaker.state(bench.cx.clock().monotonic()),
                BreakerState::Open { .. }
            ) {
                assert!(poll!(&mut second).is_pending());
                bench.clock.skip();
            }
        }
        let done = {
            let mut operation = pin!(bench.sending(get()));
            let mut done = poll!(&mut operation).is_ready();
            for _ in 0..drop_after {
                if done {
                    break;
                }
                bench.clock.skip();
                done = poll!(&mut operation).is_ready();
            }
            done
        };
        let gate = bench.state.gate.state();
        assert_eq!((gate.in_flight, gate.limit), (0, 1), "dropped after {drop_after}");
        let breaker = bench.state.breaker.state(bench.cx.clock().monotonic());
        assert!(
            !matches!(breaker, BreakerState::HalfOpen { probing: true, .. }),
            "after {drop_after}: {breaker:?}"
        );
        // A token that is being fetched is fetched to its end in the background; nothing else sleeps.
        assert!(bench.clock.sleepers() <= 1, "dropped after {drop_after}");
        if done {
            waits = drop_after;
            break;
        }
        // Whoever comes next gets through: nobody waits for what was dropped.
        for _ in 0..4 {
            let _ = bench.send(get()).await;
        }
        assert!(bench.counters.operations.get() > bench.counters.failed.get(), "after {drop_after}");
    }
    assert!(waits >= 8, "it met {waits} waits only");
}
