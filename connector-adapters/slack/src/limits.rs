//! How often the vendor may be asked, by method; and whether we are among those whom it gives one page a minute.
//!
//! Since 29 May 2025 an app that is sold outside the Marketplace has one request a minute and 15 objects of
//! conversations.history and conversations.replies (docs.slack.dev/changelog, "Rate limit changes for non-Marketplace
//! apps"). Which app is one, nobody can ask; so it is found out:
//!
//! | what is seen | what is taken for true |
//! |---|---|
//! | a 429 of these methods that says to wait for half a minute or more | perhaps: one request a minute from now on |
//! | 15 objects and more to come, where more were asked for, twice in a row | it is so: pages of 15 from now on |
//! | a page of more than 15; one in 20 is asked to have more | it is not so |
//! | perhaps, and five answers that were not put off | nobody knows any more |

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use connector_sdk::{
    Context,
    http::{Quotas, Request},
    resilience::{Quota, QuotaKey},
};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};

use crate::method::{self, HISTORY, Method, POST, REPLIES, Tier};

/// Objects that a page has at most for those who are limited.
pub(crate) const COHORT_PAGE: u32 = 15;
/// They are put off for a minute; others, who were too quick, mostly for less.
const LONG_WAIT: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
/// Pages of exactly so many objects in a row are no chance.
const SHORT_PAGES: u32 = 2;
/// After so many answers without being put off, one wait was nothing.
const GOOD_ANSWERS: u32 = 5;
/// One page in so many is asked to have more than the limited ones, to see whether that is still so.
const PROBE: u32 = 20;

/// Requests of a tier in any minute. Of these a fifth may come at once, and the rest comes evenly: together no more than
/// the tier in any minute.
fn quota(tier: Tier) -> Quota {
    let per_minute = match tier {
        Tier::T1 => return Quota { requests: 1, period: MINUTE, burst: 1 },
        Tier::Posting => return Quota { requests: 1, period: Duration::from_secs(1), burst: 1 },
        Tier::T2 => 20,
        Tier::T3 => 50,
        Tier::T4 => 100,
    };
    let burst = per_minute / 5;
    Quota { requests: per_minute - burst, period: MINUTE, burst }
}

/// Whether history and replies come a page a minute.
const UNKNOWN: u8 = 0;
const SUSPECTED: u8 = 1;
const CERTAIN: u8 = 2;

/// The limits of one app in one workspace.
#[derive(Debug)]
pub(crate) struct Limits {
    /// What names the app and the workspace to our limiter.
    prefix: String,
    cohort: AtomicU8,
    /// Pages of exactly the limited size in a row.
    short: AtomicU32,
    /// Answers since a wait made us suspect.
    good: AtomicU32,
    /// Pages that were asked for while we are certain.
    asked: AtomicU32,
    warned: AtomicBool,
    /// Whose turn it is.
    histories: Mutex<()>,
    replies: Mutex<()>,
}

impl Limits {
    pub(crate) fn new(cx: &Context) -> Self {
        Self {
            prefix: format!("{}/{}", cx.tenant(), cx.connection()),
            cohort: AtomicU8::new(UNKNOWN),
            short: AtomicU32::new(0),
            good: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            warned: AtomicBool::new(false),
            histories: Mutex::new(()),
            replies: Mutex::new(()),
        }
    }

    /// Whether history and replies come a page a minute, as far as is known.
    pub(crate) fn is_cohort(&self) -> bool {
        self.cohort.load(Relaxed) != UNKNOWN
    }

    /// How many objects a page of history or replies is to be asked to have, where this many are wanted.
    pub(crate) fn page(&self, wanted: u32) -> u32 {
        if self.cohort.load(Relaxed) != CERTAIN {
            return wanted;
        }
        if (self.asked.fetch_add(1, Relaxed) + 1).is_multiple_of(PROBE) {
            return wanted;
        }
        wanted.min(COHORT_PAGE)
    }

    /// The right to send one of the limited requests, where they are limited; in the order of asking.
    pub(crate) async fn turn(&self, method: &Method) -> Option<MutexGuard<'_, ()>> {
        if !is_limited(method.name) || !self.is_cohort() {
            return None;
        }
        let turns = if method.name == HISTORY.name { &self.histories } else { &self.replies };
        Some(turns.lock().await)
    }

    /// How long so many requests of a method take, at least.
    pub(crate) fn duration(&self, method: &Method, requests: u64) -> Duration {
        let Quota { requests: per_period, period, .. } = self.pace(method);
        let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(requests.saturating_mul(millis) / u64::from(per_period.max(1)))
    }

    /// Takes note that a method was put off for so long.
    pub(crate) fn put_off(&self, operation: &str, wait: Duration) {
        if is_limited(operation) && wait >= LONG_WAIT {
            self.good.store(0, Relaxed);
            self.suspect(SUSPECTED);
        }
    }

    /// Takes note of a page: how many objects were asked for and came, and whether there are more.
    pub(crate) fn page_came(&self, asked: u32, came: usize, more: bool) {
        let most = COHORT_PAGE as usize;
        if came > most {
            self.short.store(0, Relaxed);
            self.cohort.store(UNKNOWN, Relaxed);
            return;
        }
        if more && asked > COHORT_PAGE {
            let short = if came == most { self.short.fetch_add(1, Relaxed) + 1 } else { 0 };
            self.short.store(short, Relaxed);
            if short >= SHORT_PAGES {
                self.suspect(CERTAIN);
                return;
            }
        }
        if self.good.fetch_add(1, Relaxed) + 1 >= GOOD_ANSWERS {
            let _ = self.cohort.compare_exchange(SUSPECTED, UNKNOWN, Relaxed, Relaxed);
        }
    }

    fn suspect(&self, level: u8) {
        if self.cohort.fetch_max(level, Relaxed) == UNKNOWN && level == SUSPECTED {
            tracing::info!("put off for long; messages are asked for once a minute until that proves wrong");
        }
        if self.cohort.load(Relaxed) == CERTAIN && !self.warned.swap(true, Relaxed) {
            tracing::warn!(
                "the vendor gives this app one request a minute and 15 messages for each, as to apps that are sold \
                 outside its Marketplace: 10,000 messages of a channel take eleven hours, and each thread a minute. \
                 An app that is made for one workspace, by itself, is not limited so"
            );
        }
    }

    fn pace(&self, method: &Method) -> Quota {
        if is_limited(method.name) && self.is_cohort() { quota(Tier::T1) } else { quota(method.tier) }
    }
}

fn is_limited(operation: &str) -> bool {
    operation == HISTORY.name || operation == REPLIES.name
}

/// The channel that a message is posted to.
#[derive(Deserialize)]
struct Posted<'a> {
    #[serde(borrow)]
    channel: std::borrow::Cow<'a, str>,
}

impl Quotas for Limits {
    fn key(&self, request: &Request) -> QuotaKey {
        let Self { prefix, .. } = self;
        let operation = request.operation();
        // One message a second in each channel: a channel has a quota of its own.
        match (operation == POST.name).then(|| serde_json::from_slice::<Posted<'_>>(request.payload())) {
            Some(Ok(posted)) => QuotaKey::new(format!("{prefix}/{operation}/{}", posted.channel)),
            _ => QuotaKey::new(format!("{prefix}/{operation}")),
        }
    }

    fn quota(&self, request: &Request) -> Option<Quota> {
        method::find(request.operation()).map(|method| self.pace(method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::{CHANNELS, MEMBERS};

    fn limits() -> Limits {
        Limits::new(&Context::builder("acme", "chat").build())
    }

    #[test]
    fn no_tier_is_exceeded_in_any_minute() {
        for (tier, most) in [(Tier::T2, 20), (Tier::T3, 50), (Tier::T4, 100)] {
            let Quota { requests, period, burst } = quota(tier);
            assert_eq!((requests + burst, period), (most, MINUTE));
        }
    }

    #[test]
    fn each_method_has_a_budget_of_its_own_and_each_channel_one_for_posting() {
        let limits = limits();
        let get = |method: &Method| Request::get(method.name, "/api/x");
        let key = |request: &Request| limits.key(request).as_str().to_owned();
        assert_eq!(key(&get(&HISTORY)), "acme/chat/conversations.history");
        assert_ne!(key(&get(&HISTORY)), key(&get(&REPLIES)));
        let post = |channel: &str| {
            let body = format!(r#"{{"channel":"{channel}","text":"hi"}}"#);
            Request::post(POST.name, "/api/chat.postMessage", "application/json", body)
        };
        assert_ne!(key(&post("C1")), key(&post("C2")));
        assert_eq!(limits.quota(&post("C1")).unwrap().period, Duration::from_secs(1));
        assert_eq!(limits.quota(&get(&CHANNELS)), Some(quota(Tier::T2)));
        assert_eq!(limits.quota(&get(&MEMBERS)), Some(quota(Tier::T4)));
        assert_eq!(limits.quota(&Request::get("upload", "/x")), None);
    }

    #[test]
    fn a_long_wait_makes_slow_and_a_page_of_fifteen_makes_certain_until_a_larger_one_comes() {
        let limits = limits();
        let history = Request::get(HISTORY.name, "/api/x");
        limits.put_off(HISTORY.name, Duration::from_secs(5));
        limits.put_off(CHANNELS.name, Duration::from_secs(60));
        limits.page_came(200, 15, false);
        limits.page_came(15, 15, true);
        limits.page_came(200, 14, true);
        assert!(!limits.is_cohort(), "none of these says anything");
        limits.put_off(REPLIES.name, Duration::from_secs(60));
        assert!(limits.is_cohort());
        assert_eq!(limits.quota(&history), Some(quota(Tier::T1)));
        assert_eq!(limits.page(200), 200, "a larger page may show that it is not so");
        assert_eq!(limits.quota(&Request::get(CHANNELS.name, "/api/x")), Some(quota(Tier::T2)));
        limits.page_came(200, 200, true);
        assert!(!limits.is_cohort());
        limits.page_came(200, 15, true);
        assert!(!limits.is_cohort(), "once is chance");
        limits.page_came(200, 15, true);
        assert_eq!((limits.page(200), limits.page(10)), (15, 10));
        assert_eq!(limits.duration(&HISTORY, 90), Duration::from_secs(90 * 60));
        let more = (0..40).filter(|_| limits.page(200) == 200).count();
        assert_eq!(more, 2, "now and then it is seen whether it is still so");
        limits.page_came(200, 15, true);
        assert!(limits.is_cohort());
    }

    #[test]
    fn a_wait_that_was_nothing_is_forgotten_after_a_few_answers() {
        let limits = limits();
        limits.put_off(HISTORY.name, Duration::from_secs(60));
        for _ in 0..GOOD_ANSWERS - 1 {
            limits.page_came(200, 3, false);
        }
        assert!(limits.is_cohort());
        limits.page_came(200, 3, false);
        assert!(!limits.is_cohort());
    }
}
