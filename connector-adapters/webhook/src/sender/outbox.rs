//! The outbox: messages on the disk, from when they are accepted until their end is told.
//!
//! ```text
//! folder/put.lock    who puts something in, or takes a dead letter back; for a moment each
//!        new/        messages that were accepted, by any process
//!        queue/      the same, once the process that delivers has seen them
//!        tries/      how far a message has come that was tried and has failed
//!        ended/      what became of a message, until the journal has it
//!        told/       the same, after that: so that its id is known, and what a dead letter died of
//!        dead/       messages that are not tried any more
//!        damaged/    messages that are not what was written
//!        disabled    there while the endpoint wants nothing: it has answered 410
//!        ledger      how much is in it
//!        deliveries/ the journal of ends, which is read into Bronze; its lock says who delivers
//!
//! put ──▶ new ──▶ queue ──▶ ended (durable) ──▶ the journal ──▶ told ──▶ message removed, or to dead
//! ```
//!
//! A message is accepted when its file and its name are durable. It ends when its end is durable: a process that dies
//! between the endpoint's answer and that sends it again, under the same id. Everything after that is done again after a
//! crash, and changes nothing by it. The files are one per message, named by the hash of its id: who puts a message in
//! sees by that whether it is there already, and where it is.

mod ledger;
mod put;
mod repair;
mod replay;
mod store;

use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

use connector_ingress::journal::Disk;
use connector_sdk::{Clock, Error, Result, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{Mutex, Notify};

pub(super) use ledger::Ledger;
pub(super) use put::{Put, Room};
pub(super) use repair::{AT_ONCE, Found, Waiting};
pub(super) use replay::Replay;
pub(super) use store::{Disabled, Store, fault, is_full, off};

use super::message::Message;

/// How often, and how long in between, another process is waited for that is at the folder.
const LOCK_ATTEMPTS: u32 = 6_000;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// The same for who delivers, and comes again soon.
const SOON: u32 = 20;

/// A dead letter, for those who decide what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Letter {
    /// The message's id.
    pub(super) id: String,
    /// When it was given up.
    pub(super) died_at: Option<Timestamp>,
    /// How often it was tried.
    pub(super) attempts: usize,
    /// What was answered last.
    pub(super) status: Option<u16>,
    /// Why it was given up.
    pub(super) reason: Option<String>,
}

/// How an outbox stands.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) ledger: Ledger,
    pub(super) waiting: usize,
    pub(super) damaged: usize,
    pub(super) dead: Vec<Letter>,
    pub(super) is_held: bool,
    pub(super) disabled: Option<Disabled>,
}

/// An outbox, for those who put something in. A clone is the same.
#[derive(Clone)]
pub(super) struct Outbox {
    pub(super) store: Store,
    room: Room,
    pub(super) clock: Arc<dyn Clock>,
    /// One of this process at a time: the folder's lock does not queue.
    gate: Arc<Mutex<()>>,
    /// Rings when something was put in.
    pub(super) bell: Arc<Notify>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Outbox {
    /// The outbox in this folder. No I/O.
    pub(super) fn new(disk: Arc<dyn Disk>, root: PathBuf, room: Room, clock: Arc<dyn Clock>) -> Self {
        Self { store: Store { disk, root }, room, clock, gate: Arc::default(), bell: Arc::default() }
    }

    /// Does something under the lock of the folder, which is made where there is none.
    ///
    /// # Errors
    /// Transient when others are at it for too long, or the disk fails; Config when the folder may not be written.
    pub(super) async fn locked<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let done = self.locked_within(operation, LOCK_ATTEMPTS, work).await?;
        done.ok_or_else(|| {
            Error::transient(operation, "other processes are at the outbox, and do not leave it")
        })
    }

    /// The same for who can do it another time. None: others are at it.
    ///
    /// # Errors
    /// Transient when the disk fails; Config when the folder may not be written.
    pub(super) async fn locked_soon<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        self.locked_within(operation, SOON, work).await
    }

    async fn locked_within<T: Send + 'static>(
        &self,
        operation: &'static str,
        attempts: u32,
        work: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let _turn = self.gate.lock().await;
        let mut work = Some(work);
        for attempt in 0..attempts {
            if attempt > 0 {
                self.clock.sleep(LOCK_PAUSE).await;
            }
            let (store, mine) = (self.store.clone(), work.take());
            let tried = off(operation, move || {
                store.prepare()?;
                let Some(_lock) = store.lock()? else { return Ok(Err(mine)) };
                // Taken above, and put back where there was no lock.
                mine.map_or_else(|| Err(io::Error::other("nothing to do")), |work| work(&store)).map(Ok)
            });
            match tried.await? {
                Ok(done) => return Ok(Some(done)),
                Err(back) => work = back,
            }
        }
        Ok(None)
    }

    /// Puts a message in.
    ///
    /// # Errors
    /// Transient when the disk fails or is full, and nothing was kept; else as [`locked`](Self::locked).
    pub(super) async fn put(&self, message: Message) -> Result<Put> {
        let room = self.room;
        let put = self.locked("send", move |store| store.put(message, room)).await?;
        if put == Put::Kept {
            self.bell.notify_one();
        }
        Ok(put)
    }

    /// Takes a dead letter back.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn replay(&self, id: String) -> Result<Replay> {
        let now = self.clock.now();
        let replayed = self.locked("replay", move |store| store.replay(&id, now)).await?;
        self.bell.notify_one();
        Ok(replayed)
    }

    /// Lets the endpoint be sent to again. False: it was not disabled.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn enable(&self) -> Result<bool> {
        let now = self.clock.now();
        let was = self.locked("enable", move |store| store.enable(now)).await?;
        self.bell.notify_one();
        Ok(was)
    }

    /// How it stands.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn standing(&self) -> Result<Standing> {
        let store = self.store.clone();
        off("outbox", move || {
            store.prepare()?;
            Ok(Standing {
                ledger: store.ledger()?,
                waiting: store.waiting_count()?,
                damaged: store.damaged_count()?,
                dead: store.dead_letters()?,
                is_held: store.is_held()?,
                disabled: store.disabled()?,
            })
        })
        .await
    }

    /// Why nothing is sent; none: it is.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn disabled(&self) -> Result<Option<Disabled>> {
        let store = self.store.clone();
        off("health", move || store.disabled()).await
    }

    /// Whether there are too many dead letters for anything to be sent.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn is_held(&self) -> Result<bool> {
        let store = self.store.clone();
        off("health", move || store.is_held()).await
    }

    /// Makes it whole, for who delivers.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn repair(&self) -> Result<Found> {
        let now = self.clock.now();
        self.locked("open outbox", move |store| store.repair(now)).await
    }

    /// Gives up a dead letter. False: there is none.
    ///
    /// # Errors
    /// As [`locked`](Self::locked).
    pub(super) async fn discard(&self, id: String) -> Result<bool> {
        let discarded = self.locked("discard", move |store| store.discard(&id)).await?;
        self.bell.notify_one();
        Ok(discarded)
    }
}
