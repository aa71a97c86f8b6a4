//! When the next attempt is due. Pure: no clock, no randomness of its own.

use std::time::Duration;

use connector_sdk::Timestamp;

/// The waits of a message, and what may change them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    /// Before the first attempt, the second, and so on: as many as there are attempts.
    pub(super) waits: Vec<Duration>,
    /// How far a wait strays to either side, as a share of it.
    pub(super) jitter: f64,
    /// The longest wait that an endpoint can ask for.
    pub(super) retry_after_cap: Duration,
}

impl Schedule {
    /// The wait before the first attempt.
    pub(super) fn first(&self) -> Duration {
        self.waits.first().copied().unwrap_or_default()
    }

    /// The wait after so many attempts that failed; none: there are no more. What the endpoint asks for makes it longer,
    /// never shorter. `random` is any number, all equally likely.
    pub(super) fn after(&self, attempts: usize, asked: Option<Duration>, random: u64) -> Option<Duration> {
        let base = *self.waits.get(attempts)?;
        let wait = self.stray(base, random);
        Some(asked.map_or(wait, |asked| wait.max(asked.min(self.retry_after_cap))))
    }

    fn stray(&self, base: Duration, random: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a share of a wait needs no 64 bits")]
        let share = random as f64 / u64::MAX as f64;
        base.mul_f64((1.0 + self.jitter * (2.0 * share - 1.0)).max(0.0))
    }

    /// A time to come back at, which a clock that was set back cannot put off for ever: no wait is longer than the longest
    /// of the schedule.
    pub(super) fn sane(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let longest = self.waits.iter().copied().max().unwrap_or_default().max(self.retry_after_cap);
        due.min(now + longest.mul_f64(1.0 + self.jitter))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn schedule(jitter: f64) -> Schedule {
        Schedule { waits: vec![secs(0), secs(5), secs(300)], jitter, retry_after_cap: secs(3600) }
    }

    #[test]
    fn each_attempt_that_fails_has_the_next_wait_until_there_is_none() {
        let schedule = schedule(0.0);
        assert_eq!(schedule.first(), secs(0));
        let waits: Vec<_> = (1..5).map(|attempts| schedule.after(attempts, None, 1)).collect();
        assert_eq!(waits, [Some(secs(5)), Some(secs(300)), None, None]);
    }

    #[test]
    fn what_the_endpoint_asks_for_is_kept_between_the_wait_and_the_cap() {
        let schedule = schedule(0.0);
        for (asked, expected) in [(1, 5), (5, 5), (60, 60), (3600, 3600), (86_400, 3600)] {
            assert_eq!(schedule.after(1, Some(secs(asked)), 1), Some(secs(expected)));
        }
        assert_eq!(schedule.after(3, Some(secs(60)), 1), None, "asking does not buy an attempt");
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_share(random: u64) {
            let wait = schedule(0.2).after(2, None, random).unwrap();
            prop_assert!((secs(240)..=secs(360)).contains(&wait), "{wait:?}");
            prop_assert_eq!(schedule(0.2).after(0, None, random), Some(secs(0)));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off_for_ever() {
        let now = Timestamp::from_millis(1_000_000);
        let schedule = schedule(0.0);
        assert_eq!(schedule.sane(now + secs(300), now), now + secs(300));
        assert_eq!(schedule.sane(now + secs(86_400 * 365), now), now + secs(3600));
        assert_eq!(schedule.sane(Timestamp::from_millis(5), now), Timestamp::from_millis(5));
    }
}
