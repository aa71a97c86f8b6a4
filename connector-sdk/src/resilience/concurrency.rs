//! How many requests may be under way to a vendor at once: found out, not configured.
//!
//! Nobody knows how much a vendor takes, and it changes. So the limit feels its way, as TCP does (Chiu and
//! Jain 1989: additive increase with multiplicative decrease is what converges to a fair share):
//!
//! - **Up by one** per `limit` successes, roughly one per round trip, and only while the limit is in use (at
//!   least half of it under way). A limit that nobody reaches has proved nothing.
//! - **Down to a half** on overload: a 429, or a timeout.
//! - **Down to nine tenths** when answers take longer: the average of the last few (weight 1/8 for the newest)
//!   exceeds twice the long one (1/128) plus 50 ms. Queues at the vendor grow before it refuses. Judged
//!   after 32 samples; small and noisy latencies stay below the 50 ms.
//! - **Once per batch.** The requests that were under way together fail together; only the first of them
//!   halves. Overload of a request that started before the last decrease tells what is known.
//!   Likewise rising latency waits, after a decrease, for `limit` answers before it is judged again.
//!
//! When the vendor has become slower for good, the long average follows within a few hundred answers and the
//! limit rises again: the policy reacts to change, and does not punish a slow vendor for being slow.
//!
//! Ideas: Netflix concurrency-limits (its AIMD for clients, the two averages of its Gradient2); Vector's
//! adaptive request concurrency.

use std::time::Duration;

/// Within which bounds the limit moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AimdSettings {
    /// The first limit.
    pub start: u32,
    /// The lowest; 0 is taken for 1.
    pub min: u32,
    /// The highest; one below `min` is taken for `min`.
    pub max: u32,
}

impl Default for AimdSettings {
    fn default() -> Self {
        Self { start: 4, min: 1, max: 32 }
    }
}

/// The share of the newest latency in the short and in the long average.
const SHORT: f64 = 1.0 / 8.0;
const LONG: f64 = 1.0 / 128.0;
/// Rising: short > `RISES` × long + `FLOOR` seconds, judged after `SAMPLES` answers.
const RISES: f64 = 2.0;
const FLOOR: f64 = 0.050;
const SAMPLES: u32 = 32;

/// An adaptive limit of concurrency: additive increase, multiplicative decrease.
///
/// Plain data: whoever holds the permits keeps it under the lock that it has anyway. It reads no clock;
/// `now` and `started_at` are readings of one monotonic clock
/// ([`Clock::monotonic`](crate::clock::Clock::monotonic)). Nothing here allocates.
///
/// ```
/// use connector_sdk::resilience::{Aimd, AimdSettings};
/// use std::time::Duration;
/// let mut aimd = Aimd::new(AimdSettings::default());
/// let at = Duration::from_millis;
/// for _ in 0..4 {
///     aimd.on_success(at(100), 4, at(100));
/// }
/// assert_eq!(aimd.limit(), 5);
/// aimd.on_overload(at(100), at(200));
/// aimd.on_overload(at(100), at(201)); // was under way together with the first
/// assert_eq!(aimd.limit(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Aimd {
    min: u32,
    max: u32,
    limit: u32,
    /// Successes with the limit in use since it last changed.
    successes: u32,
    /// When it was last decreased.
    decreased_at: Option<Duration>,
    /// Answers until rising latency is judged.
    unjudged: u32,
    /// Averages of the latency in seconds.
    short: f64,
    long: f64,
    /// Answers that the averages have seen, up to [`SAMPLES`].
    samples: u32,
}

impl Aimd {
    /// A limit that has seen nothing.
    #[must_use]
    pub fn new(settings: AimdSettings) -> Self {
        let min = settings.min.max(1);
        let max = settings.max.max(min);
        Self {
            min,
            max,
            limit: settings.start.clamp(min, max),
            successes: 0,
            decreased_at: None,
            unjudged: SAMPLES,
            short: 0.0,
            long: 0.0,
            samples: 0,
        }
    }

    /// Requests that may be under way at once; never below 1.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// The vendor answered after `latency`; `in_flight` requests were under way, this one among them.
    pub fn on_success(&mut self, latency: Duration, in_flight: u32, now: Duration) {
        self.average(latency.as_secs_f64());
        if self.unjudged == 0 && self.short > RISES * self.long + FLOOR {
            // Nine tenths, and at least one less: of 4 nine tenths rounded are 4.
            self.decrease(self.limit - self.limit.div_ceil(10), now);
        } else if in_flight >= self.limit.div_ceil(2) {
            self.successes += 1;
            if self.successes >= self.limit {
                self.limit = self.limit.saturating_add(1).min(self.max);
                self.successes = 0;
            }
        }
    }

    /// The vendor answered that it is too much, or did not answer in time. `started_at`: when the request
    /// was sent.
    pub fn on_overload(&mut self, started_at: Duration, now: Duration) {
        if self.decreased_at.is_none_or(|decreased| started_at >= decreased) {
            self.decrease(self.limit / 2, now);
        }
    }

    fn decrease(&mut self, limit: u32, now: Duration) {
        self.limit = limit.max(self.min);
        self.successes = 0;
        self.decreased_at = self.decreased_at.max(Some(now));
        self.unjudged = self.limit.max(SAMPLES - self.samples);
    }

    fn average(&mut self, latency: f64) {
        if self.samples == 0 {
            (self.short, self.long) = (latency, latency);
        }
        self.short += SHORT * (latency - self.short);
        self.long += LONG * (latency - self.long);
        self.samples = (self.samples + 1).min(SAMPLES);
        self.unjudged = self.unjudged.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
