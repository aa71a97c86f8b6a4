//! The Date field as one instant.

use jiff::fmt::rfc2822::DateTimeParser;
use mail_parser::{HeaderValue, parsers::MessageStream};

use super::words;

/// No date is longer; what is behind it is a comment at most.
const LONGEST: usize = 256;

/// By the RFC; the name of the day may be wrong. What is not by the RFC is left to mail-parser, which takes nearly anything,
/// but no time without seconds.
static STRICT: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// The instant of a date (RFC 5322 §3.3 and the obsolete forms of §4.3), as `2026-11-22T05:45:00Z`. `None` where it says
/// none: no zone, no month, the 31st of February.
pub(super) fn utc(value: &[u8]) -> Option<String> {
    let text = words::text(&value[..value.len().min(LONGEST)]).text;
    if let Ok(instant) = STRICT.parse_timestamp(&*text) {
        return Some(instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    // It reads up to the end of the field.
    let line = format!("{text}\n");
    let HeaderValue::DateTime(date) = MessageStream::new(line.as_bytes()).parse_date() else { return None };
    let mut date = date;
    // A leap second has no name here.
    date.second = date.second.min(59);
    if !date.is_valid() || date.day > days(date.year, date.month) {
        return None;
    }
    let mut utc = mail_parser::DateTime::from_timestamp(date.to_timestamp());
    utc.tz_before_gmt = false;
    (1..=9999).contains(&utc.year).then(|| utc.to_rfc3339())
}

fn days(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
