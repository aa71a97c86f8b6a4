//! The steps of reading the flags of a mailbox.

use std::sync::Arc;

use connector_sdk::{
    Batch, Class, Delivery, Error, Operation, ReadRequest, Result, State, SyncMode,
    record::{BatchBuilder, RecordView},
};
use serde_json::json;

use super::standing::Standing;
use crate::imap::{
    account::{Account, Lent},
    command::Command,
    fetch::Fetched,
    plan::Slice,
    position::{kept_raw, raw_name},
    retry::Retries,
    select::{Opened, Selected, examine, search},
    session::{Event, Session, Tag},
    uids::UidSet,
    wire::{Kind, Response},
};

/// Messages whose flags are asked for at once, and records of a batch.
const AT_ONCE: usize = 2_000;

/// What comes of a step.
pub(super) enum Step {
    Batch(Batch),
    /// Covers the batches before it.
    State(State),
    /// The mailbox is not there, or not for us.
    Skip(Error),
    Done(State),
}

/// A mailbox whose flags are being read.
pub(super) struct Walk {
    account: Arc<Account>,
    request: ReadRequest,
    raw: Vec<u8>,
    is_gone: bool,
    is_full: bool,
    standing: Standing,
    /// What the next state will say, once all before it was told.
    retries: Retries,
    lent: Option<Lent>,
    phase: Phase,
}

enum Phase {
    Opening,
    /// Changes of what is known come in.
    Changing(Selected, Changing),
    /// What has gone is told.
    Vanishing(Selected, UidSet),
    /// A state is due.
    Stating(Selected, UidSet),
    /// What is new comes in.
    Loading(Selected, UidSet),
}

/// What is asked for, in parts, and what vanished as far as it was told.
struct Changing {
    left: Vec<Command>,
    tag: Option<Tag>,
    vanished: Option<UidSet>,
    /// Only what differs from what was seen is told.
    compares: bool,
}

impl Walk {
    /// # Errors
    /// Config when the state is of a newer version.
    pub(super) fn new(account: Arc<Account>, request: ReadRequest) -> Result<Self> {
        let slice: Slice = request.partition.slice()?;
        let is_full = request.stream.mode == SyncMode::Full;
        let known = request.state.as_ref().filter(|state| !(is_full && state.is_complete()));
        let standing = known.map(Standing::decode).transpose()?.unwrap_or_default();
        Ok(Self {
            raw: raw_name(request.partition.id.as_str(), slice.raw.as_deref()),
            retries: Retries::new(&request.cx, &account),
            is_gone: slice.is_gone,
            is_full,
            standing,
            lent: None,
            phase: Phase::Opening,
            account,
            request,
        })
    }

    /// What comes next; a connection that is lost is made again as the policies allow.
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
            let was_fresh = self.lent.take().is_none_or(|lent| lent.is_fresh);
            self.phase = Phase::Opening;
            self.retries.wait(&self.request.cx, &self.account, error, was_fresh).await?;
        }
    }

    async fn advance(&mut self) -> Result<Option<Step>> {
        match std::mem::replace(&mut self.phase, Phase::Opening) {
            Phase::Opening => self.open().await,
            Phase::Changing(selected, changing) => self.change(selected, changing).await,
            Phase::Vanishing(selected, gone) => self.vanish(selected, gone).await,
            Phase::Stating(selected, left) => {
                self.phase = Phase::Loading(selected, left);
                Ok(Some(Step::State(self.standing.encode()?)))
            }
            Phase::Loading(selected, left) => self.load(selected, left).await,
        }
    }

    async fn open(&mut self) -> Result<Option<Step>> {
        let mut lent = self.account.lend(&self.request.cx, Some(&self.raw)).await?;
        let selected = match examine(lent.session()?, &self.raw, None).await? {
            Opened::Yes(selected) => selected,
            Opened::No(refusal) if self.is_gone && refusal.is_of_absence() => {
                return self.is_over().map(Some);
            }
            Opened::No(refusal) => {
                let error = refusal.into_error("open", Class::Permanent);
                return Ok(Some(Step::Skip(error.with_context("mailbox", &self.request.partition.id))));
            }
        };
        let has_qresync = lent.session()?.has_qresync;
        // It answers: what fails from now on is no connection that was forgotten.
        lent.is_fresh = true;
        self.lent = Some(lent);
        if self.standing.uid_validity != selected.uid_validity {
            let had_some = self.standing.uid_validity != 0;
            let kept = kept_raw(self.request.partition.id.as_str(), &self.raw);
            self.standing = Standing::start(selected.uid_validity, kept);
            if had_some {
                self.phase = Phase::Vanishing(selected, UidSet::new());
                return Ok(Some(Step::Batch(self.reset())));
            }
        }
        let changing = self.changing(&selected, has_qresync);
        self.phase = Phase::Changing(selected, changing);
        Ok(None)
    }

    /// What is asked of what is known.
    fn changing(&mut self, selected: &Selected, has_qresync: bool) -> Changing {
        let nothing = Changing { left: Vec::new(), tag: None, vanished: None, compares: false };
        if self.standing.known.is_empty() || self.is_full {
            return Changing { vanished: Some(UidSet::new()), ..nothing };
        }
        let last = self.standing.uid_next.saturating_sub(1);
        match (self.standing.modseq, selected.modseq) {
            (Some(since), Some(now)) if since == now && self.standing.messages == Some(selected.exists) => {
                nothing
            }
            (Some(since), Some(now)) if since <= now => {
                let vanished = if has_qresync { " VANISHED" } else { "" };
                let items = format!(" 1:{last} (UID FLAGS MODSEQ) (CHANGEDSINCE {since}{vanished})");
                let vanished = has_qresync.then(UidSet::new);
                Changing { left: vec![Command::new("UID FETCH").raw(items)], vanished, ..nothing }
            }
            // The server has never counted, or does not any more: what it tells now is compared.
            _ => {
                let mut uids = self.standing.seen.uids();
                let compares = !uids.is_empty();
                if !compares {
                    uids = self.standing.known.clone();
                }
                let mut left = Vec::new();
                while !uids.is_empty() {
                    let some = uids.take_first(AT_ONCE);
                    left.push(Command::new("UID FETCH").raw(format!(" {some} (UID FLAGS)")));
                }
                left.reverse();
                Changing { left, compares, ..nothing }
            }
        }
    }

    async fn change(&mut self, selected: Selected, mut changing: Changing) -> Result<Option<Step>> {
        let mut batch = BatchBuilder::new(self.request.stream.spec.name.clone());
        let Self { lent, standing, request, .. } = self;
        let session = session(lent)?;
        loop {
            let Some(tag) = changing.tag else {
                let Some(command) = changing.left.pop() else { break };
                changing.tag = Some(session.begin(command).await?);
                continue;
            };
            match session.event().await? {
                Event::Done(done, how) if done == tag => {
                    how.ok("fetch")?;
                    changing.tag = None;
                }
                Event::Data(response) => {
                    if let Some(set) = vanished(&response)
                        && let Some(sum) = &mut changing.vanished
                    {
                        *sum = sum.union(&standing.known.intersection(&set));
                    }
                    let mut told = |uid: u32, flags: &[String], modseq: Option<u64>| {
                        let is_news = selected.modseq.is_some() || standing.seen.differ(uid, flags);
                        if standing.known.contains(uid) && (is_news || !changing.compares) {
                            push(
                                &mut batch,
                                request,
                                standing.uid_validity,
                                uid,
                                flags,
                                modseq,
                                Operation::Upsert,
                            );
                        }
                    };
                    flags_of(session, &response, &mut told);
                }
                _ => {}
            }
            if batch.len() >= AT_ONCE {
                self.phase = Phase::Changing(selected, changing);
                return Ok(Some(Step::Batch(batch.build())));
            }
        }
        let gone = match changing.vanished {
            Some(vanished) => vanished,
            None if standing.messages == Some(selected.exists)
                && selected.uid_next == Some(standing.uid_next) =>
            {
                UidSet::new()
            }
            None => {
                let last = standing.uid_next.saturating_sub(1);
                let there = search(session, (1, last), "", selected.exists).await?;
                standing.known.difference(&there)
            }
        };
        self.phase = Phase::Vanishing(selected, gone);
        Ok((!batch.is_empty()).then(|| Step::Batch(batch.build())))
    }

    async fn vanish(&mut self, selected: Selected, mut gone: UidSet) -> Result<Option<Step>> {
        if !gone.is_empty() {
            let some = gone.take_first(AT_ONCE);
            self.standing.known = self.standing.known.difference(&some);
            self.standing.seen.forget(&some);
            let mut batch = BatchBuilder::new(self.request.stream.spec.name.clone());
            for uid in some.iter() {
                batch.delete(key(&self.request, self.standing.uid_validity, uid).as_bytes(), None);
            }
            self.phase = Phase::Vanishing(selected, gone);
            return Ok(Some(Step::Batch(batch.build())));
        }
        // What was loaded from now on is as it is now, and what changes after that is told the next time.
        self.standing.modseq = selected.modseq;
        if selected.modseq.is_some() {
            self.standing.seen.clear();
        }
        let first = self.standing.uid_next;
        let last = selected.uid_next.map_or(u32::MAX, |next| next.saturating_sub(1));
        let wanted = search(session(&mut self.lent)?, (first, last), "", selected.exists).await?;
        self.phase = Phase::Stating(selected, wanted);
        Ok(None)
    }

    async fn load(&mut self, selected: Selected, mut left: UidSet) -> Result<Option<Step>> {
        if left.is_empty() {
            self.lent = None;
            self.standing.messages = Some(selected.exists);
            if let Some(next) = selected.uid_next {
                self.standing.uid_next = self.standing.uid_next.max(next);
            }
            return Ok(Some(Step::Done(self.standing.encode()?)));
        }
        let some = left.take_first(AT_ONCE);
        let modseq = if selected.modseq.is_some() { " MODSEQ" } else { "" };
        let command = Command::new("UID FETCH").raw(format!(" {some} (UID FLAGS{modseq})"));
        let operation = if self.is_full { Operation::Snapshot } else { Operation::Upsert };
        let mut batch = BatchBuilder::new(self.request.stream.spec.name.clone());
        let mut came = UidSet::new();
        let Self { lent, standing, request, .. } = self;
        let session = session(lent)?;
        let tag = session.begin(command).await?;
        loop {
            match session.event().await? {
                Event::Done(done, how) if done == tag => {
                    how.ok("fetch")?;
                    break;
                }
                Event::Data(response) => flags_of(session, &response, |uid, flags, modseq| {
                    if !some.contains(uid) || came.contains(uid) {
                        return;
                    }
                    came.insert(uid);
                    if selected.modseq.is_none() {
                        standing.seen.differ(uid, flags);
                    }
                    push(&mut batch, request, standing.uid_validity, uid, flags, modseq, operation);
                }),
                _ => {}
            }
        }
        let missing = some.difference(&came);
        if let (Some((first, _)), Some(last)) = (missing.ranges().first(), missing.last()) {
            let there = search(session, (*first, last), "", selected.exists).await?.intersection(&missing);
            if !there.is_empty() && came.is_empty() {
                let message =
                    "the server has messages, and does not tell their flags in a way that can be read";
                return Err(Error::transient("fetch", message).with_delivery(Delivery::Answered));
            }
            if !there.is_empty() {
                tracing::warn!(uids = %there, "the server does not tell the flags of these messages");
            }
        }
        standing.known = standing.known.union(&came);
        standing.uid_next = some.last().unwrap_or_default().saturating_add(1);
        self.phase = Phase::Stating(selected, left);
        Ok((!batch.is_empty()).then(|| Step::Batch(batch.build())))
    }

    fn reset(&self) -> Batch {
        let mut batch = BatchBuilder::new(self.request.stream.spec.name.clone());
        batch.push(RecordView {
            operation: Operation::Reset,
            record: None,
            key: None,
            cursor: None,
            source_timestamp: None,
        });
        batch.build()
    }

    /// The mailbox is no more.
    fn is_over(&mut self) -> Result<Step> {
        if self.standing.uid_validity == 0 {
            return Ok(Step::Done(self.standing.encode()?));
        }
        self.standing = Standing::default();
        Ok(Step::Batch(self.reset()))
    }
}

/// Shows the flags that a response tells of.
fn flags_of(session: &mut Session, response: &Response, mut each: impl FnMut(u32, &[String], Option<u64>)) {
    let Kind::Data(Some(_), name, rest) = response.kind() else { return };
    if !name.eq_ignore_ascii_case(b"FETCH") {
        return;
    }
    match Fetched::parse(rest) {
        Ok(Fetched { uid: Some(uid), flags: Some(flags), modseq, .. }) => each(uid, &flags, modseq),
        Ok(_) => {}
        Err(_) => {
            session.unreadable += 1;
            tracing::warn!("the server tells of flags in a way that cannot be read");
        }
    }
}

/// `* VANISHED (EARLIER) 1:5`.
fn vanished(response: &Response) -> Option<UidSet> {
    let Kind::Data(None, name, rest) = response.kind() else { return None };
    if !name.eq_ignore_ascii_case(b"VANISHED") {
        return None;
    }
    UidSet::parse(rest.trim_ascii().rsplit(|byte| *byte == b' ').next()?)
}

fn key(request: &ReadRequest, validity: u32, uid: u32) -> String {
    let mailbox = serde_json::Value::from(request.partition.id.as_str());
    format!("{{\"mailbox\":{mailbox},\"uid_validity\":{validity},\"uid\":{uid}}}")
}

fn push(
    batch: &mut BatchBuilder,
    request: &ReadRequest,
    validity: u32,
    uid: u32,
    flags: &[String],
    modseq: Option<u64>,
    operation: Operation,
) {
    let record = json!({
        "mailbox": request.partition.id.as_str(), "uid_validity": validity, "uid": uid, "modseq": modseq, "flags": flags,
    });
    let cursor = modseq.map(|modseq| modseq.to_string());
    batch.push(RecordView {
        operation,
        record: Some(record.to_string().as_bytes()),
        key: Some(key(request, validity, uid).as_bytes()),
        cursor: cursor.as_ref().map(String::as_bytes),
        source_timestamp: None,
    });
}

fn session(lent: &mut Option<Lent>) -> Result<&mut Session> {
    lent.as_mut().ok_or_else(|| Error::bug("read", "there is no connection"))?.session()
}
