//! What is kept of messages that have ended, and for how long: ids that may come again, and dead letters.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    time::Duration,
};

use connector_sdk::Timestamp;

use super::{
    outbox::{Ledger, Store},
    progress::Fate,
};

/// How long the id of a message that was delivered is known: whoever sends it again is told that it was.
const REMEMBER: Duration = Duration::from_secs(3 * 86_400);
/// How many of them at most: each is a file. Of more the oldest are forgotten.
const MOST_TOLD: usize = 100_000;
/// How many dead letters there may be: nothing is sent while there are more, because an endpoint that refuses all for a
/// while must not make us lose what was accepted.
const MOST_DEAD: usize = 100_000;
/// How many files one sweep takes away: the disk has other things to do.
const AT_ONCE: usize = 1_000;

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// The oldest first.
    told: VecDeque<(Timestamp, String, u64)>,
    told_bytes: u64,
    /// How much they may take.
    max_told_bytes: u64,
    dead: BTreeMap<String, (Timestamp, u64)>,
    dead_bytes: u64,
    /// How much dead letters may take.
    max_dead_bytes: u64,
    /// How long they are kept.
    keep_dead: Duration,
}

impl Shelf {
    /// What was found, in an outbox of this size: dead letters may take half of it, and what is known of those that were
    /// delivered a fourth besides.
    pub(super) fn new(
        told: Vec<(Timestamp, String, u64)>,
        dead: BTreeMap<String, (Timestamp, u64)>,
        max_size: u64,
        keep_dead: Duration,
    ) -> Self {
        let dead_bytes = dead.values().map(|(_, bytes)| bytes).sum();
        let told_bytes = told.iter().map(|(_, _, bytes)| bytes).sum();
        Self {
            told: told.into(),
            told_bytes,
            max_told_bytes: max_size / 4,
            dead,
            dead_bytes,
            max_dead_bytes: max_size / 2,
            keep_dead,
        }
    }

    /// One more has ended: with so many bytes as a message, and so many as an end.
    pub(super) fn add(&mut self, name: String, fate: Fate, at: Timestamp, bytes: u64, end_bytes: u64) {
        self.lift(&name);
        match fate {
            Fate::Delivered => {
                self.told.push_back((at, name, end_bytes));
                self.told_bytes = self.told_bytes.saturating_add(end_bytes);
            }
            Fate::Dead => {
                self.dead.insert(name, (at, bytes));
                self.dead_bytes = self.dead_bytes.saturating_add(bytes);
            }
        }
    }

    /// One is no dead letter any more.
    pub(super) fn lift(&mut self, name: &str) {
        if let Some((_, bytes)) = self.dead.remove(name) {
            self.dead_bytes = self.dead_bytes.saturating_sub(bytes);
        }
    }

    /// Whether there are as many dead letters as there may be.
    pub(super) fn is_full(&self) -> bool {
        self.dead.len() >= MOST_DEAD || self.dead_bytes >= self.max_dead_bytes
    }

    /// Only these are dead letters yet: others have been taken back, or discarded, by another process.
    pub(super) fn retain(&mut self, names: &BTreeSet<String>) {
        self.dead.retain(|name, _| names.contains(name));
        self.dead_bytes = self.dead.values().map(|(_, bytes)| bytes).sum();
    }

    /// What has to go now.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Overdue {
        let mut overdue = Overdue::default();
        while let Some((at, _, bytes)) = self.told.front()
            && overdue.forget.len() < AT_ONCE
            && (now.saturating_since(*at) > REMEMBER
                || self.told.len() > MOST_TOLD
                || self.told_bytes > self.max_told_bytes)
        {
            self.told_bytes = self.told_bytes.saturating_sub(*bytes);
            overdue.forget.extend(self.told.pop_front().map(|(at, name, _)| (at, name)));
        }
        let old = self.dead.iter().filter(|(_, (at, _))| now.saturating_since(*at) > self.keep_dead);
        overdue.bury = old.take(AT_ONCE).map(|(name, (at, _))| (*at, name.clone())).collect();
        overdue.bury.iter().for_each(|(_, name)| self.lift(name));
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

    /// What is left of it when some more has to go.
    pub(super) fn join(&mut self, mut more: Self) {
        self.forget.append(&mut more.forget);
        self.bury.append(&mut more.bury);
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
            if let Some(bytes) = store.bury(name, Some(*at))? {
                gone.add(bytes);
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: Duration = Duration::from_secs(30 * 86_400);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(0) + Duration::from_secs(seconds)
    }

    fn shelf(told: Vec<(Timestamp, String, u64)>) -> Shelf {
        Shelf::new(told, BTreeMap::new(), 50, MONTH)
    }

    #[test]
    fn ids_are_known_for_three_days_and_dead_letters_for_a_month() {
        let mut shelf = shelf(vec![(at(1), "a".to_owned(), 1)]);
        shelf.add("b".to_owned(), Fate::Delivered, at(100), 10, 1);
        shelf.add("c".to_owned(), Fate::Dead, at(100), 10, 1);
        assert!(shelf.overdue(at(3 * 86_400 + 1)).is_empty());
        let overdue = shelf.overdue(at(3 * 86_400 + 2));
        assert_eq!((overdue.forget.len(), overdue.bury.len()), (1, 0));
        let overdue = shelf.overdue(at(100) + MONTH + Duration::from_secs(1));
        assert_eq!(overdue.bury, [(at(100), "c".to_owned())]);
        assert_eq!(shelf.dead_bytes, 0);
    }

    #[test]
    fn what_endpoints_have_answered_takes_no_more_than_its_share_of_the_disk() {
        let mut shelf = shelf(vec![(at(1), "a".to_owned(), 8)]);
        shelf.add("b".to_owned(), Fate::Delivered, at(2), 1, 8);
        assert_eq!(shelf.overdue(at(3)).forget, [(at(1), "a".to_owned())]);
        assert!(shelf.overdue(at(3)).is_empty());
    }

    #[test]
    fn dead_letters_are_never_given_up_for_others_and_one_counts_once_however_often_it_dies() {
        let mut shelf = shelf(Vec::new());
        for seconds in 1..10 {
            shelf.add("a".to_owned(), Fate::Dead, at(seconds), 10, 1);
        }
        assert!(!shelf.is_full() && shelf.overdue(at(100)).is_empty());
        shelf.add("b".to_owned(), Fate::Dead, at(10), 20, 1);
        assert!(shelf.is_full() && shelf.overdue(at(100)).is_empty());
        shelf.retain(&BTreeSet::from(["a".to_owned()]));
        assert!(!shelf.is_full());
        shelf.add("a".to_owned(), Fate::Delivered, at(11), 10, 1);
        assert_eq!(shelf.dead_bytes, 0);
    }
}
