//! What was delivered inside a look-back window, so that reading it again repeats nothing (rule D-08).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::RecordView;

/// The most records that are remembered.
pub const SEEN_LIMIT: usize = 50_000;

/// Remembers records by a 128-bit hash of key, cursor and content, by the time they changed.
///
/// Two edits with one timestamp are two records: their content differs. Beyond [`SEEN_LIMIT`] records it
/// forgets the oldest: repeats of those are emitted again and counted, never lost.
///
/// ```
/// use connector_sdk::record::{Operation, RecordView, Seen};
/// let record = RecordView {
///     operation: Operation::Upsert,
///     record: Some(br#"{"Id":"1"}"#), key: Some(br#"{"Id":"1"}"#), cursor: Some(b"\"t\""),
///     source_timestamp: Some(1_000),
/// };
/// let mut seen = Seen::default();
/// assert!(!seen.contains(&record));
/// seen.insert(&record);
/// assert!(seen.contains(&record));
/// seen.forget_before(1_001);
/// assert!(!seen.contains(&record));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// By the time of change in milliseconds, then by hash.
    hashes: BTreeMap<(i64, u128), ()>,
}

impl Seen {
    /// Whether this very version of the record was delivered.
    #[must_use]
    pub fn contains(&self, record: &RecordView<'_>) -> bool {
        !self.hashes.is_empty() && self.hashes.contains_key(&entry(record))
    }

    /// Remembers that it was delivered.
    pub fn insert(&mut self, record: &RecordView<'_>) {
        self.hashes.insert(entry(record), ());
        if self.hashes.len() > SEEN_LIMIT {
            self.hashes.pop_first();
        }
    }

    /// Takes in what another has remembered.
    pub fn merge(&mut self, other: Self) {
        self.hashes.extend(other.hashes);
        while self.hashes.len() > SEEN_LIMIT {
            self.hashes.pop_first();
        }
    }

    /// Forgets what changed before this instant, in milliseconds UTC.
    pub fn forget_before(&mut self, millis: i64) {
        self.hashes = self.hashes.split_off(&(millis, 0));
    }

    /// How many records are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

fn entry(record: &RecordView<'_>) -> (i64, u128) {
    let part = |bytes: Option<&[u8]>, seed: u64| xxh3_128_with_seed(bytes.unwrap_or_default(), seed);
    let key = part(record.key, record.operation as u64);
    let cursor = part(record.cursor, fold(key));
    (record.source_timestamp.unwrap_or(i64::MIN), part(record.record, fold(cursor)) ^ key)
}

fn fold(hash: u128) -> u64 {
    let bytes = hash.to_le_bytes();
    let (low, high) = bytes.split_at(8);
    let half = |part: &[u8]| part.iter().rev().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    half(low) ^ half(high)
}

/// Written as base64 of 24 bytes each: a state is written with every commit, so it has to be small.
impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.hashes.len() * 24);
        for (millis, hash) in self.hashes.keys() {
            bytes.extend_from_slice(&millis.to_le_bytes());
            bytes.extend_from_slice(&hash.to_le_bytes());
        }
        serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(text.as_bytes()).map_err(de::Error::custom)?;
        let (entries, rest) = bytes.as_chunks::<24>();
        if !rest.is_empty() {
            return Err(de::Error::custom("the remembered records end in the middle of one"));
        }
        let hashes = entries.iter().map(|entry| {
            let [millis, low, high] = [0, 8, 16].map(|at| {
                let mut eight = [0u8; 8];
                eight.copy_from_slice(entry.get(at..at + 8).unwrap_or(&[0; 8]));
                u64::from_le_bytes(eight)
            });
            ((millis.cast_signed(), u128::from(low) | (u128::from(high) << 64)), ())
        });
        Ok(Self { hashes: hashes.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Operation;

    fn record(cursor: i64, body: &'static [u8]) -> RecordView<'static> {
        RecordView {
            operation: Operation::Upsert,
            record: Some(body),
            key: Some(b"{\"Id\":\"1\"}"),
            cursor: Some(b"\"c\""),
            source_timestamp: Some(cursor),
        }
    }

    #[test]
    fn it_is_empty_until_something_is_remembered() {
        let mut seen = Seen::default();
        assert_eq!((seen.is_empty(), seen.len()), (true, 0));
        seen.insert(&record(1, b"{}"));
        assert!(!seen.is_empty() && seen.len() == 1);
    }

    #[test]
    fn d_08_two_edits_with_one_timestamp_are_two_records() {
        let mut seen = Seen::default();
        seen.insert(&record(1, b"{\"a\":1}"));
        assert!(!seen.contains(&record(1, b"{\"a\":2}")));
    }

    #[test]
    fn it_survives_being_written_and_read() {
        let mut seen = Seen::default();
        seen.insert(&record(-1, b"1"));
        seen.insert(&record(i64::MAX, b"2"));
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        assert!(serde_json::from_str::<Seen>("\"AAAA\"").is_err());
    }

    #[test]
    fn d_08_beyond_the_limit_the_oldest_is_forgotten() {
        let mut seen = Seen::default();
        for millis in 0..=i64::try_from(SEEN_LIMIT).unwrap() {
            seen.insert(&record(millis, b"{}"));
        }
        assert_eq!(seen.len(), SEEN_LIMIT);
        assert!(!seen.contains(&record(0, b"{}")));
    }
}
