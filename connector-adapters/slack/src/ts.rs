//! `ts`: the name of a message in its channel, and its time.
//!
//! The vendor writes seconds and microseconds with a point between them, as text. A float loses its last digits, and with
//! them messages; here it is a whole number of microseconds, which is written as the vendor writes it.

use std::{fmt, str::FromStr, time::Duration};

use connector_sdk::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Digits behind the point.
const DIGITS: usize = 6;
const PER_SECOND: u64 = 1_000_000;

/// A message's `ts`; ordered as its channel is.
///
/// It is written as `1512085950.000216`, and read from the same with at most six digits behind the point, or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Ts(u64);

/// The text is no `ts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoTs;

impl Ts {
    /// Before every message.
    pub(crate) const ZERO: Self = Self(0);
    /// After every message: in the year 2286.
    pub(crate) const FOREVER: Self = Self(9_999_999_999 * PER_SECOND);

    /// Microseconds since 1970.
    pub(crate) const fn micros(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The JSON text of a field, quotes included.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        Self::read(json.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let digits = |text: &[u8]| {
            text.iter().try_fold(0u64, |sum, byte| {
                let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
                sum.checked_mul(10)?.checked_add(digit)
            })
        };
        let point = text.iter().position(|byte| *byte == b'.');
        let (seconds, fraction) = match point {
            Some(at) => (text.get(..at)?, text.get(at + 1..)?),
            None => (text, &b""[..]),
        };
        if seconds.is_empty() || fraction.len() > DIGITS || (point.is_some() && fraction.is_empty()) {
            return None;
        }
        let scale = 10u64.pow(u32::try_from(DIGITS - fraction.len()).ok()?);
        digits(seconds)?.checked_mul(PER_SECOND)?.checked_add(digits(fraction)?.checked_mul(scale)?).map(Self)
    }

    /// The next one that there can be.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The last one before it.
    pub(crate) fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(self) -> i64 {
        i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX)
    }

    pub(crate) fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// A time to the millisecond; one before 1970 is the beginning.
impl From<Timestamp> for Ts {
    fn from(time: Timestamp) -> Self {
        Self(u64::try_from(time.as_millis()).unwrap_or(0).saturating_mul(1_000))
    }
}

impl FromStr for Ts {
    type Err = NoTs;

    fn from_str(text: &str) -> Result<Self, NoTs> {
        Self::read(text.as_bytes()).ok_or(NoTs)
    }
}

impl fmt::Display for NoTs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no `ts` such as 1512085950.000216")
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / PER_SECOND, self.0 % PER_SECOND)
    }
}

impl fmt::Debug for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Ts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost_and_the_order_is_that_of_time() {
        let texts = ["999999999.999999", "1512085950.000215", "1512085950.000216", "9007199254740.999999"];
        let all: Vec<Ts> = texts.iter().map(|text| text.parse().unwrap()).collect();
        assert!(all.is_sorted() && all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
        for (ts, text) in all.iter().zip(texts) {
            assert_eq!(ts.to_string(), text);
            let json = serde_json::to_string(ts).unwrap();
            assert_eq!((json.as_str(), Ts::from_json(json.as_bytes())), (&*format!("\"{text}\""), Some(*ts)));
            assert_eq!(serde_json::from_str::<Ts>(&json).unwrap(), *ts);
        }
    }

    #[test]
    fn fewer_digits_are_read_for_what_they_mean_and_anything_else_is_none() {
        assert_eq!("5.1".parse::<Ts>().unwrap().to_string(), "5.100000");
        assert_eq!("0".parse(), Ok(Ts::ZERO));
        for bad in ["", ".", "5.", ".5", "1.0000001", "1e9", "-1.0", "1.0 ", "99999999999999999999.0"] {
            assert_eq!(bad.parse::<Ts>(), Err(NoTs), "{bad}");
        }
        assert_eq!(Ts::from_json(b"1512085950.000216"), None, "a number has lost digits already");
        assert_eq!(Ts::from(Timestamp::from_millis(1_500)).to_string(), "1.500000");
        assert_eq!(Ts::from(Timestamp::from_millis(-1)), Ts::ZERO);
        let later: Ts = "61.5".parse().unwrap();
        assert_eq!(later.saturating_sub(Duration::from_secs(60)).to_string(), "1.500000");
        assert_eq!(later.millis(), 61_500);
    }
}
