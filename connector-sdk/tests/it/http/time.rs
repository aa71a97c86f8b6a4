use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Delivery, Result,
    auth::{Token, TokenSource},
    http::{AuthLayer, Hosts, StatusFaults},
    resilience::Resilience,
};

use super::{Bench, get, post};
use crate::support::script::{Step, status};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_attempt_that_hangs_ends_after_its_limit_and_is_tried_again() {
    let bench = Bench::new([Step::Hang, status(200)]);
    bench.send(get()).await.unwrap();
    let taken = bench.cx.clock().monotonic();
    assert!(taken >= 30 * SECOND && taken < 31 * SECOND, "{taken:?}");
    assert_eq!(bench.counters.timeouts.get(), 1);
}

#[tokio::test]
async fn a_request_may_wait_longer_for_its_answer_than_others_and_never_less() {
    for (limit, taken_at_least) in [(140 * SECOND, 140 * SECOND), (SECOND, 30 * SECOND)] {
        let bench = Bench::new([Step::Hang, status(200)]);
        bench.send(get().answer_within(limit)).await.unwrap();
        let taken = bench.cx.clock().monotonic();
        assert!(taken >= taken_at_least && taken < taken_at_least + SECOND, "{taken:?}");
    }
}

#[tokio::test]
async fn case_60_a_post_that_hangs_is_ambiguous() {
    let bench = Bench::new([Step::Hang]);
    let error = bench.send(post()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown));
}

#[tokio::test]
async fn the_deadline_bounds_all_attempts() {
    let settings = || {
        let mut settings = Resilience::default();
        settings.max_attempts = 1000;
        settings.deadline = 100 * SECOND;
        settings
    };
    let bench = |steps: Vec<Step>| {
        Bench::with(steps, settings(), AuthLayer::new(Hosts::default()), Arc::new(StatusFaults))
    };
    let hanging = bench(vec![Step::Hang; 10]);
    let error = hanging.send(get()).await.unwrap_err();
    assert_eq!((error.class(), error.is_exhausted()), (Class::Transient, true));
    assert_eq!(error.to_string(), "query: not done within 100s, the deadline of an operation (attempts: 4)");
    assert_eq!((hanging.cx.clock().monotonic(), hanging.counters.overdue.get()), (100 * SECOND, 1));
    assert_eq!(hanging.clock.sleepers(), 0);

    let failing = bench(vec![status(503); 1000]);
    let error = failing.send(get()).await.unwrap_err();
    assert_eq!((error.class(), error.is_exhausted()), (Class::Transient, true), "{error}");
    assert!(
        failing.cx.clock().monotonic() < 100 * SECOND,
        "it gives up before a wait that would not end in time"
    );
}

/// Gives a token after a wait on the clock.
#[derive(Debug)]
struct Slow(Duration);

#[async_trait]
impl TokenSource for Slow {
    async fn token(&self, cx: &Context) -> Result<Token> {
        cx.clock().sleep(self.0).await;
        Ok(Token::new("t-1".into()))
    }

    async fn renew(&self, cx: &Context, _: &Token) -> Result<Token> {
        self.token(cx).await
    }
}

#[tokio::test]
async fn a_write_whose_token_came_too_late_was_not_sent_and_says_so() {
    let mut hosts = Hosts::default();
    hosts.allow("fake").unwrap();
    let auth = |wait| AuthLayer::new(hosts.clone()).tokens(Arc::new(Slow(wait)));
    let bench = Bench::with([], Resilience::default(), auth(1000 * SECOND), Arc::new(StatusFaults));
    let error = bench.send(post()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent), "{error}");

    // The same write on the wire when the deadline comes is another matter.
    let mut settings = Resilience::default();
    settings.attempt_timeout = 1000 * SECOND;
    let bench = Bench::with([Step::Hang], settings, auth(SECOND), Arc::new(StatusFaults));
    let error = bench.send(post()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown), "{error}");
}
