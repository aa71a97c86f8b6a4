//! The org's daily API requests: `Sforce-Limit-Info` says how many are used, and a run leaves some.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use connector_sdk::{Class, Delivery, Error, Result, Timestamp};

/// The header (REST guide, headers_api_usage).
pub(crate) const LIMIT_INFO: &str = "Sforce-Limit-Info";

/// How long a run stays away when the quota is used up. The vendor counts the last 24 hours, rolling, and
/// does not say when how much of it comes back: an hour later at least a part has.
pub(crate) const PAUSE: Duration = Duration::from_secs(3_600);

/// Requests used and allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

impl Usage {
    /// Reads `api-usage=18/5000`, which `; per-app-api-usage=17/250(appName=x)` may follow: then the one
    /// that is nearer to its end.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        header
            .split([';', ','])
            .filter_map(|part| {
                let (name, value) = part.trim().split_once('=')?;
                let value = match name {
                    "api-usage" => value,
                    "per-app-api-usage" => value.split('(').next()?,
                    _ => return None,
                };
                let (used, limit) = value.trim().split_once('/')?;
                let usage = Self { used: used.parse().ok()?, limit: limit.parse().ok()? };
                (usage.limit > 0).then_some(usage)
            })
            .max_by(|a, b| a.share().total_cmp(&b.share()))
    }

    fn share(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share of a quota needs no more than 52 bits")]
        let share = self.used as f64 / self.limit as f64;
        share
    }

    /// What is left, in requests.
    pub(crate) fn remaining(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// What was last heard of the quota, and how much of it we may use.
#[derive(Debug)]
pub(crate) struct Quota {
    share: f64,
    last: Mutex<Option<Heard>>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    usage: Usage,
    /// By the vendor's clock.
    resume_at: Timestamp,
    /// By ours: after this the news is too old to stop anybody.
    stale_at: Timestamp,
}

impl Quota {
    pub(crate) fn new(share: f64) -> Self {
        Self { share, last: Mutex::new(None) }
    }

    /// Takes note of an answer's header; `vendor` and `ours` are the two clocks.
    pub(crate) fn hear(&self, header: &str, vendor: Timestamp, ours: Timestamp) {
        if let Some(usage) = Usage::parse(header) {
            *self.lock() = Some(Heard { usage, resume_at: vendor + PAUSE, stale_at: ours + PAUSE });
        }
    }

    /// Whether another request may be made.
    ///
    /// # Errors
    /// RateLimited with `resume_at` when our share is used up.
    pub(crate) fn admit(&self, operation: &'static str, ours: Timestamp) -> Result<()> {
        let Some(heard) = *self.lock() else { return Ok(()) };
        // A host that keeps a connector for days must be able to learn that the quota has come back.
        if heard.usage.share() < self.share || ours >= heard.stale_at {
            return Ok(());
        }
        let Usage { used, limit } = heard.usage;
        Err(Error::new(
            Class::RateLimited,
            operation,
            format!(
                "{used} of the org's {limit} API requests of the last 24 hours are used, which is the share \
                 that `quota_share` leaves to this connection; what is read is kept, run again later"
            ),
        )
        .with_delivery(Delivery::NotSent)
        .with_context("quota_share", self.share)
        .with_resume_at(heard.resume_at)
        .into_exhausted())
    }

    /// What was last heard.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.lock().map(|heard| heard.usage)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Heard>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn both_forms_of_the_header_are_read() {
        let usage = |used, limit| Some(Usage { used, limit });
        assert_eq!(Usage::parse("api-usage=10018/100000"), usage(10_018, 100_000));
        assert_eq!(
            Usage::parse("api-usage=18/5000; per-app-api-usage=17/250(appName=sample app)"),
            usage(17, 250)
        );
        assert_eq!(
            Usage::parse("api-usage=4000/5000;per-app-api-usage=1/250(appName=x)"),
            usage(4_000, 5_000)
        );
        for odd in
            ["", "api-usage=", "api-usage=a/b", "api-usage=1", "api-usage=0/0", "other=1/2", "api-usage=-1/5"]
        {
            assert_eq!(Usage::parse(odd), None, "{odd}");
        }
        assert_eq!(Usage { used: 7, limit: 5 }.remaining(), 0);
    }

    #[test]
    fn a_run_stops_at_its_share_and_says_when_to_come_back() {
        let quota = Quota::new(0.8);
        assert!(quota.admit("query", NOW).is_ok());
        quota.hear("api-usage=79/100", NOW, NOW);
        assert!(quota.admit("query", NOW).is_ok());
        let vendor = NOW + Duration::from_secs(7);
        quota.hear("api-usage=80/100", vendor, NOW);
        let error = quota.admit("query", NOW).unwrap_err();
        assert_eq!(error.class(), Class::RateLimited);
        assert!(error.is_exhausted());
        assert_eq!(error.resume_at(), Some(vendor + PAUSE));
        assert_eq!(quota.usage().map(Usage::remaining), Some(20));
    }

    #[test]
    fn old_news_stops_nobody() {
        let quota = Quota::new(0.5);
        quota.hear("api-usage=90/100", NOW, NOW);
        assert!(quota.admit("query", NOW + PAUSE).is_ok());
    }
}
