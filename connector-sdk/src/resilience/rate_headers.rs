//! What a vendor's headers say about the requests that are left.
//!
//! Read in this order; the first family that says both numbers wins:
//!
//! | headers | left | until the reset |
//! |---|---|---|
//! | `RateLimit: "default";r=50;t=30` (draft-ietf-httpapi-ratelimit-headers-08 to -11) | `r` | `t` seconds; without it the window `w` of the policy of that name in `RateLimit-Policy` |
//! | `RateLimit: limit=100, remaining=50, reset=30` (draft -07) | `remaining` | `reset` seconds |
//! | `RateLimit-Remaining`, `RateLimit-Reset` (drafts up to -06) | as is | seconds |
//! | `X-RateLimit-Remaining`, `X-RateLimit-Reset` (GitHub and many) | as is | seconds or epoch |
//! | `X-Rate-Limit-Remaining`, `X-Rate-Limit-Reset` (Okta, X) | as is | seconds or epoch |
//!
//! **Seconds or epoch.** From 10^9 on it is a time: seconds since 1970 (10^9 is September 2001), from 10^12 on
//! milliseconds. Below, it is a number of seconds from now: 10^9 of them would be 31 years. A time counts from
//! `answered_at`, which is the vendor's clock where it says it (the `Date` header).
//!
//! Fractions occur (`1.5`): what is left is rounded down, the time up. Of several policies the one with the
//! fewest requests left counts. Slack says nothing before a 429, and then only `Retry-After`.
//! Garbage, a reset that is past and one beyond 31 days, the longest window a vendor has, say nothing.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::Timestamp;

const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// So many requests until the reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Requests that are left.
    pub remaining: u64,
    /// How long from the answer until the vendor counts afresh.
    pub resets_in: Duration,
}

/// What the headers of an answer say.
///
/// ```
/// use connector_sdk::{Timestamp, resilience::rate_headers::{self, Told}};
/// use std::time::Duration;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("ratelimit", "\"default\";r=50;t=30".parse().unwrap());
/// let told = rate_headers::parse(&headers, Timestamp::from_millis(0));
/// assert_eq!(told, Some(Told { remaining: 50, resets_in: Duration::from_secs(30) }));
/// ```
#[must_use]
pub fn parse(headers: &HeaderMap, answered_at: Timestamp) -> Option<Told> {
    // Most answers have none of them, and looking each up costs more than a layer.
    let is_one =
        |name: &HeaderName| name.as_str().starts_with("ratelimit") || name.as_str().starts_with("x-rate");
    if !headers.keys().any(is_one) {
        return None;
    }
    standard(headers)
        .or_else(|| draft_7(headers))
        .or_else(|| pair(headers, "ratelimit-remaining", "ratelimit-reset", |reset| Some(after(reset))))
        .or_else(|| {
            let reset = |reset| seconds_or_epoch(reset, answered_at);
            pair(headers, "x-ratelimit-remaining", "x-ratelimit-reset", reset)
                .or_else(|| pair(headers, "x-rate-limit-remaining", "x-rate-limit-reset", reset))
        })
}

/// A list of items with parameters (RFC 9651).
fn standard(headers: &HeaderMap) -> Option<Told> {
    items(headers, "ratelimit")
        .filter_map(|item| {
            let (name, remaining) = (name(item)?, integer(parameter(item, "r")?)?);
            let seconds = match parameter(item, "t") {
                Some(seconds) => integer(seconds)?,
                None => window(headers, name)?,
            };
            told(remaining, Duration::from_secs(seconds))
        })
        .min_by_key(|told| (told.remaining, std::cmp::Reverse(told.resets_in)))
}

/// The window of the policy of that name: the reset is no further away.
fn window(headers: &HeaderMap, wanted: &str) -> Option<u64> {
    let policy = items(headers, "ratelimit-policy").find(|item| name(item) == Some(wanted))?;
    integer(parameter(policy, "w")?)
}

fn draft_7(headers: &HeaderMap) -> Option<Told> {
    let member = |wanted| {
        items(headers, "ratelimit").find_map(|item| {
            let (key, value) = item.split(';').next()?.split_once('=')?;
            (key.trim() == wanted).then(|| integer(value.trim()))?
        })
    };
    told(member("remaining")?, Duration::from_secs(member("reset")?))
}

fn pair(
    headers: &HeaderMap,
    remaining: &str,
    reset: &str,
    until: impl Fn(Number) -> Option<Duration>,
) -> Option<Told> {
    let number = |name| Number::parse(headers.get(name)?.to_str().ok()?);
    told(number(remaining)?.whole, until(number(reset)?)?)
}

fn told(remaining: u64, resets_in: Duration) -> Option<Told> {
    (resets_in > Duration::ZERO && resets_in <= LONGEST).then_some(Told { remaining, resets_in })
}

fn after(reset: Number) -> Duration {
    Duration::from_secs(reset.rounded_up())
}

fn seconds_or_epoch(reset: Number, answered_at: Timestamp) -> Option<Duration> {
    let millis = match reset.whole {
        ..1_000_000_000 => return Some(after(reset)),
        1_000_000_000..1_000_000_000_000 => reset.rounded_up().checked_mul(1000)?,
        1_000_000_000_000.. => reset.rounded_up(),
    };
    Some(Timestamp::from_millis(i64::try_from(millis).ok()?).saturating_since(answered_at))
}

/// A decimal number, not negative.
#[derive(Clone, Copy)]
struct Number {
    whole: u64,
    fraction: bool,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
        digits.then_some(Self { whole: integer(whole)?, fraction: fraction.bytes().any(|byte| byte != b'0') })
    }

    fn rounded_up(self) -> u64 {
        self.whole + u64::from(self.fraction)
    }
}

/// At most 15 digits, as structured fields have it: sums of such numbers are far from overflow.
fn integer(text: &str) -> Option<u64> {
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// The members of a list, over all lines of the header.
fn items<'a>(headers: &'a HeaderMap, header: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, ',')).map(str::trim)
}

/// The name of an item: a string or a token.
fn name(item: &str) -> Option<&str> {
    let name = split(item, ';').next()?.trim();
    match name.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => (!name.is_empty() && !name.contains('=')).then_some(name),
    }
}

fn parameter<'a>(item: &'a str, wanted: &str) -> Option<&'a str> {
    split(item, ';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        (key.trim() == wanted).then_some(value.trim())
    })
}

/// Splits outside of quotation marks; a backslash takes the next character's meaning.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |character| {
        let plain = !escaped;
        escaped = quoted && plain && character == '\\';
        if plain && character == '"' {
            quoted = !quoted;
        }
        !quoted && character == separator
    })
}

#[cfg(test)]
mod tests;
