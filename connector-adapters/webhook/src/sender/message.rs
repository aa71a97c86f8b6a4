//! A message: what is to be delivered, and how it stands in a file.
//!
//! ```text
//! 8f1e…(16 hex: hash of all that follows)\n
//! {"id":"msg_…","order":…,…}\n
//! the body, byte for byte as it will be sent
//! ```

use aws_lc_rs::digest;
use bytes::Bytes;
use connector_sdk::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Bytes of the hash and its line break.
const HASH: usize = 17;

/// What is known of a message besides its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// What receivers tell it apart by: the same in each attempt.
    pub(super) id: String,
    /// What kind of event it is, where the caller says so.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    pub(super) content_type: String,
    /// When it was taken into the outbox.
    pub(super) accepted_at: Timestamp,
    /// Its place among the others; grows.
    pub(super) order: u64,
}

/// A message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) head: Head,
    pub(super) body: Bytes,
}

impl Message {
    /// Tells two messages apart that have one id: their type, their content type, their body.
    pub(super) fn print(&self) -> String {
        let Head { kind, content_type, .. } = &self.head;
        let kind = kind.as_deref().unwrap_or_default();
        let mut all = Vec::with_capacity(self.body.len() + kind.len() + content_type.len() + 2);
        for part in [kind.as_bytes(), content_type.as_bytes()] {
            all.extend_from_slice(part);
            // In neither of them.
            all.push(0);
        }
        all.extend_from_slice(&self.body);
        format!("{:032x}", xxh3_128(&all))
    }

    /// As it stands in a file.
    ///
    /// # Errors
    /// Bug when its head cannot be written as JSON.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let head = serde_json::to_vec(&self.head)
            .map_err(|error| Error::bug("outbox", "a message cannot be written").with_source(error))?;
        let mut file = vec![b'0'; HASH];
        file.extend_from_slice(&head);
        file.push(b'\n');
        file.extend_from_slice(&self.body);
        let hash = format!("{:016x}\n", xxh3_64(file.get(HASH..).unwrap_or_default()));
        if let Some(place) = file.get_mut(..HASH) {
            place.copy_from_slice(hash.as_bytes());
        }
        Ok(file)
    }

    /// What a file holds; none: it is not what was written.
    pub(super) fn decode(file: Vec<u8>) -> Option<Self> {
        let file = Bytes::from(file);
        let (hash, rest) = (file.get(..HASH)?, file.get(HASH..)?);
        if hash != format!("{:016x}\n", xxh3_64(rest)).as_bytes() {
            return None;
        }
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let head = serde_json::from_slice(rest.get(..end)?).ok()?;
        Some(Self { head, body: file.slice(HASH + end + 1..) })
    }
}

/// The name of the files of a message: nothing that its id could say has a meaning to a file system.
pub(super) fn name_of(id: &str) -> String {
    let hash = digest::digest(&digest::SHA256, id.as_bytes());
    hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a name is one of [`name_of`]: other files are none of ours.
pub(super) fn is_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(id: &str, body: &[u8]) -> Message {
        let head = Head {
            id: id.to_owned(),
            kind: Some("invoice.paid".to_owned()),
            content_type: "application/json".to_owned(),
            accepted_at: Timestamp::from_millis(1_800_000_000_123),
            order: 7,
        };
        Message { head, body: Bytes::copy_from_slice(body) }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_what_is_damaged_is_not(body: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
            let message = message("msg_1", &body);
            let mut file = message.encode().unwrap();
            prop_assert_eq!(Message::decode(file.clone()), Some(message));
            let cut = file.get(..at.index(file.len())).unwrap().to_vec();
            prop_assert_eq!(Message::decode(cut), None);
            let place = at.index(file.len());
            file[place] ^= 1 << bit;
            prop_assert_eq!(Message::decode(file), None);
        }
    }

    #[test]
    fn a_print_tells_messages_apart_that_have_one_id() {
        let one = message("msg_1", b"{}");
        let mut others = vec![message("msg_1", b"{ }"); 3];
        others[1] = Message { head: Head { kind: None, ..one.head.clone() }, ..one.clone() };
        others[2] = Message {
            head: Head { content_type: "text/plain".to_owned(), ..one.head.clone() },
            ..one.clone()
        };
        for other in others {
            assert_ne!(one.print(), other.print());
        }
        let later = Message {
            head: Head { order: 8, accepted_at: Timestamp::from_millis(0), ..one.head.clone() },
            ..one.clone()
        };
        assert_eq!(one.print(), later.print());
    }

    #[test]
    fn no_id_has_a_meaning_to_a_file_system() {
        assert!(is_name(&name_of("../../etc/passwd")) && !is_name("put.lock"));
        assert_ne!(name_of("a"), name_of("b"));
    }
}
