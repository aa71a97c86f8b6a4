//! The places of connections, and who has to go when there are too many.
//!
//! | a connection | is waiting for | and has to go |
//! |---|---|---|
//! | is idle, or sends a head or a body | its sender | when it is the one that is waited for longest |
//! | has sent its request | us | never |
//!
//! By nothing but how long: an honest sender takes milliseconds for a body and a moment for a handshake, so that neither
//! those who say nothing nor those who say it slowly can crowd it out.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{sync::Notify, task::AbortHandle};

/// What a connection is doing, in the lowest two bits of its slot; above them stands since when, in milliseconds.
const WAITING: u64 = 0;
const READING: u64 = 1;
const BUSY: u64 = 2;
const GONE: u64 = 3;
const PHASE: u64 = 3;

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Slot {
    state: AtomicU64,
    task: OnceLock<AbortHandle>,
}

impl Slot {
    /// The task that may be ended for the place.
    pub(super) fn belongs_to(&self, task: AbortHandle) {
        // A slot is one connection's.
        let _ = self.task.set(task);
    }

    fn becomes(&self, phase: u64, now: u64) -> bool {
        let next = |state| (state & PHASE != GONE).then_some(now << 2 | phase);
        self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    /// Ends the connection if it is still as it was seen.
    fn ends(&self, seen: u64) -> bool {
        let Some(task) = self.task.get() else { return false };
        let ended = self.state.compare_exchange(seen, GONE, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if ended {
            task.abort();
        }
        ended
    }
}

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
    /// Somebody waits until one of them is free, or may go.
    is_wanted: AtomicBool,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    slots: HashMap<u64, Arc<Slot>>,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            taken: Mutex::default(),
            is_wanted: AtomicBool::new(false),
            freed: Notify::new(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.taken().slots.len() >= self.most
    }

    /// Takes a place. It is given back when the answer is dropped.
    pub(super) fn take(self: &Arc<Self>, now: u64) -> Place {
        let slot = Arc::new(Slot { state: AtomicU64::new(now << 2 | WAITING), task: OnceLock::new() });
        let mut taken = self.taken();
        let id = taken.next;
        taken.next += 1;
        taken.slots.insert(id, Arc::clone(&slot));
        drop(taken);
        Place { id, slot, places: Arc::clone(self) }
    }

    /// Ends when there is a place, or somebody who may be sent away for one.
    pub(super) async fn free(&self) {
        let may_go = |slot: &Arc<Slot>| slot.state.load(Ordering::SeqCst) & PHASE < BUSY;
        self.until(|| !self.is_full() || self.taken().slots.values().any(may_go)).await;
    }

    /// Ends when there is a place; for that somebody may have been sent away.
    pub(super) async fn make_room(&self) {
        self.until(|| !self.is_full() || self.evict()).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        while !is_so() {
            let freed = self.freed.notified();
            self.is_wanted.store(true, Ordering::SeqCst);
            // What changed before that was told to nobody.
            if is_so() {
                break;
            }
            freed.await;
        }
        self.is_wanted.store(false, Ordering::SeqCst);
    }

    fn tell(&self) {
        if self.is_wanted.load(Ordering::SeqCst) {
            self.freed.notify_waiters();
        }
    }

    /// Sends the one away whose body takes longest to come, for that in this place. False: no other is coming.
    pub(super) fn evict_reading(&self, place: u64) -> bool {
        let mut taken = self.taken();
        let mut readers: Vec<(u64, u64)> = Vec::new();
        for (id, slot) in &taken.slots {
            let state = slot.state.load(Ordering::SeqCst);
            if state & PHASE == READING && *id != place {
                readers.push((state, *id));
            }
        }
        let Some((seen, id)) = readers.into_iter().min() else { return false };
        let ended = taken.slots.get(&id).is_some_and(|slot| slot.ends(seen));
        if ended {
            taken.slots.remove(&id);
        }
        ended
    }

    /// Sends those away who have been waited for longest: one in 64 of all, so that it is seldom that all are looked at.
    /// False: there was nobody.
    pub(super) fn evict(&self) -> bool {
        let mut taken = self.taken();
        // Since when, and then what: an idle one goes before one that sends a body since the same moment.
        let mut found: Vec<(u64, u64)> = Vec::with_capacity(taken.slots.len());
        for (id, slot) in &taken.slots {
            let state = slot.state.load(Ordering::SeqCst);
            if state & PHASE < BUSY {
                found.push((state, *id));
            }
        }
        let count = (self.most / 64).max(1).min(found.len());
        if count < found.len() {
            found.select_nth_unstable(count);
        }
        let mut ended = 0_u64;
        for (seen, id) in found.into_iter().take(count) {
            if taken.slots.get(&id).is_some_and(|slot| slot.ends(seen)) {
                taken.slots.remove(&id);
                ended += 1;
            }
        }
        drop(taken);
        if ended > 0 {
            tracing::debug!(ended, "connections that were waited for longest had to go for new ones");
        }
        ended > 0
    }
}

/// A connection's place.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    slot: Arc<Slot>,
    places: Arc<Places>,
}

impl Place {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
    }

    /// A request has begun; false: the connection has to go.
    pub(super) fn begins(&self, now: u64) -> bool {
        self.slot.becomes(READING, now)
    }

    /// The request is there, and waits for us; false: the connection has to go.
    pub(super) fn is_complete(&self, now: u64) -> bool {
        self.slot.becomes(BUSY, now)
    }

    /// It was answered, or has not begun yet.
    pub(super) fn waits(&self, now: u64) {
        self.slot.becomes(WAITING, now);
        self.places.tell();
    }

    /// Since when the sender was waited for, to begin; none: it has begun.
    pub(super) fn waiting_since(&self) -> Option<u64> {
        let state = self.slot.state.load(Ordering::SeqCst);
        (state & PHASE == WAITING).then_some(state >> 2)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().slots.remove(&self.id);
        self.places.tell();
    }
}
