//! What FETCH answers of a message.

use std::borrow::Cow;

use super::wire::{Token, Unreadable, tokens};

/// What a server has said of one message. A sequence number is not among it: that of a message changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetched<'a> {
    pub(crate) uid: Option<u32>,
    pub(crate) size: Option<u64>,
    pub(crate) internal_date: Option<Cow<'a, [u8]>>,
    /// Without `\Recent`, which is of the session and not of the message.
    pub(crate) flags: Option<Vec<String>>,
    pub(crate) modseq: Option<u64>,
    /// The message, or its beginning.
    pub(crate) body: Option<Cow<'a, [u8]>>,
    /// Gmail's id of the message, which is the same in all its mailboxes.
    pub(crate) gm_msgid: Option<u64>,
    /// Gmail's id of the conversation.
    pub(crate) gm_thrid: Option<u64>,
    /// Gmail's labels, decoded.
    pub(crate) gm_labels: Option<Vec<String>>,
}

impl<'a> Fetched<'a> {
    /// What follows `* n FETCH`. What is not known is passed over.
    ///
    /// # Errors
    /// [`Unreadable`] when it cannot be told apart.
    pub(crate) fn parse(rest: &'a [u8]) -> Result<Self, Unreadable> {
        let mut fetched = Self::default();
        let Some(Token::List(items)) = tokens(rest)?.into_iter().next() else {
            return Err(Unreadable::NO_LIST);
        };
        let mut items = items.into_iter();
        while let Some(name) = items.next() {
            let Token::Atom(name) = name else { return Err(Unreadable::NO_NAME) };
            let Some(value) = items.next() else { return Err(Unreadable::NO_VALUE) };
            fetched.take(name, value);
        }
        Ok(fetched)
    }

    fn take(&mut self, name: &[u8], value: Token<'a>) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("UID") {
            self.uid = value.number().filter(|uid| *uid > 0);
        } else if is("RFC822.SIZE") {
            self.size = value.number();
        } else if is("MODSEQ") {
            self.modseq = value.list().and_then(|list| list.first()).and_then(Token::number);
        } else if is("FLAGS") {
            self.flags = value.list().map(flags);
        } else if is("INTERNALDATE") {
            self.internal_date = text(value);
        } else if is("X-GM-MSGID") {
            self.gm_msgid = value.number();
        } else if is("X-GM-THRID") {
            self.gm_thrid = value.number();
        } else if is("X-GM-LABELS") {
            self.gm_labels = value.list().map(labels);
        } else if is_whole(name) {
            self.body = text(value);
        }
    }
}

fn text(token: Token<'_>) -> Option<Cow<'_, [u8]>> {
    match token {
        Token::Text(text) => Some(text),
        Token::Atom(atom) => Some(Cow::Borrowed(atom)),
        Token::List(_) | Token::Nil => None,
    }
}

/// `BODY[]`, and `BODY[]<0>` where the beginning was asked for.
fn is_whole(name: &[u8]) -> bool {
    let Some((name, rest)) = name.split_at_checked(6) else { return false };
    name.eq_ignore_ascii_case(b"BODY[]") && (rest.is_empty() || rest == b"<0>")
}

/// Flags and labels of a message that are looked at, and bytes of each: more nobody sets (Gmail allows 5,000 labels an
/// account, of 225 characters).
const MOST_WORDS: usize = 5_000;
const LONGEST_WORD: usize = 1_000;

fn words<'a>(list: &'a [Token<'_>]) -> impl Iterator<Item = &'a [u8]> {
    list.iter().filter_map(Token::bytes).filter(|word| word.len() <= LONGEST_WORD).take(MOST_WORDS)
}

fn flags(list: &[Token<'_>]) -> Vec<String> {
    let mut flags: Vec<String> = words(list)
        .map(|flag| String::from_utf8_lossy(flag).into_owned())
        .filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"))
        .collect();
    // The order is not told, so that it is ours: equal flags are equal records.
    flags.sort_unstable();
    flags.dedup();
    flags
}

/// Labels are names of mailboxes (Google, "IMAP extensions": X-GM-LABELS).
fn labels(list: &[Token<'_>]) -> Vec<String> {
    let decoded = |label: &[u8]| {
        super::utf7::decode(label).unwrap_or_else(|| String::from_utf8_lossy(label).into_owned())
    };
    words(list).map(decoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_a_message_is_taken_in_whatever_order() {
        let text = b"(FLAGS (\\Seen \\Recent $Work) UID 7 X-NEW (a (b)) RFC822.SIZE 54 MODSEQ (12) \
            INTERNALDATE \"20-Nov-2026 09:41:01 +0000\" X-GM-MSGID 1278455344230334865 X-GM-LABELS (\\Inbox \"&APw-\") \
            BODY[]<0> {5}\r\na)\r\nb BODY[HEADER.FIELDS (DATE)] NIL)\r\n";
        let fetched = Fetched::parse(text).unwrap();
        assert_eq!((fetched.uid, fetched.size, fetched.modseq), (Some(7), Some(54), Some(12)));
        assert_eq!(fetched.flags.unwrap(), ["$Work", "\\Seen"]);
        assert_eq!(fetched.body.unwrap(), &b"a)\r\nb"[..]);
        assert_eq!(fetched.internal_date.unwrap(), &b"20-Nov-2026 09:41:01 +0000"[..]);
        assert_eq!(fetched.gm_msgid, Some(1_278_455_344_230_334_865));
        assert_eq!(fetched.gm_labels.unwrap(), ["\\Inbox", "ü"]);
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        for text in [&b""[..], b"UID 1", b"(UID)", b"(\"UID\" 1)", b"(UID 1", b"(BODY[] {9}\r\nabc)"] {
            assert!(Fetched::parse(text).is_err(), "{}", text.escape_ascii());
        }
        assert_eq!(Fetched::parse(b"(UID 0 FLAGS NIL BODY[] NIL)").unwrap(), Fetched::default());
        assert_eq!(Fetched::parse(b"(UID -1 UID 4294967296)").unwrap().uid, None);
    }
}
