//! What a response is about: the beginning of it, which every response has.

use bytes::Bytes;

/// One response of a server, whole.
#[derive(Clone)]
pub(crate) struct Response(Bytes);

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// Go on: the text is a challenge, or for people.
    Continue(&'a [u8]),
    /// The command with this tag is done.
    Tagged(&'a [u8], Condition<'a>),
    /// What is to be known besides.
    Status(Condition<'a>),
    /// Data: a number where there is one, a name, and what follows.
    Data(Option<u32>, &'a [u8], &'a [u8]),
    /// Nothing that a server may say.
    Unknown,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

/// How it went, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition<'a> {
    pub(crate) status: Status,
    /// The name in brackets, and what follows it there.
    pub(crate) code: Option<(&'a [u8], &'a [u8])>,
    /// For people.
    pub(crate) text: &'a [u8],
}

impl Response {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) fn kind(&self) -> Kind<'_> {
        let line = trim(&self.0);
        if let Some(text) = line.strip_prefix(b"+") {
            return Kind::Continue(text.strip_prefix(b" ").unwrap_or(text));
        }
        let (first, rest) = word(line);
        if first == b"*" {
            return untagged(rest);
        }
        match condition(rest) {
            Some(condition) if !first.is_empty() => Kind::Tagged(first, condition),
            _ => Kind::Unknown,
        }
    }
}

#[cfg(test)]
impl From<&[u8]> for Response {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Mail is personal data: how much it is has to do.
        write!(f, "Response({} bytes)", self.0.len())
    }
}

fn untagged(rest: &[u8]) -> Kind<'_> {
    if let Some(condition) = condition(rest) {
        return Kind::Status(condition);
    }
    let (first, after) = word(rest);
    let is_number = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
    if !is_number {
        return if first.is_empty() { Kind::Unknown } else { Kind::Data(None, first, after) };
    }
    let number = std::str::from_utf8(first).ok().and_then(|digits| digits.parse().ok());
    let (name, after) = word(after);
    if name.is_empty() { Kind::Unknown } else { Kind::Data(number, name, after) }
}

fn condition(text: &[u8]) -> Option<Condition<'_>> {
    let (first, rest) = word(text);
    let statuses = [
        ("OK", Status::Ok),
        ("NO", Status::No),
        ("BAD", Status::Bad),
        ("BYE", Status::Bye),
        ("PREAUTH", Status::Preauth),
    ];
    let status = statuses.iter().find(|(name, _)| first.eq_ignore_ascii_case(name.as_bytes()))?.1;
    let Some(inner) = rest.strip_prefix(b"[") else {
        return Some(Condition { status, code: None, text: rest });
    };
    let Some(end) = inner.iter().position(|byte| *byte == b']') else {
        return Some(Condition { status, code: None, text: rest });
    };
    let (code, after) = inner.split_at(end);
    let after = after.get(1..).unwrap_or_default();
    Some(Condition { status, code: Some(word(code)), text: after.strip_prefix(b" ").unwrap_or(after) })
}

/// The first word, and what follows the space after it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b' ') {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, &[]),
    }
}

fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
