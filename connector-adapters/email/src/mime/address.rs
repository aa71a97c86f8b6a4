//! Address lists (RFC 5322 §3.4 and the obsolete forms of §4.4), as tolerant as what is sent.
//!
//! Our own, because a name is decoded as a whole (see [`words`]), and because the list is written as it is read.

use super::words;

/// One mailbox. At least one of both is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mailbox {
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
}

/// Reads a list and hands over its mailboxes in order, those of groups too, until `each` answers `false`.
pub(super) fn list(value: &[u8], mut each: impl FnMut(Mailbox) -> bool) {
    let mut reader = Reader::default();
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => reader.gap(),
            b'"' => rest = reader.quoted(rest),
            b'(' => rest = reader.comment(rest),
            b'<' => rest = reader.angle(rest),
            b',' | b';' => {
                if let Some(mailbox) = reader.finish()
                    && !each(mailbox)
                {
                    return;
                }
            }
            // The name of a group; what follows are its members. In a bare address it belongs to a route or a scheme.
            b':' if reader.at.is_none() && reader.angle.is_none() => reader.clear(),
            b'@' if reader.angle.is_none() => reader.at_sign(),
            // What is inside an encoded word separates nothing, though RFC 2047 §5 wants commas encoded.
            b'=' if after.first() == Some(&b'?') => {
                match words::word(&value[value.len() - after.len() - 1..]) {
                    Some(length) => {
                        let (word, behind) = value[value.len() - after.len() - 1..].split_at(length);
                        word.iter().for_each(|byte| reader.letter(*byte));
                        rest = behind;
                    }
                    None => reader.letter(byte),
                }
            }
            _ => reader.letter(byte),
        }
    }
    if let Some(mailbox) = reader.finish() {
        each(mailbox);
    }
}

#[derive(Debug, Default)]
struct Reader {
    phrase: Vec<u8>,
    comment: Vec<u8>,
    /// What stood between angle brackets.
    angle: Option<Vec<u8>>,
    /// White space since the last letter of the phrase.
    gap: bool,
    /// Where in the phrase the last quoted string begins, as long as nothing follows it.
    quote: Option<usize>,
    /// Where in the phrase the word with an `@` begins, and where it ends.
    at: Option<(usize, Option<usize>)>,
}

impl Reader {
    fn gap(&mut self) {
        self.gap = true;
    }

    /// Space between words becomes one, and none around the `@` of an obsolete address.
    fn join(&mut self) {
        if self.gap && !self.phrase.is_empty() && self.phrase.last() != Some(&b'@') {
            if let Some((_, end @ None)) = &mut self.at {
                *end = Some(self.phrase.len());
            }
            self.phrase.push(b' ');
        }
        self.gap = false;
    }

    fn letter(&mut self, byte: u8) {
        self.join();
        self.quote = None;
        self.phrase.push(byte);
    }

    fn at_sign(&mut self) {
        self.gap = false;
        if self.at.is_none() {
            let start = match self.quote.take() {
                // The local part was quoted, and is again.
                Some(start) => {
                    let mut local = vec![b'"'];
                    for &byte in &self.phrase[start..] {
                        if matches!(byte, b'"' | b'\\') {
                            local.push(b'\\');
                        }
                        local.push(byte);
                    }
                    local.push(b'"');
                    self.phrase.splice(start.., local);
                    start
                }
                None => memchr::memrchr(b' ', &self.phrase).map_or(0, |space| space + 1),
            };
            self.at = Some((start, None));
        }
        self.phrase.push(b'@');
    }

    /// A quoted string, without its quotes; one that does not end goes up to the end of the field.
    fn quoted<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        self.join();
        let start = self.phrase.len();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'"' => break,
                b'\r' | b'\n' => {}
                b'\\' => {
                    if let Some((&next, after)) = rest.split_first() {
                        self.phrase.push(next);
                        rest = after;
                    }
                }
                _ => self.phrase.push(byte),
            }
        }
        self.quote = Some(start);
        rest
    }

    /// A comment, with those inside it.
    fn comment<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        let mut depth = 1_usize;
        if !self.comment.is_empty() {
            self.comment.push(b' ');
        }
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'\\' => {
                    if let Some((&next, after)) = rest.split_first() {
                        self.comment.push(next);
                        rest = after;
                    }
                    continue;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\r' | b'\n' => continue,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            self.comment.push(byte);
        }
        self.gap = true;
        rest
    }

    /// What stands between angle brackets; without the closing one, up to the comma.
    fn angle<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let end = end_of_angle(rest);
        let (inside, after) = rest.split_at(end);
        let mut address: Vec<u8> = Vec::with_capacity(inside.len());
        let mut quoted = false;
        for &byte in inside {
            quoted ^= byte == b'"';
            if quoted || !byte.is_ascii_whitespace() {
                address.push(byte);
            }
        }
        // A route, which nobody uses any more: `@relay,@other:user@host` (RFC 5322 §4.4).
        if address.first() == Some(&b'@')
            && let Some(colon) = memchr::memrchr(b':', &address)
        {
            address.drain(..=colon);
        }
        // Of two, the first that says something.
        if self.angle.as_ref().is_none_or(Vec::is_empty) {
            self.angle = Some(address);
        }
        self.gap = true;
        after.strip_prefix(b">").unwrap_or(after)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn finish(&mut self) -> Option<Mailbox> {
        let reader = std::mem::take(self);
        let comment = text(&reader.comment);
        let phrase = reader.phrase;
        let (name, address) = match (reader.angle, reader.at) {
            (Some(angle), _) if !angle.is_empty() => (text(&phrase), text(&angle)),
            (_, Some((start, end))) => {
                let end = end.unwrap_or(phrase.len());
                let name = [&phrase[..start], &phrase[end..]].concat();
                (text(&name), text(&phrase[start..end]))
            }
            _ => {
                let name = text(&phrase);
                match (&name, &comment) {
                    // A user of the sender's own machine: `root (Cron)`.
                    (Some(word), Some(_)) if !word.contains(char::is_whitespace) => (None, name),
                    _ => (name, None),
                }
            }
        };
        let name = match (name, comment) {
            (Some(name), Some(comment)) => Some(format!("{name} ({comment})")),
            (name, comment) => name.or(comment),
        };
        (name.is_some() || address.is_some()).then_some(Mailbox { name, address })
    }
}

/// A quoted local part may hold a bracket.
fn end_of_angle(rest: &[u8]) -> usize {
    let mut quoted = false;
    let mut comma = None;
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at,
            // Another address begins: this one was not closed.
            b'<' if !quoted => return comma.unwrap_or(at),
            b',' if !quoted && comma.is_none() => comma = Some(at),
            _ => {}
        }
    }
    comma.unwrap_or(rest.len())
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = words::text(bytes).text;
    (!text.is_empty()).then(|| text.into_owned())
}
