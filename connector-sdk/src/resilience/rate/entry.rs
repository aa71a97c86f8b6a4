//! What holds one key back. Times are nanoseconds of the caller's monotonic clock.

use std::time::Duration;

use super::{Quota, QuotaKey, RateState, nanos};

/// The pace at which a key without a quota starts again, and for how long.
const RESTART: Quota = Quota { requests: 20, period: Duration::from_secs(1), burst: 1 };
const RESTART_FOR: u64 = 1_000_000_000;

/// Resets this near to each other are of one window, unless it is short: vendors round to seconds.
const SAME_WINDOW: u64 = 2_000_000_000;

/// So many requests until then.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    remaining: u64,
    resets_at: u64,
    /// The reset as it was told first: what is far from it is another window.
    first_told: u64,
    /// How far ahead the reset was at most.
    ahead: u64,
}

impl Allowance {
    /// Whether what is told is of this very window.
    fn is_of(&self, told: &Self) -> bool {
        self.first_told.abs_diff(told.resets_at) <= SAME_WINDOW.min(self.ahead / 2)
    }

    /// Whether it is this count in a window that slides along: always so far ahead, and not yet over.
    fn slides_to(&self, told: &Self) -> bool {
        told.resets_at > self.resets_at && self.ahead.abs_diff(told.ahead) <= SAME_WINDOW
    }
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// GCRA's theoretical arrival time: when the quota will be as if nobody had asked.
    arrival: u64,
    /// When the pause ends, or the last one ended, or an empty allowance was filled.
    reopens: Option<u64>,
    /// A vendor may count by the second and by the day.
    allowances: [Option<Allowance>; 2],
    /// The first slot that no caller has been told to wait for.
    next_slot: u64,
}

impl Entry {
    /// Takes one request, or says until when to wait.
    pub(super) fn admit(&mut self, quota: Option<Quota>, now: u64) -> Result<(), u64> {
        self.forget(now);
        let restarts = self.reopens.is_some_and(|at| now < at.saturating_add(RESTART_FOR));
        let pace = quota.or(restarts.then_some(RESTART)).map(Pace::from);
        let mut earliest = self.reopens.unwrap_or(0);
        for allowance in self.allowances.iter().flatten().filter(|allowance| allowance.remaining == 0) {
            earliest = earliest.max(allowance.resets_at);
        }
        if let Some(pace) = pace {
            // Reopened with the burst used up.
            let floor = self.reopens.map_or(0, |at| at.saturating_add(pace.tolerance));
            let arrival = self.arrival.max(floor);
            earliest = earliest.max(arrival.saturating_sub(pace.tolerance));
            if earliest <= now {
                self.arrival = arrival.max(now).saturating_add(pace.interval);
            }
        }
        if earliest > now {
            return Err(self.slot(pace.unwrap_or(Pace::from(RESTART)), earliest));
        }
        for allowance in self.allowances.iter_mut().flatten() {
            allowance.remaining -= 1;
        }
        Ok(())
    }

    /// The next slot from `earliest` on that nobody else waits for; after a period they begin again, so that
    /// callers who gave up waiting do not make the others wait for ever longer.
    fn slot(&mut self, pace: Pace, earliest: u64) -> u64 {
        let span = pace.interval.saturating_mul(pace.slots);
        let free = self.next_slot;
        let slot = if free < earliest || free - earliest >= span { earliest } else { free };
        self.next_slot = slot.saturating_add(pace.interval);
        slot
    }

    pub(super) fn pause(&mut self, until: u64) {
        self.reopens = self.reopens.max(Some(until));
    }

    pub(super) fn tighten(&mut self, remaining: u64, resets_at: u64, now: u64) {
        self.forget(now);
        let told =
            Allowance { remaining, resets_at, first_told: resets_at, ahead: resets_at.saturating_sub(now) };
        let find = |is_it: &dyn Fn(&Allowance) -> bool| {
            self.allowances.iter().position(|old| old.as_ref().is_some_and(is_it))
        };
        if let Some(index) = find(&|old| old.is_of(&told)) {
            if let Some(old) = &mut self.allowances[index] {
                old.remaining = old.remaining.min(remaining);
                old.resets_at = old.resets_at.max(resets_at);
                old.ahead = old.ahead.max(told.ahead);
            }
            return;
        }
        let index = find(&|old| old.slides_to(&told));
        let index = index.or_else(|| self.allowances.iter().position(Option::is_none));
        let index = index.unwrap_or_else(|| {
            // Of more than two the one that ends sooner goes: it holds back for the shortest time.
            let [first, second] = self.allowances.map(|old| old.map(|old| old.resets_at));
            usize::from(second < first)
        });
        self.allowances[index] = Some(told);
    }

    /// Forgets allowances that have been reset. Those who waited for an empty one start as after a pause.
    fn forget(&mut self, now: u64) {
        for slot in &mut self.allowances {
            if let Some(Allowance { remaining, resets_at, .. }) = *slot
                && resets_at <= now
            {
                *slot = None;
                if remaining == 0 {
                    self.reopens = self.reopens.max(Some(resets_at));
                }
            }
        }
    }

    /// From then on this entry is as good as none.
    pub(super) fn busy_until(&self) -> u64 {
        let reset = self.allowances.iter().flatten().map(|allowance| allowance.resets_at).max();
        let restarted = self.reopens.max(reset).map_or(0, |at| at.saturating_add(RESTART_FOR));
        self.arrival.max(restarted)
    }

    pub(super) fn state(&self, key: &QuotaKey, now: u64) -> Option<RateState> {
        let live = self.allowances.iter().flatten().filter(|allowance| allowance.resets_at > now);
        let tightest = live.min_by_key(|allowance| (allowance.remaining, u64::MAX - allowance.resets_at));
        let paused = self.reopens.filter(|at| *at > now);
        if paused.is_none() && tightest.is_none() {
            return None;
        }
        Some(RateState {
            key: key.as_str().to_owned(),
            paused_for: paused.map(|at| Duration::from_nanos(at - now)),
            remaining: tightest.map(|allowance| allowance.remaining),
            resets_in: tightest.map(|allowance| Duration::from_nanos(allowance.resets_at - now)),
        })
    }
}

/// A quota as GCRA wants it.
#[derive(Clone, Copy)]
struct Pace {
    /// Between two requests in the long run; rounded up, so that the quota is never exceeded.
    interval: u64,
    /// How far ahead of its time a request may come.
    tolerance: u64,
    slots: u64,
}

impl From<Quota> for Pace {
    fn from(quota: Quota) -> Self {
        let slots = u64::from(quota.requests.max(1));
        let interval = nanos(quota.period).div_ceil(slots).max(1);
        let tolerance = interval.saturating_mul(u64::from(quota.burst.max(1)) - 1);
        Self { interval, tolerance, slots }
    }
}
