use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
    },
};

use super::*;
use crate::resilience::Jitter;

mod random;

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    Breaker::new(BreakerSettings::default())
}

fn call(breaker: &Breaker, outcome: Outcome, now: Duration) {
    let pass = breaker.admit(now).expect("admitted");
    breaker.report(pass, outcome, now);
}

fn opened(now: Duration) -> Breaker {
    let breaker = breaker();
    for _ in 0..5 {
        call(&breaker, Outcome::ConnectFailure, now);
    }
    assert!(matches!(breaker.state(now), BreakerState::Open { .. }));
    breaker
}

#[test]
fn it_opens_at_half_of_twenty_calls_and_not_at_half_of_nineteen() {
    use Outcome::{Failure, Success};
    let breaker = breaker();
    for i in 0..19 {
        call(&breaker, if i < 10 { Failure } else { Success }, SECOND);
    }
    assert_eq!(breaker.state(SECOND), BreakerState::Closed { calls: 19, failures: 10, connect_failures: 0 });
    call(&breaker, Success, SECOND);
    assert_eq!(breaker.state(SECOND), BreakerState::Open { until_in: 30 * SECOND });

    let breaker = self::breaker();
    for i in 0..1000 {
        call(&breaker, if i % 5 < 3 { Success } else { Failure }, SECOND * i / 2);
    }
    assert!(matches!(breaker.state(500 * SECOND), BreakerState::Closed { .. }), "two in five fail for ever");
}

#[test]
fn five_connect_failures_in_a_row_open_and_any_sign_of_life_breaks_the_row() {
    use Outcome::*;
    for (between, opens) in [(Success, false), (Failure, false), (Answered, false), (Neutral, true)] {
        let breaker = breaker();
        for outcome in [[ConnectFailure; 4].as_slice(), &[between, ConnectFailure]].concat() {
            call(&breaker, outcome, SECOND);
        }
        assert_eq!(breaker.admit(SECOND).is_err(), opens, "{between:?}");
    }
}

#[test]
fn refusals_of_the_vendor_and_our_own_never_open() {
    let breaker = breaker();
    for i in 0..1000 {
        call(&breaker, if i % 2 == 0 { Outcome::Answered } else { Outcome::Neutral }, SECOND);
    }
    assert_eq!(breaker.state(SECOND), BreakerState::Closed { calls: 0, failures: 0, connect_failures: 0 });
}

#[test]
fn calls_older_than_the_window_do_not_count() {
    let breaker = breaker();
    for _ in 0..19 {
        call(&breaker, Outcome::Failure, SECOND);
    }
    assert_eq!(
        breaker.state(29 * SECOND),
        BreakerState::Closed { calls: 19, failures: 19, connect_failures: 0 }
    );
    call(&breaker, Outcome::Failure, 30 * SECOND);
    assert_eq!(
        breaker.state(30 * SECOND),
        BreakerState::Closed { calls: 1, failures: 1, connect_failures: 0 }
    );
}

#[test]
fn an_opening_doubles_with_each_failed_probe_up_to_five_minutes_and_closing_resets_it() {
    let mut now = SECOND;
    let breaker = opened(now);
    for expected in [30, 60, 120, 240, 300, 300] {
        let refused = breaker.admit(now).unwrap_err();
        assert_eq!(refused.retry_in, expected * SECOND);
        assert!(breaker.admit(now + refused.retry_in - Duration::from_nanos(1)).is_err());
        now += refused.retry_in;
        call(&breaker, Outcome::Failure, now);
    }
    now += 300 * SECOND;
    call(&breaker, Outcome::Success, now);
    for _ in 0..5 {
        call(&breaker, Outcome::ConnectFailure, now);
    }
    assert_eq!(breaker.admit(now), Err(Refused { retry_in: 30 * SECOND }));
}

#[test]
fn a_probe_that_is_answered_closes_whatever_the_answer() {
    for outcome in [Outcome::Success, Outcome::Answered] {
        let breaker = opened(SECOND);
        call(&breaker, outcome, 31 * SECOND);
        assert_eq!(
            breaker.state(31 * SECOND),
            BreakerState::Closed { calls: 0, failures: 0, connect_failures: 0 }
        );
    }
}

#[test]
fn case_62_a_dropped_silent_or_lost_probe_gives_its_place_back() {
    let breaker = opened(SECOND);
    let now = 31 * SECOND;
    let dropped = breaker.admit(now).unwrap();
    assert_eq!(breaker.admit(now), Err(Refused { retry_in: SECOND }));
    breaker.release(dropped, now);
    assert_eq!(breaker.state(now), BreakerState::HalfOpen { probing: false });

    let silent = breaker.admit(now).unwrap();
    breaker.report(silent, Outcome::Neutral, now);

    let lost = breaker.admit(now).unwrap();
    assert!(breaker.admit(now + 59 * SECOND).is_err());
    assert_eq!(breaker.state(now + 60 * SECOND), BreakerState::HalfOpen { probing: false }, "overdue");
    let next = breaker.admit(now + 60 * SECOND).unwrap();
    assert!(next.is_probe());
    breaker.report(lost, Outcome::Failure, now + 61 * SECOND);
    assert_eq!(breaker.state(now + 61 * SECOND), BreakerState::HalfOpen { probing: true }, "overtaken");
    breaker.report(next, Outcome::Success, now + 61 * SECOND);
    assert!(matches!(breaker.state(now + 61 * SECOND), BreakerState::Closed { .. }));
}

#[test]
fn a_vendor_that_works_but_takes_longer_than_a_probe_may_be_away_is_let_in_again() {
    let breaker = opened(SECOND);
    // Callers come every second, and each answer takes two minutes: each probe is overtaken.
    let mut out = VecDeque::new();
    for now in (31..).map(|second| second * SECOND).take(120) {
        if let Ok(pass) = breaker.admit(now) {
            out.push_back(pass);
        }
    }
    assert_eq!(out.len(), 2);
    let (first, second) = (out.pop_front().unwrap(), out.pop_front().unwrap());
    let now = 151 * SECOND;
    breaker.report(first, Outcome::Success, now);
    assert!(matches!(breaker.state(now), BreakerState::Closed { .. }));
    breaker.report(second, Outcome::Failure, now + SECOND);
    let nothing = BreakerState::Closed { calls: 0, failures: 0, connect_failures: 0 };
    assert_eq!(breaker.state(now + SECOND), nothing, "of the time before it closed");
}

#[test]
fn passes_from_before_the_opening_say_nothing_about_the_recovery() {
    let breaker = breaker();
    let old: Vec<_> = (0..10).map(|_| breaker.admit(SECOND).unwrap()).collect();
    for _ in 0..5 {
        call(&breaker, Outcome::ConnectFailure, SECOND);
    }
    let mut old = old.into_iter();
    breaker.report(old.next().unwrap(), Outcome::Success, 2 * SECOND);
    assert!(matches!(breaker.state(2 * SECOND), BreakerState::Open { .. }));
    let probe = breaker.admit(31 * SECOND).unwrap();
    breaker.report(old.next().unwrap(), Outcome::Failure, 31 * SECOND);
    breaker.release(old.next().unwrap(), 31 * SECOND);
    assert_eq!(breaker.state(31 * SECOND), BreakerState::HalfOpen { probing: true });
    breaker.report(probe, Outcome::Success, 31 * SECOND);
    for pass in old {
        breaker.report(pass, Outcome::ConnectFailure, 32 * SECOND);
    }
    assert_eq!(
        breaker.state(32 * SECOND),
        BreakerState::Closed { calls: 0, failures: 0, connect_failures: 0 }
    );
}

#[test]
fn extreme_settings_neither_panic_nor_get_stuck() {
    for ratio in [f64::NAN, f64::INFINITY, -1.0, 0.0, 2.0] {
        for time in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let settings = BreakerSettings {
                failure_ratio: ratio,
                min_calls: 0,
                window: time,
                connect_failures: 0,
                open: time,
                max_open: time,
                probe_timeout: time,
            };
            let breaker = Breaker::new(settings);
            for now in [Duration::ZERO, SECOND, Duration::MAX, SECOND, Duration::MAX] {
                for outcome in [Outcome::Success, Outcome::ConnectFailure, Outcome::Neutral] {
                    if let Ok(pass) = breaker.admit(now) {
                        breaker.report(pass, outcome, now);
                    }
                    let _ = breaker.state(now);
                }
            }
            let off = ratio.is_nan() || ratio > 1.0;
            assert!(!off || matches!(breaker.state(SECOND), BreakerState::Closed { .. }), "{ratio} is off");
        }
    }
}

#[test]
fn the_state_is_readable_as_json() {
    let json = |state| serde_json::to_string(&state).unwrap();
    assert_eq!(
        json(BreakerState::Closed { calls: 3, failures: 2, connect_failures: 1 }),
        r#"{"state":"closed","calls":3,"failures":2,"connect_failures":1}"#
    );
    assert_eq!(json(BreakerState::Open { until_in: SECOND / 4 }), r#"{"state":"open","until_in_ms":250}"#);
    assert_eq!(json(BreakerState::HalfOpen { probing: true }), r#"{"state":"half_open","probing":true}"#);
}

#[test]
fn threads_never_have_two_probes_out() {
    let breaker = Arc::new(Breaker::new(BreakerSettings {
        open: Duration::from_millis(3),
        max_open: Duration::from_millis(9),
        ..BreakerSettings::default()
    }));
    let (now, out) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU32::new(0)));
    let seen = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            let (breaker, now, out, seen) = (breaker.clone(), now.clone(), out.clone(), seen.clone());
            scope.spawn(move || {
                let jitter = Jitter::new(seed);
                for _ in 0..50_000 {
                    // All steps together stay far below the timeout of a probe.
                    let time = Duration::from_micros(now.fetch_add(200, Ordering::Relaxed));
                    let Ok(pass) = breaker.admit(time) else { continue };
                    if pass.is_probe() {
                        seen.store(true, Ordering::Relaxed);
                        assert_eq!(out.fetch_add(1, Ordering::SeqCst), 0, "two probes");
                        std::thread::yield_now();
                        out.fetch_sub(1, Ordering::SeqCst);
                    }
                    match jitter.draw() % 4 {
                        0 => breaker.report(pass, Outcome::Success, time),
                        1 => breaker.release(pass, time),
                        _ => breaker.report(pass, Outcome::ConnectFailure, time),
                    }
                }
            });
        }
    });
    assert!(seen.load(Ordering::Relaxed));
}
