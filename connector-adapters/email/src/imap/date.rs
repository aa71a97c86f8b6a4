//! When a server took a message in: `20-Nov-2026 09:41:01 +0000` (RFC 9051, 9, "date-time").

use connector_sdk::Timestamp;
use jiff::{
    civil,
    tz::{Offset, TimeZone},
};

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// The instant; none where the text is something else. Servers leave out the leading zero or space of the day.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let mut date = date.split('-');
    let day: i8 = date.next()?.parse().ok()?;
    let month = date.next()?;
    let month = MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month.as_bytes()))?;
    let year: i16 = date.next()?.parse().ok()?;
    let mut time = time.split(':').map(|number| number.parse::<i8>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let is_west = zone.starts_with('-');
    let zone = zone.strip_prefix(['+', '-'])?;
    let (hours, minutes) = (zone.get(..2)?.parse::<i32>().ok()?, zone.get(2..4)?.parse::<i32>().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    let offset = Offset::from_seconds(if is_west { -seconds } else { seconds }).ok()?;
    // A leap second is the last one of its minute.
    let civil =
        civil::DateTime::new(year, i8::try_from(month).ok()? + 1, day, hour, minute, second.min(59), 0);
    let instant = civil.ok()?.to_zoned(TimeZone::fixed(offset)).ok()?;
    Some(Timestamp::from_millis(instant.timestamp().as_millisecond()))
}

/// The day on which it is in UTC, as SEARCH wants it, so many days earlier.
pub(crate) fn day(instant: Timestamp, earlier: i64) -> Option<String> {
    let millis = instant.as_millis().saturating_sub(earlier.saturating_mul(86_400_000));
    let instant = jiff::Timestamp::from_millisecond(millis).ok()?;
    let date = instant.to_zoned(TimeZone::UTC).date();
    let month = MONTHS.get(usize::try_from(date.month()).ok()?.checked_sub(1)?)?;
    Some(format!("{}-{}-{:04}", date.day(), std::str::from_utf8(month).ok()?, date.year().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        for (text, instant) in [
            ("20-Nov-2026 09:41:01 +0000", "2026-11-20T09:41:01Z"),
            (" 1-Feb-2026 00:00:00 -0530", "2026-02-01T05:30:00Z"),
            ("1-feb-2026 23:59:60 +0100", "2026-02-01T22:59:59Z"),
            ("31-Dec-1969 23:00:00 -0200", "1970-01-01T01:00:00Z"),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(instant.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "20-Nov-2026",
            "31-Feb-2026 00:00:00 +0000",
            "1-Foo-2026 00:00:00 +0000",
            "1-Feb-2026 00:00:00 +9",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_day_is_that_of_search() {
        let noon = "2026-03-01T12:00:00Z".parse().unwrap();
        assert_eq!(day(noon, 0).as_deref(), Some("1-Mar-2026"));
        assert_eq!(day(noon, 1).as_deref(), Some("28-Feb-2026"));
    }
}
