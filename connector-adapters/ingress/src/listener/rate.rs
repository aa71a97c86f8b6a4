//! How many events a tenant may send: those of a sender that has proved itself are counted, so that a stranger cannot use
//! them up.

use std::{fmt, sync::Arc, time::Duration};

use connector_sdk::{
    Clock,
    resilience::{Quota, QuotaKey, RateLimiter},
};

/// A rate that several endpoints may have in common. A clone is the same rate.
#[derive(Clone)]
pub struct Rate {
    limiter: Arc<RateLimiter>,
    key: QuotaKey,
    quota: Quota,
    clock: Arc<dyn Clock>,
}

impl Rate {
    /// So many events a second in the long run, and so many at once after a rest. Zeros are taken for one.
    #[must_use]
    pub fn new(name: &str, per_second: u32, burst: u32, clock: Arc<dyn Clock>) -> Self {
        let quota =
            Quota { requests: per_second.max(1), period: Duration::from_secs(1), burst: burst.max(1) };
        Self { limiter: Arc::default(), key: QuotaKey::new(name), quota, clock }
    }

    /// Takes one event.
    ///
    /// # Errors
    /// After how many seconds to try again, at least one.
    pub fn take(&self) -> Result<(), u32> {
        let taken = self.limiter.admit(&self.key, Some(self.quota), self.clock.monotonic());
        taken.map_err(|held| {
            let seconds = held.wait.as_secs() + u64::from(held.wait.subsec_nanos() > 0);
            u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
        })
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate").field("key", &self.key).field("quota", &self.quota).finish_non_exhaustive()
    }
}
