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
    outbox::{Found, Ledger, Waiting, off},
    progress::Fate,
    queue::Queue,
    shelf::Shelf,
};

/// How often is looked for what other processes have put in.
const ROUND: Duration = Duration::from_millis(500);
/// A clock that goes back by less was only set right.
const SET_BACK: Duration = Duration::from_secs(1);

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
    /// What has gone and still stands in the books.
    gone: Ledger,
    tasks: JoinSet<Result<(Next, Option<Duration>)>>,
    is_disabled: bool,
    /// Nothing is begun before this reading of the monotonic clock.
    paused_until: Duration,
    /// When the last look was taken by which clock: it tells of one that was set back.
    looked_at: Timestamp,
}

impl Driver {
    async fn run(self, cx: &Context) -> Result<()> {
        let Self { delivery, breaker } = self;
        let Found { waiting, untold, mut told, dead } = delivery.outbox.repair().await?;
        for (name, ended) in untold {
            if !delivery.tell(cx, &name, &ended).await? {
                return Ok(());
            }
            if ended.fate == Fate::Delivered {
                told.push((ended.ended_at, name));
            }
        }
        let settings = &delivery.settings;
        let mut course = Course {
            cx: cx.clone(),
            queue: Queue::new(settings.ordered, settings.concurrency),
            shelf: Shelf::new(told, dead, settings.max_size / 2),
            gone: Ledger::default(),
            tasks: JoinSet::new(),
            is_disabled: false,
            paused_until: Duration::ZERO,
            looked_at: cx.clock().now(),
            delivery,
            breaker,
        };
        tracing::info!(waiting = waiting.len(), "delivering");
        waiting.into_iter().for_each(|waiting| course.enqueue(waiting));
        let ran = course.go().await;
        // Who has begun ends: each attempt has its limit.
        let mut ended = ran;
        while let Some(done) = course.tasks.join_next().await {
            let done = done.map_err(panicked).and_then(|done| done);
            ended = ended.and(done.map(|done| course.harvest(done)));
        }
        if let Err(error) = course.settle().await {
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
                self.look().await?;
                look_at = clock.monotonic().saturating_add(ROUND);
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

    /// Looks at the folder: what is new, whether the endpoint is enabled, what has to go.
    async fn look(&mut self) -> Result<()> {
        let now = self.cx.clock().now();
        if now + SET_BACK < self.looked_at {
            tracing::warn!(before = %self.looked_at, %now, "the clock was set back");
            self.queue.set_back(now, &self.delivery.settings.schedule);
        }
        self.looked_at = now;
        let store = self.delivery.outbox.store.clone();
        let (new, disabled) = off("deliver", move || Ok((store.take_new()?, store.disabled()?))).await?;
        if self.is_disabled && disabled.is_none() {
            tracing::info!("the endpoint is enabled again");
            self.paused_until = Duration::ZERO;
        }
        self.is_disabled = disabled.is_some();
        new.into_iter().for_each(|waiting| self.enqueue(waiting));
        let overdue = self.shelf.overdue(now);
        if !overdue.is_empty() {
            let gone = self.delivery.outbox.locked("deliver", move |store| overdue.go(store)).await?;
            self.gone.join(gone);
        }
        self.settle().await
    }

    async fn settle(&mut self) -> Result<()> {
        if self.gone == Ledger::default() {
            return Ok(());
        }
        self.delivery.outbox.settle(std::mem::take(&mut self.gone)).await
    }

    fn enqueue(&mut self, waiting: Waiting) {
        let schedule = &self.delivery.settings.schedule;
        let due = waiting.due.unwrap_or_else(|| waiting.accepted_at + schedule.first());
        self.queue.add(waiting, schedule.sane(due, self.cx.clock().now()));
    }

    /// Begins what is due.
    fn begin(&mut self) {
        let clock = Arc::clone(self.cx.clock());
        while !self.is_disabled && clock.monotonic() >= self.paused_until {
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

    fn pause(&mut self, wait: Duration) {
        self.paused_until = self.paused_until.max(self.cx.clock().monotonic().saturating_add(wait));
    }

    /// How long there is nothing to do but what others bring.
    fn wait(&self, round: Duration) -> Duration {
        let clock = self.cx.clock();
        let due = self.queue.due_in(clock.now()).filter(|_| !self.is_disabled);
        let due = due.map(|due| due.max(self.paused_until.saturating_sub(clock.monotonic())));
        due.map_or(round, |due| due.min(round))
    }

    /// Goes on with a message.
    fn harvest(&mut self, (next, pause): (Next, Option<Duration>)) {
        if let Some(wait) = pause {
            self.pause(wait);
        }
        match next {
            Next::Again(waiting, due) => self.queue.back(waiting, due),
            Next::Disabled(waiting, due) => {
                self.is_disabled = true;
                self.queue.back(waiting, due);
            }
            Next::Ended { name, fate, at, bytes } => {
                self.queue.gone(&name);
                if fate == Fate::Delivered {
                    self.gone.add(bytes);
                }
                self.shelf.add(name, fate, at, bytes);
            }
            Next::Lost(name) | Next::Left(name) => self.queue.gone(&name),
        }
    }
}
