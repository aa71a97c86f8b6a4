use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
    },
};

use super::*;
use crate::resilience::Jitter;

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
    let next = breaker.admit(now + 60 * SECOND).unwrap();
    assert!(next.is_probe());
    breaker.report(lost, Outcome::Success, now + 61 * SECOND);
    assert_eq!(breaker.state(now + 61 * SECOND), BreakerState::HalfOpen { probing: true }, "void");
    breaker.report(next, Outcome::Success, now + 61 * SECOND);
    assert!(matches!(breaker.state(now + 61 * SECOND), BreakerState::Closed { .. }));
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

/// The rules again, in the most naive way: history instead of sums, and the probe's number instead of
/// generations.
struct Reference {
    settings: BreakerSettings,
    history: VecDeque<(u128, bool)>,
    run: u32,
    /// Some while not closed: until when, and how many probes have failed in a row.
    open: Option<(Duration, u32)>,
    /// The number of the probe that is out, and when its place falls back.
    probe: Option<(u64, Duration)>,
    /// Closings and openings; a pass of another time is void.
    era: u64,
    next: u64,
}

#[derive(Clone, Copy)]
struct Ticket {
    number: u64,
    era: u64,
}

impl Reference {
    fn new(settings: BreakerSettings) -> Self {
        Self { settings, history: VecDeque::new(), run: 0, open: None, probe: None, era: 0, next: 0 }
    }

    fn tenth(&self, now: Duration) -> u128 {
        now.as_nanos() / (self.settings.window.as_nanos() / 10)
    }

    fn admit(&mut self, now: Duration) -> Result<(Ticket, bool), Duration> {
        self.next += 1;
        let ticket = Ticket { number: self.next, era: self.era };
        let Some((until, _)) = self.open else { return Ok((ticket, false)) };
        if now < until {
            return Err(until - now);
        }
        if self.probe.is_some_and(|(_, overdue)| now < overdue) {
            return Err(SECOND);
        }
        self.probe = Some((ticket.number, now + self.settings.probe_timeout));
        Ok((ticket, true))
    }

    fn report(&mut self, ticket: Ticket, outcome: Outcome, now: Duration) {
        use Outcome::*;
        if let Some((_, failed)) = self.open {
            if self.probe.is_none_or(|(number, _)| number != ticket.number) {
                return;
            }
            self.probe = None;
            match outcome {
                Neutral => {}
                Success | Answered => {
                    *self = Self { era: self.era + 1, next: self.next, ..Self::new(self.settings) };
                }
                Failure | ConnectFailure => {
                    let wait = (0..=failed).fold(self.settings.open, |wait, _| wait * 2);
                    self.open = Some((now + wait.min(self.settings.max_open), failed + 1));
                }
            }
            return;
        }
        if ticket.era != self.era || outcome == Neutral {
            return;
        }
        self.run = if outcome == ConnectFailure { self.run + 1 } else { 0 };
        if outcome == Answered {
            return;
        }
        self.history.push_back((self.tenth(now), outcome != Success));
        let (calls, failures) = self.totals(now);
        if self.run >= self.settings.connect_failures
            || (calls >= self.settings.min_calls && failures * 2 >= calls)
        {
            self.open = Some((now + self.settings.open, 0));
            self.era += 1;
        }
    }

    fn totals(&mut self, now: Duration) -> (u32, u32) {
        let tenth = self.tenth(now);
        while self.history.front().is_some_and(|(at, _)| at + 10 <= tenth) {
            self.history.pop_front();
        }
        let failures = self.history.iter().filter(|(_, failed)| *failed).count();
        (u32::try_from(self.history.len()).unwrap(), u32::try_from(failures).unwrap())
    }

    fn state(&mut self, now: Duration) -> BreakerState {
        match (self.open, self.probe) {
            (None, _) => {
                let (calls, failures) = self.totals(now);
                BreakerState::Closed { calls, failures, connect_failures: self.run }
            }
            (Some((until, _)), _) if now < until => BreakerState::Open { until_in: until - now },
            (Some(_), probe) => {
                BreakerState::HalfOpen { probing: probe.is_some_and(|(_, overdue)| now < overdue) }
            }
        }
    }
}

struct Run {
    breaker: Breaker,
    reference: Reference,
    passes: Vec<(Pass, Ticket, Duration)>,
    /// Until when probes that are out and were not reported or released hold their place.
    live: Vec<(u64, Duration)>,
    now: Duration,
    probes: u64,
}

impl Run {
    fn admit(&mut self) -> bool {
        let (ours, theirs) = (self.breaker.admit(self.now), self.reference.admit(self.now));
        match (ours, theirs) {
            (Ok(pass), Ok((ticket, probe))) => {
                assert_eq!(pass.is_probe(), probe);
                if probe {
                    self.probes += 1;
                    self.live.retain(|(_, overdue)| self.now < *overdue);
                    assert!(self.live.is_empty(), "two probes at once");
                    self.live.push((ticket.number, self.now + self.reference.settings.probe_timeout));
                }
                self.passes.push((pass, ticket, self.now));
                true
            }
            (Err(ours), Err(theirs)) => {
                assert_eq!(ours.retry_in, theirs);
                assert!(theirs <= self.reference.settings.max_open.max(SECOND), "a wait without reason");
                false
            }
            (ours, theirs) => panic!("{ours:?}, but by the rules {:?}", theirs.map(|(_, probe)| probe)),
        }
    }

    fn end(&mut self, index: usize, outcome: Option<Outcome>) {
        let (pass, ticket, _) = self.passes.swap_remove(index);
        self.live.retain(|(number, _)| *number != ticket.number);
        match outcome {
            Some(outcome) => self.breaker.report(pass, outcome, self.now),
            None => self.breaker.release(pass, self.now),
        }
        self.reference.report(ticket, outcome.unwrap_or(Outcome::Neutral), self.now);
    }

    fn is_closed(&self) -> bool {
        matches!(self.breaker.state(self.now), BreakerState::Closed { .. })
    }

    /// From wherever it stands: callers come, the vendor works.
    fn heal(&mut self) {
        let BreakerSettings { max_open, probe_timeout, .. } = self.reference.settings;
        let bound = self.now + max_open + probe_timeout + SECOND;
        while !self.is_closed() {
            assert!(self.now <= bound, "stuck in {:?}", self.breaker.state(self.now));
            if self.admit() {
                self.end(self.passes.len() - 1, Some(Outcome::Success));
            } else {
                self.now += SECOND / 2;
            }
        }
    }

    /// From closed: callers come, the vendor is dead.
    fn die(&mut self, outcome: Outcome) {
        let BreakerState::Closed { calls, .. } = self.breaker.state(self.now) else { return };
        let BreakerSettings { min_calls, connect_failures, .. } = self.reference.settings;
        let rule = if outcome == Outcome::ConnectFailure { connect_failures } else { calls.max(min_calls) };
        for i in 0..rule {
            assert!(self.is_closed() || i > 0);
            if self.admit() && !self.passes.is_empty() {
                self.end(self.passes.len() - 1, Some(outcome));
            }
        }
        assert!(matches!(self.breaker.state(self.now), BreakerState::Open { .. }), "a dead vendor is spared");
    }
}

/// Random events, each answered as the naive reference answers it.
#[test]
fn a_million_random_events_never_let_two_probes_out_and_never_get_it_stuck() {
    const SEEDS: u64 = 250;
    const EVENTS: u32 = 4_000;
    let mut probes = 0;
    for seed in 1..=SEEDS {
        let jitter = Jitter::new(seed);
        let draw = |below: u64| ((u128::from(jitter.draw()) * u128::from(below)) >> 64) as u64;
        let settings = BreakerSettings {
            min_calls: 1 + draw(25) as u32,
            window: SECOND * (1 + draw(40) as u32),
            connect_failures: 1 + draw(8) as u32,
            open: Duration::from_millis(1 + draw(40_000)),
            max_open: SECOND * (40 + draw(400) as u32),
            probe_timeout: Duration::from_millis(1 + draw(90_000)),
            ..BreakerSettings::default()
        };
        let pace = 1 << draw(24); // how far apart events are, in microseconds at most
        let sick = draw(100);
        let mut run = Run {
            breaker: Breaker::new(settings),
            reference: Reference::new(settings),
            passes: Vec::new(),
            live: Vec::new(),
            now: Duration::from_micros(draw(1 << 40)),
            probes: 0,
        };
        for _ in 0..EVENTS {
            match draw(100) {
                0..40 => {
                    run.admit();
                }
                40..75 if !run.passes.is_empty() => {
                    // Mostly the latest, now and then one of long ago.
                    let latest = run.passes.len() - 1;
                    let index = if draw(4) == 0 { draw(latest as u64 + 1) as usize } else { latest };
                    let outcome = match (draw(100) < sick, draw(8)) {
                        (_, 0) => Outcome::Neutral,
                        (_, 1) => Outcome::Answered,
                        (true, 2..5) => Outcome::ConnectFailure,
                        (true, _) => Outcome::Failure,
                        (false, _) => Outcome::Success,
                    };
                    run.end(index, Some(outcome));
                }
                75..80 if !run.passes.is_empty() => run.end(draw(run.passes.len() as u64) as usize, None),
                80..82 if !run.passes.is_empty() => {
                    let (pass, ..) = run.passes.swap_remove(draw(run.passes.len() as u64) as usize);
                    drop(pass); // never reported: leaked
                }
                82 => run.now += Duration::from_millis(draw(100_000)),
                83..87 => run.now += settings.open / 1000 * draw(2000) as u32,
                87 if draw(20) == 0 => run.heal(),
                88 if draw(20) == 0 => run.die(Outcome::Failure),
                89 if draw(20) == 0 => run.die(Outcome::ConnectFailure),
                _ => run.now += Duration::from_micros(draw(pace)),
            }
            assert_eq!(run.breaker.state(run.now), run.reference.state(run.now), "seed {seed}");
        }
        run.heal();
        run.die(Outcome::Failure);
        run.heal();
        run.die(Outcome::ConnectFailure);
        probes += run.probes;
    }
    assert!(probes > 10_000, "only {probes} probes: the events do not reach the rules");
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
