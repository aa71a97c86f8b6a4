//! What schemes read of the head of a request, and how strictly.

use std::time::Duration;

use connector_sdk::Timestamp;
use http::{HeaderMap, HeaderName};

use super::Refused;

/// How far the sender's clock may be from ours, either way, where nothing else is said. Slack, Stripe and the libraries of
/// Standard Webhooks have five minutes.
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);

/// The longest id of an event, in bytes. Those of the vendors have fewer than 100.
const LONGEST_ID: usize = 255;

/// The one value of a header, where there is one. One that comes twice could be judged by one of them and used by the
/// other.
pub(super) fn at_most_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refused::malformed("a header of the signature comes twice"));
    }
    value.to_str().map(Some).map_err(|_| Refused::malformed("a header of the signature is no text"))
}

/// The one value of a header that has to be there.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refused> {
    at_most_one(headers, name)?.ok_or(Refused::unauthorized("a header of the signature is missing"))
}

/// Whether an event can be told apart by this: 1 to 255 visible characters of ASCII.
pub(super) fn is_id(text: &str) -> bool {
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The id of the event in a header, where there is one.
pub(super) fn id(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refused> {
    match at_most_one(headers, name)? {
        Some(text) if !is_id(text) => Err(Refused::malformed("the id of the event is none")),
        id => Ok(id.map(str::to_owned)),
    }
}

/// The id of the event in a header that has to be there: without it a request that was sent once would be another event.
pub(super) fn only_id(headers: &HeaderMap, name: &HeaderName) -> Result<String, Refused> {
    id(headers, name)?.ok_or(Refused::unauthorized("the id of the event is missing"))
}

/// A whole number of units since 1970, in the one way that it is written: digits, and no zero before them.
fn whole(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = is_number && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_canonical)
}

/// The time that so many seconds since 1970 are.
pub(super) fn seconds(text: &str) -> Result<Timestamp, Refused> {
    let millis = whole(text).and_then(|seconds| seconds.checked_mul(1000));
    millis.map(Timestamp::from_millis).ok_or(Refused::malformed("the timestamp is no number of seconds"))
}

/// The time that so many milliseconds since 1970 are.
pub(super) fn milliseconds(text: &str) -> Result<Timestamp, Refused> {
    let millis = whole(text).map(Timestamp::from_millis);
    millis.ok_or(Refused::malformed("the timestamp is no number of milliseconds"))
}

/// Whether the request was signed not long ago. Judged before the signature: an old one tells nothing, even to who
/// measures how long this takes.
pub(super) fn is_near(at: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Refused> {
    if now.saturating_since(at).max(at.saturating_since(now)) > tolerance {
        return Err(Refused::unauthorized("the signature is too old, or from the future"));
    }
    Ok(())
}

/// The time that a text of RFC 3339 in UTC is. Of its many forms the usual one: `2026-01-31T12:00:00Z`, with or without
/// a fraction.
pub(super) fn rfc3339(text: &str) -> Result<Timestamp, Refused> {
    let is_usual = text.len() <= 30
        && text.ends_with('Z')
        && text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.TZ".contains(&byte));
    text.parse().ok().filter(|_| is_usual).ok_or(Refused::malformed("the timestamp is none of RFC 3339"))
}
