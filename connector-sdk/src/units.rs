//! Sizes and durations as people write them in a template: `64MiB`, `250ms`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const BYTE_UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const PERIOD_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A number of bytes: `64MiB` in text, or a bare number.
///
/// Units are B, KiB, MiB, GiB and TiB, powers of 1,024; others are errors, because people disagree on them.
///
/// ```
/// use connector_sdk::ByteSize;
/// let size: ByteSize = "64MiB".parse().unwrap();
/// assert_eq!(size, ByteSize(67_108_864));
/// assert_eq!(size.to_string(), "64MiB");
/// assert_eq!(serde_json::from_str::<ByteSize>("1536").unwrap().to_string(), "1536B");
/// assert!("64MB".parse::<ByteSize>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

/// A length of time, to the millisecond: `250ms`, `10s`, `10m`, `12h`, `7d`.
///
/// A bare number is an error, because nobody can see what it counts.
///
/// ```
/// use connector_sdk::Period;
/// use std::time::Duration;
/// let period: Period = "10m".parse().unwrap();
/// assert_eq!(period, Period(Duration::from_secs(600)));
/// assert_eq!(period.to_string(), "10m");
/// assert_eq!(Period(Duration::from_millis(1_500)).to_string(), "1500ms");
/// assert!(serde_json::from_str::<Period>("10").is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(pub Duration);

/// The text is no size, or no length of time, as a template writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}")]
pub struct InvalidUnit {
    text: String,
    kind: &'static str,
}

impl ByteSize {
    const KIND: &str = "size such as 64MiB or 1024 (units: B, KiB, MiB, GiB, TiB)";

    /// So many MiB.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes, at most as many as memory can hold.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Period {
    const KIND: &str = "length of time such as 250ms or 10m (units: ms, s, m, h, d)";

    /// So many seconds.
    #[must_use]
    pub const fn secs(count: u64) -> Self {
        Self(Duration::from_secs(count))
    }
}

/// A whole number and a unit, with or without a space between them.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The largest unit that leaves a whole number.
fn write(f: &mut fmt::Formatter<'_>, count: u64, units: &[(&str, u64)], zero: &str) -> fmt::Result {
    match units.iter().find(|(_, factor)| count != 0 && count.is_multiple_of(*factor)) {
        Some((name, factor)) => write!(f, "{}{name}", count / factor),
        None => f.write_str(zero),
    }
}

impl FromStr for ByteSize {
    type Err = InvalidUnit;
    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        parse(text, &BYTE_UNITS)
            .or_else(|| text.trim().parse().ok())
            .map(Self)
            .ok_or_else(|| InvalidUnit { text: text.to_owned(), kind: Self::KIND })
    }
}

impl FromStr for Period {
    type Err = InvalidUnit;
    fn from_str(text: &str) -> Result<Self, InvalidUnit> {
        parse(text, &PERIOD_UNITS)
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or_else(|| InvalidUnit { text: text.to_owned(), kind: Self::KIND })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &BYTE_UNITS, "0B")
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &PERIOD_UNITS, "0ms")
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct Visitor<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = InvalidUnit> + FromNumber> de::Visitor<'_> for Visitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ")?;
        f.write_str(T::EXPECTED)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_type(de::Unexpected::Unsigned(number), &self))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let unsigned = u64::try_from(number).ok().and_then(T::from_number);
        unsigned.ok_or_else(|| E::invalid_type(de::Unexpected::Signed(number), &self))
    }
}

/// What a bare number means.
trait FromNumber: Sized {
    const EXPECTED: &'static str;
    fn from_number(number: u64) -> Option<Self>;
}

impl FromNumber for ByteSize {
    const EXPECTED: &'static str = Self::KIND;
    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

impl FromNumber for Period {
    const EXPECTED: &'static str = Self::KIND;
    fn from_number(_: u64) -> Option<Self> {
        None
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes, such as 64MiB or 1024.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^\\s*[0-9]+\\s*(B|KiB|MiB|GiB|TiB)?\\s*$" },
            ],
        })
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time, such as 250ms or 10m.",
            "type": "string",
            "pattern": "^\\s*[0-9]+\\s*(ms|s|m|h|d)\\s*$",
        })
    }
}

#[cfg(test)]
mod tests;
