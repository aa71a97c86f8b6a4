//! Count and hash of records: the proof that what was read is what was encoded (rule D-05).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Batch, Operation};

/// Count and hash of a number of records.
///
/// The hash of a record is XXH3-64 of its bytes, seeded with that of its key, seeded with its operation;
/// a tally adds them up, wrapping, so that tallies of parts add up to that of the whole.
///
/// ```
/// use connector_sdk::record::{BatchBuilder, Tally};
/// let mut batch = BatchBuilder::new("s".into());
/// batch.upsert(br#"{"id":1}"#, br#"{"id":1}"#, None);
/// let tally = Tally::of(&batch.build());
/// assert_eq!(tally.count, 1);
/// assert_ne!(tally.hash, 0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many records.
    pub count: u64,
    /// The sum of their hashes.
    pub hash: u64,
}

impl Tally {
    /// The tally of a batch.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let mut tally = Self::default();
        for record in batch.iter() {
            tally.add(record.operation, record.key.unwrap_or_default(), record.record.unwrap_or_default());
        }
        tally
    }

    /// Adds a record.
    pub fn add(&mut self, operation: Operation, key: &[u8], record: &[u8]) {
        self.count += 1;
        let seed = xxh3_64_with_seed(key, operation as u64);
        self.hash = self.hash.wrapping_add(xxh3_64_with_seed(record, seed));
    }

    /// Adds the tally of other records.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.hash = self.hash.wrapping_add(other.hash);
    }

    /// The hash as 16 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        format!("{:016x}", self.hash)
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    count: u64,
    hash: String,
}

// As text, because a JSON number beyond 2^53 does not survive every reader.
impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { count: self.count, hash: self.hex() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tally {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let hash = u64::from_str_radix(&written.hash, 16).map_err(de::Error::custom)?;
        Ok(Self { count: written.count, hash })
    }
}
