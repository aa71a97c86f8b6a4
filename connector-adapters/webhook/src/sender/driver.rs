//! Delivers what is in the outbox, until the stop.
//!
//! ```text
//!          ┌── every half second, and when the bell rings: what is new ──┐
//!  loop ───┼── what is due, while the endpoint is enabled, not paused,   ├──▶ deliveries, side by side
//!          │   and the breaker lets it through                           │       │
//!          └── what has ended: it waits again, or is gone ◀──────────────┴───────┘
//! ```

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_ingress::Journal;
use connector_sdk::{Context, Result, Timestamp, contract::Listener, resilience::Breaker};
use tokio::task::JoinSet;

use super::{
    attempt::Admitted,
    delivery::{Delivery, Next, panicked},
    outbox::{AT_ONCE, Found, Ledger, Waiting, off},
    progress::Fate,
    queue::Queue,
    shelf::{Overdue, Shelf},
};

/// How often is looked for what other processes have put in.
const ROUND: Duration = Duration::from_millis(500);
/// A clock that goes back by less was only set right.
const SET_BACK: Duration = Duration::from_secs(1);
/// How long a stop waits for attempts, at most: less than the patience of a host (120 s).
const FAREWELL: Duration = Duration::from_secs(100);

/// Who delivers. Made by [`Connector::listen`](connector_sdk::Connector::listen).
#[derive(Debug)]
pub(super) struct Driver {
    delivery: Delivery,
    breaker: Arc<Breaker>,
}

impl Driver {
    pub(super) fn new(delivery: Delivery, breaker: Arc<Breaker>) -> Self {
        Self { delivery, breaker }
    }
}

/// Nothing is told any more, and reads end.
async fn close(journal: &Journal) {
    if let Err(error) = journal.close().await {
        tracing::debug!(%error, "the journal has closed itself");
    }
}

#[async_trait]
impl Listener for Driver {
    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        let journal = self.delivery.journal.clone();
        let ended = Box::pin(self.run(&cx)).await;
        close(&journal).await;
        ended
    }
}

/// How far it is.
struct Course {
    cx: Context,
    delivery: Delivery,
    breaker: Arc<Breaker>,
    queue: Queue,
    shelf: Shelf,
    /// What has to go from the disk.
    overdue: Overdue,
    /// What has gone and still stands in the books.
    gone: Ledger,
    tasks: JoinSet<Result<(Next, Option<Duration>)>>,
    is_disabled: bool,
    /// There are too many dead letters.
    is_held: bool,
    /// Nothing is begun before this reading of the monotonic clock.
    paused_until: Duration,
    /// When the last look was taken by which clock: it tells of one that was set back.
    looked_at: Timestamp,
}

impl Driver {
    async fn run(self, cx: &Context) -> Result<()> {
        let Self { mut delivery, breaker } = self;
        delivery.closing = cx.stop().child_token();
        let Found { waiting, untold, mut told, dead } = delivery.outbox.repair().await?;
        for (name, ended) in untold {
            if !delivery.tell(&name, &ended).await? {
                return Ok(());
            }
            if ended.fate == Fate::Delivered {
                told.push((ended.ended_at, name, ended.size()));
            }
        }
        let settings = &delivery.settings;
        let mut course = Course {
            cx: cx.clone(),
            queue: Queue::new(settings.ordered, settings.concurrency),
            shelf: Shelf::new(told, dead, settings.max_size, settings.keep_dead),
            overdue: Overdue::default(),
            gone: Ledger::default(),
            tasks: JoinSet::new(),
            is_disabled: false,
            is_held: false,
            paused_until: Duration::ZERO,
            looked_at: cx.clock().now(),
            delivery,
            breaker,
        };
        tracing::info!(waiting = waiting.len(), "delivering");
        waiting.into_iter().for_each(|waiting| course.enqueue(waiting));
        // What the last run has said may be so no more.
        course.say_held().await?;
        let ended = course.go().await;
        // Nothing waits for room any more.
        course.delivery.closing.cancel();
        let ended = course.finish(ended).await;
        if let Err(error) = course.sweep().await {
            tracing::debug!(%error, "the books of the outbox are behind; the next run counts again");
        }
        ended
    }
}

impl Course {
    async fn go(&mut self) -> Result<()> {
        let bell = Arc::clone(&self.delivery.outbox.bell);
        let journal = self.delivery.journal.clone();
        let stop = self.cx.stop().clone();
        let clock = Arc::clone(self.cx.clock());
        let mut look_at = Duration::ZERO;
        while !stop.is_cancelled() {
            if clock.monotonic() >= look_at {
                let has_more = self.look().await?;
                let pause = if has_more { Duration::ZERO } else { ROUND };
                look_at = clock.monotonic().saturating_add(pause);
            }
            self.begin();
            let wait = self.wait(look_at.saturating_sub(clock.monotonic()));
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                failed = journal.failure() => return Err(failed),
                Some(done) = self.tasks.join_next() => {
                    let done = done.map_err(panicked)??;
                    self.harvest(done);
                }
                () = bell.notified() => look_at = Duration::ZERO,
                () = clock.sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// Waits for what was begun, but not for ever: a host has its own patience. What was not heard of is sent again.
    async fn finish(&mut self, mut ended: Result<()>) -> Result<()> {
        let late = self.cx.clock().sleep(FAREWELL.min(self.delivery.settings.timeout.saturating_add(ROUND)));
        let mut late = std::pin::pin!(late);
        loop {
            tokio::select! {
                biased;
                done = self.tasks.join_next() => {
                    let Some(done) = done else { return ended };
                    let done = done.map_err(panicked).and_then(|done| done);
                    ended = ended.and(done.map(|done| self.harvest(done)));
                }
                () = &mut late => {
                    tracing::warn!(count = self.tasks.len(), "attempts are cut off by the stop; they are made again");
                    self.tasks.shutdown().await;
                    return ended;
                }
            }
        }
    }

    /// Looks at the folder: what is new, whether the endpoint is enabled, what has to go. True: there is more that is new.
    async fn look(&mut self) -> Result<bool> {
        let now = self.cx.clock().now();
        if now + SET_BACK < self.looked_at {
            tracing::warn!(before = %self.looked_at, %now, "the clock was set back");
            self.queue.set_back(now, &self.delivery.settings.schedule);
        }
        self.looked_at = now;
        let outbox = self.delivery.outbox.clone();
        // What is under way may be there anew, taken back from the dead letters: its end is heard of first.
        let under_way = self.queue.under_way().clone();
        let new = if self.delivery.settings.ordered {
            // Others may be at it, and then the order is not sure: the next look takes what is new.
            let taken = outbox.locked_soon("deliver", move |store| store.take_new(&under_way)).await?;
            taken.unwrap_or_default()
        } else {
            let store = outbox.store.clone();
            off("deliver", move || store.take_new(&under_way)).await?
        };
        let has_more = new.len() >= AT_ONCE;
        let store = outbox.store.clone();
        let disabled = off("deliver", move || store.disabled()).await?;
        if self.is_disabled && disabled.is_none() {
            tracing::info!("the endpoint is enabled again");
            self.paused_until = Duration::ZERO;
        }
        self.is_disabled = disabled.is_some();
        for waiting in new {
            self.shelf.lift(&waiting.name);
            self.enqueue(waiting);
        }
        self.hold().await?;
        let overdue = self.shelf.overdue(now);
        self.overdue.join(overdue);
        self.sweep().await?;
        Ok(has_more)
    }

    /// Holds all while there are too many dead letters: an endpoint, or a configuration, that is wrong for an hour would
    /// otherwise cost us what was accepted.
    async fn hold(&mut self) -> Result<()> {
        let was_held = self.is_held;
        if self.shelf.is_full() {
            // Others may have taken some back, or given them up.
            let store = self.delivery.outbox.store.clone();
            let names = off("deliver", move || store.dead_names()).await?;
            self.shelf.retain(&names);
        }
        self.is_held = self.shelf.is_full();
        if self.is_held != was_held {
            if self.is_held {
                tracing::error!(
                    "there are too many dead letters: nothing is sent until some are replayed or discarded"
                );
            }
            self.say_held().await?;
        }
        Ok(())
    }

    /// Tells other processes.
    async fn say_held(&self) -> Result<()> {
        let (store, is_held) = (self.delivery.outbox.store.clone(), self.is_held);
        off("deliver", move || store.set_held(is_held)).await
    }

    /// Takes away what has to go, and out of the books what has gone; another time where others are at the folder.
    async fn sweep(&mut self) -> Result<()> {
        if self.overdue.is_empty() && self.gone == Ledger::default() {
            return Ok(());
        }
        let (overdue, mut gone) = (std::mem::take(&mut self.overdue), self.gone);
        let overdue = Arc::new(overdue);
        let going = Arc::clone(&overdue);
        let swept = self.delivery.outbox.locked_soon("deliver", move |store| {
            gone.join(going.go(store)?);
            store.settle_books(gone)
        });
        match swept.await? {
            Some(()) => self.gone = Ledger::default(),
            None => self.overdue = Arc::into_inner(overdue).unwrap_or_default(),
        }
        Ok(())
    }

    fn enqueue(&mut self, waiting: Waiting) {
        let schedule = &self.delivery.settings.schedule;
        let due = waiting.due.unwrap_or_else(|| waiting.accepted_at + schedule.first());
        self.queue.add(waiting, schedule.sane(due, self.cx.clock().now()));
    }

    /// Begins what is due.
    fn begin(&mut self) {
        let clock = Arc::clone(self.cx.clock());
        while self.may_send() && clock.monotonic() >= self.paused_until {
            let Some(waiting) = self.queue.next(clock.now()) else { return };
            match Admitted::by(&self.breaker, clock.monotonic()) {
                Ok(admitted) => {
                    let (delivery, cx) = (self.delivery.clone(), self.cx.clone());
                    self.tasks.spawn(async move { delivery.deliver(&cx, waiting, admitted).await });
                }
                Err(retry_in) => {
                    self.pause(retry_in);
                    // It costs no attempt: it was not tried.
                    let now = clock.now();
                    self.queue.back(waiting, now);
                }
            }
        }
    }

    fn may_send(&self) -> bool {
        !self.is_disabled && !self.is_held && !self.shelf.is_full()
    }

    fn pause(&mut self, wait: Duration) {
        self.paused_until = self.paused_until.max(self.cx.clock().monotonic().saturating_add(wait));
    }

    /// How long there is nothing to do but what others bring.
    fn wait(&self, round: Duration) -> Duration {
        let clock = self.cx.clock();
        let due = self.queue.due_in(clock.now()).filter(|_| self.may_send());
        let due = due.map(|due| due.max(self.paused_until.saturating_sub(clock.monotonic())));
        due.map_or(round, |due| due.min(round))
    }

    /// Goes on with a message.
    fn harvest(&mut self, (next, pause): (Next, Option<Duration>)) {
        if let Some(wait) = pause {
            self.pause(wait);
        }
        // The clock may have been set back while it was under way.
        let sane = |due| self.delivery.settings.schedule.sane(due, self.cx.clock().now());
        match next {
            Next::Again(waiting, due) => self.queue.back(waiting, sane(due)),
            Next::Disabled(waiting, due) => {
                self.is_disabled = true;
                self.queue.back(waiting, sane(due));
            }
            Next::Ended { name, fate, at, bytes, end_bytes } => {
                self.queue.gone(&name);
                if fate == Fate::Delivered {
                    self.gone.add(bytes);
                }
                self.shelf.add(name.to_string(), fate, at, bytes, end_bytes);
            }
            Next::Lost(name) | Next::Left(name) => self.queue.gone(&name),
        }
    }
}
