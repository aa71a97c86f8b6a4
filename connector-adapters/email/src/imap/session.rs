//! A conversation with a server: commands with tags, and what comes back for them.
//!
//! Several commands may be under way: the next page is asked for while this one is read. What comes is handed out in
//! order; whoever asked knows by the UID whether it is meant. A response that cannot be told apart is counted and left
//! out, and the conversation goes on (himalaya#525: one bad FETCH must not cost the mailbox).

mod open;
mod sign_in;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use connector_sdk::{Class, Clock, Context, Counters, Delivery, Error, Result};

pub(crate) use self::open::open;
use super::{
    capability::Capabilities,
    command::Command,
    fault::{Refusal, said},
    wire::{Kind, Response, Status, Wire},
};
use crate::auth::Credential;

/// A tag: what a command is known by.
pub(crate) type Tag = u64;

/// A conversation that is signed in.
#[derive(Debug)]
pub(crate) struct Session {
    wire: Wire,
    pub(crate) capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    /// The time that a command has.
    limit: Duration,
    next_tag: Tag,
    /// Commands under way, in the order of their sending, and until when they have time.
    under_way: VecDeque<(Tag, Duration)>,
    /// The mailbox that is selected: its raw name.
    pub(crate) selected: Option<Vec<u8>>,
    /// Whether the capabilities were told since somebody began to sign in.
    is_told: bool,
    /// Whether QRESYNC was enabled.
    pub(crate) has_qresync: bool,
    /// Responses that could not be told apart.
    pub(crate) unreadable: u64,
    /// Nothing more can be said.
    is_dead: bool,
    /// When it was last used, by the monotonic clock.
    pub(crate) used_at: Duration,
    /// Who signs in or has signed in, and with what. The server may say it back.
    told: Option<Credential>,
    /// What is refused now is refused to the credential.
    is_signing_in: bool,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    /// Data, or what is to be known besides.
    Data(Response),
    /// The server waits for more.
    Continue(Response),
    /// The command is done.
    Done(Tag, Done),
}

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Done {
    /// As it should; the name of the code and what follows it.
    Ok(Option<(Vec<u8>, Vec<u8>)>),
    /// Not done.
    Refused(Refusal, Class),
}

impl Done {
    /// # Errors
    /// As the server says.
    pub(crate) fn ok(self, operation: &'static str) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        match self {
            Self::Ok(code) => Ok(code),
            Self::Refused(refusal, class) => Err(refusal.into_error(operation, class)),
        }
    }
}

impl Session {
    fn new(wire: Wire, cx: &Context) -> Self {
        Self {
            wire,
            capabilities: Capabilities::default(),
            clock: Arc::clone(cx.clock()),
            counters: Arc::clone(cx.counters()),
            limit: cx.resilience().deadline,
            next_tag: 1,
            under_way: VecDeque::new(),
            selected: None,
            is_told: false,
            has_qresync: false,
            unreadable: 0,
            is_dead: false,
            used_at: cx.clock().monotonic(),
            told: None,
            is_signing_in: false,
        }
    }

    /// Whether another command can be given: nothing is under way, nobody has said good-bye.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_dead && self.under_way.is_empty()
    }

    /// Whether the server has said more than it may.
    pub(crate) fn is_overrun(&self) -> bool {
        self.wire.is_overrun
    }

    /// The server has said more than it told.
    pub(crate) fn overran(&mut self) {
        self.wire.is_overrun = true;
        self.is_dead = true;
    }

    /// Gives a command; what comes of it is in the [`event`](Self::event)s.
    ///
    /// # Errors
    /// Transient when the connection is lost. As the server says when it does not want the rest of the command.
    pub(crate) async fn begin(&mut self, command: Command) -> Result<Tag> {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.used_at = self.clock.monotonic();
        self.under_way.push_back((tag, self.used_at.saturating_add(self.limit)));
        Counters::add(&self.counters.requests, 1);
        tracing::trace!(command = command.name(), tag, "sent");
        let mut is_first = true;
        for part in command.into_parts(&format!("C{tag}")) {
            if !is_first {
                self.until_it_waits(tag).await?;
            }
            is_first = false;
            let sent = self.wire.send(&part).await;
            self.alive(sent)?;
        }
        Ok(tag)
    }

    async fn until_it_waits(&mut self, tag: Tag) -> Result<()> {
        loop {
            match self.event().await? {
                Event::Continue(_) => return Ok(()),
                Event::Data(_) => {}
                Event::Done(done, how) if done == tag => {
                    how.ok("send a name")?;
                    return Err(self.broken("the server is done with a command that was not sent whole"));
                }
                Event::Done(..) => {
                    return Err(self.broken("a command was sent in parts while others were under way"));
                }
            }
        }
    }

    /// What comes next, while a command is under way.
    ///
    /// # Errors
    /// Transient when the server is silent, too slow or gone; its class when it says good-bye; Permanent when it says
    /// more than it may.
    pub(crate) async fn event(&mut self) -> Result<Event> {
        let Some((_, until)) = self.under_way.front().copied() else {
            return Err(Error::bug("read", "nothing is awaited"));
        };
        loop {
            let response = self.wire.next(until).await;
            let response = self.alive(response)?;
            if let Some(event) = self.take(response)? {
                return Ok(event);
            }
        }
    }

    /// What a response is, where it is for somebody.
    fn take(&mut self, response: Response) -> Result<Option<Event>> {
        let (done, is_continue) = match response.kind() {
            Kind::Continue(_) => (None, true),
            Kind::Unknown => {
                self.unreadable += 1;
                return Ok(None);
            }
            Kind::Tagged(tag, condition) => {
                let Some(at) = self.position(tag) else {
                    // Of a command that nobody has given.
                    self.unreadable += 1;
                    return Ok(None);
                };
                let Some((tag, _)) = self.under_way.remove(at) else { return Ok(None) };
                // The next one has its time from now on: until now the server was busy with this one.
                let until = self.clock.monotonic().saturating_add(self.limit);
                if let Some((_, limit)) = self.under_way.front_mut() {
                    *limit = until;
                }
                let done = if condition.status == Status::Ok {
                    Done::Ok(condition.code.map(|(name, rest)| (name.to_ascii_uppercase(), rest.to_vec())))
                } else {
                    let (refusal, class) =
                        Refusal::classified(&condition, self.told.as_ref(), self.is_signing_in);
                    Done::Refused(refusal, class)
                };
                self.learn(condition.code.filter(|_| condition.status == Status::Ok));
                (Some((tag, done)), false)
            }
            Kind::Status(condition) if condition.status == Status::Bye => {
                self.is_dead = true;
                let (refusal, class) =
                    Refusal::classified(&condition, self.told.as_ref(), self.is_signing_in);
                return Err(refusal.into_error("read", class).with_delivery(Delivery::Unknown));
            }
            Kind::Status(condition) => {
                if condition.code.is_some_and(|(name, _)| name.eq_ignore_ascii_case(b"ALERT")) {
                    let text = said(condition.text, self.told.as_ref());
                    tracing::warn!(text, "the server wants people to know");
                }
                self.learn(condition.code);
                (None, false)
            }
            Kind::Data(None, name, rest) if name.eq_ignore_ascii_case(b"CAPABILITY") => {
                self.learn(Some((name, rest)));
                (None, false)
            }
            Kind::Data(..) => (None, false),
        };
        Ok(Some(match (done, is_continue) {
            (Some((tag, done)), _) => Event::Done(tag, done),
            (None, true) => Event::Continue(response),
            (None, false) => Event::Data(response),
        }))
    }

    fn position(&self, tag: &[u8]) -> Option<usize> {
        let tag: Tag = std::str::from_utf8(tag.strip_prefix(b"C")?).ok()?.parse().ok()?;
        self.under_way.iter().position(|(known, _)| *known == tag)
    }

    /// Capabilities are told in passing too.
    fn learn(&mut self, code: Option<(&[u8], &[u8])>) {
        if let Some((_, rest)) = code.filter(|(name, _)| name.eq_ignore_ascii_case(b"CAPABILITY")) {
            self.capabilities = Capabilities::parse(rest);
            self.is_told = true;
        }
    }

    /// Gives a command, shows what comes to `each`, and waits until it is done.
    ///
    /// # Errors
    /// As [`event`](Self::event), and as `each` says.
    pub(crate) async fn run(
        &mut self,
        command: Command,
        mut each: impl FnMut(&Response) -> Result<()>,
    ) -> Result<Done> {
        let tag = self.begin(command).await?;
        loop {
            match self.event().await? {
                Event::Data(response) => each(&response)?,
                Event::Continue(_) => return Err(self.broken("the server waits for more than there is")),
                Event::Done(done, how) if done == tag => return Ok(how),
                Event::Done(..) => {}
            }
        }
    }

    /// Waits at most so long until the server tells that something has changed in the open mailbox.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub(crate) async fn idle(&mut self, limit: Duration) -> Result<bool> {
        let tag = self.begin(Command::new("IDLE")).await?;
        loop {
            match self.event().await? {
                Event::Continue(_) => break,
                Event::Done(_, how) => {
                    how.ok("idle")?;
                    return Err(Error::transient("idle", "the server does not wait"));
                }
                Event::Data(_) => {}
            }
        }
        let until = self.clock.monotonic().saturating_add(limit);
        let mut has_changed = false;
        while !has_changed {
            let now = self.clock.monotonic();
            let left = until.saturating_sub(now);
            let heard = self.wire.listen(left).await;
            if left.is_zero() || !self.alive(heard)? {
                break;
            }
            let now = self.clock.monotonic();
            let response = self.wire.next(now.saturating_add(self.limit)).await;
            let response = self.alive(response)?;
            has_changed = match self.take(response)? {
                Some(Event::Data(response)) => tells_change(&response),
                Some(Event::Done(_, how)) => {
                    how.ok("idle")?;
                    return Err(Error::transient("idle", "the server has ended the waiting"));
                }
                _ => false,
            };
        }
        // The time that the command had was that of waiting.
        let until = self.clock.monotonic().saturating_add(self.limit);
        self.under_way.iter_mut().for_each(|(_, limit)| *limit = until);
        let sent = self.wire.send(b"DONE\r\n").await;
        self.alive(sent)?;
        loop {
            match self.event().await? {
                Event::Done(done, how) if done == tag => return how.ok("idle").map(|_| has_changed),
                Event::Data(response) => has_changed |= tells_change(&response),
                _ => {}
            }
        }
    }

    /// The server does not keep to the protocol: what comes next cannot be trusted to be what it seems.
    fn broken(&mut self, what: &'static str) -> Error {
        self.is_dead = true;
        Error::transient("read", what).with_delivery(Delivery::Answered)
    }

    fn alive<T>(&mut self, result: Result<T>) -> Result<T> {
        self.is_dead |= result.is_err();
        result
    }
}

/// Whether something has come, gone or changed. `* OK Still here` says that nothing has.
fn tells_change(response: &Response) -> bool {
    let Kind::Data(_, name, _) = response.kind() else { return false };
    ["EXISTS", "EXPUNGE", "FETCH", "VANISHED"].iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
}
