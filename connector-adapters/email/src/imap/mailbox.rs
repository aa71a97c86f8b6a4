//! The mailboxes of an account: what there is, what of it is read, how each stands.

mod pattern;

use std::collections::BTreeMap;

use connector_sdk::{Class, Error, Result};

use super::{
    capability::Capabilities,
    command::Command,
    config::Settings,
    select::leave,
    session::{Done, Event, Session},
    utf7,
    wire::{Kind, Response, Token, tokens},
};
use crate::config::Known;

/// STATUS commands that are under way at once, where each mailbox has to be asked for.
const AT_ONCE: usize = 16;
/// More mailboxes than that no account has.
const MOST: usize = 100_000;

/// A longer name is none that anybody has given: file systems take 255 bytes a level.
const LONGEST_NAME: usize = 4_096;

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// What people call it: decoded, or as it came where it cannot be.
    pub(crate) name: String,
    /// What the server calls it.
    pub(crate) raw: Vec<u8>,
    /// What separates levels; none where there are none.
    pub(crate) delimiter: Option<char>,
    /// What is said of it: `\HasChildren`, `\Sent`.
    pub(crate) attributes: Vec<String>,
    /// How it stands; none where it cannot be opened, or was not told.
    pub(crate) status: Option<MailboxStatus>,
}

/// How a mailbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MailboxStatus {
    pub(crate) messages: Option<u32>,
    pub(crate) uid_next: Option<u32>,
    pub(crate) uid_validity: Option<u32>,
    pub(crate) unseen: Option<u32>,
    pub(crate) modseq: Option<u64>,
}

impl Mailbox {
    fn is(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|known| known.eq_ignore_ascii_case(attribute))
    }

    /// Whether it holds messages: some only hold other mailboxes.
    pub(crate) fn can_be_opened(&self) -> bool {
        !self.is("\\Noselect") && !self.is("\\NonExistent")
    }
}

/// All mailboxes with how they stand, in the order of their names.
///
/// # Errors
/// As the server says; Transient when it names none, which no account has.
pub(crate) async fn list(session: &mut Session, settings: &Settings) -> Result<Vec<Mailbox>> {
    leave(session).await?;
    let items = status_items(&session.capabilities);
    let tells_status = session.capabilities.has("LIST-STATUS") && session.capabilities.has("LIST-EXTENDED");
    let mut command = Command::new("LIST").raw(" \"\" \"*\"");
    if tells_status {
        let special = if session.capabilities.has("SPECIAL-USE") { "SPECIAL-USE " } else { "" };
        command = command.raw(format!(" RETURN ({special}STATUS {items})"));
    }
    let mut found = Found::default();
    session.run(command, |response| found.take(response)).await?.ok("list")?;
    if found.mailboxes.is_empty() {
        return Err(Error::transient("list", "the server names no mailbox, not even INBOX"));
    }
    session.unreadable += found.unreadable;
    let mut mailboxes = found.into_mailboxes();
    if !tells_status {
        let wanted: Vec<usize> = selected(&mailboxes, settings);
        ask_each(session, &mut mailboxes, &wanted, &items).await?;
    }
    Ok(mailboxes)
}

/// The places of those that are to be read.
pub(crate) fn selected(mailboxes: &[Mailbox], settings: &Settings) -> Vec<usize> {
    let openable = || mailboxes.iter().enumerate().filter(|(_, mailbox)| mailbox.can_be_opened());
    let target = match &settings.after {
        Some(super::config::After::Move(name)) if name.eq_ignore_ascii_case("INBOX") => Some("INBOX"),
        Some(super::config::After::Move(name)) => Some(name.as_str()),
        _ => None,
    };
    let is_wanted: Box<dyn Fn(&Mailbox) -> bool> = if !settings.mailboxes.is_empty() {
        Box::new(|mailbox| pattern::selects(&settings.mailboxes, &mailbox.name, mailbox.delimiter))
    } else if settings.vendor == Known::Gmail && openable().any(|(_, mailbox)| mailbox.is("\\All")) {
        // A label is a mailbox there: all mail is in one, but for what is in these two.
        Box::new(|mailbox| ["\\All", "\\Junk", "\\Trash"].iter().any(|use_| mailbox.is(use_)))
    } else {
        Box::new(|_| true)
    };
    openable()
        .filter(|(_, mailbox)| is_wanted(mailbox) && target != Some(mailbox.name.as_str()))
        .map(|(at, _)| at)
        .collect()
}

async fn ask_each(
    session: &mut Session,
    mailboxes: &mut [Mailbox],
    wanted: &[usize],
    items: &str,
) -> Result<()> {
    for some in wanted.chunks(AT_ONCE) {
        let mut found = Found::default();
        for at in some {
            let Some(mailbox) = mailboxes.get(*at) else { continue };
            let command =
                Command::new("STATUS").string(&mailbox.raw, &session.capabilities).raw(" ").raw(items);
            let waits = command.waits();
            if waits {
                answers(session, &mut found).await?;
            }
            match session.begin(command).await {
                // The server does not want to hear the name out.
                Err(error) if waits && error.class() == Class::Permanent && session.is_idle() => {}
                begun => drop(begun?),
            }
        }
        answers(session, &mut found).await?;
        for at in some {
            if let Some(mailbox) = mailboxes.get_mut(*at) {
                mailbox.status = found.statuses.get(&mailbox.raw).copied();
            }
        }
    }
    Ok(())
}

/// Takes the answers to all that is under way.
async fn answers(session: &mut Session, found: &mut Found) -> Result<()> {
    while !session.is_idle() {
        match session.event().await? {
            Event::Data(response) => found.take(&response)?,
            // It went away since it was listed, or is not for us: a read of it says so.
            Event::Done(_, Done::Ok(_) | Done::Refused(_, Class::Permanent)) | Event::Continue(_) => {}
            Event::Done(_, refused) => return refused.ok("status").map(drop),
        }
    }
    Ok(())
}

fn status_items(capabilities: &Capabilities) -> String {
    let modseq =
        if capabilities.has("CONDSTORE") || capabilities.has("QRESYNC") { " HIGHESTMODSEQ" } else { "" };
    format!("(MESSAGES UIDNEXT UIDVALIDITY UNSEEN{modseq})")
}

/// What LIST and STATUS have told.
#[derive(Debug, Default)]
struct Found {
    mailboxes: Vec<Mailbox>,
    statuses: BTreeMap<Vec<u8>, MailboxStatus>,
    unreadable: u64,
}

impl Found {
    fn take(&mut self, response: &Response) -> Result<()> {
        let Kind::Data(None, name, rest) = response.kind() else { return Ok(()) };
        let is_list = name.eq_ignore_ascii_case(b"LIST");
        if !is_list && !name.eq_ignore_ascii_case(b"STATUS") {
            return Ok(());
        }
        let parsed = tokens(rest).ok().and_then(|tokens| {
            if is_list {
                mailbox(&tokens).map(|mailbox| self.mailboxes.push(mailbox))
            } else {
                self.status(&tokens)
            }
        });
        self.unreadable += u64::from(parsed.is_none());
        if self.mailboxes.len() > MOST {
            return Err(Error::permanent("list", "the server names more mailboxes than an account can have"));
        }
        Ok(())
    }

    fn status(&mut self, tokens: &[Token<'_>]) -> Option<()> {
        // A name that is neither quoted nor a literal may hold spaces: the items are the last.
        let raw = canonical(tokens.first()?.bytes()?);
        let items = tokens.last()?.list()?;
        if self.statuses.len() > MOST {
            return None;
        }
        let mut status = MailboxStatus::default();
        for pair in items.chunks_exact(2) {
            let [name, value] = pair else { continue };
            if name.is("MESSAGES") {
                status.messages = value.number();
            } else if name.is("UIDNEXT") {
                status.uid_next = value.number();
            } else if name.is("UIDVALIDITY") {
                status.uid_validity = value.number();
            } else if name.is("UNSEEN") {
                status.unseen = value.number();
            } else if name.is("HIGHESTMODSEQ") {
                // Zero: the mailbox keeps none (RFC 7162, 3.1.2.2).
                status.modseq = value.number().filter(|modseq| *modseq > 0);
            }
        }
        self.statuses.insert(raw, status);
        Some(())
    }

    /// Each once, with its status. Two names that are shown alike are told apart by the raw one.
    fn into_mailboxes(mut self) -> Vec<Mailbox> {
        // Who has the name by right keeps it, whichever comes first.
        let has_right = |mailbox: &Mailbox| utf7::encode(&mailbox.name).as_bytes() == mailbox.raw;
        self.mailboxes.sort_by(|a, b| (!has_right(a), &a.raw).cmp(&(!has_right(b), &b.raw)));
        let mut by_name: BTreeMap<String, Mailbox> = BTreeMap::new();
        for mut mailbox in self.mailboxes {
            mailbox.status = self.statuses.get(&mailbox.raw).copied();
            let is_same = by_name.get(&mailbox.name).map(|known| known.raw == mailbox.raw);
            if is_same == Some(false) {
                mailbox.name = escaped(&mailbox.raw);
            }
            by_name.entry(mailbox.name.clone()).or_insert(mailbox);
        }
        by_name.into_values().collect()
    }
}

fn mailbox(tokens: &[Token<'_>]) -> Option<Mailbox> {
    let [attributes, delimiter, name, ..] = tokens else { return None };
    let attributes = attributes.list()?.iter().filter_map(Token::bytes);
    let raw = canonical(name.bytes().filter(|name| name.len() <= LONGEST_NAME)?);
    let delimiter = delimiter.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok()?.chars().next());
    Some(Mailbox {
        name: utf7::decode(&raw).unwrap_or_else(|| shown(&raw)),
        raw,
        delimiter,
        attributes: attributes.map(|word| String::from_utf8_lossy(word).into_owned()).collect(),
        status: None,
    })
}

/// A name that is no modified UTF-7, as people may read it.
fn shown(raw: &[u8]) -> String {
    std::str::from_utf8(raw).map_or_else(|_| escaped(raw), str::to_owned)
}

/// A name in which each byte can be told apart: `%FF`.
fn escaped(raw: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b' '..=b'~' if *byte != b'%' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    raw.iter().map(byte).collect()
}

/// INBOX is written as servers like (RFC 9051, 5.1).
fn canonical(raw: &[u8]) -> Vec<u8> {
    if raw.eq_ignore_ascii_case(b"INBOX") { b"INBOX".to_vec() } else { raw.to_vec() }
}

#[cfg(test)]
mod tests;
