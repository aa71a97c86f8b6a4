//! Date-times as Salesforce writes them: `2024-01-31T10:20:30.000+0000`, always 28 characters, always UTC.
//! So their order as text is their order in time, which filters and sorting rely on.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Length of a written date-time.
pub(super) const LENGTH: usize = 28;

/// Appends `millis` (since the epoch) as REST writes it. Times outside the years 0 to 9999 become the epoch.
pub(super) fn write(out: &mut String, millis: i64) {
    let at = Offset::UTC.to_datetime(Timestamp::from_millisecond(millis).unwrap_or_default());
    let (date, time) = (at.date(), at.time());
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    );
}

/// The same as a new text.
pub(super) fn text(millis: i64) -> String {
    let mut out = String::with_capacity(LENGTH);
    write(&mut out, millis);
    out
}

/// Reads a SOQL date-time literal or a value of the API: `2024-01-01T00:00:00`, an optional fraction, then
/// `Z`, `+00:00` or `+0000`. Anything else is no date-time.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (civil, rest) = text.split_at_checked(19)?;
    if civil.as_bytes()[10] != b'T' {
        return None;
    }
    let civil: DateTime = civil.parse().ok()?;
    let digits = rest
        .strip_prefix('.')
        .map_or("", |fraction| &fraction[..fraction.bytes().take_while(u8::is_ascii_digit).count()]);
    let zone = if digits.is_empty() { rest } else { &rest[1 + digits.len()..] };
    let fraction: i64 = if digits.is_empty() { 0 } else { format!("{digits:0<3}").get(..3)?.parse().ok()? };
    let offset = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let minutes = match rest {
                [a, b, c, d] | [a, b, b':', c, d] => two(*a, *b)? * 60 + two(*c, *d)?,
                _ => return None,
            };
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let local = Offset::UTC.to_timestamp(civil).ok()?;
    let utc = local.checked_sub(SignedDuration::from_mins(offset)).ok()?;
    Some(utc.as_millisecond() + fraction)
}

/// Whether this is a date literal, `2024-01-31`.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::{parse, text};

    #[test]
    fn every_form_the_vendor_accepts_is_the_same_moment() {
        for form in [
            "2024-01-31T10:20:30Z",
            "2024-01-31T10:20:30.000Z",
            "2024-01-31T10:20:30.0Z",
            "2024-01-31T10:20:30+00:00",
            "2024-01-31T10:20:30.000+0000",
            "2024-01-31T12:20:30+02:00",
            "2024-01-31T02:20:30.000-0800",
        ] {
            assert_eq!(parse(form).map(text).as_deref(), Some("2024-01-31T10:20:30.000+0000"), "{form}");
        }
        assert_eq!(
            parse("2024-01-31T10:20:30.250Z").map(text).as_deref(),
            Some("2024-01-31T10:20:30.250+0000")
        );
    }

    #[test]
    fn a_time_without_a_zone_or_with_a_decoded_plus_is_none() {
        for form in
            ["2024-01-31T10:20:30", "2024-01-31T10:20:30 00:00", "2024-01-31", "2024-13-31T10:20:30Z", "é"]
        {
            assert_eq!(parse(form), None, "{form}");
        }
    }
}
