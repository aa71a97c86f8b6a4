//! Puts a message in: once for its id, whoever does it and however often.

use std::io;

use super::super::{
    message::{Message, name_of},
    progress::{Ended, Fate},
};
use super::store::{ENDED, NEW, QUEUE, Store, TOLD, present};

/// How much an outbox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender) struct Room {
    /// Bytes of all messages, dead letters among them.
    pub(in crate::sender) max_size: u64,
    /// How many they are, at most: of each something stands in memory while it is delivered.
    pub(in crate::sender) max_count: u64,
}

impl Room {
    /// Bytes that are left free on the disk, so that what is in the outbox has room to leave it: ends, the journal, Bronze.
    /// An outbox that fills its disk could never be emptied again.
    fn way_out(self) -> u64 {
        (self.max_size / 2).clamp(4 << 20, 192 << 20)
    }
}

/// What came of putting a message in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sender) enum Put {
    /// It is durable.
    Kept,
    /// It was there before, and waits.
    Waits,
    /// It was there before, and this became of it.
    Ended(Fate),
    /// Another message has this id.
    Taken,
    /// There is no room.
    Full,
    /// The disk has failed for this reason, and nobody knows whether it is kept.
    Unsure(String),
}

/// A message that is there already.
enum Found {
    Waiting(Box<Message>),
    Ended(Box<Ended>),
}

impl Store {
    /// Puts a message in; its place among the others is given here. Under the lock.
    ///
    /// # Errors
    /// As the file system says. Then it is not kept.
    pub(in crate::sender) fn put(&self, mut message: Message, room: Room) -> io::Result<Put> {
        let name = name_of(&message.head.id);
        match self.find(&name)? {
            Some(Found::Waiting(known)) if known.print() == message.print() => {
                // Who put it there may have died before it was durable.
                self.sync(NEW)?;
                self.sync(QUEUE)?;
                return Ok(Put::Waits);
            }
            Some(Found::Ended(known)) if known.print == message.print() => return Ok(Put::Ended(known.fate)),
            Some(_) => return Ok(Put::Taken),
            None => {}
        }
        let mut ledger = self.ledger()?;
        message.head.order = ledger.next(message.head.accepted_at);
        let file = message.encode().map_err(io::Error::other)?;
        let bytes = file.len() as u64;
        if ledger.count >= room.max_count || ledger.bytes.saturating_add(bytes) > room.max_size {
            return Ok(Put::Full);
        }
        if self.disk.free(&self.root)? < bytes.saturating_add(room.way_out()) {
            return Ok(Put::Full);
        }
        self.draft(NEW, &name, &file, true)?;
        let synced = self.sync_name(&name);
        ledger.add(bytes);
        if self.set_ledger(&ledger).is_err() {
            // Without any, all is counted again.
            self.forget_ledger();
        }
        Ok(synced.map_or_else(|error| Put::Unsure(error.to_string()), |()| Put::Kept))
    }

    /// Makes the name of a new message durable, in whichever folder it is by now.
    fn sync_name(&self, name: &str) -> io::Result<()> {
        self.sync(NEW)?;
        match present(self.disk.read(&self.path(NEW, name), 0, 1))? {
            Some(_) => Ok(()),
            None => self.sync(QUEUE),
        }
    }

    /// Looks in the order in which a message moves, so that one that moves meanwhile is seen all the same.
    fn find(&self, name: &str) -> io::Result<Option<Found>> {
        for folder in [NEW, QUEUE] {
            // A damaged one has to be sent again, so it counts as none.
            if let Some(message) = self.read(folder, name)?.and_then(Message::decode) {
                return Ok(Some(Found::Waiting(Box::new(message))));
            }
        }
        Ok(self.ended(name)?.map(|ended| Found::Ended(Box::new(ended))))
    }

    /// What became of a message; none: it is not known.
    pub(super) fn ended(&self, name: &str) -> io::Result<Option<Ended>> {
        match self.told_by(ENDED, name)? {
            Some(ended) => Ok(Some(ended)),
            None => self.told_by(TOLD, name),
        }
    }
}
