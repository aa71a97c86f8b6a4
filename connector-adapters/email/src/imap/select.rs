//! Opening a mailbox, and asking which messages are in it.

use connector_sdk::{Class, Delivery, Error, Result};

use super::{
    command::Command,
    fault::Refusal,
    session::{Done, Session},
    uids::UidSet,
    wire::{Kind, Response, Token, tokens},
};

/// Messages that may come between opening a mailbox and asking for them.
const LATECOMERS: u64 = 100_000;
/// A longer set of known UIDs is not sent: the server then tells of all that vanished, which is a few bytes.
const MOST_SENT: usize = 100;

/// What a server says of a mailbox that it opens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) exists: u32,
    pub(crate) uid_validity: u32,
    /// None: the server does not tell.
    pub(crate) uid_next: Option<u32>,
    /// None: the mailbox keeps none.
    pub(crate) modseq: Option<u64>,
    /// What vanished since the state that was asked about, of what was known; none where that was not asked, or the
    /// answer does not say.
    pub(crate) vanished: Option<UidSet>,
}

/// What a mailbox was like, for a server that tells the difference (RFC 7162, 3.2.5).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since<'a> {
    pub(crate) uid_validity: u32,
    pub(crate) modseq: u64,
    pub(crate) known: &'a UidSet,
}

/// A mailbox, opened or not.
#[derive(Debug)]
pub(crate) enum Opened {
    Yes(Selected),
    /// It is not there, or not for us.
    No(Refusal),
}

/// Opens a mailbox to look at it: nothing that is read changes anything there.
///
/// # Errors
/// As the server says; Permanent when it keeps no UIDs.
pub(crate) async fn examine(session: &mut Session, raw: &[u8], since: Option<Since<'_>>) -> Result<Opened> {
    open(session, Command::new("EXAMINE"), raw, since).await
}

/// Opens a mailbox to change what is in it.
///
/// # Errors
/// As [`examine`].
pub(crate) async fn select(session: &mut Session, raw: &[u8]) -> Result<Opened> {
    open(session, Command::new("SELECT"), raw, None).await
}

async fn open(
    session: &mut Session,
    command: Command,
    raw: &[u8],
    since: Option<Since<'_>>,
) -> Result<Opened> {
    let mut command = command.string(raw, &session.capabilities);
    let since = since.filter(|since| session.has_qresync && since.uid_validity > 0);
    if let Some(since) = since {
        let known = match since.known.ranges().len() {
            1..=MOST_SENT => format!(" {}", since.known),
            _ => String::new(),
        };
        command = command.raw(format!(" (QRESYNC ({} {}{known}))", since.uid_validity, since.modseq));
    } else if session.capabilities.has("CONDSTORE") && !session.capabilities.has("ENABLE") {
        command = command.raw(" (CONDSTORE)");
    }
    // What was open is closed whether the new one opens or not (RFC 9051, 6.3.2).
    session.selected = None;
    let mut told = Told {
        selected: Selected::default(),
        exists: None,
        known: since.map(|since| since.known),
        vanished: Vec::new(),
    };
    if since.is_some() {
        told.selected.vanished = Some(UidSet::new());
    }
    let unreadable = session.unreadable;
    let mut missed = 0;
    let done = session.run(command, |response| {
        missed += u64::from(told.take(response).is_none());
        Ok(())
    });
    match done.await? {
        Done::Ok(_) => {}
        Done::Refused(refusal, Class::Permanent) if refusal.is_of_mailbox() => {
            return Ok(Opened::No(refusal));
        }
        refused => return refused.ok("open").map(|_| Opened::Yes(told.selected)),
    }
    session.unreadable += missed;
    let mut selected = told.selected;
    if let Some(sum) = &mut selected.vanished {
        *sum = UidSet::merged(&told.vanished);
    }
    // Nothing said is not "none": all that is known would be taken for gone.
    selected.exists = told.exists.ok_or_else(|| {
        let message = "the server does not say how many messages are in the mailbox";
        Error::transient("open", message).with_delivery(Delivery::Answered)
    })?;
    // An answer that could not be read may have been the one that tells what vanished.
    let is_same = since.is_some_and(|since| {
        since.uid_validity == selected.uid_validity
            && selected.modseq.is_some_and(|modseq| modseq >= since.modseq)
    });
    if !is_same || session.unreadable != unreadable {
        selected.vanished = None;
    }
    if selected.uid_validity == 0 {
        let message = "the mailbox keeps no UIDs: its messages cannot be told apart";
        return Err(Error::permanent("open", message).with_delivery(Delivery::Answered));
    }
    session.selected = Some(raw.to_vec());
    Ok(Opened::Yes(selected))
}

/// Leaves the open mailbox: of the one that is open a server tells how it was when it was last looked at. Nothing is
/// removed by that: without UNSELECT it is opened to be looked at first, of which CLOSE takes nothing.
///
/// # Errors
/// As the server says.
pub(crate) async fn leave(session: &mut Session) -> Result<()> {
    let Some(raw) = session.selected.take() else { return Ok(()) };
    if session.capabilities.has("UNSELECT") {
        return session.run(Command::new("UNSELECT"), |_| Ok(())).await?.ok("close").map(drop);
    }
    match examine(session, &raw, None).await? {
        Opened::Yes(_) => session.run(Command::new("CLOSE"), |_| Ok(())).await?.ok("close")?,
        Opened::No(_) => None,
    };
    session.selected = None;
    Ok(())
}

/// Sets that are kept apart until they are merged.
const APART: usize = 1_000;

struct Told<'a> {
    selected: Selected,
    exists: Option<u32>,
    known: Option<&'a UidSet>,
    /// Of what was known. Merged now and then: a server may name each in a line of its own.
    vanished: Vec<UidSet>,
}

impl Told<'_> {
    /// None: it could not be read.
    fn take(&mut self, response: &Response) -> Option<()> {
        match response.kind() {
            Kind::Data(Some(number), name, _) if name.eq_ignore_ascii_case(b"EXISTS") => {
                self.exists = Some(number);
            }
            Kind::Data(None, name, rest) if name.eq_ignore_ascii_case(b"VANISHED") => {
                let set = rest.trim_ascii().rsplit(|byte| *byte == b' ').next()?;
                let vanished = UidSet::parse(set)?;
                // Servers name UIDs that were never there: what is kept is what we knew.
                if let Some(known) = self.known {
                    self.vanished.push(known.intersection(&vanished));
                }
                if self.vanished.len() > APART {
                    let merged = UidSet::merged(&self.vanished);
                    self.vanished = vec![merged];
                }
            }
            Kind::Status(condition) => {
                let Some((name, value)) = condition.code else { return Some(()) };
                let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
                if is("UIDVALIDITY") {
                    self.selected.uid_validity = number(value)?;
                } else if is("UIDNEXT") {
                    self.selected.uid_next = Some(number(value)?);
                } else if is("HIGHESTMODSEQ") {
                    self.selected.modseq = number(value).filter(|modseq| *modseq > 0);
                }
            }
            _ => {}
        }
        Some(())
    }
}

fn number<N: std::str::FromStr>(digits: &[u8]) -> Option<N> {
    std::str::from_utf8(digits.trim_ascii()).ok()?.parse().ok()
}

/// The messages of the open mailbox whose UIDs are in the range and that meet the criteria. Its end may be `u32::MAX`,
/// which is asked for as `*`, and then the last message is answered even where its UID is smaller (RFC 9051, 6.4.8):
/// it is left out here.
///
/// # Errors
/// As the server says; Transient when it does not answer what was asked, so that nobody takes silence for an empty
/// mailbox.
pub(crate) async fn search(
    session: &mut Session,
    (first, last): (u32, u32),
    criteria: &str,
    exists: u32,
) -> Result<UidSet> {
    if first > last || exists == 0 {
        return Ok(UidSet::new());
    }
    let is_extended = session.capabilities.has("ESEARCH");
    let form = if is_extended { " RETURN (ALL)" } else { "" };
    let end = if last == u32::MAX { "*".to_owned() } else { last.to_string() };
    let command = Command::new("UID SEARCH").raw(format!("{form} UID {first}:{end}{criteria}"));
    let (mut found, mut answers, mut missed) = (UidSet::new(), 0_u32, 0_u32);
    // Some may have come since; not so many.
    let most = u64::from(exists).saturating_add(LATECOMERS);
    let done = session.run(command, |response| {
        if let Some(set) = answer(response) {
            match set {
                Some(set) => {
                    answers += 1;
                    found = found.union(&set.intersection(&UidSet::range(first..=last)));
                    if found.len() > most {
                        let message = "the server names more messages than there are";
                        return Err(Error::permanent("search", message).with_delivery(Delivery::Answered));
                    }
                }
                None => missed += 1,
            }
        }
        Ok(())
    });
    done.await?.ok("search")?;
    if missed > 0 {
        session.unreadable += u64::from(missed);
        return Err(Error::transient("search", "the server's answer cannot be read")
            .with_delivery(Delivery::Answered));
    }
    if answers == 0 {
        return Err(
            Error::transient("search", "the server does not answer").with_delivery(Delivery::Answered)
        );
    }
    Ok(found)
}

/// What a response to SEARCH says; inner none: it cannot be read.
pub(crate) fn answer(response: &Response) -> Option<Option<UidSet>> {
    let Kind::Data(None, name, rest) = response.kind() else { return None };
    if name.eq_ignore_ascii_case(b"SEARCH") {
        // Behind the numbers may stand `(MODSEQ 12)` (RFC 7162, 3.1.5).
        let numbers = rest.split(|byte| *byte == b'(').next().unwrap_or_default();
        let words = numbers.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        return Some(words.map(number::<u32>).collect::<Option<UidSet>>());
    }
    if !name.eq_ignore_ascii_case(b"ESEARCH") {
        return None;
    }
    let Ok(tokens) = tokens(rest) else { return Some(None) };
    let all =
        tokens.iter().position(|token| token.is("ALL")).map(|at| tokens.get(at + 1).and_then(Token::bytes));
    Some(match all {
        None => Some(UidSet::new()),
        Some(set) => set.and_then(UidSet::parse),
    })
}
