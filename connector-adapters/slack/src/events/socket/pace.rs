//! When the next connection is opened: reconnecting at once, again and again, is what vendors lock out.

use std::time::Duration;

use connector_sdk::{
    Context,
    resilience::{Backoff, Jitter},
};

/// Who lived as long was no failure.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// apps.connections.open is of tier 1 by one source and of tier 3 by another: by neither is this too often.
const AFTER_FAILURE: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(120) };
/// After `too_many_websockets`: reconnecting at once only repeats it (node-slack-sdk #1654).
const AFTER_TOO_MANY: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(900);

/// How patient to be.
#[derive(Debug)]
pub(super) struct Pace {
    failures: u32,
    crowded: u32,
    wait: Duration,
    jitter: Jitter,
}

impl Pace {
    pub(super) fn new(cx: &Context, place: u8) -> Self {
        let seed = if cx.seed() == 0 { 0 } else { cx.seed() + u64::from(place) };
        Self { failures: 0, crowded: 0, wait: Duration::ZERO, jitter: Jitter::new(seed) }
    }

    /// How long to wait before the next one; none is due after it.
    pub(super) fn wait(&mut self) -> Duration {
        std::mem::take(&mut self.wait)
    }

    /// The vendor asks for a new one, and has told so in time.
    pub(super) fn replaced(&mut self, lived: Duration) {
        self.lost(lived);
    }

    /// It has ended.
    pub(super) fn lost(&mut self, lived: Duration) {
        if lived >= LONG_LIFE {
            (self.failures, self.crowded, self.wait) = (0, 0, Duration::ZERO);
            return;
        }
        // The first time nothing is wrong yet: what comes meanwhile should not wait for us.
        self.failures += 1;
        self.wait = if self.failures == 1 { Duration::ZERO } else { self.next() };
    }

    /// It could not be opened.
    pub(super) fn failed(&mut self, told: Option<Duration>) {
        self.failures += 1;
        self.wait = self.next().max(told.unwrap_or_default()).min(LONGEST);
    }

    /// There are too many.
    pub(super) fn too_many(&mut self) {
        self.wait = AFTER_TOO_MANY.saturating_mul(1 << self.crowded.min(4)).min(LONGEST);
        self.crowded += 1;
    }

    /// Half of it is certain, so that many failures never come in a row at once.
    fn next(&self) -> Duration {
        let ceiling = AFTER_FAILURE.ceiling(self.failures);
        ceiling / 2 + AFTER_FAILURE.wait(self.failures, self.jitter.draw()) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&Context::builder("acme", "chat").seed(3).build(), 0)
    }

    #[test]
    fn after_a_long_life_the_next_one_comes_at_once_and_after_failures_ever_later() {
        let mut pace = pace();
        assert_eq!(pace.wait(), Duration::ZERO);
        pace.lost(Duration::from_secs(1));
        assert_eq!(pace.wait(), Duration::ZERO, "once may happen");
        let waits: Vec<_> = (0..9)
            .map(|_| {
                pace.failed(None);
                pace.wait()
            })
            .collect();
        assert!(waits[0] >= Duration::from_secs(2) && waits[8] >= Duration::from_secs(60), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(120)), "{waits:?}");
        pace.replaced(LONG_LIFE);
        assert_eq!(pace.wait(), Duration::ZERO);
        pace.failed(Some(Duration::from_secs(77)));
        assert_eq!(pace.wait(), Duration::from_secs(77), "what the vendor asks for");
    }

    #[test]
    fn too_many_are_answered_by_a_minute_and_more() {
        let mut pace = pace();
        let waits: Vec<u64> = (0..6)
            .map(|_| {
                pace.too_many();
                pace.wait().as_secs()
            })
            .collect();
        assert_eq!(waits, [60, 120, 240, 480, 900, 900]);
    }
}
