use super::*;

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
    /// All since the last opening.
    probes: Vec<u64>,
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
        let (history, probes) = (VecDeque::new(), Vec::new());
        Self { settings, history, run: 0, open: None, probe: None, probes, era: 0, next: 0 }
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
        self.probes.push(ticket.number);
        Ok((ticket, true))
    }

    fn report(&mut self, ticket: Ticket, outcome: Outcome, now: Duration) {
        use Outcome::*;
        if let Some((_, failed)) = self.open {
            if matches!(outcome, Success | Answered) {
                if self.probes.contains(&ticket.number) {
                    *self = Self { era: self.era + 1, next: self.next, ..Self::new(self.settings) };
                }
                return;
            }
            if self.probe.is_none_or(|(number, _)| number != ticket.number) {
                return;
            }
            self.probe = None;
            match outcome {
                Neutral | Success | Answered => {}
                Failure | ConnectFailure => {
                    let wait = (0..=failed).fold(self.settings.open, |wait, _| wait * 2);
                    self.open = Some((now + wait.min(self.settings.max_open), failed + 1));
                    self.probes.clear();
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

    /// From wherever it stands: callers come, the vendor works, and takes so long for each answer.
    fn heal(&mut self, takes: Duration) {
        let BreakerSettings { max_open, probe_timeout, .. } = self.reference.settings;
        let bound = self.now + max_open + probe_timeout + takes + SECOND;
        let mut out = VecDeque::new();
        while !self.is_closed() {
            assert!(self.now <= bound, "stuck in {:?}", self.breaker.state(self.now));
            if out.front().is_some_and(|(_, due)| *due <= self.now) {
                let (number, _) = out.pop_front().unwrap();
                let index = self.passes.iter().position(|(_, ticket, _)| ticket.number == number);
                self.end(index.unwrap(), Some(Outcome::Success));
            } else if self.admit() {
                out.push_back((self.passes[self.passes.len() - 1].1.number, self.now + takes));
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
                87 if draw(20) == 0 => run.heal(settings.probe_timeout * draw(4) as u32),
                88 if draw(20) == 0 => run.die(Outcome::Failure),
                89 if draw(20) == 0 => run.die(Outcome::ConnectFailure),
                _ => run.now += Duration::from_micros(draw(pace)),
            }
            assert_eq!(run.breaker.state(run.now), run.reference.state(run.now), "seed {seed}");
        }
        run.heal(Duration::ZERO);
        run.die(Outcome::Failure);
        run.heal(settings.probe_timeout * 3);
        run.die(Outcome::ConnectFailure);
        probes += run.probes;
    }
    assert!(probes > 10_000, "only {probes} probes: the events do not reach the rules");
}
