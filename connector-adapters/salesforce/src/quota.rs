//! The org's daily API requests: `Sforce-Limit-Info` says how many are used, and a run leaves some.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use connector_sdk::{Class, Context, Delivery, Error, Result, RunId, Timestamp};
use serde::Deserialize;

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
    run_share: f64,
    last: Mutex<Option<Heard>>,
    spent: Mutex<Spent>,
}

/// Requests of one run.
#[derive(Debug, Default)]
struct Spent {
    run: Option<RunId>,
    requests: u64,
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
    /// Shares of the org's daily requests: what all software together may have used when we stop, and what one run of
    /// ours may use.
    pub(crate) fn new(share: f64, run_share: f64) -> Self {
        Self { share, run_share, last: Mutex::new(None), spent: Mutex::default() }
    }

    /// Takes note of an answer's header; `vendor` and `ours` are the two clocks.
    pub(crate) fn hear(&self, header: &str, vendor: Timestamp, ours: Timestamp) {
        if let Some(usage) = Usage::parse(header) {
            *self.lock() = Some(Heard { usage, resume_at: vendor + PAUSE, stale_at: ours + PAUSE });
        }
    }

    /// Whether another request may be made, which counts for the context's run.
    ///
    /// # Errors
    /// RateLimited with `resume_at` when our share is used up.
    pub(crate) fn admit(&self, operation: &'static str, cx: &Context) -> Result<()> {
        let requests = self.spend(cx.run());
        let Some(heard) = *self.lock() else { return Ok(()) };
        let Usage { used, limit } = heard.usage;
        if self.run_share < 1.0 && (Usage { used: requests, limit }).share() > self.run_share {
            let message = format!(
                "this run has made {} of the org's {limit} API requests of a day, which is what `run_quota_share` leaves to \
                 one run; what is read is kept, run again later",
                requests - 1
            );
            return Err(stop(operation, message, heard).with_context("run_quota_share", self.run_share));
        }
        // A host that keeps a connector for days must be able to learn that the quota has come back.
        if heard.usage.share() < self.share || cx.clock().now() >= heard.stale_at {
            return Ok(());
        }
        let message = format!(
            "{used} of the org's {limit} API requests of the last 24 hours are used, which is the share that \
             `quota_share` leaves to this connection; what is read is kept, run again later"
        );
        Err(stop(operation, message, heard).with_context("quota_share", self.share))
    }

    /// Counts a request; how many the run has made with it.
    fn spend(&self, run: Option<&RunId>) -> u64 {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.run.as_ref() != run {
            *spent = Spent { run: run.cloned(), requests: 0 };
        }
        spent.requests += 1;
        spent.requests
    }

    /// What was last heard.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.lock().map(|heard| heard.usage)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Heard>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stop(operation: &'static str, message: String, heard: Heard) -> Error {
    Error::new(Class::RateLimited, operation, message)
        .with_delivery(Delivery::NotSent)
        .with_resume_at(heard.resume_at)
        .into_exhausted()
}

/// What is left of a daily quota, as `GET /limits` says (REST guide, resources_limits).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Left {
    pub(crate) remaining: u64,
}

/// The daily quotas that a read uses.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Limits {
    pub(crate) daily_api_requests: Option<Left>,
    /// Query jobs of the Bulk API.
    #[serde(rename = "DailyBulkV2QueryJobs")]
    pub(crate) daily_jobs: Option<Left>,
}

#[cfg(test)]
mod tests {
    use connector_testkit::clock::ManualClock;

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

    fn at(millis: u64, run: &str) -> Context {
        let clock = ManualClock::at(NOW);
        clock.advance(Duration::from_millis(millis));
        Context::builder("t", "c").clock(clock.shared()).run(run.into()).build()
    }

    #[test]
    fn a_run_stops_at_the_share_of_all_and_says_when_to_come_back() {
        let quota = Quota::new(0.8, 1.0);
        let cx = at(0, "a");
        assert!(quota.admit("query", &cx).is_ok());
        quota.hear("api-usage=79/100", NOW, NOW);
        assert!(quota.admit("query", &cx).is_ok());
        let vendor = NOW + Duration::from_secs(7);
        quota.hear("api-usage=80/100", vendor, NOW);
        let error = quota.admit("query", &cx).unwrap_err();
        assert_eq!(error.class(), Class::RateLimited);
        assert!(error.is_exhausted());
        assert_eq!(error.resume_at(), Some(vendor + PAUSE));
        assert_eq!(quota.usage().map(Usage::remaining), Some(20));
    }

    #[test]
    fn a_run_stops_at_its_own_share_and_the_next_one_begins_anew() {
        let quota = Quota::new(1.0, 0.03);
        quota.hear("api-usage=10/100", NOW, NOW);
        for _ in 0..3 {
            assert!(quota.admit("query", &at(0, "a")).is_ok());
        }
        let error = quota.admit("query", &at(0, "a")).unwrap_err();
        assert!(error.message().contains("made 3 of the org's 100"), "{error}");
        assert!(error.message().contains("run_quota_share") && error.resume_at().is_some());
        assert!(quota.admit("query", &at(0, "b")).is_ok());
    }

    #[test]
    fn old_news_stops_nobody() {
        let quota = Quota::new(0.5, 1.0);
        quota.hear("api-usage=90/100", NOW, NOW);
        assert!(quota.admit("query", &at(3_600_000, "a")).is_ok());
        assert!(quota.admit("query", &at(3_599_999, "a")).is_err());
    }

    #[test]
    fn the_vendors_limits_are_read() {
        let Some(folder) = std::env::var_os("CONNECTOR_FIXTURES") else {
            eprintln!("CONNECTOR_FIXTURES is not set: the recorded limits are not read");
            return;
        };
        let text = std::fs::read(std::path::Path::new(&folder).join("salesforce/camel_limits.json")).unwrap();
        let limits: Limits = serde_json::from_slice(&text).unwrap();
        assert_eq!(limits.daily_api_requests.map(|left| left.remaining), Some(14_998));
        assert!(limits.daily_jobs.is_none(), "an org of before Bulk API 2.0 queries");
    }
}
