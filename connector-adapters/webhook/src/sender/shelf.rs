//! What is kept of messages that have ended, and for how long: ids that may come again, and dead letters.

use std::{collections::VecDeque, io, time::Duration};

use connector_sdk::Timestamp;

use super::{
    outbox::{Ledger, Store},
    progress::Fate,
};

/// How long the id of a message that was delivered is known: whoever sends it again is told that it was.
const REMEMBER: Duration = Duration::from_secs(3 * 86_400);
/// How many of them, and how many dead letters, are kept at most; of more the oldest go.
const MOST: usize = 100_000;
/// How many files one sweep takes away: the disk has other things to do.
const AT_ONCE: usize = 1_000;

/// The oldest stands first.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    told: VecDeque<(Timestamp, String)>,
    dead: VecDeque<(Timestamp, String, u64)>,
    dead_bytes: u64,
    /// How much dead letters may take.
    max_dead_bytes: u64,
}

impl Shelf {
    /// What was found.
    pub(super) fn new(
        told: Vec<(Timestamp, String)>,
        dead: Vec<(Timestamp, String, u64)>,
        max_dead_bytes: u64,
    ) -> Self {
        let dead_bytes = dead.iter().map(|(_, _, bytes)| bytes).sum();
        Self { told: told.into(), dead: dead.into(), dead_bytes, max_dead_bytes }
    }

    /// One more has ended.
    pub(super) fn add(&mut self, name: String, fate: Fate, at: Timestamp, bytes: u64) {
        match fate {
            Fate::Delivered => self.told.push_back((at, name)),
            Fate::Dead => {
                self.dead.push_back((at, name, bytes));
                self.dead_bytes = self.dead_bytes.saturating_add(bytes);
            }
        }
    }

    /// What has to go now.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Overdue {
        let mut overdue = Overdue::default();
        while let Some((at, _)) = self.told.front()
            && overdue.forget.len() < AT_ONCE
            && (now.saturating_since(*at) > REMEMBER || self.told.len() > MOST)
        {
            overdue.forget.extend(self.told.pop_front());
        }
        while let Some((_, _, bytes)) = self.dead.front()
            && overdue.bury.len() < AT_ONCE
            && (self.dead.len() > MOST || self.dead_bytes > self.max_dead_bytes)
        {
            self.dead_bytes = self.dead_bytes.saturating_sub(*bytes);
            overdue.bury.extend(self.dead.pop_front().map(|(at, name, _)| (at, name)));
        }
        overdue
    }
}

/// What has to go.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    forget: Vec<(Timestamp, String)>,
    bury: Vec<(Timestamp, String)>,
}

impl Overdue {
    pub(super) fn is_empty(&self) -> bool {
        self.forget.is_empty() && self.bury.is_empty()
    }

    /// Takes it away, and says how much room that made. Under the lock: a dead letter may be taken back meanwhile.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn go(&self, store: &Store) -> io::Result<Ledger> {
        let mut gone = Ledger::default();
        for (at, name) in &self.forget {
            store.forget(name, *at)?;
        }
        for (at, name) in &self.bury {
            if let Some(bytes) = store.bury(name, *at)? {
                tracing::warn!(name, "there are too many dead letters; the oldest is given up");
                gone.add(bytes);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn ids_are_known_for_three_days_and_dead_letters_while_they_fit() {
        let mut shelf = Shelf::new(vec![(at(0), "a".to_owned())], Vec::new(), 25);
        shelf.add("b".to_owned(), Fate::Delivered, at(100), 10);
        assert!(shelf.overdue(at(3 * 86_400)).is_empty());
        let overdue = shelf.overdue(at(3 * 86_400 + 1));
        assert_eq!((overdue.forget.len(), overdue.bury.len()), (1, 0));
        for (name, seconds) in [("c", 1), ("d", 2)] {
            shelf.add(name.to_owned(), Fate::Dead, at(seconds), 10);
        }
        assert!(shelf.overdue(at(200)).is_empty());
        shelf.add("e".to_owned(), Fate::Dead, at(3), 10);
        assert_eq!(shelf.overdue(at(200)).bury, [(at(1), "c".to_owned())]);
        assert!(shelf.overdue(at(200)).is_empty());
    }
}
