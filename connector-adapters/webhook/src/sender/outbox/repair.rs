//! Makes an outbox whole again, whatever a crash has left, before something is delivered from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use connector_sdk::Timestamp;

use super::super::{
    message::Message,
    progress::{Ended, Fate, Progress},
};
use super::{
    Ledger,
    store::{DEAD, ENDED, FOLDERS, NEW, QUEUE, Store, TOLD, TRIES, UNFINISHED},
};

/// Messages that are taken at once: what is due has to be begun in between.
pub(in crate::sender) const AT_ONCE: usize = 2_000;

/// A message that waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sender) struct Waiting {
    pub(in crate::sender) name: Arc<str>,
    pub(in crate::sender) order: u64,
    pub(in crate::sender) accepted_at: Timestamp,
    /// Bytes of its file.
    pub(in crate::sender) bytes: u64,
    /// Attempts that count.
    pub(in crate::sender) spent: usize,
    /// When it may be tried again; none: it is new.
    pub(in crate::sender) due: Option<Timestamp>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::sender) struct Found {
    /// What is to be delivered.
    pub(in crate::sender) waiting: Vec<Waiting>,
    /// What has ended, and may not be in the journal.
    pub(in crate::sender) untold: Vec<(String, Ended)>,
    /// What was delivered before, the oldest first: when, and the bytes of its end.
    pub(in crate::sender) told: Vec<(Timestamp, String, u64)>,
    /// The dead letters: when they died, and their bytes.
    pub(in crate::sender) dead: BTreeMap<String, (Timestamp, u64)>,
}

impl Store {
    /// Repairs and counts, now. Under the lock, and while nobody delivers.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn repair(&self, now: Timestamp) -> io::Result<Found> {
        for folder in FOLDERS {
            for name in self.disk.list(&self.root.join(folder))? {
                if name.ends_with(UNFINISHED) {
                    self.remove(folder, &name)?;
                }
            }
        }
        let mut untold = BTreeMap::new();
        for name in self.names(ENDED)? {
            if let Some(ended) = self.told_by::<Ended>(ENDED, &name)? {
                untold.insert(name, ended);
            }
        }
        // There may be many, and each may hold an answer: only this of them stays in memory.
        let mut ends: BTreeMap<String, (Fate, Timestamp, u64, u64)> = BTreeMap::new();
        for name in self.names(TOLD)? {
            if let Some(ended) = self.told_by::<Ended>(TOLD, &name)? {
                ends.insert(name, (ended.fate, ended.ended_at, ended.bytes, ended.size()));
            }
        }
        for (name, ended) in &untold {
            ends.insert(name.clone(), (ended.fate, ended.ended_at, ended.bytes, ended.size()));
        }
        for folder in [NEW, QUEUE] {
            for name in self.names(folder)? {
                if let Some((fate, ..)) = ends.get(&name) {
                    self.settle(&name, folder, *fate)?;
                }
            }
        }
        let mut dead = BTreeMap::new();
        for name in self.names(DEAD)? {
            match ends.get(&name) {
                // It was taken back, and the crash has forgotten only that.
                Some((Fate::Delivered, ..)) => self.remove(DEAD, &name)?,
                Some((Fate::Dead, at, bytes, _)) => drop(dead.insert(name, (*at, *bytes))),
                None => {
                    let bytes = self.read_or_put_aside(DEAD, &name)?.map_or(0, |bytes| bytes.len() as u64);
                    // When it died is not known: its time runs from now on.
                    dead.insert(name, (now, bytes));
                }
            }
        }
        let mut waiting = self.take(QUEUE, &BTreeSet::new(), usize::MAX)?;
        waiting.extend(self.take(NEW, &BTreeSet::new(), usize::MAX)?);
        let names: BTreeSet<&str> = waiting.iter().map(|waiting| &*waiting.name).collect();
        for name in self.names(TRIES)? {
            if !names.contains(name.as_str()) {
                self.remove(TRIES, &name)?;
            }
        }
        let mut ledger = Ledger { order: self.ledger_as_it_is()?.order, ..Ledger::default() };
        for waiting in &waiting {
            ledger.add(waiting.bytes);
            ledger.order = ledger.order.max(waiting.order);
        }
        dead.values().for_each(|(_, bytes)| ledger.add(*bytes));
        self.set_or_forget(&ledger)?;
        let delivered = ends
            .into_iter()
            .filter(|(name, (fate, ..))| *fate == Fate::Delivered && !untold.contains_key(name));
        let mut told: Vec<_> = delivered.map(|(name, (_, at, _, size))| (at, name, size)).collect();
        told.sort_unstable();
        Ok(Found { waiting, untold: untold.into_iter().collect(), told, dead })
    }

    /// Takes what was put in since the last time, some of it where it is much; what is named is left for the next time.
    /// Under the lock, where the order matters: a folder that changes while it is listed may show the later of two.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn take_new(&self, but: &BTreeSet<Arc<str>>) -> io::Result<Vec<Waiting>> {
        self.take(NEW, but, AT_ONCE)
    }

    fn take(&self, folder: &str, but: &BTreeSet<Arc<str>>, most: usize) -> io::Result<Vec<Waiting>> {
        let mut found = Vec::new();
        for name in self.names(folder)? {
            if but.contains(name.as_str()) {
                continue;
            }
            let Some(bytes) = self.read_or_put_aside(folder, &name)? else { continue };
            let length = bytes.len() as u64;
            match Message::decode(bytes) {
                Some(Message { head, .. }) => found.push((head.order, name, head.accepted_at, length)),
                None => self.put_aside(&name, folder)?,
            }
        }
        // The first, so that nothing of what is left comes before what is taken.
        found.sort_unstable();
        found.truncate(most);
        let mut taken = Vec::with_capacity(found.len());
        for (order, name, accepted_at, bytes) in found {
            if folder == NEW && !self.shift(&name, NEW, QUEUE)? {
                continue;
            }
            let Progress { spent, due, .. } = self.progress(&name)?;
            taken.push(Waiting { name: name.into(), order, accepted_at, bytes, spent, due });
        }
        Ok(taken)
    }

    /// How far a message has come.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn progress(&self, name: &str) -> io::Result<Progress> {
        Ok(self.told_by(TRIES, name)?.unwrap_or_default())
    }

    /// Forgets the end of a message that was delivered then: its id may come again from now on.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn forget(&self, name: &str, ended_at: Timestamp) -> io::Result<()> {
        match self.ended(name)? {
            Some(ended) if ended.ended_at == ended_at => self.remove(TOLD, name),
            _ => Ok(()),
        }
    }

    /// Gives up a dead letter, one that died then where that is said. Answers how many bytes it had; none: there is none.
    /// Under the lock.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn bury(&self, name: &str, died_at: Option<Timestamp>) -> io::Result<Option<u64>> {
        let ended = self.ended(name)?;
        let id = ended.as_ref().map(|ended| ended.id.clone());
        if ended.zip(died_at).is_some_and(|(ended, died_at)| ended.ended_at != died_at) {
            return Ok(None);
        }
        let Some(bytes) = self.read(DEAD, name)? else { return Ok(None) };
        self.remove(DEAD, name)?;
        self.remove(TOLD, name)?;
        tracing::warn!(id, "a dead letter is given up");
        Ok(Some(bytes.len() as u64))
    }
}
