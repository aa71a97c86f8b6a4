//! Metadata and bodies of the messages that are new, asked for ahead and in bounds.
//!
//! What the messages are is asked first, because only then it is known how many bytes they have: bodies are asked for in
//! commands of about two MiB, two of which are under way. A message that does not come is asked for by itself, and so is
//! whether it is still there: one that is gone is left out. One that is there and does not come has a record that says
//! so, and when that is so of all of a command, it is the server that fails: nothing is lost in silence.

use std::collections::VecDeque;

use connector_sdk::{Batch, Class, Delivery, Error, ReadRequest, Result, Timestamp, record::BatchBuilder};

use super::record::{Composer, Meta};
use crate::imap::{
    command::Command,
    config::Settings,
    date,
    fetch::Fetched,
    select,
    session::{Done, Event, Session, Tag},
    uids::UidSet,
    wire::{Kind, Response},
};

/// Messages whose metadata is asked for at once.
const METADATA: usize = 500;
/// Bytes of messages that are asked for at once, by what the server says of their sizes.
const BYTES: u64 = 2 << 20;
/// What a message is taken to have where the server has not said.
const UNKNOWN: u64 = 256 << 10;
/// Commands for bodies that are under way.
const AHEAD: usize = 2;

/// What is read of a mailbox.
pub(super) struct Bodies {
    /// What is left to ask the metadata of.
    wanted: UidSet,
    last: Option<u32>,
    metadata: Option<Metadata>,
    /// What is left to ask the bodies of.
    known: VecDeque<Meta>,
    under_way: VecDeque<Group>,
    limit: u64,
    is_careful: bool,
    has_modseq: bool,
    batch_records: usize,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    is_stopped: bool,
    /// A message that was read.
    witness: Option<u32>,
    stream: connector_sdk::StreamId,
}

/// Records, and what they are of.
pub(super) struct Delivered {
    pub(super) batch: Batch,
    pub(super) delivered: UidSet,
    /// Everything up to here was dealt with.
    pub(super) last: u32,
}

struct Metadata {
    tag: Tag,
    uids: UidSet,
    found: Vec<Meta>,
}

/// A command for bodies, and what has come of it.
struct Group {
    tags: Vec<Tag>,
    messages: Vec<Meta>,
    /// Which of them have come.
    came: Vec<bool>,
    batch: BatchBuilder,
    /// Only so much of each was asked for.
    is_partial: bool,
    /// Each that has not come is asked for by itself: which of them are there, as far as the server has said.
    there: Option<UidSet>,
    /// Whether another message, that was read before, still comes: then it is the message that cannot be given.
    is_vouched: bool,
}

impl Group {
    fn position(&self, uid: u32) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |meta| meta.uid).ok()
    }

    fn missing(&self) -> Vec<usize> {
        (0..self.messages.len()).filter(|at| self.came.get(*at) == Some(&false)).collect()
    }

    /// What has not come does not come. What is there all the same has a record that says so.
    async fn conclude(&mut self, validity: u32, composer: &mut Composer) -> Result<()> {
        let there = self.there.clone().unwrap_or_default();
        let withheld: Vec<usize> = self
            .missing()
            .into_iter()
            .filter(|at| self.messages.get(*at).is_some_and(|meta| there.contains(meta.uid)))
            .collect();
        let is_one = self.messages.len() == 1 && self.is_vouched;
        if !withheld.is_empty() && withheld.len() == self.messages.len() && !is_one {
            let message = "the server has the messages, and does not give them in a way that can be read";
            return Err(Error::transient("fetch", message).with_delivery(Delivery::Answered));
        }
        for at in withheld {
            if let Some(meta) = self.messages.get(at) {
                tracing::warn!(uid = meta.uid, "the server does not give this message");
                let size = if meta.size == u64::MAX { 1 } else { meta.size.max(1) };
                composer.push(&mut self.batch, validity, meta, b"", Some(size)).await?;
            }
            if let Some(came) = self.came.get_mut(at) {
                *came = true;
            }
        }
        Ok(())
    }
}

impl Bodies {
    /// What is wanted, of a mailbox of which `witness` was read before.
    pub(super) fn new(
        wanted: UidSet,
        witness: Option<u32>,
        request: &ReadRequest,
        settings: &Settings,
    ) -> Self {
        Self {
            is_careful: false,
            has_modseq: false,
            last: wanted.last(),
            wanted,
            metadata: None,
            known: VecDeque::new(),
            under_way: VecDeque::new(),
            limit: settings.max_message as u64,
            batch_records: request.batch_records.clamp(1, settings.page_size),
            since: request.stream.since,
            until: request.stream.until,
            is_stopped: false,
            witness,
            stream: request.stream.spec.name.clone(),
        }
    }

    /// Asks for messages one by one and with a limit, because the server's sizes are not true.
    pub(super) fn carefully(mut self, is_careful: bool) -> Self {
        self.is_careful = is_careful;
        self
    }

    /// Asks for the mod-sequences of messages, in a mailbox that keeps them.
    pub(super) fn with_modseq(mut self, has_modseq: bool) -> Self {
        self.has_modseq = has_modseq;
        self
    }

    /// The last UID that was wanted.
    pub(super) fn last(&self) -> Option<u32> {
        self.last
    }

    /// Whether there is more, which is not wanted yet.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The next messages; none after the last.
    ///
    /// # Errors
    /// As the server says.
    pub(super) async fn next(
        &mut self,
        session: &mut Session,
        validity: u32,
        composer: &mut Composer,
    ) -> Result<Option<Delivered>> {
        loop {
            self.ask(session).await?;
            if self.under_way.front().is_some_and(|first| first.tags.is_empty())
                && let Some(first) = self.under_way.pop_front()
            {
                let some = delivered(first);
                self.witness = some.delivered.last().or(self.witness);
                return Ok(Some(some));
            }
            if self.under_way.is_empty() && self.metadata.is_none() {
                return Ok(None);
            }
            match session.event().await? {
                Event::Data(response) => self.take(session, &response, validity, composer).await?,
                Event::Continue(_) => {}
                Event::Done(tag, how) => self.done(session, tag, how, validity, composer).await?,
            }
        }
    }

    async fn ask(&mut self, session: &mut Session) -> Result<()> {
        if self.metadata.is_none() && !self.wanted.is_empty() && self.known.len() < METADATA {
            let uids = self.wanted.take_first(METADATA);
            let gmail = if session.capabilities.has("X-GM-EXT-1") {
                " X-GM-MSGID X-GM-THRID X-GM-LABELS"
            } else {
                ""
            };
            let modseq = if self.has_modseq { " MODSEQ" } else { "" };
            let items = format!(" {uids} (UID FLAGS INTERNALDATE RFC822.SIZE{modseq}{gmail})");
            let tag = session.begin(Command::new("UID FETCH").raw(items)).await?;
            self.metadata = Some(Metadata { tag, uids, found: Vec::new() });
        }
        while self.under_way.len() < AHEAD {
            let Some((messages, is_partial)) = self.group() else { break };
            let uids: UidSet = messages.iter().map(|meta| meta.uid).collect();
            let tag = self.fetch(session, &uids, is_partial).await?;
            self.under_way.push_back(Group {
                tags: vec![tag],
                came: vec![false; messages.len()],
                messages,
                batch: BatchBuilder::new(self.stream.clone()),
                is_partial,
                there: None,
                is_vouched: false,
            });
        }
        Ok(())
    }

    async fn fetch(&self, session: &mut Session, uids: &UidSet, is_partial: bool) -> Result<Tag> {
        // One byte more than is taken shows whether there is more.
        let part = if is_partial { format!("<0.{}>", self.limit.saturating_add(1)) } else { String::new() };
        session.begin(Command::new("UID FETCH").raw(format!(" {uids} (UID BODY.PEEK[]{part})"))).await
    }

    /// What is asked for together; none while more may join it.
    fn group(&mut self) -> Option<(Vec<Meta>, bool)> {
        let is_unknown = |meta: &Meta| meta.size == u64::MAX;
        let is_large = |meta: &Meta| !is_unknown(meta) && (self.is_careful || meta.size > self.limit);
        if self.known.front().is_some_and(is_large) {
            return self.known.pop_front().map(|meta| (vec![meta], true));
        }
        let (mut bytes, mut count, mut is_partial, mut is_full) = (0_u64, 0, false, false);
        for meta in &self.known {
            let size = if is_unknown(meta) { UNKNOWN } else { meta.size };
            is_full = count >= self.batch_records || is_large(meta) || (count > 0 && bytes + size > BYTES);
            if is_full {
                break;
            }
            bytes += size;
            count += 1;
            is_partial |= is_unknown(meta);
        }
        let may_grow = !is_full && self.metadata.is_some() && !self.under_way.is_empty();
        if count == 0 || may_grow { None } else { Some((self.known.drain(..count).collect(), is_partial)) }
    }

    async fn take(
        &mut self,
        session: &mut Session,
        response: &Response,
        validity: u32,
        composer: &mut Composer,
    ) -> Result<()> {
        if let Some(found) = select::answer(response) {
            let asked = self
                .under_way
                .iter_mut()
                .find_map(|some| some.there.as_mut().filter(|_| !some.tags.is_empty()));
            if let (Some(there), Some(found)) = (asked, found) {
                *there = there.union(&found);
            }
            return Ok(());
        }
        let Kind::Data(Some(_), name, rest) = response.kind() else { return Ok(()) };
        if !name.eq_ignore_ascii_case(b"FETCH") {
            return Ok(());
        }
        let Ok(fetched) = Fetched::parse(rest) else {
            session.unreadable += 1;
            tracing::warn!("an answer of the server cannot be read, and is asked for again");
            return Ok(());
        };
        let Some(uid) = fetched.uid else { return Ok(()) };
        if let Some(body) = &fetched.body {
            let some = self.under_way.iter_mut().find_map(|some| some.position(uid).map(|at| (some, at)));
            let Some((some, at)) = some else {
                let asked = self.under_way.iter_mut().filter(|some| some.there.is_some());
                asked.for_each(|some| some.is_vouched |= self.witness == Some(uid));
                return Ok(());
            };
            let (Some(meta), Some(came)) = (some.messages.get(at), some.came.get_mut(at)) else {
                return Ok(());
            };
            if std::mem::replace(came, true) {
                return Ok(());
            }
            let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
            let is_cut = some.is_partial && body.len() > limit;
            let size = if meta.size == u64::MAX { 0 } else { meta.size };
            let whole = is_cut.then_some(size.max(body.len() as u64));
            let body = body.get(..limit).filter(|_| is_cut).unwrap_or(body);
            return composer.push(&mut some.batch, validity, meta, body, whole).await;
        }
        if let Some(metadata) = self.metadata.as_mut().filter(|metadata| metadata.uids.contains(uid))
            && let Some(size) = fetched.size
        {
            metadata.found.push(Meta {
                uid,
                size,
                date: fetched.internal_date.as_deref().and_then(date::parse),
                modseq: fetched.modseq,
                flags: fetched.flags.unwrap_or_default(),
                gmail: fetched
                    .gm_msgid
                    .map(|id| (id, fetched.gm_thrid.unwrap_or(id), fetched.gm_labels.unwrap_or_default())),
            });
        }
        Ok(())
    }

    async fn done(
        &mut self,
        session: &mut Session,
        tag: Tag,
        how: Done,
        validity: u32,
        composer: &mut Composer,
    ) -> Result<()> {
        match how {
            // Not done at all, or done for some: which of them shows.
            Done::Ok(_) | Done::Refused(_, Class::Permanent) => {}
            refused => return refused.ok("fetch").map(drop),
        }
        if let Some(metadata) = self.metadata.take_if(|metadata| metadata.tag == tag) {
            self.learn(metadata);
            return Ok(());
        }
        let Some(at) = self.under_way.iter().position(|some| some.tags.contains(&tag)) else { return Ok(()) };
        let Some(some) = self.under_way.get_mut(at) else { return Ok(()) };
        some.tags.retain(|known| *known != tag);
        let missing = some.missing();
        if !some.tags.is_empty() || missing.is_empty() {
            return Ok(());
        }
        if some.there.is_some() {
            return some.conclude(validity, composer).await;
        }
        let uids: UidSet =
            missing.iter().filter_map(|at| some.messages.get(*at)).map(|meta| meta.uid).collect();
        (some.there, some.is_partial) = (Some(UidSet::new()), true);
        let form = if session.capabilities.has("ESEARCH") { " RETURN (ALL)" } else { "" };
        let mut tags =
            vec![session.begin(Command::new("UID SEARCH").raw(format!("{form} UID {uids}"))).await?];
        for uid in uids.iter() {
            tags.push(self.fetch(session, &UidSet::range(uid..=uid), true).await?);
        }
        if let Some(witness) = self.witness {
            let one = format!(" {witness} (UID BODY.PEEK[]<0.1>)");
            tags.push(session.begin(Command::new("UID FETCH").raw(one)).await?);
        }
        if let Some(some) = self.under_way.get_mut(at) {
            some.tags = tags;
        }
        Ok(())
    }

    /// The metadata is there.
    fn learn(&mut self, metadata: Metadata) {
        let mut found = metadata.found;
        found.sort_by_key(|meta| meta.uid);
        found.dedup_by_key(|meta| meta.uid);
        // They were there a moment ago. Whether they are gone, or were not told of, shows when they are asked for.
        let seen: UidSet = found.iter().map(|meta| meta.uid).collect();
        let unknown = |uid| Meta { uid, size: u64::MAX, ..Meta::default() };
        found.extend(metadata.uids.difference(&seen).iter().map(unknown));
        found.sort_by_key(|meta| meta.uid);
        for meta in found {
            if meta.date.is_some_and(|date| self.until.is_some_and(|until| date >= until)) {
                self.is_stopped = true;
                self.wanted = UidSet::new();
                return;
            }
            if meta.date.is_none_or(|date| self.since.is_none_or(|since| date >= since)) {
                self.known.push_back(meta);
            }
        }
    }
}

fn delivered(some: Group) -> Delivered {
    let came = some.messages.iter().zip(&some.came).filter(|(_, came)| **came).map(|(meta, _)| meta.uid);
    Delivered {
        delivered: came.collect(),
        last: some.messages.last().map_or(0, |meta| meta.uid),
        batch: some.batch.build(),
    }
}
