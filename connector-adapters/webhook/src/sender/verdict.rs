//! What an attempt means for its message. Pure.
//!
//! | the endpoint | the message |
//! |---|---|
//! | 2xx | is delivered |
//! | 410 | waits, and with it all others, until somebody enables the endpoint again |
//! | 408, 425, 429, 5xx; any redirect (none is followed); no answer, or none that can be read | is tried again |
//! | another 4xx | is dead, or tried again where `retry_4xx` says so |
//! | a certificate that is not trusted, no TLS there | is tried again: a person may have put it right by then |
//! | an address that the guard refuses | is dead: it is never tried again |

use std::time::Duration;

use connector_sdk::{Class, Delivery, Error, Timestamp, resilience::Outcome, resilience::retry_after};
use http::{HeaderMap, StatusCode, header};

/// What an attempt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has arrived.
    Delivered,
    /// It may arrive another time; not before so long, where the endpoint says so.
    Again(Class, Option<Duration>),
    /// It will never arrive as it is.
    Dead(Class),
    /// The endpoint wants nothing any more.
    Gone,
}

/// What an answer means.
pub(super) fn of_answer(status: StatusCode, asked: Option<Duration>, retry_4xx: bool) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Delivered,
        410 => Verdict::Gone,
        429 => Verdict::Again(Class::RateLimited, asked),
        408 | 425 | 500..=599 => Verdict::Again(Class::Transient, asked),
        400..=499 if !retry_4xx => Verdict::Dead(Class::Permanent),
        _ => Verdict::Again(Class::Permanent, asked),
    }
}

/// What it means that there is no answer.
pub(super) fn of_failure(error: &Error) -> Verdict {
    match (error.class(), error.delivery()) {
        (Class::Permanent, Delivery::NotSent) => Verdict::Dead(Class::Permanent),
        (class, _) => Verdict::Again(class, None),
    }
}

/// How long the endpoint asks to wait, counted by its own clock where it shows it.
pub(super) fn asked(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let date = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    retry_after::parse(text(header::RETRY_AFTER)?, date.map_or(now, Timestamp::from))
}

/// What an answer says of the endpoint's health.
pub(super) fn health_of_answer(status: StatusCode) -> Outcome {
    match status.as_u16() {
        500..=599 => Outcome::Failure,
        200..=299 => Outcome::Success,
        _ => Outcome::Answered,
    }
}

/// What it says of the endpoint's health that there is no answer.
pub(super) fn health_of_failure(error: &Error) -> Outcome {
    match (error.class(), error.delivery()) {
        (Class::Transient, Delivery::NotSent) => Outcome::ConnectFailure,
        (Class::Transient, _) | (_, Delivery::Answered) => Outcome::Failure,
        // A certificate fails each time alike: there is no point in trying all that waits.
        (Class::Config, Delivery::NotSent) => Outcome::ConnectFailure,
        _ => Outcome::Neutral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_success_and_each_other_status_has_its_meaning() {
        for code in 100..=599 {
            let Ok(status) = StatusCode::from_u16(code) else { continue };
            let verdict = of_answer(status, None, false);
            let expected = match code {
                200..=299 => Verdict::Delivered,
                410 => Verdict::Gone,
                429 => Verdict::Again(Class::RateLimited, None),
                408 | 425 | 500.. => Verdict::Again(Class::Transient, None),
                400..=499 => Verdict::Dead(Class::Permanent),
                _ => Verdict::Again(Class::Permanent, None),
            };
            assert_eq!(verdict, expected, "{code}");
            assert_ne!(of_answer(status, None, true), Verdict::Dead(Class::Permanent), "{code}");
        }
        assert_eq!(of_answer(StatusCode::GONE, None, true), Verdict::Gone);
    }

    #[test]
    fn what_was_refused_by_the_guard_is_dead_and_what_failed_otherwise_is_not() {
        let refused = Error::permanent("deliver", "the address is not public");
        assert_eq!(of_failure(&refused), Verdict::Dead(Class::Permanent));
        let answered = Error::permanent("deliver", "the head is too large").with_delivery(Delivery::Answered);
        assert_eq!(of_failure(&answered), Verdict::Again(Class::Permanent, None));
        for error in
            [Error::transient("deliver", "reset"), Error::config("deliver", "the certificate has expired")]
        {
            assert_eq!(of_failure(&error), Verdict::Again(error.class(), None));
        }
    }

    #[test]
    fn a_date_counts_by_the_endpoints_clock() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let headers = |pairs: &[(header::HeaderName, &str)]| {
            pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        let in_30_s = (header::RETRY_AFTER, "Sat, 31 Jan 2026 13:00:30 GMT");
        let an_hour_ahead = (header::DATE, "Sat, 31 Jan 2026 13:00:00 GMT");
        assert_eq!(asked(&headers(&[in_30_s.clone(), an_hour_ahead]), now), Some(Duration::from_secs(30)));
        assert_eq!(asked(&headers(&[in_30_s]), now), Some(Duration::from_secs(3630)));
        assert_eq!(asked(&headers(&[(header::RETRY_AFTER, "120")]), now), Some(Duration::from_secs(120)));
        for nothing in ["0", "-1", "soon", "1769860920"] {
            assert_eq!(asked(&headers(&[(header::RETRY_AFTER, nothing)]), now), None, "{nothing}");
        }
    }
}
