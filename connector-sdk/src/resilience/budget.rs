//! How many retries all operations together may make.
//!
//! Attempts bound the retries of one operation; when the vendor is down, every operation makes all of them,
//! and the vendor gets three times the traffic at the worst moment. A budget bounds the sum: each operation
//! pays in [`ratio`](BudgetSettings::ratio) of a retry, each retry takes one out, and what was paid in
//! longer ago than the [`window`](BudgetSettings::window) is gone. A small
//! [`reserve`](BudgetSettings::reserve) lets a quiet connection retry at all.
//!
//! **The promise.** Whenever a retry is granted, the retries of the window that ends with it are at most
//! `ratio` × the operations of the same window + `reserve`. Retries come after the operations that paid for
//! them and leave the window after them, so nothing is spent twice: over any time since the start the traffic
//! is at most (1 + `ratio`) × the operations, and one `reserve` per window. A window is ten slots of a tenth
//! of its length, the current one not yet full: between 90 % and 100 % of the length.
//!
//! Ideas: the retry budgets of Finagle (20 %, a floor per second, 10 s) and linkerd; the 10 % of Google's
//! *Site Reliability Engineering*, chapter "Handling Overload".

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

const SLOTS: u64 = 10;

/// How much is paid in, and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetSettings {
    /// Retries per operation. Negative, or no number: the reserve is all there is.
    pub ratio: f64,
    /// How long an operation's share can be used, and a retry counts. At least 10 ms.
    pub window: Duration,
    /// Retries per window that are there without any operation.
    pub reserve: u32,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self { ratio: 0.2, window: Duration::from_secs(10), reserve: 10 }
    }
}

/// What a health page shows of a [`RetryBudget`]: counts of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BudgetBalance {
    /// Operations.
    pub operations: u64,
    /// Retries granted.
    pub retries: u64,
    /// Retries that would be granted now.
    pub left: u64,
}

/// A budget of retries, shared by all operations of a connection.
///
/// It reads no clock: `now` is a monotonic reading ([`Clock::monotonic`](crate::clock::Clock::monotonic)).
/// A reading that comes late, because its task was overtaken, makes the budget smaller, never larger.
/// Nothing here allocates; [`deposit`](Self::deposit) takes no lock.
///
/// ```
/// use connector_sdk::resilience::{BudgetSettings, RetryBudget};
/// use std::time::Duration;
/// let budget = RetryBudget::new(BudgetSettings { ratio: 0.2, reserve: 1, ..BudgetSettings::default() });
/// let now = Duration::from_secs(5);
/// (0..10).for_each(|_| budget.deposit(now));
/// let granted = (0..10).filter(|_| budget.withdraw(now)).count();
/// assert_eq!(granted, 3); // 0.2 × 10 + 1
/// ```
pub struct RetryBudget {
    settings: BudgetSettings,
    /// The length of a slot in nanoseconds.
    width: u64,
    operations: [Slot; SLOTS as usize],
    retries: Mutex<Retries>,
}

impl RetryBudget {
    /// A budget that nothing has been paid into.
    #[must_use]
    pub fn new(settings: BudgetSettings) -> Self {
        // A slot's number has 40 bits: at a millisecond each they repeat after 34 years.
        let width = (nanos(settings.window) / SLOTS).max(1_000_000);
        Self { settings, width, operations: Default::default(), retries: Mutex::default() }
    }

    /// An operation begins: pays in its share. Once per operation, not per attempt.
    #[inline]
    pub fn deposit(&self, now: Duration) {
        let tick = self.tick(now);
        self.operations[index(tick)].add(tick);
    }

    /// Takes out one retry, if there is one.
    #[must_use = "without a grant there must be no retry"]
    pub fn withdraw(&self, now: Duration) -> bool {
        let tick = self.tick(now);
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = retries.roll(tick);
        let granted = retries.total < self.allowed(self.operations(tick));
        if granted {
            retries.slots[index(tick)] += 1;
            retries.total += 1;
        }
        granted
    }

    /// The counts of the window that ends at `now`.
    #[must_use]
    pub fn balance(&self, now: Duration) -> BudgetBalance {
        let tick = self.tick(now);
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = retries.roll(tick);
        let operations = self.operations(tick);
        let left = self.allowed(operations).saturating_sub(retries.total);
        BudgetBalance { operations, retries: retries.total, left }
    }

    /// Operations in the window whose last slot is `tick`.
    fn operations(&self, tick: u64) -> u64 {
        self.operations.iter().map(|slot| slot.count(tick)).sum()
    }

    fn allowed(&self, operations: u64) -> u64 {
        // The cast rounds down and takes what is no number, or negative, for 0.
        let earned = (self.settings.ratio * operations as f64) as u64;
        earned.saturating_add(u64::from(self.settings.reserve))
    }

    fn tick(&self, now: Duration) -> u64 {
        nanos(now) / self.width
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A count, and the number of the tenth it is of: 24 and 40 bits of one word, so that both change at once.
#[derive(Default)]
struct Slot(AtomicU64);

const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const TICK: u64 = u64::MAX >> COUNT_BITS;

impl Slot {
    fn add(&self, tick: u64) {
        let fresh = (tick & TICK) << COUNT_BITS;
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = match seen >> COUNT_BITS {
                tag if tag == tick & TICK => {
                    if seen & COUNT == COUNT {
                        return;
                    }
                    seen + 1
                }
                // The slot has gone round to a newer tenth: ours is out of the window.
                tag if tag > tick & TICK => return,
                _ => fresh + 1,
            };
            match self.0.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => seen = other,
            }
        }
    }

    fn count(&self, tick: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        let age = (tick & TICK).checked_sub(word >> COUNT_BITS);
        if age.is_some_and(|age| age < SLOTS) { word & COUNT } else { 0 }
    }
}

/// The retries granted, per slot.
#[derive(Default)]
struct Retries {
    slots: [u64; SLOTS as usize],
    total: u64,
    /// The newest tick seen.
    latest: u64,
}

impl Retries {
    /// Forgets what has left the window, and gives the tick to go by: never one before the newest.
    fn roll(&mut self, tick: u64) -> u64 {
        let steps = tick.saturating_sub(self.latest);
        for step in 1..=steps.min(SLOTS) {
            self.total -= std::mem::take(&mut self.slots[index(self.latest + step)]);
        }
        self.latest += steps;
        self.latest
    }
}

fn index(tick: u64) -> usize {
    (tick % SLOTS) as usize
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
