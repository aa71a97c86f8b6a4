//! Where a mailbox stands, of stream `flags`: what a state holds.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use connector_sdk::{Result, State};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::imap::{mailbox::MailboxStatus, position::VERSION, uids::UidSet};

/// Messages whose flags are compared where the server does not count changes: the newest.
pub(super) const WINDOW: usize = 10_000;

/// Where a mailbox stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    /// 0: nothing was read yet.
    pub(crate) uid_validity: u32,
    /// Everything before it was told at least once.
    pub(crate) uid_next: u32,
    /// Changes up to here were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) modseq: Option<u64>,
    /// How many messages there were when it was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<u32>,
    /// What was told and is there.
    pub(crate) known: UidSet,
    /// What flags the newest had, where the server does not count changes.
    #[serde(default, skip_serializing_if = "Seen::is_empty")]
    pub(crate) seen: Seen,
    /// What the server calls the mailbox, where that does not follow from the partition's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<Vec<u8>>,
}

impl Standing {
    /// # Errors
    /// Config when the state is of a newer version, or cannot be decoded.
    pub(crate) fn decode(state: &State) -> Result<Self> {
        state.decode(VERSION)
    }

    /// # Errors
    /// Bug when it is larger than a state may be.
    pub(super) fn encode(&self) -> Result<State> {
        State::encode(VERSION, self)
    }

    pub(super) fn start(uid_validity: u32, raw: Option<Vec<u8>>) -> Self {
        Self { uid_validity, uid_next: 1, raw, ..Self::default() }
    }

    /// Whether no flag has changed, and nothing has come or gone, as far as the server says.
    pub(crate) fn is_as(&self, status: &MailboxStatus) -> bool {
        self.uid_validity != 0
            && status.uid_validity == Some(self.uid_validity)
            && status.uid_next == Some(self.uid_next)
            && self.messages.is_some()
            && status.messages == self.messages
            && self.modseq.is_some()
            && status.modseq == self.modseq
    }
}

/// A hash of the flags of each of the newest messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<u32, u32>);

#[derive(Serialize, Deserialize)]
struct Written {
    uids: UidSet,
    hashes: String,
}

impl Seen {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether these flags are other than those that were seen; they are from now on. The oldest is forgotten when
    /// there are too many.
    pub(super) fn differ(&mut self, uid: u32, flags: &[String]) -> bool {
        let hash = hash(flags);
        let was = self.0.insert(uid, hash);
        if self.0.len() > WINDOW {
            self.0.pop_first();
        }
        was != Some(hash)
    }

    pub(super) fn uids(&self) -> UidSet {
        self.0.keys().copied().collect()
    }

    pub(super) fn forget(&mut self, gone: &UidSet) {
        self.0.retain(|uid, _| !gone.contains(*uid));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// FNV-1a: small, and the same in every release. That two sets of flags of one message are taken for the same, it takes
/// one of four thousand million changes.
fn hash(flags: &[String]) -> u32 {
    let bytes = flags.iter().flat_map(|flag| flag.bytes().chain(std::iter::once(b' ')));
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.values().flat_map(|hash| hash.to_be_bytes()).collect();
        Written { uids: self.uids(), hashes: STANDARD_NO_PAD.encode(bytes) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let bytes = STANDARD_NO_PAD.decode(&written.hashes).map_err(de::Error::custom)?;
        let (hashes, odd) = bytes.as_chunks::<4>();
        if !odd.is_empty() || written.uids.len() != hashes.len() as u64 {
            return Err(de::Error::custom("as many hashes are needed as UIDs"));
        }
        Ok(Self(written.uids.iter().zip(hashes.iter().map(|hash| u32::from_be_bytes(*hash))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn flags_that_were_seen_are_known_after_they_were_written_down() {
        let mut seen = Seen::default();
        assert!(seen.differ(7, &flags(&["\\Seen"])) && seen.differ(9, &[]));
        let mut read: Seen = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
        assert_eq!(read, seen);
        assert!(!read.differ(7, &flags(&["\\Seen"])) && read.differ(9, &flags(&["a", "b"])));
        assert!(read.differ(9, &flags(&["a b"])) || read.differ(9, &flags(&["ab"])));
        read.forget(&UidSet::range(1..=8));
        assert_eq!(read.uids().to_string(), "9");
        assert!(serde_json::from_str::<Seen>(r#"{"uids":"1:2","hashes":"AAAAAA"}"#).is_err());
    }

    #[test]
    fn only_the_newest_are_remembered() {
        let mut seen = Seen::default();
        for uid in 1..=u32::try_from(WINDOW).unwrap() + 5 {
            seen.differ(uid, &[]);
        }
        assert_eq!(seen.uids().to_string(), "6:10005");
        assert!(serde_json::to_string(&seen).unwrap().len() < 60_000);
    }
}
