//! Takes a dead letter back into the outbox, with fresh attempts.

use std::io;

use connector_sdk::Timestamp;

use super::super::{
    message::name_of,
    progress::{Fate, Progress},
};
use super::store::{DEAD, ENDED, NEW, QUEUE, Store, TOLD, json};

/// What came of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sender) enum Replay {
    /// It waits again.
    Replayed,
    /// It waits already.
    Waits,
    /// It was delivered.
    Delivered,
    /// It has just died, and who delivers has yet to put it among the dead letters.
    Dying,
    /// Nobody knows it.
    Unknown,
}

impl Store {
    /// Puts a dead letter back, durably. Under the lock. What a crash leaves in the middle is a dead letter still.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn replay(&self, id: &str, now: Timestamp) -> io::Result<Replay> {
        let name = name_of(id);
        for folder in [NEW, QUEUE] {
            if self.read(folder, &name)?.is_some() && self.ended(&name)?.is_none() {
                return Ok(Replay::Waits);
            }
        }
        let ended = self.ended(&name)?;
        if self.read(DEAD, &name)?.is_none() {
            return Ok(match ended.map(|ended| ended.fate) {
                Some(Fate::Delivered) => Replay::Delivered,
                Some(Fate::Dead) => Replay::Dying,
                None => Replay::Unknown,
            });
        }
        // How it came there is durable before it goes: a crash must not find it in two places.
        self.sync(QUEUE)?;
        self.sync(DEAD)?;
        // Its end is told in the journal under its round: that of the next must be another.
        let by_clock = || u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX);
        let round = ended.map_or_else(by_clock, |ended| ended.progress.round.saturating_add(1));
        self.place(super::store::TRIES, &name, &json(&Progress { round, ..Progress::default() })?)?;
        for folder in [ENDED, TOLD] {
            self.remove(folder, &name)?;
            self.sync(folder)?;
        }
        self.shift(&name, DEAD, NEW)?;
        self.sync(NEW)?;
        self.sync(DEAD)?;
        Ok(Replay::Replayed)
    }

    /// Gives up a dead letter. False: there is none. Under the lock.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn discard(&self, id: &str) -> io::Result<bool> {
        let name = name_of(id);
        let Some(bytes) = self.bury(&name, None)? else { return Ok(false) };
        let mut gone = super::Ledger::default();
        gone.add(bytes);
        self.settle_books(gone)?;
        Ok(true)
    }

    /// The ids of the dead letters, the one that died last first, with when it did.
    ///
    /// # Errors
    /// As the file system says.
    pub(in crate::sender) fn dead_letters(&self) -> io::Result<Vec<super::Letter>> {
        let mut letters = Vec::new();
        for name in self.names(DEAD)? {
            let ended = self.ended(&name)?;
            let head = match &ended {
                Some(_) => None,
                None => {
                    self.read(DEAD, &name)?.and_then(super::super::message::Message::decode).map(|it| it.head)
                }
            };
            let Some(id) = ended.as_ref().map(|ended| ended.id.clone()).or(head.map(|head| head.id)) else {
                continue;
            };
            letters.push(super::Letter {
                id,
                died_at: ended.as_ref().map(|ended| ended.ended_at),
                attempts: ended.as_ref().map_or(0, |ended| ended.progress.tries.len()),
                status: ended
                    .as_ref()
                    .and_then(|ended| ended.progress.answer.as_ref())
                    .map(|answer| answer.status),
                reason: ended.and_then(|ended| ended.reason),
            });
        }
        letters.sort_unstable_by(|one, other| (other.died_at, &one.id).cmp(&(one.died_at, &other.id)));
        Ok(letters)
    }
}
