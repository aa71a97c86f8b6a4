//! Makes an outbox whole again, whatever a crash has left, before something is delivered from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use connector_sdk::Timestamp;

use super::super::{
    message::{Head, Message},
    progress::{Ended, Fate, Progress},
};
use super::store::{DEAD, ENDED, FOLDERS, NEW, QUEUE, Store, TOLD, TRIES, UNFINISHED};

/// A message that waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sender) struct Waiting {
    pub(in crate::sender) name: String,
    pub(in crate::sender) order: u64,
    pub(in crate::sender) accepted_at: Timestamp,
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
    /// What has ended before, the oldest first, without the dead letters.
    pub(in crate::sender) told: Vec<(Timestamp, String)>,
    /// The dead letters and their bytes, the oldest first.
    pub(in crate::sender) dead: Vec<(Timestamp, String, u64)>,
}

impl Store {
    /// Repairs and counts. Under the lock, and while nobody delivers.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn repair(&self) -> io::Result<Found> {
        for folder in FOLDERS {
            for name in self.disk.list(&self.root.join(folder))? {
                if name.ends_with(UNFINISHED) {
                    self.remove(folder, &name)?;
                }
            }
        }
        let ends = |folder| -> io::Result<BTreeMap<String, Ended>> {
            let mut found = BTreeMap::new();
            for name in self.names(folder)? {
                if let Some(ended) = self.told_by(folder, &name)? {
                    found.insert(name, ended);
                }
            }
            Ok(found)
        };
        let (untold, told) = (ends(ENDED)?, ends(TOLD)?);
        for folder in [NEW, QUEUE] {
            for name in self.names(folder)? {
                if let Some(ended) = untold.get(&name).or_else(|| told.get(&name)) {
                    self.settle(&name, folder, ended.fate)?;
                }
            }
        }
        for name in self.names(DEAD)? {
            let ended = untold.get(&name).or_else(|| told.get(&name));
            if ended.is_some_and(|ended| ended.fate == Fate::Delivered) {
                // It was taken back, and the crash has forgotten only that.
                self.remove(DEAD, &name)?;
            }
        }
        let mut found = Found { waiting: self.queued()?, ..Found::default() };
        found.waiting.extend(self.take_new()?);
        let waiting: BTreeSet<&str> = found.waiting.iter().map(|waiting| waiting.name.as_str()).collect();
        for name in self.names(TRIES)? {
            if !waiting.contains(name.as_str()) {
                self.remove(TRIES, &name)?;
            }
        }
        let dead: BTreeSet<String> = self.names(DEAD)?.into_iter().collect();
        let letter = |name: &String| {
            let ended = untold.get(name).or_else(|| told.get(name));
            ended.map_or((Timestamp::from_millis(0), name.clone(), 0), |ended| {
                (ended.ended_at, name.clone(), ended.bytes)
            })
        };
        found.dead = dead.iter().map(letter).collect();
        found.dead.sort_unstable();
        let delivered = told.iter().filter(|(name, _)| !dead.contains(*name));
        found.told = delivered.map(|(name, ended)| (ended.ended_at, name.clone())).collect();
        found.told.sort_unstable();
        found.untold = untold.into_iter().collect();
        let mut ledger = self.count()?;
        ledger.order = ledger.order.max(self.ledger()?.order);
        self.set_ledger(&ledger)?;
        Ok(found)
    }

    /// Takes what was put in since the last time.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn take_new(&self) -> io::Result<Vec<Waiting>> {
        let mut taken = Vec::new();
        for name in self.names(NEW)? {
            match self.head(NEW, &name)? {
                Some(head) if self.shift(&name, NEW, QUEUE)? => taken.push(self.waiting(name, head)?),
                Some(_) => {}
                None => self.put_aside(&name, NEW)?,
            }
        }
        Ok(taken)
    }

    fn queued(&self) -> io::Result<Vec<Waiting>> {
        let mut queued = Vec::new();
        for name in self.names(QUEUE)? {
            match self.head(QUEUE, &name)? {
                Some(head) => queued.push(self.waiting(name, head)?),
                None => self.put_aside(&name, QUEUE)?,
            }
        }
        Ok(queued)
    }

    fn head(&self, folder: &str, name: &str) -> io::Result<Option<Head>> {
        let bytes = self.read(folder, name)?;
        Ok(bytes.and_then(Message::decode).map(|message| message.head))
    }

    fn waiting(&self, name: String, head: Head) -> io::Result<Waiting> {
        let progress: Progress = self.told_by(TRIES, &name)?.unwrap_or_default();
        let Progress { spent, due, .. } = progress;
        Ok(Waiting { name, order: head.order, accepted_at: head.accepted_at, spent, due })
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

    /// Gives up a dead letter that died then, for the room it takes. Answers how many bytes it had; none: it was taken
    /// back meanwhile.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn bury(&self, name: &str, died_at: Timestamp) -> io::Result<Option<u64>> {
        if self.ended(name)?.is_some_and(|ended| ended.ended_at != died_at) {
            return Ok(None);
        }
        let Some(bytes) = self.read(DEAD, name)? else { return Ok(None) };
        self.remove(DEAD, name)?;
        self.remove(TOLD, name)?;
        Ok(Some(bytes.len() as u64))
    }
}
