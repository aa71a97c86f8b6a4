use std::{cmp::Reverse, collections::BinaryHeap};

use super::*;
use crate::resilience::Jitter;

const SECOND: Duration = Duration::from_secs(1);
const QUOTA: Quota = Quota { requests: 10, period: SECOND, burst: 3 };

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn setup() -> (RateLimiter, QuotaKey) {
    (RateLimiter::new(), QuotaKey::new("key"))
}

#[test]
fn a_burst_passes_and_then_one_per_interval() {
    let (limiter, key) = setup();
    let admitted = |from, to| (from..to).filter(|t| limiter.admit(&key, Some(QUOTA), at(*t)).is_ok()).count();
    assert_eq!(admitted(0, 100), 3);
    assert_eq!(admitted(100, 1100), 10);
    assert_eq!(admitted(1100, 2000), 9);
    assert_eq!(admitted(60_000, 60_001), 1);
    assert_eq!(limiter.state(at(60_001)), [], "a quota alone is no news");
}

#[test]
fn a_key_that_nothing_holds_back_has_no_entry_and_keys_do_not_touch_each_other() {
    let (limiter, key) = setup();
    let other = QuotaKey::new("other");
    assert_eq!(limiter.admit(&key, None, SECOND), Ok(()));
    assert!(limiter.lock().is_empty() && !limiter.is_marked(&key));
    limiter.pause(&other, 10 * SECOND, SECOND);
    assert!(limiter.admit(&QuotaKey::new("other"), None, SECOND).is_err(), "equal by name");
    assert_eq!(limiter.admit(&key, None, SECOND), Ok(()));
    assert!(!limiter.is_marked(&key));
}

#[test]
fn a_pause_holds_all_callers_and_only_extends() {
    let (limiter, key) = setup();
    limiter.pause(&key, 60 * SECOND, SECOND);
    limiter.pause(&key, 30 * SECOND, SECOND);
    assert_eq!(limiter.admit(&key, None, 10 * SECOND).unwrap_err().wait, 50 * SECOND);
    assert!(limiter.admit(&key, Some(QUOTA), 59 * SECOND).is_err());
    assert_eq!(limiter.state(10 * SECOND)[0].paused_for, Some(50 * SECOND));
    assert_eq!(limiter.admit(&key, None, 60 * SECOND), Ok(()));
}

/// A thousand callers, each asking again when it was told to.
fn crowd(
    limiter: &RateLimiter,
    key: &QuotaKey,
    quota: Option<Quota>,
    from: Duration,
) -> (Vec<Duration>, u32) {
    let mut waiting = BinaryHeap::from(vec![Reverse(from); 1000]);
    let (mut admitted, mut asked) = (Vec::new(), 0);
    while let Some(Reverse(now)) = waiting.pop() {
        asked += 1;
        match limiter.admit(key, quota, now) {
            Ok(()) => admitted.push(now),
            Err(Wait { wait }) => {
                assert!(wait > Duration::ZERO);
                waiting.push(Reverse(now + wait));
            }
        }
    }
    (admitted, asked)
}

fn most_within(times: &[Duration], length: Duration) -> usize {
    (0..times.len())
        .map(|i| times[i..].iter().take_while(|t| **t < times[i] + length).count())
        .max()
        .unwrap_or(0)
}

#[test]
fn a_crowd_that_waits_for_a_pause_does_not_stampede() {
    for quota in [None, Some(QUOTA), Some(Quota { burst: 100, ..QUOTA })] {
        let (limiter, key) = setup();
        limiter.pause(&key, 60 * SECOND, SECOND);
        let (admitted, _) = crowd(&limiter, &key, quota, SECOND);
        assert_eq!(admitted.len(), 1000);
        assert_eq!(admitted[0], 60 * SECOND);
        assert_eq!(
            most_within(&admitted, at(50)),
            if quota.is_some() { 1 } else { most_without_quota(&admitted) }
        );
    }
}

fn most_without_quota(admitted: &[Duration]) -> usize {
    // One each 50 ms for a second, then the key is free, and the waiters come as they were told.
    let first: Vec<_> = admitted.iter().copied().filter(|t| *t < 61 * SECOND).collect();
    assert_eq!((first.len(), most_within(&first, at(50))), (20, 1));
    let most = most_within(admitted, at(50));
    assert!(most <= 100, "{most} of 1000 at once");
    most
}

#[test]
fn waits_are_spread_over_a_period_and_not_beyond() {
    let (limiter, key) = setup();
    (0..3).for_each(|_| assert_eq!(limiter.admit(&key, Some(QUOTA), SECOND), Ok(())));
    let told: Vec<_> = (0..25).map(|_| limiter.admit(&key, Some(QUOTA), SECOND).unwrap_err().wait).collect();
    let expected: Vec<_> = (0..25).map(|i| at(100 + 100 * (i % 10))).collect();
    assert_eq!(told, expected);
    let (limiter, key) = setup();
    let (admitted, asked) = crowd(&limiter, &key, Some(QUOTA), SECOND);
    assert_eq!(most_within(&admitted[3..], at(100)), 1);
    assert_eq!(admitted[999], SECOND + at(100 * 997), "no slot is left empty");
    assert!(asked < 100_000, "woken about twice a period, not ten times: {asked}");
}

#[test]
fn an_allowance_is_never_exceeded_and_is_forgotten_at_its_reset() {
    let (limiter, key) = setup();
    limiter.tighten(&key, 5, 60 * SECOND, SECOND);
    limiter.tighten(&key, 7, 61 * SECOND, SECOND);
    let admitted = (0..10).filter(|_| limiter.admit(&key, None, 2 * SECOND).is_ok()).count();
    assert_eq!(admitted, 5, "an answer that was overtaken loosens nothing");
    let state = limiter.state(2 * SECOND);
    assert_eq!((state[0].remaining, state[0].resets_in), (Some(0), Some(59 * SECOND)));
    assert_eq!(
        serde_json::to_string(&state).unwrap(),
        r#"[{"key":"key","paused_for_ms":null,"remaining":0,"resets_in_ms":59000}]"#
    );
    assert!(limiter.admit(&key, None, 60 * SECOND).is_err());
    assert!(limiter.admit(&key, None, 61 * SECOND).is_ok());
    assert!(limiter.admit(&key, None, 61 * SECOND).is_err(), "no stampede at the reset");
    assert!((0..100).all(|_| limiter.admit(&key, None, 62 * SECOND).is_ok()));
    limiter.tighten(&key, 0, 62 * SECOND, 63 * SECOND);
    assert!(limiter.admit(&key, None, 63 * SECOND).is_ok(), "a reset in the past says nothing");
}

#[test]
fn windows_of_a_second_and_of_a_day_both_hold() {
    let (limiter, key) = setup();
    limiter.tighten(&key, 6, 86_400 * SECOND, SECOND);
    limiter.tighten(&key, 2, 5 * SECOND, SECOND);
    let admit = |now| (0..10).filter(|_| limiter.admit(&key, None, now).is_ok()).count();
    assert_eq!(admit(SECOND), 2);
    assert_eq!(admit(7 * SECOND), 4);
    assert_eq!(admit(86_399 * SECOND), 0);
    assert_eq!(admit(86_400 * SECOND), 1);
}

/// A vendor with a bucket, or a window that slides, says in each answer what is left for the time from now on.
#[test]
fn a_window_that_slides_along_does_not_run_dry() {
    for (window, remaining, every) in
        [(10, 50, 500), (10, 50, 60), (60, 3000, 20), (3600, 100, 500), (1, 50, 25)]
    {
        let (limiter, key) = setup();
        let mut now = SECOND;
        for request in 0..1000 {
            assert_eq!(limiter.admit(&key, None, now), Ok(()), "{window} s, request {request}");
            limiter.tighten(&key, remaining, now + window * SECOND, now);
            now += at(every);
        }
        // When it does run dry, it is said, and holds.
        limiter.tighten(&key, 0, now + window * SECOND, now);
        assert!(limiter.admit(&key, None, now).is_err(), "{window} s");
    }
}

#[test]
fn keys_without_reason_are_displaced_first_and_memory_is_bounded() {
    let limiter = RateLimiter::new();
    let held = QuotaKey::new("held");
    limiter.pause(&held, 1_000_000 * SECOND, SECOND);
    for i in 0..MAX_KEYS as u32 * 2 {
        let key = QuotaKey::new(format!("key-{i}"));
        assert_eq!(limiter.admit(&key, Some(QUOTA), SECOND * i), Ok(()));
    }
    assert!(limiter.lock().len() <= MAX_KEYS);
    assert!(limiter.admit(&held, None, 900_000 * SECOND).is_err());
    for i in 0..100 {
        limiter.pause(&QuotaKey::new(format!("busy-{i}")), (2_000_000 + i) * SECOND, 30_000 * SECOND);
    }
    let now = 100_000 * SECOND;
    for i in 0..MAX_KEYS as u32 {
        limiter.pause(&QuotaKey::new(format!("more-{i}")), (3_000_000 + i) * SECOND, now);
    }
    assert_eq!(limiter.lock().len(), MAX_KEYS);
    assert!(limiter.admit(&held, None, now).is_ok(), "the one that was held the shortest has gone");
    assert!(limiter.admit(&QuotaKey::new("more-0"), None, now).is_err());
    let marked = (0..MAX_KEYS).filter(|i| limiter.is_marked(&QuotaKey::new(format!("more-{i}")))).count();
    assert_eq!(marked, MAX_KEYS);
}

#[test]
fn extreme_quotas_and_times_neither_panic_nor_overflow() {
    for number in [0, 1, u32::MAX] {
        for period in [Duration::ZERO, SECOND, Duration::MAX] {
            let (limiter, key) = setup();
            let quota = Some(Quota { requests: number, period, burst: number });
            for now in [Duration::ZERO, SECOND, Duration::MAX, SECOND] {
                let _ = limiter.admit(&key, quota, now);
                limiter.pause(&key, now, now);
                let _ = limiter.admit(&key, None, now);
                limiter.tighten(&key, u64::MAX, Duration::MAX, now);
                limiter.tighten(&key, 0, now.saturating_add(SECOND), now);
                let _ = (limiter.admit(&key, quota, now), limiter.state(now));
            }
        }
    }
}

/// Random events of one key; each promise is checked from a log of the admitted requests. The vendor counts in
/// two windows, a short one and a long one, and tells the one or the other in answers that overtake each other.
#[test]
fn random_events_never_break_the_quota_a_pause_or_an_allowance() {
    for seed in 1..=300 {
        let jitter = Jitter::new(seed);
        let draw = |below: u64| jitter.draw() % below;
        let (limiter, key) = setup();
        let quota =
            Quota { requests: 1 + draw(20) as u32, period: at(1 + draw(3000)), burst: 1 + draw(8) as u32 };
        let pace = 1 + draw(200);
        let lengths = [1000 + draw(9000), 60_000 + draw(600_000)];
        let (mut now, mut paused) = (at(draw(100_000)), Duration::ZERO);
        // What was left at a moment, until the end of its window.
        let mut told: Vec<(u64, Duration)> = Vec::new();
        let mut log: Vec<Duration> = Vec::new();
        for _ in 0..2_000 {
            match draw(200) {
                0..120 => match limiter.admit(&key, Some(quota), now) {
                    Ok(()) => {
                        assert!(now >= paused, "seed {seed}: a pause is for all");
                        told.retain(|(_, resets_at)| *resets_at > now);
                        for (left, _) in &mut told {
                            *left = left.checked_sub(1).expect("more than the vendor allowed");
                        }
                        log.push(now);
                    }
                    Err(Wait { wait }) => assert!(wait > Duration::ZERO),
                },
                120 => {
                    let until = now + at(draw(3000));
                    limiter.pause(&key, until, now);
                    paused = paused.max(until);
                }
                121..124 => {
                    let length = lengths[draw(2) as usize];
                    let ahead = length - now.as_millis() as u64 % length;
                    let (remaining, resets_at) = (draw(20), now + at(ahead));
                    // The rest of a long window looks like a short one that slides.
                    if length == lengths[0] || ahead > lengths[0] + 4000 {
                        limiter.tighten(&key, remaining, resets_at, now);
                        told.push((remaining, resets_at));
                    }
                }
                _ => now += at(draw(pace)),
            }
        }
        let interval = quota.period.as_nanos().div_ceil(u128::from(quota.requests));
        for (i, from) in log.iter().enumerate() {
            for (n, to) in log[i..].iter().enumerate().take(200) {
                let most = u128::from(quota.burst) + (*to - *from).as_nanos() / interval;
                assert!((n as u128) < most, "seed {seed}: {} in {:?}", n + 1, *to - *from);
            }
        }
        // Not stuck: in time somebody is admitted.
        assert_eq!(limiter.admit(&key, Some(quota), now + 700 * SECOND), Ok(()));
    }
}

#[test]
fn threads_together_never_get_more_than_the_quota() {
    let (limiter, key) = setup();
    let clock = AtomicU64::new(0);
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let now = Duration::from_micros(clock.fetch_add(100, Ordering::Relaxed));
                    if limiter.admit(&key, Some(QUOTA), now).is_ok() {
                        admitted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let admitted = admitted.into_inner();
    assert!((78..=83).contains(&admitted), "{admitted} in 8 s");
}
