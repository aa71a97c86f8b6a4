//! The steps of reading a mailbox, and what happens when one of them fails.

use std::sync::Arc;

use connector_sdk::{
    Batch, Delivery, Error, Operation, ReadRequest, Result, State, SyncMode,
    contract::Estimate,
    record::{BatchBuilder, RecordView},
};

use super::{bodies::Bodies, record::Composer};
use crate::imap::{
    account::{Account, Lent},
    date,
    plan::Slice,
    position::{Position, kept_raw, raw_name},
    retry::Retries,
    select::{Opened, Selected, Since, examine, search},
    uids::UidSet,
};

/// Deletes of a batch.
const DELETES: usize = 10_000;
/// A mailbox gets another UIDVALIDITY once in years.
const MOST_RESETS: u32 = 3;

/// What comes of a step.
pub(super) enum Step {
    Estimate(Estimate),
    /// Records, and the state that covers them.
    Batch(Batch, State),
    /// The mailbox is not there, or not for us.
    Skip(Error),
    /// All was read.
    Done(State),
}

/// A mailbox that is being read.
pub(super) struct Walk {
    account: Arc<Account>,
    request: ReadRequest,
    raw: Vec<u8>,
    is_gone: bool,
    position: Position,
    composer: Composer,
    retries: Retries,
    lent: Option<Lent>,
    phase: Phase,
    /// Whether messages are asked for with a limit, because the server's sizes are not true.
    is_careful: bool,
    has_estimated: bool,
    /// What is new, where it was looked for already.
    came: Option<UidSet>,
    resets: u32,
}

enum Phase {
    /// To be opened, for the first time or again.
    Opening,
    /// What vanished is told.
    Vanishing(Selected, UidSet),
    /// What is new is read.
    Reading(Selected, Box<Bodies>),
    /// All was read; how many messages there are.
    Done(Selected),
}

impl Walk {
    /// # Errors
    /// Config when the state is of a newer version.
    pub(super) fn new(account: Arc<Account>, request: ReadRequest) -> Result<Self> {
        let slice: Slice = request.partition.slice()?;
        let is_full = request.stream.mode == SyncMode::Full;
        // A full read that is done is begun anew; an incremental one goes on.
        let known = request.state.as_ref().filter(|state| !(is_full && state.is_complete()));
        let position = known.map(Position::decode).transpose()?.unwrap_or_default();
        let name = request.partition.id.as_str();
        let raw = raw_name(name, slice.raw.as_deref());
        let operation = if is_full { Operation::Snapshot } else { Operation::Upsert };
        Ok(Self {
            composer: Composer::new(name, operation, &account.settings, &request.cx)?,
            retries: Retries::new(&request.cx, &account),
            is_gone: slice.is_gone,
            raw,
            position,
            lent: None,
            phase: Phase::Opening,
            is_careful: false,
            has_estimated: false,
            came: None,
            resets: 0,
            account,
            request,
        })
    }

    /// What comes next. A connection that is lost is made again as the policies allow, and the read goes on after
    /// what was delivered.
    ///
    /// # Errors
    /// As the server says, when trying again does not help.
    pub(super) async fn step(&mut self) -> Result<Step> {
        loop {
            let error = match Box::pin(self.advance()).await {
                Ok(None) => continue,
                Ok(Some(step)) => {
                    self.retries.progressed(&self.request.cx);
                    return Ok(step);
                }
                Err(error) => error,
            };
            let lent = self.lent.take();
            let was_fresh = lent.as_ref().is_none_or(|lent| lent.is_fresh);
            let is_too_large =
                lent.is_some_and(|mut lent| lent.session().is_ok_and(|session| session.is_overrun()));
            self.phase = Phase::Opening;
            if is_too_large && !self.is_careful {
                self.is_careful = true;
                continue;
            }
            self.retries.wait(&self.request.cx, &self.account, error, was_fresh).await?;
        }
    }

    async fn advance(&mut self) -> Result<Option<Step>> {
        match std::mem::replace(&mut self.phase, Phase::Opening) {
            Phase::Opening => self.open().await,
            Phase::Vanishing(selected, vanished) => self.tell_vanished(selected, vanished).await,
            Phase::Reading(selected, bodies) => self.read(selected, bodies).await,
            Phase::Done(selected) => {
                self.lent = None;
                self.position.messages = Some(selected.exists);
                if let Some(next) = selected.uid_next {
                    self.position.uid_next = self.position.uid_next.max(next);
                }
                Ok(Some(Step::Done(self.position.encode()?)))
            }
        }
    }

    async fn open(&mut self) -> Result<Option<Step>> {
        self.came = None;
        let cx = &self.request.cx;
        let mut lent = self.account.lend(cx, Some(&self.raw)).await?;
        let since = self.position.modseq.map(|modseq| Since {
            uid_validity: self.position.uid_validity,
            modseq,
            known: &self.position.known,
        });
        let selected = match examine(lent.session()?, &self.raw, since).await? {
            Opened::Yes(selected) => selected,
            Opened::No(refusal) if self.is_gone && refusal.is_of_absence() => {
                return self.is_over().map(Some);
            }
            Opened::No(refusal) => {
                let error = refusal.into_error("open", connector_sdk::Class::Permanent);
                return Ok(Some(Step::Skip(error.with_context("mailbox", &self.request.partition.id))));
            }
        };
        // It answers: what fails from now on is no connection that was forgotten.
        lent.is_fresh = true;
        self.lent = Some(lent);
        if self.position.uid_validity != selected.uid_validity {
            let had_some = self.position.uid_validity != 0;
            let kept = kept_raw(self.request.partition.id.as_str(), &self.raw);
            self.position = Position::start(selected.uid_validity, kept);
            if had_some {
                self.resets += 1;
                if self.resets > MOST_RESETS {
                    let message =
                        "the server gives the mailbox another UIDVALIDITY each time: it cannot be followed";
                    return Err(Error::permanent("open", message).with_delivery(Delivery::Answered));
                }
                tracing::warn!(mailbox = %self.request.partition.id, "UIDVALIDITY has changed: all is read anew");
                let reset = self.reset()?;
                self.phase = Phase::Vanishing(selected, UidSet::new());
                return Ok(Some(reset));
            }
        }
        let vanished = self.vanished(&selected).await?;
        self.phase = Phase::Vanishing(selected, vanished);
        Ok(None)
    }

    /// What is not there any more, of what is known.
    async fn vanished(&mut self, selected: &Selected) -> Result<UidSet> {
        let Position { known, messages, uid_next, .. } = &self.position;
        // The host concludes what a full read did not see.
        if known.is_empty() || self.request.stream.mode == SyncMode::Full {
            return Ok(UidSet::new());
        }
        let last = uid_next.saturating_sub(1);
        let session = lent(&mut self.lent)?.session()?;
        if let Some(messages) = messages {
            let end = selected.uid_next.map_or(u32::MAX, |next| next.saturating_sub(1));
            let came = search(session, (*uid_next, end), "", selected.exists).await?;
            let none = UidSet::new();
            let vanished = selected.vanished.as_ref().unwrap_or(&none);
            // What has gone is missing from the count.
            let is_all = u64::from(*messages) + came.len() == u64::from(selected.exists) + vanished.len();
            self.came = Some(came);
            if is_all {
                return Ok(vanished.clone());
            }
            // The server has forgotten more than it tells, or tells nothing, or we know only some: look.
        }
        let there = search(session, (1, last), "", selected.exists).await?;
        Ok(known.difference(&there))
    }

    async fn tell_vanished(&mut self, selected: Selected, vanished: UidSet) -> Result<Option<Step>> {
        if vanished.is_empty() {
            self.position.modseq = selected.modseq;
            return self.look_for_new(selected).await;
        }
        let some: UidSet = vanished.iter().take(DELETES).collect();
        let left = vanished.difference(&some);
        self.position.known = self.position.known.difference(&some);
        self.phase = Phase::Vanishing(selected, left);
        // What we take away ourselves is not gone from what was read.
        if self.account.settings.takes_away() {
            return Ok(None);
        }
        let mut batch = BatchBuilder::new(self.request.stream.spec.name.clone());
        for uid in some.iter() {
            let key = self.composer.key(self.position.uid_validity, uid);
            batch.delete(key, Some(uid.to_string().as_bytes()));
        }
        Ok(Some(Step::Batch(batch.build(), self.position.encode()?)))
    }

    async fn look_for_new(&mut self, selected: Selected) -> Result<Option<Step>> {
        let first = self.position.uid_next;
        let last = selected.uid_next.map_or(u32::MAX, |next| next.saturating_sub(1));
        let since = self.request.stream.since.and_then(|since| date::day(since, 1));
        let criteria = since.map_or(String::new(), |day| format!(" SINCE {day}"));
        let session = lent(&mut self.lent)?.session()?;
        let wanted = match self.came.take().filter(|_| criteria.is_empty()) {
            Some(came) => came,
            None => search(session, (first, last), &criteria, selected.exists).await?,
        };
        let count = wanted.len();
        let witness = self.position.known.last();
        let bodies = Bodies::new(wanted, witness, &self.request, &self.account.settings)
            .carefully(self.is_careful)
            .with_modseq(selected.modseq.is_some());
        self.phase = Phase::Reading(selected, Box::new(bodies));
        if std::mem::replace(&mut self.has_estimated, true) {
            return Ok(None);
        }
        Ok(Some(Step::Estimate(Estimate { records: Some(count), bytes: None })))
    }

    async fn read(&mut self, selected: Selected, mut bodies: Box<Bodies>) -> Result<Option<Step>> {
        let session = lent(&mut self.lent)?.session()?;
        let validity = self.position.uid_validity;
        let Some(some) = bodies.next(session, validity, &mut self.composer).await? else {
            if bodies.is_stopped() {
                // What comes after `until` is for a later read.
                self.lent = None;
                return Ok(Some(Step::Done(self.position.encode()?)));
            }
            if let Some(last) = bodies.last() {
                self.position.uid_next = self.position.uid_next.max(last.saturating_add(1));
            }
            self.phase = Phase::Done(selected);
            return Ok(None);
        };
        self.position.known = self.position.known.union(&some.delivered);
        self.position.uid_next = some.last.saturating_add(1);
        self.phase = Phase::Reading(selected, bodies);
        if some.batch.is_empty() {
            return Ok(None);
        }
        Ok(Some(Step::Batch(some.batch, self.position.encode()?)))
    }

    /// Everything that was read of this partition is void.
    fn reset(&self) -> Result<Step> {
        let mut batch = BatchBuilder::new(self.request.stream.spec.name.clone());
        batch.push(RecordView {
            operation: Operation::Reset,
            record: None,
            key: None,
            cursor: None,
            source_timestamp: None,
        });
        Ok(Step::Batch(batch.build(), self.position.encode()?))
    }

    /// The mailbox is no more.
    fn is_over(&mut self) -> Result<Step> {
        if self.position.uid_validity == 0 {
            return Ok(Step::Done(self.position.encode()?));
        }
        self.position = Position::default();
        self.reset()
    }
}

fn lent(lent: &mut Option<Lent>) -> Result<&mut Lent> {
    lent.as_mut().ok_or_else(|| Error::bug("read", "there is no connection"))
}
