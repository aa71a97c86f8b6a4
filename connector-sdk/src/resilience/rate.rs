//! How fast a vendor may be asked: per quota key, whatever task or stream asks.
//!
//! Three things hold a request of a key back, and all must agree:
//!
//! - its **quota**: so many requests per period and a burst, by GCRA (the "virtual scheduling" of ITU-T I.371,
//!   a leaky bucket that stores one time instead of a queue). Never more than `burst + t / interval` requests
//!   in any time `t`.
//! - a **pause**: after a 429 nobody asks until the vendor's time is over, not only the caller that got it.
//! - an **allowance**: the vendor's headers said that so many requests are left until its reset
//!   ([`rate_headers`](super::rate_headers)). First come, first served: spreading the rest evenly would make a
//!   run of 200 requests take minutes at a vendor that gives 5,000 an hour. Who wants evenness sets a quota.
//!
//! **No stampede.** A thousand callers that wait for one instant must not all ask in it. When a pause or an
//! empty allowance ends, the key starts without a burst: its requests follow each other at the interval of
//! its quota, or without one at 20 a second for the first second. The waits that callers are told are spread
//! in the same way: each gets a slot of its own within a period.
//!
//! **Memory.** A key that nothing holds back needs no entry. At most [`MAX_KEYS`] keys are kept; a further one
//! displaces those that nothing holds back any more and, when there is none, the one that would have been
//! held back the shortest.
//!
//! **Why not `governor`.** It reads its own clock within each check and fixes the quota when it is built, one
//! for all keys; a passed-in `now`, a quota per key and the pause would each need a structure beside it, and
//! it brings 13 crates. What remains of it is the arithmetic, the few lines of `Entry::admit`.

mod entry;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Serialize, Serializer};

use entry::Entry;

/// The keys that are kept at most.
pub const MAX_KEYS: usize = 10_000;

/// What a vendor counts together: an app, a tenant, a method, or a combination. Make it once and clone it.
#[derive(Clone)]
pub struct QuotaKey {
    name: Arc<str>,
    /// Of the name; taken once, so that asking hashes nothing.
    hash: u64,
}

impl QuotaKey {
    /// The key of that name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
        Self { name, hash }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl PartialEq for QuotaKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.name, &other.name) || self.name == other.name)
    }
}

impl Eq for QuotaKey {}

impl Hash for QuotaKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Hands on the hash that a [`QuotaKey`] brings.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// So many requests per period. Zeros are taken for one request, one nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests per period in the long run.
    pub requests: u32,
    /// The period.
    pub period: Duration,
    /// Requests that may be made at once after a rest; 1: none but the one that is due.
    pub burst: u32,
}

/// The key is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("held back by the rate limit for {wait:?}")]
pub struct Wait {
    /// How long until asking again makes sense. Other callers get other waits.
    pub wait: Duration,
}

/// A key that is held back, as a health page shows it. Times are serialised as milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateState {
    /// The key's name.
    pub key: String,
    /// The rest of its pause.
    #[serde(rename = "paused_for_ms", serialize_with = "as_millis")]
    pub paused_for: Option<Duration>,
    /// Requests left by the vendor's headers.
    pub remaining: Option<u64>,
    /// Until the vendor starts counting afresh.
    #[serde(rename = "resets_in_ms", serialize_with = "as_millis")]
    pub resets_in: Option<Duration>,
}

fn as_millis<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_millis()).serialize(serializer)
}

/// The rate limits of all keys of a connection, or of several that share an app's quota.
///
/// It reads no clock: `now` is a monotonic reading ([`Clock::monotonic`](crate::clock::Clock::monotonic)), and
/// `until` and `resets_at` are times of the same clock. Readings that overtake each other are harmless: an
/// older one is only held back longer. A key without quota that was never paused or tightened passes
/// without a lock; all others take a short one. Only the first request of a key allocates.
///
/// ```
/// use connector_sdk::resilience::{Quota, QuotaKey, RateLimiter};
/// use std::time::Duration;
/// let (limiter, key) = (RateLimiter::new(), QuotaKey::new("crm:tenant-7"));
/// let quota = Some(Quota { requests: 10, period: Duration::from_secs(1), burst: 2 });
/// let at = Duration::from_millis;
/// assert!(limiter.admit(&key, quota, at(0)).is_ok());
/// assert!(limiter.admit(&key, quota, at(0)).is_ok());
/// assert_eq!(limiter.admit(&key, quota, at(0)).unwrap_err().wait, at(100));
/// limiter.pause(&key, at(60_000), at(100));
/// assert_eq!(limiter.admit(&key, None, at(30_000)).unwrap_err().wait, at(30_000));
/// ```
#[derive(Default)]
pub struct RateLimiter {
    /// A bit per key that has an entry, by its hash: a clear bit is a key that nothing holds back.
    marks: [AtomicU64; MARKS],
    entries: Mutex<Entries>,
}

type Entries = HashMap<QuotaKey, Entry, BuildHasherDefault<Ready>>;

const MARKS: usize = 16;

impl RateLimiter {
    /// A limiter that holds nobody back.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for one request, and takes it.
    ///
    /// # Errors
    /// [`Wait`] when the quota, a pause or the vendor's allowance holds the key back; nothing is taken then.
    #[inline]
    pub fn admit(&self, key: &QuotaKey, quota: Option<Quota>, now: Duration) -> Result<(), Wait> {
        if quota.is_none() && !self.is_marked(key) {
            return Ok(());
        }
        self.admit_slow(key, quota, nanos(now))
    }

    fn admit_slow(&self, key: &QuotaKey, quota: Option<Quota>, now: u64) -> Result<(), Wait> {
        let mut entries = self.lock();
        let entry = match entries.get_mut(key) {
            Some(entry) => entry,
            None if quota.is_none() => return Ok(()),
            None => self.insert(&mut entries, key, now),
        };
        entry.admit(quota, now).map_err(|until| Wait { wait: Duration::from_nanos(until - now) })
    }

    /// Holds all callers of the key back until then. An earlier end than the one that is set changes nothing.
    pub fn pause(&self, key: &QuotaKey, until: Duration, now: Duration) {
        self.with(key, nanos(now), |entry| entry.pause(nanos(until)));
    }

    /// The vendor said that `remaining` requests are left until `resets_at`. Never loosens what it said before
    /// about the same window, because answers overtake each other; a window that has moved on begins afresh.
    pub fn tighten(&self, key: &QuotaKey, remaining: u64, resets_at: Duration, now: Duration) {
        if resets_at > now {
            self.with(key, nanos(now), |entry| entry.tighten(remaining, nanos(resets_at), nanos(now)));
        }
    }

    /// The keys that are paused or have an allowance, by name.
    #[must_use]
    pub fn state(&self, now: Duration) -> Vec<RateState> {
        let now = nanos(now);
        let mut states: Vec<_> =
            self.lock().iter().filter_map(|(key, entry)| entry.state(key, now)).collect();
        states.sort_by(|a, b| a.key.cmp(&b.key));
        states
    }

    fn with(&self, key: &QuotaKey, now: u64, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.lock();
        match entries.get_mut(key) {
            Some(entry) => change(entry),
            None => change(self.insert(&mut entries, key, now)),
        }
    }

    fn insert<'a>(&self, entries: &'a mut Entries, key: &QuotaKey, now: u64) -> &'a mut Entry {
        if entries.len() >= MAX_KEYS {
            entries.retain(|_, entry| entry.busy_until() > now);
            if entries.len() >= MAX_KEYS {
                let least = entries.iter().min_by_key(|(_, entry)| entry.busy_until());
                if let Some(key) = least.map(|(key, _)| key.clone()) {
                    entries.remove(&key);
                }
            }
            self.mark_only(entries);
        }
        let (word, bit) = mark(key);
        self.marks[word].fetch_or(bit, Ordering::Release);
        entries.entry(key.clone()).or_default()
    }

    fn is_marked(&self, key: &QuotaKey) -> bool {
        let (word, bit) = mark(key);
        self.marks[word].load(Ordering::Acquire) & bit != 0
    }

    /// Clears the bits of those that went. The bit of one that stays is never clear in between.
    fn mark_only(&self, entries: &Entries) {
        let mut words = [0; MARKS];
        for (word, bit) in entries.keys().map(mark) {
            words[word] |= bit;
        }
        for (mark, word) in self.marks.iter().zip(words) {
            mark.store(word, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("keys", &self.lock().len()).finish_non_exhaustive()
    }
}

/// The word and the bit of a key.
fn mark(key: &QuotaKey) -> (usize, u64) {
    let place = (key.hash >> 32) as usize % (MARKS * 64);
    (place / 64, 1 << (place % 64))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
