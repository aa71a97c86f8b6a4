use std::sync::atomic::AtomicU32;

use proptest::prelude::*;

use super::*;
use crate::resilience::Jitter;

const SECOND: Duration = Duration::from_secs(1);

/// A budget, and a log beside it from which the promise is checked: operations and retries per second.
struct Watched {
    budget: RetryBudget,
    log: Vec<(f64, f64)>,
}

impl Watched {
    fn new() -> Self {
        Self { budget: RetryBudget::new(BudgetSettings::default()), log: Vec::new() }
    }

    fn second(&mut self, now: Duration) -> &mut (f64, f64) {
        let second = now.as_secs() as usize;
        self.log.resize(self.log.len().max(second + 1), (0.0, 0.0));
        &mut self.log[second]
    }

    fn deposit(&mut self, now: Duration) {
        self.budget.deposit(now);
        self.second(now).0 += 1.0;
    }

    /// Asks for a retry; checks that it is granted exactly when the promise leaves room.
    fn withdraw(&mut self, now: Duration) -> bool {
        self.second(now);
        let second = now.as_secs() as usize;
        let window = &self.log[second.saturating_sub(9)..];
        let (operations, retries) = window.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let granted = self.budget.withdraw(now);
        assert_eq!(granted, retries + 1.0 <= 0.2 * operations + 10.0, "{operations} {retries} at {now:?}");
        self.second(now).1 += f64::from(u8::from(granted));
        granted
    }

    fn totals(&self) -> (f64, f64) {
        self.log.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y))
    }
}

/// Every attempt fails and every operation asks for as many retries as it gets, up to two.
fn outage(arrivals: impl Iterator<Item = Duration>) {
    let mut watched = Watched::new();
    for now in arrivals {
        watched.deposit(now);
        for _ in 0..2 {
            if !watched.withdraw(now) {
                break;
            }
        }
    }
    let (offered, retries) = watched.totals();
    let windows = watched.log.len().div_ceil(10) as f64;
    assert!(offered + retries <= 1.2 * offered + 10.0 * windows, "{offered} {retries} {windows}");
    // And the budget is not merely closed.
    assert!(retries >= (0.15 * offered).min(2.0 * offered), "{offered} {retries}");
    for window in watched.log.windows(10) {
        let (offered, retries) = window.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        // Retries here follow at once, so each window of the log keeps the bound, not only the trailing ones.
        assert!(retries <= 0.2 * offered + 10.0, "{window:?}");
    }
}

#[test]
fn a_total_outage_under_steady_load_makes_at_most_a_fifth_more_traffic() {
    outage((0..60_000).map(Duration::from_millis));
}

#[test]
fn a_total_outage_under_a_trickle_can_still_retry() {
    outage((0..100).map(|i| SECOND * i * 7 / 2));
}

#[test]
fn bursts_at_the_edges_of_windows_do_not_double_the_budget() {
    let nano = Duration::from_nanos(1);
    for gap in [9, 10, 11, 20] {
        let edges = (1..30).flat_map(|i| [SECOND * gap * i - nano, SECOND * gap * i]);
        let mut watched = Watched::new();
        for now in edges.flat_map(|edge| std::iter::repeat_n(edge, 500)) {
            watched.deposit(now);
            watched.withdraw(now);
        }
    }
}

#[test]
fn what_was_paid_in_is_gone_after_the_window() {
    let budget = RetryBudget::new(BudgetSettings { reserve: 0, ..BudgetSettings::default() });
    let at = |tenths: u32| Duration::from_millis(100) * tenths;
    (0..100).for_each(|_| budget.deposit(at(55)));
    assert_eq!(budget.balance(at(55)), BudgetBalance { operations: 100, retries: 0, left: 20 });
    assert!(budget.withdraw(at(149)));
    assert_eq!(budget.balance(at(149)), BudgetBalance { operations: 100, retries: 1, left: 19 });
    assert!(!budget.withdraw(at(150)));
    assert_eq!(budget.balance(at(239)), BudgetBalance { operations: 0, retries: 1, left: 0 });
    assert_eq!(budget.balance(at(240)), BudgetBalance { operations: 0, retries: 0, left: 0 });
}

#[test]
fn a_late_reading_makes_the_budget_smaller_never_larger() {
    let budget = RetryBudget::new(BudgetSettings { reserve: 0, ..BudgetSettings::default() });
    (0..10).for_each(|_| budget.deposit(100 * SECOND));
    (0..10).for_each(|_| budget.deposit(SECOND));
    (0..10).for_each(|_| budget.deposit(90 * SECOND));
    assert_eq!(budget.balance(100 * SECOND).operations, 10);
    assert!(budget.withdraw(100 * SECOND) && budget.withdraw(99 * SECOND));
    assert!(!budget.withdraw(99 * SECOND) && !budget.withdraw(SECOND));
}

#[test]
fn extreme_settings_and_times_neither_panic_nor_overflow() {
    for ratio in [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MAX] {
        for window in [Duration::ZERO, SECOND, Duration::MAX] {
            let budget = RetryBudget::new(BudgetSettings { ratio, window, reserve: u32::MAX });
            for now in [Duration::ZERO, SECOND, Duration::MAX, SECOND, Duration::MAX] {
                budget.deposit(now);
                assert!(budget.withdraw(now));
                let _ = budget.balance(now);
            }
        }
    }
    let none = RetryBudget::new(BudgetSettings { ratio: f64::NAN, reserve: 0, ..BudgetSettings::default() });
    none.deposit(SECOND);
    assert!(!none.withdraw(SECOND));
}

#[test]
fn a_slot_that_is_full_stays_full() {
    let slot = Slot(AtomicU64::new(COUNT - 1));
    slot.add(0);
    slot.add(0);
    assert_eq!((slot.count(0), slot.count(9), slot.count(10)), (COUNT, COUNT, 0));
}

#[test]
fn threads_together_get_exactly_what_is_allowed() {
    for round in 0..20 {
        let budget = RetryBudget::new(BudgetSettings::default());
        // The slots are not empty but stale, so that threads race for taking them over.
        (0..40).for_each(|i| budget.deposit(SECOND * i / 2));
        let now = SECOND * (40 + round);
        let granted = AtomicU32::new(0);
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    (0..1000).for_each(|_| budget.deposit(now));
                    barrier.wait();
                    let mine = (0..1000).filter(|_| budget.withdraw(now)).count();
                    granted.fetch_add(u32::try_from(mine).unwrap(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(granted.into_inner(), 810, "0.2 × 4000 + 10");
    }
}

#[test]
fn a_million_random_steps_keep_the_promise() {
    for seed in 1..=200 {
        let jitter = Jitter::new(seed);
        let mut watched = Watched::new();
        let pace = 1_u64 << (jitter.draw() % 22);
        let mut now = Duration::ZERO;
        for _ in 0..5_000 {
            match jitter.draw() % 8 {
                0..3 => watched.deposit(now),
                3..6 => drop(watched.withdraw(now)),
                6 => now += Duration::from_micros(jitter.draw() % pace),
                _ if jitter.draw().is_multiple_of(1000) => now += SECOND * (jitter.draw() % 30) as u32,
                _ => {}
            }
        }
    }
}

proptest! {
    #[test]
    fn an_outage_never_makes_more_than_a_fifth_more(gaps in prop::collection::vec(0_u64..3_000, 1..400)) {
        let mut now = Duration::ZERO;
        let mut watched = Watched::new();
        for gap in gaps {
            now += Duration::from_millis(gap);
            watched.deposit(now);
            while watched.withdraw(now) {}
        }
        let (offered, retries) = watched.totals();
        let windows = watched.log.len().div_ceil(10) as f64;
        prop_assert!(offered + retries <= 1.2 * offered + 10.0 * windows);
    }
}
