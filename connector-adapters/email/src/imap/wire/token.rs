//! What a response is made of. Tolerant: what is there is taken as it stands, as long as it can be told apart.

use std::borrow::Cow;

use super::framer;

/// Lists in lists, at most.
const DEPTH: usize = 64;

/// A part of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A word or a number. Brackets with what is in them belong to it: `BODY[HEADER.FIELDS (DATE)]<0>`.
    Atom(&'a [u8]),
    /// A text in quotes, or bytes that were announced.
    Text(Cow<'a, [u8]>),
    /// What stands in parentheses.
    List(Vec<Token<'a>>),
    /// Nothing is there.
    Nil,
}

/// The response cannot be told apart. The session goes on with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable at byte {at}: {what}")]
pub(crate) struct Unreadable {
    at: usize,
    what: &'static str,
}

impl Unreadable {
    pub(crate) const NO_LIST: Self = Self { at: 0, what: "there is no list" };
    pub(crate) const NO_NAME: Self = Self { at: 0, what: "a name is missing" };
    pub(crate) const NO_VALUE: Self = Self { at: 0, what: "a value is missing" };
}

impl<'a> Token<'a> {
    /// The bytes of a word or of a text.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) => Some(bytes),
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Nil => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Token<'a>]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn number<N: std::str::FromStr>(&self) -> Option<N> {
        let bytes = self.bytes().filter(|bytes| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit))?;
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }

    /// Whether it is this word, in any case.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Atom(atom) if atom.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// The parts of this.
///
/// # Errors
/// [`Unreadable`], saying where.
pub(crate) fn tokens(bytes: &[u8]) -> Result<Vec<Token<'_>>, Unreadable> {
    let mut reader = Reader { bytes, at: 0 };
    // Lists that have begun: no recursion that a server drives.
    let mut open: Vec<Vec<Token<'_>>> = Vec::new();
    let mut items = Vec::new();
    while let Some(byte) = reader.peek() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => reader.at += 1,
            b'(' => {
                if open.len() >= DEPTH {
                    return Err(reader.fault("lists in lists without end"));
                }
                reader.at += 1;
                open.push(std::mem::take(&mut items));
            }
            b')' => {
                let Some(outer) = open.pop() else {
                    return Err(reader.fault("a list ends that has not begun"));
                };
                reader.at += 1;
                let list = std::mem::replace(&mut items, outer);
                items.push(Token::List(list));
            }
            b'"' => items.push(Token::Text(reader.quoted()?)),
            b'{' | b'~' if reader.announces() => items.push(Token::Text(Cow::Borrowed(reader.literal()?))),
            _ => items.push(reader.atom()),
        }
    }
    if open.is_empty() { Ok(items) } else { Err(reader.fault("a list has no end")) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault(&self, what: &'static str) -> Unreadable {
        Unreadable { at: self.at, what }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Unreadable> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let end =
            memchr::memchr3(b'"', b'\\', b'\n', inner).ok_or_else(|| self.fault("a text has no end"))?;
        if inner.get(end) == Some(&b'"') {
            self.at += end + 2;
            return Ok(Cow::Borrowed(inner.get(..end).unwrap_or_default()));
        }
        let mut text = inner.get(..end).unwrap_or_default().to_vec();
        let mut rest = inner.iter().enumerate().skip(end);
        while let Some((at, byte)) = rest.next() {
            match byte {
                b'"' => {
                    self.at += at + 2;
                    return Ok(Cow::Owned(text));
                }
                b'\\' => match rest.next() {
                    Some((_, escaped)) => text.push(*escaped),
                    None => break,
                },
                b'\n' => break,
                byte => text.push(*byte),
            }
        }
        Err(self.fault("a text has no end"))
    }

    fn announces(&self) -> bool {
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_prefix(b"~").unwrap_or(line);
        line.starts_with(b"{") && framer::literal(line).is_some()
    }

    fn literal(&mut self) -> Result<&'a [u8], Unreadable> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let length =
            rest.get(..end).and_then(framer::literal).and_then(|length| usize::try_from(length).ok());
        let literal = length.and_then(|length| rest.get(end..end.checked_add(length)?));
        let literal = literal.ok_or_else(|| self.fault("bytes are missing"))?;
        self.at += end + literal.len();
        Ok(literal)
    }

    fn atom(&mut self) -> Token<'a> {
        let rest = self.rest();
        let mut brackets = 0_usize;
        let mut end = 0;
        while let Some(byte) = rest.get(end) {
            match byte {
                // Only these have brackets that hold spaces; a flag may have one that is never closed.
                b'[' if brackets > 0 || opens_section(rest.get(..end).unwrap_or_default()) => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b'\r' | b'\n' => break,
                b' ' | b'\t' | b'(' | b')' | b'"' if brackets == 0 => break,
                _ => {}
            }
            end += 1;
        }
        // Nothing that could not begin a word leads here, so that it always goes on.
        let end = end.max(1);
        self.at += end;
        let atom = rest.get(..end).unwrap_or_default();
        if atom.eq_ignore_ascii_case(b"NIL") { Token::Nil } else { Token::Atom(atom) }
    }
}

fn opens_section(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"BODY") || word.eq_ignore_ascii_case(b"BINARY")
}
