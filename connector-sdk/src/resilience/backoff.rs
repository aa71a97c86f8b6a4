//! How long to wait before the next attempt, when nobody has said: full jitter under a doubling ceiling.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Full jitter: anything between nothing and a ceiling that doubles with each attempt.
///
/// Callers that failed together come back spread over the whole interval, not in waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling after the first attempt.
    pub base: Duration,
    /// The highest ceiling.
    pub cap: Duration,
}

impl Backoff {
    /// The longest wait after the `attempt`th attempt, counted from 1.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The wait after the `attempt`th attempt; `random` is any number, all equally likely.
    #[must_use]
    pub fn wait(&self, attempt: u32, random: u64) -> Duration {
        let ceiling = u64::try_from(self.ceiling(attempt).as_nanos()).unwrap_or(u64::MAX);
        let nanos = (u128::from(ceiling) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Where the random numbers of the jitter come from: SplitMix64, a sequence that repeats for a test.
///
/// Not for secrets. Shared by all tasks of a client; a draw is one atomic addition.
pub struct Jitter(AtomicU64);

impl Jitter {
    /// The sequence that starts at `seed`; 0: another one each time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // The keys of the standard library's hash maps are the only randomness it gives without a crate.
        let start = if seed == 0 { RandomState::new().hash_one(0_u8) } else { seed };
        Self(AtomicU64::new(start))
    }

    /// The next number.
    pub fn draw(&self) -> u64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(20) };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let millis: Vec<_> = (1..=10).map(|attempt| BACKOFF.ceiling(attempt).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.cap);
    }

    #[test]
    fn the_same_seed_gives_the_same_waits_and_another_seed_others() {
        let draws = |seed| {
            let jitter = Jitter::new(seed);
            std::array::from_fn::<u64, 8, _>(|_| jitter.draw())
        };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
        assert_ne!(draws(0), draws(0), "without a seed two clients must not march in step");
        // First outputs of the published SplitMix64 for seed 1234567.
        assert_eq!(draws(1_234_567)[..2], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn waits_fill_the_whole_interval() {
        let jitter = Jitter::new(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let wait = BACKOFF.wait(4, jitter.draw());
            tenths[usize::try_from(wait.as_millis() * 10 / 800).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|&n| (800..1200).contains(&n)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn a_wait_is_below_its_ceiling(attempt: u32, random: u64, base in 1_u64..10_000, cap in 1_u64..100_000) {
            let backoff = Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
            prop_assert!(backoff.wait(attempt, random) < backoff.ceiling(attempt));
            prop_assert!(backoff.ceiling(attempt) <= backoff.cap);
        }
    }
}
