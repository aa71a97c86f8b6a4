//! The header with the signatures.

use crate::scheme::{
    Refused,
    config::{MOST, MOST_ASYMMETRIC},
    encoding,
};

/// The signatures of the versions that are known here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tags {
    pub(super) v1: Vec<[u8; 32]>,
    pub(super) v1a: Vec<[u8; 64]>,
}

impl Tags {
    /// Reads `version,signature`, one after the other with one space between them. What is of another version says
    /// nothing; one that is known and not well written makes the whole header wrong.
    pub(super) fn read(list: &str) -> Result<Self, Refused> {
        let malformed = || Refused::malformed("the signature is none of Standard Webhooks");
        let mut tags = Self::default();
        for (count, entry) in list.split(' ').enumerate() {
            if count == MOST {
                return Err(Refused::malformed("there are too many signatures"));
            }
            match entry.split_once(',').ok_or_else(malformed)? {
                ("v1a", _) if tags.v1a.len() == MOST_ASYMMETRIC => {
                    return Err(Refused::malformed("there are too many signatures"));
                }
                ("v1", tag) => tags.v1.push(encoding::unbase64(tag).ok_or_else(malformed)?),
                ("v1a", tag) => tags.v1a.push(encoding::unbase64(tag).ok_or_else(malformed)?),
                ("", _) | (_, "") => return Err(malformed()),
                _ => {}
            }
        }
        match tags == Self::default() {
            true => Err(Refused::unauthorized("there is no signature of a version that is known here")),
            false => Ok(tags),
        }
    }
}
