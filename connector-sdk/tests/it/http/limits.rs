//! Breaker, concurrency and rate limit in their places.

use std::{pin::pin, sync::Arc, time::Duration};

use connector_sdk::{
    Class, Delivery,
    http::{
        AuthLayer, BreakerLayer, FaultsLayer, Hosts, OneQuota, Quotas, RateLayer, Request, StackState,
        StatusFaults, stack,
    },
    resilience::{BreakerState, Quota, QuotaKey, Resilience},
};
use futures_util::{future::join_all, poll};
use tower::{Layer as _, Service as _, ServiceExt as _};

use super::{Bench, get, post};
use crate::support::{
    clock::NOON,
    script::{Script, Step, after, status, with_header},
};

const SECOND: Duration = Duration::from_secs(1);

fn unreachable() -> Step {
    Step::Fail(Class::Transient, Delivery::NotSent)
}

fn bench(steps: impl IntoIterator<Item = Step>, change: impl FnOnce(&mut Resilience)) -> Bench {
    let mut settings = Resilience::default();
    settings.max_attempts = 1;
    change(&mut settings);
    Bench::with(steps, settings, AuthLayer::new(Hosts::default()), Arc::new(StatusFaults))
}

impl Bench {
    fn breaker(&self) -> BreakerState {
        self.state.breaker.state(self.cx.clock().monotonic())
    }

    /// Fails until the vendor is not asked any more.
    async fn break_down(&self) {
        for _ in 0..5 {
            assert_eq!(self.send(get()).await.unwrap_err().delivery(), Delivery::NotSent);
        }
        assert!(matches!(self.breaker(), BreakerState::Open { .. }), "{:?}", self.breaker());
    }
}

fn down() -> Vec<Step> {
    vec![unreachable(); 5]
}

#[tokio::test]
async fn a_vendor_that_cannot_be_reached_is_left_alone_and_found_again_within_the_deadline() {
    let bench = bench([down(), vec![status(200)]].concat(), |_| {});
    bench.break_down().await;
    bench.send(get()).await.unwrap();
    assert_eq!((bench.sent(), bench.cx.clock().monotonic()), (6, 30 * SECOND));
    assert!(matches!(bench.breaker(), BreakerState::Closed { .. }), "{:?}", bench.breaker());
    assert_eq!(bench.counters.refused.get(), 1);
}

#[tokio::test]
async fn a_refusal_whose_end_the_deadline_does_not_see_comes_at_once_and_says_when_to_come_back() {
    let bench = bench(down(), |settings| settings.deadline = 10 * SECOND);
    bench.break_down().await;
    let before = bench.cx.clock().monotonic();
    // A write that is refused was not sent, so that it may be repeated.
    let error = bench.send(post()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent), "{error}");
    assert_eq!(error.resume_at(), Some(NOON + before + 30 * SECOND));
    assert!(error.is_exhausted() && error.to_string().contains("not asked for a while"), "{error}");
    assert_eq!((bench.sent(), bench.cx.clock().monotonic()), (5, before));
}

#[tokio::test]
async fn failures_of_the_vendor_open_and_what_it_refuses_does_not() {
    for (answer, opens) in [(500, true), (503, true), (404, false), (400, false), (403, false), (200, false)]
    {
        let bench = bench(vec![status(answer); 20], |_| {});
        for _ in 0..20 {
            let _ = bench.send(get()).await;
        }
        assert_eq!(matches!(bench.breaker(), BreakerState::Open { .. }), opens, "{answer}");
    }
    let throttled = bench((0..40).map(|_| status(429)), |_| {});
    for _ in 0..20 {
        assert_eq!(throttled.send(get()).await.unwrap_err().class(), Class::RateLimited);
    }
    assert!(matches!(throttled.breaker(), BreakerState::Closed { .. }));
}

#[tokio::test]
async fn case_62_a_probe_that_is_dropped_gives_its_place_to_the_next() {
    let bench = bench([down(), vec![Step::Hang, status(200)]].concat(), |_| {});
    bench.break_down().await;
    bench.clock.advance(30 * SECOND);
    {
        let mut probe = pin!(bench.sending(get()));
        assert!(poll!(&mut probe).is_pending());
        assert!(matches!(bench.breaker(), BreakerState::HalfOpen { probing: true, .. }));
    }
    assert!(
        matches!(bench.breaker(), BreakerState::HalfOpen { probing: false, .. }),
        "{:?}",
        bench.breaker()
    );
    bench.send(get()).await.unwrap();
    assert_eq!(bench.sent(), 7);
}

#[tokio::test]
async fn no_more_attempts_go_at_once_than_the_limit_and_the_next_goes_when_one_ends() {
    let bench = bench(vec![Step::Hang; 3], |settings| settings.concurrency.start = 2);
    let mut all: Vec<_> = (0..3).map(|_| Box::pin(bench.sending(get()))).collect();
    for one in &mut all {
        assert!(poll!(one).is_pending());
    }
    assert_eq!((bench.sent(), bench.state.gate.state().in_flight), (2, 2));
    // Dropped on its way: its place is free, and the one in line takes it.
    drop(all.remove(0));
    assert!(poll!(&mut all[1]).is_pending());
    assert_eq!((bench.sent(), bench.state.gate.state().in_flight), (3, 2));
    drop(all);
    assert_eq!(bench.state.gate.state().in_flight, 0);
}

#[tokio::test]
async fn no_place_is_held_through_a_backoff() {
    let bench = bench([status(503), status(200), status(200)], |settings| {
        settings.max_attempts = 2;
        settings.concurrency.start = 1;
    });
    let mut waiting = pin!(bench.sending(get()));
    assert!(poll!(&mut waiting).is_pending());
    assert_eq!((bench.sent(), bench.state.gate.state().in_flight), (1, 0));
    let mut other = pin!(bench.sending(get()));
    assert!(poll!(&mut other).is_ready());
    bench.clock.run(waiting).await.unwrap();
}

#[tokio::test]
async fn a_429_and_a_timeout_lower_the_limit_and_successes_raise_it_again() {
    for overload in [status(429), Step::Hang] {
        let bench = bench([vec![overload], vec![status(200); 100]].concat(), |_| {});
        assert_eq!(bench.state.gate.state().limit, 4);
        bench.send(get()).await.unwrap_err();
        assert_eq!(bench.state.gate.state().limit, 2);
        for _ in 0..50 {
            bench.clock.run(join_all([bench.sending(get()), bench.sending(get())])).await;
        }
        assert!(bench.state.gate.state().limit > 2);
        assert_eq!(bench.state.gate.state().in_flight, 0);
    }
}

#[tokio::test]
async fn a_write_that_waits_in_line_when_the_deadline_comes_was_not_sent() {
    let bench = bench([Step::Hang], |settings| {
        settings.concurrency.start = 1;
        settings.attempt_timeout = 1000 * SECOND;
        settings.deadline = 10 * SECOND;
    });
    let mut first = pin!(bench.sending(get()));
    assert!(poll!(&mut first).is_pending());
    let error = bench.send(post()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent), "{error}");
}

#[tokio::test]
async fn a_429_pauses_all_who_draw_on_the_quota() {
    let bench = bench([with_header(429, "retry-after", "7"), status(200), status(200)], |_| {});
    let mut first = pin!(bench.sending(get()));
    assert!(poll!(&mut first).is_pending());
    let mut second = pin!(bench.sending(post()));
    assert!(poll!(&mut second).is_pending());
    assert_eq!(bench.sent(), 1);
    let health = bench.state.health(bench.cx.clock().monotonic());
    assert_eq!((health.quotas.len(), health.quotas[0].paused_for), (1, Some(7 * SECOND)));
    let (first, second) = bench.clock.run(async { tokio::join!(first, second) }).await;
    assert!(first.is_ok() && second.is_ok(), "{second:?}");
    assert!(bench.cx.clock().monotonic() >= 7 * SECOND);
    assert!(bench.counters.held_back.get() >= 1);
}

#[tokio::test]
async fn a_vendor_that_says_that_nothing_is_left_is_not_asked_before_it_says_429() {
    let used_up = Step::Answer(
        200,
        vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", "60".to_owned())],
    );
    let bench = bench([used_up, status(200)], |_| {});
    bench.send(get()).await.unwrap();
    bench.send(get()).await.unwrap();
    assert!(bench.cx.clock().monotonic() >= 60 * SECOND, "{:?}", bench.cx.clock().monotonic());
    assert_eq!(bench.counters.throttled.get(), 0);
}

/// Two a second, for everything.
#[derive(Debug)]
struct TwoASecond(QuotaKey);

impl Quotas for TwoASecond {
    fn key(&self, _: &Request) -> QuotaKey {
        self.0.clone()
    }

    fn quota(&self, _: &Request) -> Option<Quota> {
        Some(Quota { requests: 2, period: SECOND, burst: 1 })
    }
}

#[tokio::test]
async fn a_quota_known_beforehand_paces_unless_pacing_is_off() {
    for (paced, taken) in [(true, 9 * SECOND / 2), (false, Duration::ZERO)] {
        let mut bench = bench(vec![status(200); 10], |_| {});
        let mut settings = Resilience::default();
        settings.paced = paced;
        let quotas = Arc::new(TwoASecond(QuotaKey::new("desk")));
        let auth = AuthLayer::new(Hosts::default());
        bench.state = StackState::new(&settings, 1);
        bench.stack =
            stack::build(&settings, &bench.state, auth, quotas, Arc::new(StatusFaults), bench.script.clone());
        for _ in 0..10 {
            bench.send(get()).await.unwrap();
        }
        assert_eq!(bench.cx.clock().monotonic(), taken, "paced: {paced}");
    }
}

#[tokio::test]
async fn a_pause_that_the_deadline_does_not_see_the_end_of_is_told_and_nothing_is_sent() {
    let bench = bench([with_header(429, "retry-after", "3600")], |_| {});
    let resume_at = async || {
        let error = bench.send(post()).await.unwrap_err();
        assert_eq!((error.class(), bench.sent()), (Class::RateLimited, 1));
        error.resume_at().unwrap()
    };
    assert_eq!(resume_at().await, NOON + 3600 * SECOND, "as the vendor says");
    assert_eq!(resume_at().await, NOON + 900 * SECOND, "until somebody may ask again");
}

#[tokio::test]
async fn case_57_a_pause_of_a_day_is_asked_about_after_a_quarter_of_an_hour() {
    for told in [
        with_header(429, "retry-after", "86400"),
        Step::Answer(200, vec![("ratelimit", r#""day";r=0;t=86400"#.to_owned())]),
    ] {
        let bench = bench([told, status(200), status(200)], |_| {});
        let _ = bench.send(get()).await;
        assert!(bench.send(get()).await.is_err());
        bench.clock.advance(900 * SECOND);
        bench.send(get()).await.unwrap();
        assert_eq!(bench.sent(), 2);
    }
}

#[tokio::test]
async fn a_vendor_that_turns_attempts_away_is_there_and_is_asked_less_at_once() {
    let bench = bench(vec![Step::TurnAway; 5], |settings| settings.concurrency.start = 8);
    for _ in 0..5 {
        assert_eq!(bench.send(get()).await.unwrap_err().delivery(), Delivery::NotSent);
    }
    let BreakerState::Closed { failures, connect_failures, .. } = bench.breaker() else { panic!("open") };
    assert_eq!((failures, connect_failures), (5, 0));
    assert!(bench.state.gate.state().limit < 8, "{:?}", bench.state.gate.state());
}

#[tokio::test]
async fn what_we_wait_for_ourselves_is_not_the_vendors_latency() {
    let steps = vec![after(SECOND / 100, status(200)); 40];
    let mut bench = bench(steps, |_| {});
    let mut settings = Resilience::default();
    settings.concurrency.start = 8;
    let quotas = Arc::new(TwoASecond(QuotaKey::new("desk")));
    let auth = AuthLayer::new(Hosts::default());
    bench.state = StackState::new(&settings, 1);
    bench.stack =
        stack::build(&settings, &bench.state, auth, quotas, Arc::new(StatusFaults), bench.script.clone());
    // One alone, then always two at once, of which one is held back.
    bench.send(get()).await.unwrap();
    for _ in 0..19 {
        let both = async { tokio::join!(bench.sending(get()), bench.sending(get())) };
        let (first, second) = bench.clock.run(both).await;
        assert!(first.is_ok() && second.is_ok());
    }
    assert!(bench.cx.clock().monotonic() > 15 * SECOND, "they were held back");
    assert_eq!(bench.state.gate.state().limit, 8);
}

#[tokio::test]
async fn breaker_and_rate_limit_alone_count_from_the_end_of_what_was_slow() {
    let state = StackState::new(&Resilience::default(), 1);
    let bench = bench([], |_| {});
    let now = || bench.cx.clock().monotonic();
    let slow = after(60 * SECOND, unreachable());
    let script = Script::new(vec![slow; 5], bench.log.clone());
    let mut alone = BreakerLayer::new(Arc::clone(&state.breaker)).layer(script);
    for _ in 0..5 {
        let call = bench.call(get());
        bench.clock.run(async { alone.ready().await.unwrap().call(call).await }).await.unwrap_err();
    }
    assert_eq!(state.breaker.state(now()), BreakerState::Open { until_in: 30 * SECOND });

    let slow = after(60 * SECOND, with_header(429, "retry-after", "5"));
    let faults = FaultsLayer::new(Arc::new(StatusFaults)).layer(Script::new([slow], bench.log.clone()));
    let quotas = Arc::new(OneQuota::new(QuotaKey::new("desk")));
    let mut alone = RateLayer::new(Arc::clone(&state.limiter), quotas).layer(faults);
    let call = bench.call(get());
    bench.clock.run(async { alone.ready().await.unwrap().call(call).await }).await.unwrap_err();
    assert_eq!(state.limiter.state(now())[0].paused_for, Some(5 * SECOND));
}
