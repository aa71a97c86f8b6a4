//! What `Retry-After` asks for.

use std::time::Duration;

use crate::Timestamp;

/// Waits beyond this are no waits: a time since 1970, or a mistake. No vendor counts by more than a month.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, 10.2.3).
///
/// A date counts from `answered_at`, which is the vendor's clock where it says it (the `Date` header):
/// the two clocks may differ. Zero, negative, past and unreadable values, and waits of more than 31 days, ask
/// for nothing, so that the caller's own backoff applies (a zero that is obeyed burns all attempts at once;
/// seconds since 1970 that are obeyed are a wait of half a century).
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
        Duration::from_secs(value.parse().ok()?)
    } else {
        Timestamp::from(httpdate::parse_http_date(value).ok()?).saturating_since(answered_at)
    };
    (wait > Duration::ZERO && wait <= LONGEST).then_some(wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_56_to_58_every_form_of_retry_after() {
        let noon: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let seconds = |n| Some(Duration::from_secs(n));
        let table = [
            ("1", seconds(1)),
            (" 120\t", seconds(120)),
            ("007", seconds(7)),
            ("86400", seconds(86_400)),
            ("2678400", Some(LONGEST)),
            ("2678401", None),
            ("1769860920", None),
            ("99999999999999999999999999", None),
            ("18446744073709551615", None),
            ("0", None),
            ("000", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("", None),
            (" ", None),
            ("soon", None),
            ("NaN", None),
            ("120, 240", None),
            ("1e3", None),
            ("\u{ff11}", None),
            ("Sat, 31 Jan 2026 12:00:30 GMT", seconds(30)),
            ("Saturday, 31-Jan-26 12:00:30 GMT", seconds(30)),
            ("Sat Jan 31 12:00:30 2026", seconds(30)),
            ("Sun, 01 Feb 2026 12:00:00 GMT", seconds(86_400)),
            ("Sat, 31 Jan 2026 12:00:00 GMT", None),
            ("Sat, 31 Jan 2026 11:59:59 GMT", None),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("Sat, 32 Jan 2026 12:00:30 GMT", None),
            ("Sat, 31 Jan 2026 12:00:30", None),
        ];
        for (value, expected) in table {
            assert_eq!(parse(value, noon), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_none_or_a_wait_that_can_be_added_to_a_time(value in "\\PC*", now: i64) {
            if let Some(wait) = parse(&value, Timestamp::from_millis(now)) {
                prop_assert!(wait > Duration::ZERO && wait <= LONGEST);
            }
        }
    }
}
