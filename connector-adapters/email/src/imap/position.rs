//! Where a mailbox stands, of stream `messages`: what a state holds.

use connector_sdk::{Result, State};
use serde::{Deserialize, Serialize};

use super::{mailbox::MailboxStatus, uids::UidSet, utf7};

/// The version of the states of all streams.
pub(crate) const VERSION: u32 = 1;

/// Ranges of known UIDs that a state holds at most, which is about 2 MiB of it. In a mailbox with more holes than that
/// the narrowest are taken for messages, whose delete is told again.
const MOST_RANGES: usize = 100_000;

/// Where a mailbox stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// Which UIDs they are (RFC 9051, 2.3.1.1); 0: none was read yet.
    pub(crate) uid_validity: u32,
    /// Everything before it was dealt with.
    pub(crate) uid_next: u32,
    /// What vanished up to here was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) modseq: Option<u64>,
    /// How many messages there were when it was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) messages: Option<u32>,
    /// What was delivered and is there.
    pub(crate) known: UidSet,
    /// What the server calls the mailbox, where that does not follow from the partition's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<Vec<u8>>,
}

impl Position {
    /// The position that a state tells of.
    ///
    /// # Errors
    /// Config when the state is of a newer version, or cannot be decoded.
    pub(crate) fn decode(state: &State) -> Result<Self> {
        state.decode(VERSION)
    }

    /// # Errors
    /// Bug when it is larger than a state may be.
    pub(crate) fn encode(&self) -> Result<State> {
        if self.known.ranges().len() <= MOST_RANGES {
            return State::encode(VERSION, self);
        }
        let known = self.known.clone().coarsened(MOST_RANGES);
        State::encode(VERSION, &Self { known, ..self.clone() })
    }

    /// Nothing was read, of a mailbox with these UIDs.
    pub(crate) fn start(uid_validity: u32, raw: Option<Vec<u8>>) -> Self {
        Self { uid_validity, uid_next: 1, raw, ..Self::default() }
    }

    /// Whether nothing has come and nothing has gone: with the same next UID nothing came, and what has gone would be
    /// missing from the count.
    pub(crate) fn is_as(&self, status: &MailboxStatus) -> bool {
        self.uid_validity != 0
            && status.uid_validity == Some(self.uid_validity)
            && status.uid_next == Some(self.uid_next)
            && self.messages.is_some()
            && status.messages == self.messages
    }
}

/// What the server calls the mailbox of this name, where nothing else is said.
pub(crate) fn raw_name(name: &str, raw: Option<&[u8]>) -> Vec<u8> {
    raw.map_or_else(|| utf7::encode(name).into_bytes(), <[u8]>::to_vec)
}

/// What has to be kept of the server's name, because it does not follow from ours.
pub(crate) fn kept_raw(name: &str, raw: &[u8]) -> Option<Vec<u8>> {
    (utf7::encode(name).as_bytes() != raw).then(|| raw.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_text_that_people_read_and_it_comes_back_as_it_was() {
        let known: UidSet = [1, 2, 3, 5].into_iter().collect();
        let position =
            Position { uid_next: 6, modseq: Some(9), messages: Some(4), known, ..Position::start(7, None) };
        let state = position.encode().unwrap();
        assert_eq!(
            state.cursor().get(),
            r#"{"uid_validity":7,"uid_next":6,"modseq":9,"messages":4,"known":"1:3,5"}"#
        );
        assert_eq!(Position::decode(&state).unwrap(), position);
    }

    #[test]
    fn a_mailbox_is_as_it_was_only_when_all_that_was_told_says_so() {
        let position = Position { uid_next: 6, messages: Some(4), ..Position::start(7, None) };
        let same = MailboxStatus {
            messages: Some(4),
            uid_next: Some(6),
            uid_validity: Some(7),
            unseen: None,
            modseq: Some(1),
        };
        assert!(position.is_as(&same));
        for other in [
            MailboxStatus { messages: Some(3), ..same },
            MailboxStatus { uid_next: Some(7), ..same },
            MailboxStatus { uid_validity: Some(8), ..same },
            MailboxStatus { messages: None, ..same },
            MailboxStatus { uid_next: None, ..same },
        ] {
            assert!(!position.is_as(&other), "{other:?}");
        }
        let unfinished = Position { messages: None, ..position };
        assert!(!unfinished.is_as(&same) && !unfinished.is_as(&MailboxStatus { messages: None, ..same }));
    }

    #[test]
    fn a_name_that_does_not_come_back_is_kept() {
        assert_eq!(kept_raw("Entwürfe", b"Entw&APw-rfe"), None);
        assert_eq!(kept_raw("A&B", b"A&B"), Some(b"A&B".to_vec()));
        assert_eq!(raw_name("A&B", Some(b"A&B")), b"A&B");
        assert_eq!(raw_name("Entwürfe", None), b"Entw&APw-rfe");
    }
}
