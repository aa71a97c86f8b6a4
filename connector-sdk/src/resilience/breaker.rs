//! When to stop asking a vendor that does not work: a circuit breaker.
//!
//! ```text
//!                      too many failures (1)
//!           ┌────────┐ ─────────────────────> ┌────────┐ <───────────────┐
//!           │ closed │                        │  open  │                 │
//!           └────────┘                        └────────┘                 │
//!               ^                                 │ the time is over,    │
//!               │                                 │ somebody calls (2)   │
//!               │        the probe is answered    v                      │
//!               │                 (3) ┌───────────────────────┐          │
//!               └──────────────────── │ half open, probe out  │ ─────────┘
//!                                     └───────────────────────┘  the probe fails (4)
//!                         given back (5) │      ^    │ ^
//!                        or overdue (6)  v      │    └─┘ overdue, somebody calls (6)
//!                                     ┌───────────────────────┐
//!                                     │ half open, place free │ somebody calls (2)
//!                                     └───────────────────────┘
//! ```
//!
//! **Closed.** Everybody passes. Two rules watch. The *ratio*: of the calls of the last
//! [`window`](BreakerSettings::window), a share of [`failure_ratio`](BreakerSettings::failure_ratio) or more
//! failed, and there are [`min_calls`](BreakerSettings::min_calls) to judge by. The *run*:
//! [`connect_failures`](BreakerSettings::connect_failures) connects failed one after the other; nobody is
//! there, so there is no point in waiting for the ratio.
//!
//! 1. *Closed → open* when either rule is met, judged at each counted report. The first opening lasts
//!    [`open`](BreakerSettings::open). Passes given out before are void: their reports describe the time
//!    before the opening and say nothing about the vendor's recovery.
//! 2. *Open → half open* happens only by a call: the first one after the time is over becomes the probe.
//!    No timer is needed, and an idle connection sends nothing. Everybody else is refused while it is out.
//! 3. *Half open → closed* when the vendor answered the probe, be it with a refusal such as 404 or 429
//!    ([`Outcome::Answered`]): it works. The window, the run and the doubling start afresh.
//! 4. *Half open → open* when the probe failed. Each failed probe in a row doubles the time, up to
//!    [`max_open`](BreakerSettings::max_open).
//! 5. *The place is given back* when the probe was dropped or cancelled ([`Breaker::release`]) or ended
//!    without saying anything about the vendor ([`Outcome::Neutral`]). The next caller is the probe at once.
//! 6. *The place falls back* when the probe has said nothing for
//!    [`probe_timeout`](BreakerSettings::probe_timeout): it was leaked, or is slow. The next caller is the
//!    probe. The old one is still heard when it is answered, however late: a vendor that takes longer than the
//!    timeout works all the same, and must not stay shut out because each probe is overtaken by the next. Its
//!    failure is heard only while it is the latest.
//!
//! 5 and 6 are there because their absence is the usual defect: a half-open breaker whose probe got lost
//! refuses for ever (resilience4j#903 and #935, opossum#276, OmniRoute#13836: 49,607 refused calls in six
//! days). There is no state without a way out that needs only time and a caller.
//!
//! Ideas: Nygard, *Release It!* (2007); the explained transitions of linkerd2-proxy's consecutive-failures
//! breaker; the ratio with a minimum of calls of resilience4j and Polly.

mod window;

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, Serializer};

use window::Window;

/// What callers are told who come while a probe is out: it will be back soon, one way or the other.
const WHILE_PROBING: Duration = Duration::from_secs(1);

/// When the breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSettings {
    /// The share of failed calls in the window that opens, 0 to 1. Above 1, or no number: this rule is off.
    pub failure_ratio: f64,
    /// Fewer calls in the window than this are too few to judge by.
    pub min_calls: u32,
    /// How far back calls count. It moves in steps of a tenth, so that between 90 % and 100 % of it count.
    pub window: Duration,
    /// Connect failures in a row that open. 0: this rule is off.
    pub connect_failures: u32,
    /// How long the first opening lasts; doubles with each failed probe.
    pub open: Duration,
    /// The longest opening.
    pub max_open: Duration,
    /// How long a probe may stay away before its place goes to another. Best longer than an attempt may take.
    pub probe_timeout: Duration,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failure_ratio: 0.5,
            min_calls: 20,
            window: Duration::from_secs(30),
            connect_failures: 5,
            open: Duration::from_secs(30),
            max_open: Duration::from_secs(300),
            probe_timeout: Duration::from_secs(60),
        }
    }
}

/// How a call that was let pass has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The vendor did what was asked. Counts as a call, ends a run of connect failures, closes.
    Success,
    /// The vendor is there and failed (5xx), or went silent. Counts as a failed call, ends a run of connect
    /// failures.
    Failure,
    /// Nobody was there. Counts as a failed call and lengthens the run.
    ConnectFailure,
    /// The vendor is alive and refused (4xx, 429). Not counted: not its failure, and no proof that it can do
    /// its work; but it ends a run of connect failures, and closes when a probe got it.
    Answered,
    /// Says nothing about the vendor (the request was refused on our side). Not counted; a probe gives its
    /// place back.
    Neutral,
}

/// The permission for one call. Hand it to [`Breaker::report`], or to [`Breaker::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe that neither reports nor is released keeps others out until its timeout"]
pub struct Pass {
    generation: u64,
    probe: bool,
}

impl Pass {
    /// Whether the breaker's next state hangs on this call.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// The vendor is left alone for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the circuit breaker is open; asking again makes sense in {retry_in:?}")]
pub struct Refused {
    /// How long until asking again makes sense.
    pub retry_in: Duration,
}

/// What a health page shows. Times are serialised as milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass.
    Closed {
        /// Counted calls in the window.
        calls: u32,
        /// Failed ones among them.
        failures: u32,
        /// Connect failures in a row until now.
        connect_failures: u32,
    },
    /// Calls are refused.
    Open {
        /// Until a probe is let through.
        #[serde(rename = "until_in_ms", serialize_with = "as_millis")]
        until_in: Duration,
    },
    /// One call may pass, and decides.
    HalfOpen {
        /// That call is out.
        probing: bool,
    },
}

fn as_millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A circuit breaker, shared by all callers of one vendor.
///
/// It reads no clock: `now` is a monotonic reading ([`Clock::monotonic`](crate::clock::Clock::monotonic)).
/// Readings of tasks that overtake each other may arrive slightly out of order. Nothing here allocates.
/// While it is closed, [`admit`](Self::admit) is one atomic load; everything else takes a short lock.
///
/// ```
/// use connector_sdk::resilience::{Breaker, BreakerSettings, Outcome};
/// use std::time::Duration;
/// let breaker = Breaker::new(BreakerSettings::default());
/// let at = Duration::from_secs;
/// for _ in 0..5 {
///     let pass = breaker.admit(at(0)).unwrap();
///     breaker.report(pass, Outcome::ConnectFailure, at(0));
/// }
/// assert_eq!(breaker.admit(at(10)).unwrap_err().retry_in, at(20));
/// let probe = breaker.admit(at(30)).unwrap();
/// assert!(probe.is_probe() && breaker.admit(at(30)).is_err());
/// breaker.report(probe, Outcome::Success, at(31));
/// assert!(!breaker.admit(at(31)).unwrap().is_probe());
/// ```
pub struct Breaker {
    /// The generation of the passes to give out while closed, else [`NOT_CLOSED`]. Written under the lock.
    gate: AtomicU64,
    machine: Mutex<Machine>,
}

/// No generation has this number.
const NOT_CLOSED: u64 = 0;

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let machine = Machine::new(settings);
        Self { gate: AtomicU64::new(machine.gate()), machine: Mutex::new(machine) }
    }

    /// Asks for permission of one call.
    ///
    /// # Errors
    /// [`Refused`] while the breaker is open or a probe is out.
    #[inline]
    pub fn admit(&self, now: Duration) -> Result<Pass, Refused> {
        match self.gate.load(Ordering::Acquire) {
            NOT_CLOSED => self.with(|machine| machine.admit(now)),
            generation => Ok(Pass { generation, probe: false }),
        }
    }

    /// Says how the call ended. A pass that is void by now (see the module) changes nothing.
    pub fn report(&self, pass: Pass, outcome: Outcome, now: Duration) {
        self.with(|machine| machine.report(&pass, outcome, now));
    }

    /// Gives the permission back: the call was dropped or cancelled and nobody knows how it would have ended.
    pub fn release(&self, pass: Pass, now: Duration) {
        // Only a probe holds something back.
        if pass.probe {
            self.report(pass, Outcome::Neutral, now);
        }
    }

    /// The state as a caller would find it at `now`.
    #[must_use]
    pub fn state(&self, now: Duration) -> BreakerState {
        self.lock().state(now)
    }

    fn with<T>(&self, step: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let result = step(&mut machine);
        let gate = machine.gate();
        // Written only on a change: callers on other cores keep their copy of the line.
        if self.gate.load(Ordering::Relaxed) != gate {
            self.gate.store(gate, Ordering::Release);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("phase", &self.lock().phase).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Open until then; half open with a free place from then on.
    Open {
        until: Duration,
    },
    /// Half open; the probe's place falls back then.
    Probing {
        until: Duration,
    },
}

#[derive(Debug)]
struct Machine {
    settings: BreakerSettings,
    phase: Phase,
    /// The number of the latest passes. Each opening and each probe takes a new one.
    generation: u64,
    /// The number of the last opening: what was let pass before it is void.
    opened: u64,
    window: Window,
    /// Connect failures in a row.
    run: u32,
    /// Probes that failed in a row.
    failed_probes: u32,
}

impl Machine {
    fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            phase: Phase::Closed,
            generation: NOT_CLOSED + 1,
            opened: NOT_CLOSED,
            window: Window::new(settings.window),
            run: 0,
            failed_probes: 0,
        }
    }

    fn gate(&self) -> u64 {
        if self.phase == Phase::Closed { self.generation } else { NOT_CLOSED }
    }

    fn admit(&mut self, now: Duration) -> Result<Pass, Refused> {
        match self.phase {
            Phase::Closed => return Ok(Pass { generation: self.generation, probe: false }),
            Phase::Open { until } if now < until => return Err(Refused { retry_in: until - now }),
            Phase::Probing { until } if now < until => return Err(Refused { retry_in: WHILE_PROBING }),
            Phase::Open { .. } | Phase::Probing { .. } => {}
        }
        self.generation += 1;
        self.phase = Phase::Probing { until: now.saturating_add(self.settings.probe_timeout) };
        Ok(Pass { generation: self.generation, probe: true })
    }

    fn report(&mut self, pass: &Pass, outcome: Outcome, now: Duration) {
        let is_latest = pass.generation == self.generation;
        match (self.phase, outcome) {
            (Phase::Closed, _) if is_latest => self.count(outcome, now),
            // Void: of the time before the opening, or before the closing.
            (Phase::Closed, _) => {}
            _ if pass.generation <= self.opened => {}
            (_, Outcome::Success | Outcome::Answered) => self.close(),
            (Phase::Probing { .. }, Outcome::Failure | Outcome::ConnectFailure) if is_latest => {
                self.failed_probes = self.failed_probes.saturating_add(1);
                self.open(now);
            }
            (Phase::Probing { .. }, Outcome::Neutral) if is_latest => {
                self.phase = Phase::Open { until: Duration::ZERO };
            }
            // A probe that was overtaken, or gave its place back, failed.
            _ => {}
        }
    }

    fn count(&mut self, outcome: Outcome, now: Duration) {
        let failed = match outcome {
            Outcome::Neutral => return,
            Outcome::Answered => {
                self.run = 0;
                return;
            }
            Outcome::Success => false,
            Outcome::Failure | Outcome::ConnectFailure => true,
        };
        self.run = if outcome == Outcome::ConnectFailure { self.run.saturating_add(1) } else { 0 };
        self.window.add(failed, now);
        if self.is_too_much() {
            self.open(now);
        }
    }

    fn is_too_much(&self) -> bool {
        let BreakerSettings { failure_ratio, min_calls, connect_failures, .. } = self.settings;
        let (calls, failures) = self.window.totals();
        let run = connect_failures > 0 && self.run >= connect_failures;
        // A ratio of 0 means any failure, not none.
        run || (calls >= min_calls && failures > 0 && f64::from(failures) >= failure_ratio * f64::from(calls))
    }

    fn open(&mut self, now: Duration) {
        let BreakerSettings { open, max_open, .. } = self.settings;
        let doubled = open.saturating_mul(1 << self.failed_probes.min(31)).min(max_open.max(open));
        self.opened = self.generation;
        self.phase = Phase::Open { until: now.saturating_add(doubled) };
    }

    fn close(&mut self) {
        self.generation += 1;
        self.phase = Phase::Closed;
        self.window.clear();
        self.run = 0;
        self.failed_probes = 0;
    }

    fn state(&mut self, now: Duration) -> BreakerState {
        match self.phase {
            Phase::Closed => {
                self.window.roll(now);
                let (calls, failures) = self.window.totals();
                BreakerState::Closed { calls, failures, connect_failures: self.run }
            }
            Phase::Open { until } if now < until => BreakerState::Open { until_in: until - now },
            Phase::Probing { until } if now < until => BreakerState::HalfOpen { probing: true },
            Phase::Open { .. } | Phase::Probing { .. } => BreakerState::HalfOpen { probing: false },
        }
    }
}

#[cfg(test)]
mod tests;
