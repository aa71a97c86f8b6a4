//! Where a reader stands, for a state that outlives the process, and perhaps the journal.

use serde::{Deserialize, Serialize};

use super::Journal;

/// A place in a journal, as a state keeps it. A position alone is not enough: the folder may be another journal's by now,
/// or an older copy of this one that somebody has restored, whose next events get positions that were read before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Which journal.
    journal: String,
    /// The last position that was read.
    read_to: u64,
    /// In which of the journal's lives.
    #[serde(default)]
    opening: String,
}

impl Bookmark {
    /// The last position that was read.
    #[must_use]
    pub fn read_to(&self) -> u64 {
        self.read_to
    }
}

impl Journal {
    /// The place after this position.
    #[must_use]
    pub fn bookmark(&self, position: u64) -> Bookmark {
        Bookmark { journal: self.id(), read_to: position, opening: format!("{:016x}", self.opening.0) }
    }

    /// The position that a bookmark means here; 0 where it is another journal's.
    ///
    /// In a copy that is older than the bookmark, all that the copy held when it was opened was read before, and what has
    /// come since was not. Who is told another position than the bookmark's makes a state of it at once: in the journal's
    /// next life the old one would mean something else.
    #[must_use]
    pub fn position(&self, bookmark: &Bookmark) -> u64 {
        let (opening, held) = self.opening;
        if bookmark.journal != self.id() {
            tracing::warn!("the journal is another one than at the last time; it is read from its beginning");
            return 0;
        }
        if bookmark.opening != format!("{opening:016x}") && bookmark.read_to > held {
            tracing::warn!(
                read_to = bookmark.read_to,
                held,
                "the journal is an older copy of itself: what it lost by that, and was not in Bronze, is gone"
            );
            return held;
        }
        bookmark.read_to
    }
}
