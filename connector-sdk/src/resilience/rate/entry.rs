//! What holds one key back. Times are nanoseconds of the caller's monotonic clock.

use std::time::Duration;

use super::{Quota, QuotaKey, RateState, nanos};

/// The pace at which a key without a quota starts again, and for how long.
const RESTART: Quota = Quota { requests: 20, period: Duration::from_secs(1), burst: 1 };
const RESTART_FOR: u64 = 1_000_000_000;

/// Resets this near to each other are of one window: vendors round to seconds.
const SAME_WINDOW: u64 = 2_000_000_000;

/// So many requests until then.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    remaining: u64,
    resets_at: u64,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    /// GCRA's theoretical arrival time: when the quota will be as if nobody had asked.
    arrival: u64,
    /// When the pause ends, or the last one ended, or an empty allowance was filled.
    reopens: Option<u64>,
    /// A vendor may count by the second and by the day; of more than two the latest absorb each other.
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

    pub(super) fn resume(&mut self) {
        self.reopens = None;
        self.allowances = [None; 2];
    }

    pub(super) fn tighten(&mut self, remaining: u64, resets_at: u64, now: u64) {
        self.forget(now);
        let same =
            |old: &Option<Allowance>| old.is_some_and(|old| old.resets_at.abs_diff(resets_at) <= SAME_WINDOW);
        let [first, second] = &self.allowances;
        let index = if same(first) {
            0
        } else if same(second) {
            1
        } else if first.is_none() {
            0
        } else if second.is_none() {
            1
        } else {
            usize::from(second.map(|old| old.resets_at) > first.map(|old| old.resets_at))
        };
        let old = self.allowances[index].unwrap_or(Allowance { remaining, resets_at });
        self.allowances[index] = Some(Allowance {
            remaining: old.remaining.min(remaining),
            resets_at: old.resets_at.max(resets_at),
        });
    }

    /// Forgets allowances that have been reset. Those who waited for an empty one start as after a pause.
    fn forget(&mut self, now: u64) {
        for slot in &mut self.allowances {
            if let Some(Allowance { remaining, resets_at }) = *slot
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
