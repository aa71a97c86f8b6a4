//! How much is in an outbox, and the last place that was given: so that who puts something in need not count.
//!
//! It is changed under the lock of the folder, and not synced: a crash may take the last changes with it, and then, as when
//! it is damaged, all is counted again.

use std::io;

use connector_sdk::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::message::Message;
use super::store::{DAMAGED, DEAD, NEW, QUEUE, Store, is_full, json, present};

const LEDGER: &str = "ledger";

/// The books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sender) struct Ledger {
    /// The last place that was given.
    pub(in crate::sender) order: u64,
    /// Messages that wait or are dead.
    pub(in crate::sender) count: u64,
    /// Bytes of their files.
    pub(in crate::sender) bytes: u64,
}

impl Ledger {
    /// The next place: after the last one, and where the clock says so, so that a lost ledger does little harm.
    pub(super) fn next(&mut self, now: Timestamp) -> u64 {
        let by_clock = u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1 << 16);
        self.order = self.order.saturating_add(1).max(by_clock);
        self.order
    }

    pub(in crate::sender) fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(in crate::sender) fn join(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(super) fn take(&mut self, other: Self) {
        self.count = self.count.saturating_sub(other.count);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

impl Store {
    /// The books, counted again where there are none.
    pub(in crate::sender) fn ledger(&self) -> io::Result<Ledger> {
        let path = self.root.join(LEDGER);
        let known = present(self.disk.read(&path, 0, usize::MAX))?;
        match known.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            Some(ledger) => Ok(ledger),
            None => self.count(),
        }
    }

    /// The books, empty where there are none: for who counts anyway.
    pub(super) fn ledger_as_it_is(&self) -> io::Result<Ledger> {
        let known = present(self.disk.read(&self.root.join(LEDGER), 0, usize::MAX))?;
        Ok(known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) fn set_ledger(&self, ledger: &Ledger) -> io::Result<()> {
        self.draft("", LEDGER, &json(ledger)?, false)
    }

    /// The same on a disk that may be full, which must not keep its outbox from being emptied: without books all is counted
    /// again.
    pub(super) fn set_or_forget(&self, ledger: &Ledger) -> io::Result<()> {
        match self.set_ledger(ledger) {
            Err(error) if is_full(&error) => {
                self.forget_ledger();
                Ok(())
            }
            set => set,
        }
    }

    pub(super) fn forget_ledger(&self) {
        if let Err(error) = self.remove("", LEDGER) {
            tracing::warn!(%error, "the books of the outbox are behind until it is opened anew");
        }
    }

    /// Takes what is gone out of the books. Under the lock.
    pub(in crate::sender) fn settle_books(&self, gone: Ledger) -> io::Result<()> {
        let mut ledger = self.ledger()?;
        ledger.take(gone);
        self.set_or_forget(&ledger)
    }

    /// How many messages wait.
    pub(super) fn waiting_count(&self) -> io::Result<usize> {
        Ok(self.names(NEW)?.len() + self.names(QUEUE)?.len())
    }

    /// How many were put aside.
    pub(super) fn damaged_count(&self) -> io::Result<usize> {
        Ok(self.names(DAMAGED)?.len())
    }

    /// Counts what is there.
    pub(super) fn count(&self) -> io::Result<Ledger> {
        let mut ledger = Ledger::default();
        for folder in [NEW, QUEUE, DEAD] {
            for name in self.names(folder)? {
                let Some(bytes) = self.read(folder, &name)? else { continue };
                ledger.add(bytes.len() as u64);
                if let Some(message) = Message::decode(bytes) {
                    ledger.order = ledger.order.max(message.head.order);
                }
            }
        }
        Ok(ledger)
    }
}
