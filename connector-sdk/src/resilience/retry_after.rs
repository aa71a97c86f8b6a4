//! What `Retry-After` asks for.

use std::time::Duration;

use crate::Timestamp;

/// Waits beyond this are as good as this; it keeps sums of times far from overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, 10.2.3).
///
/// A date counts from `answered_at`, which is the vendor's clock where it says it (the `Date` header):
/// the two clocks may differ. Zero, negative, past and unreadable values ask for nothing, so that the
/// caller's own backoff applies (a zero that is obeyed burns all attempts at once).
///
/// ```
/// use connector_sdk::{Timestamp, resilience::retry_after};
/// use std::time::Duration;
/// let noon: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
/// assert_eq!(retry_after::parse("120", noon), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after::parse("Sat, 31 Jan 2026 12:00:30 GMT", noon), Some(Duration::from_secs(30)));
/// assert_eq!(retry_after::parse("0", noon), None);
/// assert_eq!(retry_after::parse("soon", noon), None);
/// ```
#[must_use]
pub fn parse(value: &str, answered_at: Timestamp) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that are too many for a number still are a number: a long one.
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        Timestamp::from(httpdate::parse_http_date(value).ok()?).saturating_since(answered_at)
    };
    (wait > Duration::ZERO).then_some(wait.min(LONGEST))
}
