//! What is done for one message when it is due: an attempt, and what came of it made durable before anything is made of it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connector_ingress::{Journal, journal::JournalError};
use connector_sdk::{Class, Context, Error, Result, Timestamp, resilience::Jitter};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{Admitted, Attempted, Endpoint},
    config::Settings,
    message::Message,
    outbox::{Disabled, Outbox, Store, Waiting, fault, is_full, off},
    progress::{Ended, Fate, Progress},
    record,
    verdict::Verdict,
};

/// How long is waited for room on a disk that is full, or in a journal.
const PATIENCE: Duration = Duration::from_secs(1);
/// KiB of bodies in memory, at most; one that is larger waits until it is alone.
pub(super) const MEMORY_KIB: u32 = 64 << 10;

/// What delivers.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) settings: Arc<Settings>,
    pub(super) outbox: Outbox,
    pub(super) journal: Journal,
    pub(super) endpoint: Endpoint,
    pub(super) jitter: Arc<Jitter>,
    /// One at a time says that the endpoint is gone.
    pub(super) disabling: Arc<Mutex<()>>,
    /// KiB of bodies that may be in memory.
    pub(super) memory: Arc<Semaphore>,
    /// Ends the waits for room: for a stop, and where nothing goes on any more.
    pub(super) closing: CancellationToken,
}

/// How it goes on with a message.
#[derive(Debug)]
pub(super) enum Next {
    /// It is due again then.
    Again(Waiting, Timestamp),
    /// It has ended.
    Ended { name: Arc<str>, fate: Fate, at: Timestamp, bytes: u64, end_bytes: u64 },
    /// The endpoint wants nothing any more; the message waits.
    Disabled(Waiting, Timestamp),
    /// It was damaged, and is put aside.
    Lost(Arc<str>),
    /// A stop came before there was room to keep what became of it: the next run finds it as it was.
    Left(Arc<str>),
}

impl Delivery {
    /// Tries a message once. Answers how it goes on, and how long the endpoint wants to be left alone.
    ///
    /// # Errors
    /// Transient when the disk or the journal fails: nothing is lost, but the message may be sent again.
    pub(super) async fn deliver(
        &self,
        cx: &Context,
        waiting: Waiting,
        admitted: Admitted,
    ) -> Result<(Next, Option<Duration>)> {
        let name = Arc::clone(&waiting.name);
        let _room = self.room(&waiting).await?;
        let Some((message, bytes, mut progress)) = self.load(&name).await? else {
            return Ok((Next::Lost(name), None));
        };
        let Attempted { verdict, entry, answer, pause } = self.endpoint.attempt(cx, &message, admitted).await;
        let (now, began_at) = (cx.clock().now(), entry.at);
        let why = entry.error.clone().unwrap_or_default();
        tracing::debug!(id = message.head.id, status = entry.status, ?verdict, "a delivery was tried");
        progress.tries.push(entry);
        progress.answer = answer.or(progress.answer);
        if verdict == Verdict::Gone && self.disable(&message, began_at, now).await? {
            // It counts as none: the message is tried when the endpoint is enabled.
            let next = match self.put_off(waiting, progress, now).await? {
                Next::Again(waiting, due) => Next::Disabled(waiting, due),
                other => other,
            };
            return Ok((next, pause));
        }
        progress.spent += 1;
        let wait = match verdict {
            Verdict::Again(_, asked) => {
                self.settings.schedule.after(progress.spent, asked, self.jitter.draw())
            }
            // Somebody has enabled the endpoint since.
            Verdict::Gone => self.settings.schedule.after(progress.spent, None, self.jitter.draw()),
            Verdict::Delivered | Verdict::Dead(_) => None,
        };
        let next = match (verdict, wait) {
            (_, Some(wait)) => self.put_off(waiting, progress, now + wait).await?,
            (Verdict::Delivered, None) => {
                let ended = ended(message, bytes, progress, Fate::Delivered, now, None);
                self.end(name, ended).await?
            }
            (Verdict::Again(..) | Verdict::Gone | Verdict::Dead(_), None) => {
                let reason = match verdict {
                    Verdict::Again(..) | Verdict::Gone => {
                        format!("given up after {} attempts: {why}", progress.spent)
                    }
                    _ => why,
                };
                tracing::warn!(
                    id = message.head.id,
                    reason,
                    "a message is dead: replay it when the cause is gone"
                );
                let ended = ended(message, bytes, progress, Fate::Dead, now, Some(reason));
                self.end(name, ended).await?
            }
        };
        Ok((next, pause))
    }

    /// Room for its body in memory.
    async fn room(&self, waiting: &Waiting) -> Result<tokio::sync::SemaphorePermit<'_>> {
        let kib = u32::try_from(waiting.bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(MEMORY_KIB);
        let room = self.memory.acquire_many(kib).await;
        room.map_err(|error| Error::bug("deliver", "the memory is closed").with_source(error))
    }

    async fn load(&self, name: &str) -> Result<Option<(Message, u64, Progress)>> {
        let (store, name) = (self.outbox.store.clone(), name.to_owned());
        off("deliver", move || {
            let Some((message, bytes)) = store.message(&name)? else { return Ok(None) };
            Ok(Some((message, bytes, store.progress(&name)?)))
        })
        .await
    }

    async fn put_off(&self, mut waiting: Waiting, mut progress: Progress, due: Timestamp) -> Result<Next> {
        progress.due = Some(due);
        (waiting.due, waiting.spent) = (progress.due, progress.spent);
        let name = Arc::clone(&waiting.name);
        let kept = self.keep(move |store| store.note(&name, &progress)).await?;
        Ok(if kept { Next::Again(waiting, due) } else { Next::Left(waiting.name) })
    }

    /// The endpoint is gone. False: it was enabled after the attempt began, or a stop came before this was kept.
    async fn disable(&self, message: &Message, began_at: Timestamp, now: Timestamp) -> Result<bool> {
        let _turn = self.disabling.lock().await;
        let why = Disabled { since: now, status: 410, id: message.head.id.clone() };
        let (told, tell) = (Arc::new(AtomicBool::new(false)), why.id.clone());
        let is_disabled = Arc::clone(&told);
        let kept = self.keep(move |store| {
            is_disabled.store(store.disable(&why, began_at)?, Ordering::SeqCst);
            Ok(())
        });
        let is_disabled = kept.await? && told.load(Ordering::SeqCst);
        if is_disabled {
            tracing::error!(
                id = tell,
                "the endpoint answered 410: nothing more is sent until it is enabled (action `enable`)"
            );
        }
        Ok(is_disabled)
    }

    /// Makes the end of a message durable, and tells of it.
    async fn end(&self, name: Arc<str>, ended: Ended) -> Result<Next> {
        let (file, end) = (Arc::clone(&name), ended.clone());
        if !self.keep(move |store| store.end(&file, &end)).await? {
            return Ok(Next::Left(name));
        }
        if !self.tell(&name, &ended).await? {
            return Ok(Next::Left(name));
        }
        let end_bytes = ended.size();
        Ok(Next::Ended { name, fate: ended.fate, at: ended.ended_at, bytes: ended.bytes, end_bytes })
    }

    /// Tells the journal of an end, once, and puts the message where it belongs. False: a stop came before there was room.
    ///
    /// # Errors
    /// Transient when the journal or the disk fails.
    pub(super) async fn tell(&self, name: &str, ended: &Ended) -> Result<bool> {
        let entry = record::entry(name, &self.settings.origin(), ended)?;
        loop {
            match self.journal.append(entry.clone()).await {
                Ok(_) => break,
                Err(JournalError::Full) => {
                    tracing::warn!(
                        "nobody reads what became of messages: the journal is full, and sending waits"
                    );
                    if !self.pause().await {
                        return Ok(false);
                    }
                }
                Err(error) => {
                    return Err(Error::transient("deliver", error.to_string()));
                }
            }
        }
        let (file, fate) = (name.to_owned(), ended.fate);
        self.keep(move |store| store.tell(&file, fate)).await
    }

    /// Makes something durable; where the disk is full it waits for room. False: a stop came before there was any.
    async fn keep(&self, work: impl Fn(&Store) -> io::Result<()> + Send + Sync + 'static) -> Result<bool> {
        let work = Arc::new(work);
        loop {
            let (store, work) = (self.outbox.store.clone(), Arc::clone(&work));
            match off("deliver", move || Ok(work(&store))).await? {
                Ok(()) => return Ok(true),
                Err(error) if is_full(&error) => {
                    tracing::warn!("the disk of the outbox is full, and sending waits");
                    if !self.pause().await {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(fault("deliver", error)),
            }
        }
    }

    /// Waits a moment. False: nothing is to be waited for any more.
    async fn pause(&self) -> bool {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => false,
            () = self.outbox.clock.sleep(PATIENCE) => true,
        }
    }
}

fn ended(
    message: Message,
    bytes: u64,
    progress: Progress,
    fate: Fate,
    ended_at: Timestamp,
    reason: Option<String>,
) -> Ended {
    let print = message.print();
    let head = message.head;
    let accepted_at = head.accepted_at;
    Ended { id: head.id, kind: head.kind, fate, accepted_at, ended_at, print, bytes, reason, progress }
}

/// A task that ended otherwise than by its own doing.
pub(super) fn panicked(error: tokio::task::JoinError) -> Error {
    Error::new(Class::Bug, "deliver", "a delivery has panicked").with_source(error)
}
