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
use super::store::{DAMAGED, DEAD, ENDED, FOLDERS, NEW, QUEUE, Store, TOLD, TRIES, UNFINISHED};

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
    /// The dead letters, the oldest first.
    pub(in crate::sender) dead: Vec<(Timestamp, String)>,
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
        let mut found = Found { waiting: self.queued()?, ..Found::default() };
        found.waiting.extend(self.take_new()?);
        let waiting: BTreeSet<&str> = found.waiting.iter().map(|waiting| waiting.name.as_str()).collect();
        for name in self.names(TRIES)? {
            if !waiting.contains(name.as_str()) {
                self.remove(TRIES, &name)?;
            }
        }
        let dead: BTreeSet<String> = self.names(DEAD)?.into_iter().collect();
        let time = |name: &String| {
            let ended = untold.get(name).or_else(|| told.get(name));
            ended.map_or(Timestamp::from_millis(0), |ended| ended.ended_at)
        };
        found.dead = dead.iter().map(|name| (time(name), name.clone())).collect();
        let delivered = told.iter().filter(|(name, _)| !dead.contains(*name));
        found.told = delivered.map(|(name, ended)| (ended.ended_at, name.clone())).collect();
        found.untold = untold.into_iter().collect();
        for list in [&mut found.dead, &mut found.told] {
            list.sort_unstable();
        }
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
            let head = self.head(NEW, &name)?;
            let to = if head.is_some() { QUEUE } else { DAMAGED };
            if !self.shift(&name, NEW, to)? {
                continue;
            }
            match head {
                Some(head) => taken.push(self.waiting(name, head)?),
                None => tracing::error!(name, "a message of the outbox is damaged, and put aside in `damaged`"),
            }
        }
        Ok(taken)
    }

    fn queued(&self) -> io::Result<Vec<Waiting>> {
        let mut queued = Vec::new();
        for name in self.names(QUEUE)? {
            match self.head(QUEUE, &name)? {
                Some(head) => queued.push(self.waiting(name, head)?),
                None => {
                    tracing::error!(name, "a message of the outbox is damaged, and put aside in `damaged`");
                    self.shift(&name, QUEUE, DAMAGED)?;
                }
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

    /// Forgets the end of a message that was delivered: its id may come again from now on.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn forget(&self, name: &str) -> io::Result<()> {
        self.remove(TOLD, name)
    }

    /// Gives a dead letter up, for the room it takes. Answers how many bytes it had; none: it was none any more.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn bury(&self, name: &str) -> io::Result<Option<u64>> {
        let Some(bytes) = self.read(DEAD, name)? else { return Ok(None) };
        self.remove(DEAD, name)?;
        self.remove(TOLD, name)?;
        Ok(Some(bytes.len() as u64))
    }

    /// Whether this is a dead letter that died then.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn died_at(&self, name: &str) -> io::Result<Option<Timestamp>> {
        let ended = self.ended(name)?.filter(|ended| ended.fate == Fate::Dead);
        Ok(ended.map(|ended| ended.ended_at))
    }
}
