use proptest::prelude::*;

use super::*;
use crate::resilience::Jitter;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn aimd(start: u32) -> Aimd {
    Aimd::new(AimdSettings { start, ..AimdSettings::default() })
}

#[test]
fn it_starts_at_four_and_rises_by_one_per_limit_successes_up_to_32() {
    let mut aimd = Aimd::new(AimdSettings::default());
    assert_eq!(aimd.limit(), 4);
    for limit in 4..32 {
        for _ in 0..limit {
            assert_eq!(aimd.limit(), limit);
            aimd.on_success(at(100), limit, at(0));
        }
    }
    (0..1000).for_each(|_| aimd.on_success(at(100), 32, at(0)));
    assert_eq!(aimd.limit(), 32);
}

#[test]
fn a_limit_that_is_not_in_use_does_not_rise() {
    let mut aimd = aimd(9);
    (0..1000).for_each(|_| aimd.on_success(at(100), 4, at(0)));
    assert_eq!(aimd.limit(), 9);
    (0..9).for_each(|_| aimd.on_success(at(100), 5, at(0)));
    assert_eq!(aimd.limit(), 10);
}

#[test]
fn overload_halves_once_per_batch() {
    let mut aimd = aimd(32);
    for i in 0..32 {
        aimd.on_overload(at(i), at(100 + i));
    }
    assert_eq!(aimd.limit(), 16, "all of them started before the first decrease at 100");
    aimd.on_overload(at(99), at(500));
    assert_eq!(aimd.limit(), 16);
    aimd.on_overload(at(100), at(501));
    assert_eq!(aimd.limit(), 8, "one that started at the reduced limit tells something new");
    for i in 1..10 {
        aimd.on_overload(at(1000 * i), at(1000 * i));
    }
    assert_eq!(aimd.limit(), 1);
}

#[test]
fn rising_latency_takes_a_tenth_once_per_limit_answers_and_only_after_32() {
    let mut aimd = aimd(20);
    (0..30).for_each(|_| aimd.on_success(at(100), 1, at(1)));
    aimd.on_success(at(30_000), 1, at(2));
    assert_eq!(aimd.limit(), 20, "31 samples are too few");
    aimd.on_success(at(30_000), 1, at(2));
    assert_eq!(aimd.limit(), 18);
    (0..17).for_each(|_| aimd.on_success(at(30_000), 1, at(3)));
    assert_eq!(aimd.limit(), 18, "once per batch");
    aimd.on_success(at(30_000), 1, at(3));
    assert_eq!(aimd.limit(), 16);
    aimd.on_overload(at(2), at(4));
    assert_eq!(aimd.limit(), 16, "a decrease for latency is one as well");
}

#[test]
fn noise_below_50_milliseconds_is_no_rise_and_a_slow_vendor_is_not_punished_for_ever() {
    let mut aimd = aimd(4);
    for i in 0..10_000 {
        aimd.on_success(at(if i % 50 < 25 { 1 } else { 45 }), aimd.limit(), at(i));
    }
    assert_eq!(aimd.limit(), 32);
    for i in 0..5_000 {
        aimd.on_success(at(2_000), aimd.limit(), at(i));
    }
    assert_eq!(aimd.limit(), 32, "slower for good is the new normal");
}

/// A vendor that serves `capacity` requests side by side in 100 ms each, lets more wait, and refuses beyond
/// twice as many. Plays a minute per 600 rounds; gives the limits of the last third.
fn play(aimd: &mut Aimd, capacity: u32, rounds: u64, from: u64) -> (u32, u32) {
    let (mut low, mut high) = (u32::MAX, 0);
    for round in 0..rounds {
        let now = at((from + round) * 100);
        let offered = aimd.limit();
        let waiting = f64::from(offered.saturating_sub(capacity)) / f64::from(capacity.max(1));
        let latency = Duration::from_secs_f64(0.1 * (1.0 + 4.0 * waiting));
        for i in 0..offered {
            if i < 2 * capacity {
                aimd.on_success(latency, offered, now + at(99));
            } else {
                aimd.on_overload(now, now + at(99));
            }
        }
        if round >= rounds * 2 / 3 {
            (low, high) = (low.min(aimd.limit()), high.max(aimd.limit()));
        }
    }
    (low, high)
}

#[test]
fn it_converges_near_the_capacity_of_the_vendor() {
    for capacity in [1, 2, 4, 8, 12] {
        for start in [1, 4, 32] {
            let (low, high) = play(&mut aimd(start), capacity, 3000, 0);
            assert!(low >= capacity.div_ceil(2) && high <= 2 * capacity + 1, "{capacity}: {low} to {high}");
        }
    }
    assert_eq!(play(&mut aimd(4), 100, 1000, 0), (32, 32), "a vendor that takes more gets the maximum");
}

#[test]
fn it_recovers_after_a_collapse() {
    let mut aimd = aimd(4);
    play(&mut aimd, 100, 1000, 0);
    let (_, high) = play(&mut aimd, 0, 50, 1000);
    assert_eq!(high, 1, "nothing is served: one at a time asks whether it is over");
    play(&mut aimd, 100, 600, 1050);
    assert_eq!(aimd.limit(), 32, "within a minute");
}

#[test]
fn extreme_settings_are_put_right() {
    for (start, min, max, expected) in
        [(0, 0, 0, 1), (9, 0, 5, 5), (1, 7, 3, 7), (u32::MAX, 1, u32::MAX, u32::MAX)]
    {
        let mut aimd = Aimd::new(AimdSettings { start, min, max });
        assert_eq!(aimd.limit(), expected);
        for latency in [Duration::MAX, Duration::ZERO].repeat(100) {
            aimd.on_success(latency, u32::MAX, Duration::MAX);
            assert!(aimd.short.is_finite() && aimd.long.is_finite());
        }
    }
}

#[test]
fn a_million_random_events_keep_the_limit_within_its_bounds() {
    for seed in 1..=100 {
        let jitter = Jitter::new(seed);
        let draw = |below: u64| jitter.draw() % below;
        let (min, more) = (1 + draw(8) as u32, draw(40) as u32);
        let settings = AimdSettings { start: draw(64) as u32, min, max: min + more };
        let mut aimd = Aimd::new(settings);
        let calm = draw(100);
        let mut now = draw(1_000_000);
        for _ in 0..10_000 {
            now += draw(100);
            let before = aimd.limit();
            if draw(100) < calm {
                aimd.on_success(Duration::from_nanos(jitter.draw() >> draw(64)), draw(64) as u32, at(now));
                assert!(aimd.limit() <= before + 1 && aimd.limit() + before.div_ceil(10) >= before);
            } else {
                aimd.on_overload(at(now.saturating_sub(draw(1000))), at(now));
                assert!(aimd.limit() <= before && aimd.limit() >= before / 2);
            }
            assert!((min..=min + more).contains(&aimd.limit()));
        }
    }
}

proptest! {
    #[test]
    fn overload_of_one_batch_halves_at_most_once(starts in prop::collection::vec(0_u64..1000, 1..50)) {
        let mut aimd = aimd(32);
        for start in starts {
            aimd.on_overload(at(start), at(1000 + start));
        }
        prop_assert_eq!(aimd.limit(), 16);
    }
}
