//! What is done for one message when it is due: an attempt, and what came of it made durable before anything is made of it.

use std::{io, sync::Arc, time::Duration};

use connector_ingress::{Journal, journal::JournalError};
use connector_sdk::{Class, Context, Error, Result, Timestamp, resilience::Jitter};

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

/// What delivers.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) settings: Arc<Settings>,
    pub(super) outbox: Outbox,
    pub(super) journal: Journal,
    pub(super) endpoint: Endpoint,
    pub(super) jitter: Arc<Jitter>,
}

/// How it goes on with a message.
#[derive(Debug)]
pub(super) enum Next {
    /// It is due again then.
    Again(Waiting, Timestamp),
    /// It has ended.
    Ended { name: String, fate: Fate, at: Timestamp, bytes: u64 },
    /// The endpoint wants nothing any more; the message waits.
    Disabled(Waiting, Timestamp),
    /// It was damaged, and is put aside.
    Lost(String),
    /// A stop came before there was room to keep what became of it: the next run finds it as it was.
    Left(String),
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
        let name = waiting.name.clone();
        let Some((message, bytes, mut progress)) = self.load(&name).await? else {
            return Ok((Next::Lost(name), None));
        };
        let Attempted { verdict, entry, answer, pause } = self.endpoint.attempt(cx, &message, admitted).await;
        let now = cx.clock().now();
        let why = entry.error.clone().unwrap_or_default();
        tracing::debug!(id = message.head.id, status = entry.status, ?verdict, "a delivery was tried");
        progress.tries.push(entry);
        progress.answer = answer.or(progress.answer);
        if verdict != Verdict::Gone {
            progress.spent += 1;
        }
        let wait = match verdict {
            Verdict::Again(_, asked) => {
                self.settings.schedule.after(progress.spent, asked, self.jitter.draw())
            }
            Verdict::Gone => Some(Duration::ZERO),
            Verdict::Delivered | Verdict::Dead(_) => None,
        };
        let next = match (verdict, wait) {
            (Verdict::Gone, _) => self.disable(cx, waiting, message, progress, now).await?,
            (_, Some(wait)) => self.put_off(cx, waiting, progress, now + wait).await?,
            (Verdict::Delivered, None) => {
                let ended = ended(message, bytes, progress, Fate::Delivered, now, None);
                self.end(cx, name, ended).await?
            }
            (Verdict::Again(..) | Verdict::Dead(_), None) => {
                let reason = match verdict {
                    Verdict::Again(..) => format!("given up after {} attempts: {why}", progress.spent),
                    _ => why,
                };
                tracing::warn!(
                    id = message.head.id,
                    reason,
                    "a message is dead: replay it when the cause is gone"
                );
                let ended = ended(message, bytes, progress, Fate::Dead, now, Some(reason));
                self.end(cx, name, ended).await?
            }
        };
        Ok((next, pause))
    }

    async fn load(&self, name: &str) -> Result<Option<(Message, u64, Progress)>> {
        let (store, name) = (self.outbox.store.clone(), name.to_owned());
        off("deliver", move || {
            let Some((message, bytes)) = store.message(&name)? else { return Ok(None) };
            Ok(Some((message, bytes, store.progress(&name)?)))
        })
        .await
    }

    async fn put_off(
        &self,
        cx: &Context,
        mut waiting: Waiting,
        mut progress: Progress,
        due: Timestamp,
    ) -> Result<Next> {
        progress.due = Some(due);
        (waiting.due, waiting.spent) = (progress.due, progress.spent);
        let name = waiting.name.clone();
        let kept = self.keep(cx, move |store| store.note(&name, &progress)).await?;
        Ok(if kept { Next::Again(waiting, due) } else { Next::Left(waiting.name) })
    }

    async fn disable(
        &self,
        cx: &Context,
        waiting: Waiting,
        message: Message,
        progress: Progress,
        now: Timestamp,
    ) -> Result<Next> {
        tracing::error!(
            id = message.head.id,
            "the endpoint answered 410: nothing more is sent until it is enabled (action `enable`)"
        );
        let why = Disabled { since: now, status: 410, id: message.head.id };
        if !self.keep(cx, move |store| store.disable(&why)).await? {
            return Ok(Next::Left(waiting.name));
        }
        Ok(match self.put_off(cx, waiting, progress, now).await? {
            Next::Again(waiting, due) => Next::Disabled(waiting, due),
            other => other,
        })
    }

    /// Makes the end of a message durable, and tells of it.
    async fn end(&self, cx: &Context, name: String, ended: Ended) -> Result<Next> {
        let (file, end) = (name.clone(), ended.clone());
        if !self.keep(cx, move |store| store.end(&file, &end)).await? {
            return Ok(Next::Left(name));
        }
        if !self.tell(cx, &name, &ended).await? {
            return Ok(Next::Left(name));
        }
        Ok(Next::Ended { name, fate: ended.fate, at: ended.ended_at, bytes: ended.bytes })
    }

    /// Tells the journal of an end, once, and puts the message where it belongs. False: a stop came before there was room.
    ///
    /// # Errors
    /// Transient when the journal or the disk fails.
    pub(super) async fn tell(&self, cx: &Context, name: &str, ended: &Ended) -> Result<bool> {
        let entry = record::entry(name, &self.settings.origin(), ended)?;
        loop {
            match self.journal.append(entry.clone()).await {
                Ok(_) => break,
                Err(JournalError::Full) => {
                    tracing::warn!(
                        "nobody reads what became of messages: the journal is full, and sending waits"
                    );
                    if !pause(cx).await {
                        return Ok(false);
                    }
                }
                Err(error) => {
                    return Err(Error::transient("deliver", error.to_string()));
                }
            }
        }
        let (file, fate) = (name.to_owned(), ended.fate);
        self.keep(cx, move |store| store.tell(&file, fate)).await
    }

    /// Makes something durable; where the disk is full it waits for room. False: a stop came before there was any.
    async fn keep(
        &self,
        cx: &Context,
        work: impl Fn(&Store) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<bool> {
        let work = Arc::new(work);
        loop {
            let (store, work) = (self.outbox.store.clone(), Arc::clone(&work));
            match off("deliver", move || Ok(work(&store))).await? {
                Ok(()) => return Ok(true),
                Err(error) if is_full(&error) => {
                    tracing::warn!("the disk of the outbox is full, and sending waits");
                    if !pause(cx).await {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(fault("deliver", error)),
            }
        }
    }
}

/// Waits a moment. False: a stop came.
async fn pause(cx: &Context) -> bool {
    tokio::select! {
        biased;
        () = cx.stop().cancelled() => false,
        () = cx.clock().sleep(PATIENCE) => true,
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
