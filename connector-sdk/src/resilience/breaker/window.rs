//! Calls and failures of the last while, in a ring of ten buckets.

use std::time::Duration;

const BUCKETS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    calls: u32,
    failures: u32,
}

/// A bucket covers a tenth of the window and starts at a multiple of it; the oldest drops out whole.
#[derive(Debug)]
pub(super) struct Window {
    buckets: [Bucket; BUCKETS],
    /// The sum of all buckets.
    total: Bucket,
    /// The index of the bucket that counts now.
    current: usize,
    /// The width of a bucket and the end of the current one, in nanoseconds: what u64 holds is 584 years.
    width: u64,
    ends: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let width = (nanos(length) / BUCKETS as u64).max(1);
        Self { buckets: Default::default(), total: Bucket::default(), current: 0, width, ends: width }
    }

    /// Counts a call. A reading older than the current bucket counts in it.
    pub(super) fn add(&mut self, failed: bool, now: Duration) {
        self.roll(now);
        let failures = u32::from(failed);
        for bucket in [&mut self.buckets[self.current], &mut self.total] {
            bucket.calls = bucket.calls.saturating_add(1);
            bucket.failures = bucket.failures.saturating_add(failures);
        }
    }

    /// Forgets what is too old at `now`.
    pub(super) fn roll(&mut self, now: Duration) {
        let now = nanos(now);
        if now < self.ends {
            return;
        }
        let steps = (now - self.ends) / self.width + 1;
        if steps >= BUCKETS as u64 {
            self.clear();
        } else {
            for _ in 0..steps {
                self.current = (self.current + 1) % BUCKETS;
                let old = std::mem::take(&mut self.buckets[self.current]);
                self.total.calls = self.total.calls.saturating_sub(old.calls);
                self.total.failures = self.total.failures.saturating_sub(old.failures);
            }
        }
        self.ends = self.ends.saturating_add(steps.saturating_mul(self.width));
    }

    pub(super) fn clear(&mut self) {
        self.buckets = Default::default();
        self.total = Bucket::default();
    }

    /// Calls, and failures among them, as of the last call of `add` or `roll`.
    pub(super) fn totals(&self) -> (u32, u32) {
        (self.total.calls, self.total.failures)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
