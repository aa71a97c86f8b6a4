//! Where a response ends. Pure: it is shown what has come so far, again and again.
//!
//! A response is lines; a line that ends in `{n}` goes on after n bytes of anything (RFC 9051, 4.3). Status responses
//! and those with a tag have no such literals: what looks like one there is the end of a text for people.

use memchr::memchr;

/// A line that has no end by then and may be taken in parts is.
const PART: usize = 256 << 10;
/// What is answered to UID SEARCH: numbers with spaces between.
const SEARCH: &[u8] = b"* SEARCH ";
/// Answers whose one line tells of a whole mailbox, as ranges: about a million of them.
const LONG: [&[u8]; 2] = [b"* ESEARCH", b"* VANISHED"];
const LONG_LINE: usize = 12 << 20;

/// The longest literal outside of FETCH: names of mailboxes.
const NAME: usize = 64 << 10;

/// What a server may say at most, each by itself, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// All lines of a response, without its literals.
    pub(crate) line: usize,
    /// A literal.
    pub(crate) literal: usize,
    /// A whole response.
    pub(crate) response: usize,
}

impl Limits {
    /// Those for messages of at most this size.
    pub(crate) fn for_messages_of(bytes: usize) -> Self {
        let line = 1 << 20;
        // Of a message that is cut one byte more is asked for, and servers count line ends as they like.
        let literal = bytes.saturating_add(64 << 10);
        Self { line, literal, response: literal.saturating_add(line) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// A response of that many bytes.
    Whole(usize),
    /// So many bytes of a response that is taken in parts; the rest is to be given this beginning.
    Part(&'static [u8], usize),
    /// At least so many bytes more are needed.
    Partial(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooLarge {
    #[error("a line has no end after {0} bytes")]
    Line(usize),
    #[error("a literal of {0} bytes is announced")]
    Literal(u64),
    #[error("it has more than {0} bytes")]
    Response(usize),
}

#[derive(Debug)]
pub(super) struct Framer {
    limits: Limits,
    /// Where the line begins that is looked at: after a literal that may not have come yet.
    line: usize,
    /// There is no line end before this.
    searched: usize,
    /// Bytes of the response's lines before this one.
    lines: usize,
}

impl Framer {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, line: 0, searched: 0, lines: 0 }
    }

    fn reset(&mut self) {
        (self.line, self.searched, self.lines) = (0, 0, 0);
    }

    /// Looks at what has come. After an answer other than `Partial` what it tells of is to be taken away.
    pub(super) fn frame(&mut self, buffer: &[u8]) -> Result<Frame, TooLarge> {
        loop {
            if self.line > buffer.len() {
                return Ok(Frame::Partial(self.line - buffer.len() + 2));
            }
            let from = self.searched.max(self.line);
            let end = memchr(b'\n', buffer.get(from..).unwrap_or_default()).map(|at| from + at + 1);
            let limit = self.line_limit(buffer);
            let length = end.unwrap_or(buffer.len()) - self.line;
            if end.is_none() && length >= PART && self.line == 0 && buffer.starts_with(SEARCH) {
                return self.part(buffer);
            }
            if self.lines + length > limit {
                return Err(TooLarge::Line(limit));
            }
            let Some(end) = end else {
                self.searched = buffer.len();
                return Ok(Frame::Partial(1));
            };
            self.lines += length;
            match literal(buffer.get(self.line..end).unwrap_or_default()).filter(|_| has_literals(buffer)) {
                None => {
                    self.reset();
                    return Ok(Frame::Whole(end));
                }
                Some(bytes) => {
                    let bytes = usize::try_from(bytes)
                        .ok()
                        .filter(|bytes| *bytes <= self.literal_limit(buffer))
                        .ok_or(TooLarge::Literal(bytes))?;
                    let next = end.saturating_add(bytes);
                    if next > self.limits.response {
                        return Err(TooLarge::Response(self.limits.response));
                    }
                    (self.line, self.searched) = (next, next);
                }
            }
        }
    }

    /// The numbers that are complete.
    fn part(&mut self, buffer: &[u8]) -> Result<Frame, TooLarge> {
        let end = buffer.iter().rposition(|byte| *byte == b' ').unwrap_or_default();
        if end < SEARCH.len() {
            return Err(TooLarge::Line(PART));
        }
        self.reset();
        Ok(Frame::Part(SEARCH, end + 1))
    }

    /// Messages come in FETCH; what else is a literal is a name.
    fn literal_limit(&self, buffer: &[u8]) -> usize {
        if is_fetch(buffer) { self.limits.literal } else { self.limits.literal.min(NAME) }
    }

    fn line_limit(&self, buffer: &[u8]) -> usize {
        if LONG.iter().any(|long| buffer.starts_with(long)) {
            LONG_LINE.max(self.limits.line)
        } else {
            self.limits.line
        }
    }
}

/// Whether a response begins `* n FETCH`.
fn is_fetch(response: &[u8]) -> bool {
    let Some(data) = response.strip_prefix(b"* ") else { return false };
    let digits = data.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let name = data.get(digits..).and_then(|rest| rest.strip_prefix(b" ")).and_then(|rest| rest.get(..5));
    digits > 0 && name.is_some_and(|name| name.eq_ignore_ascii_case(b"FETCH"))
}

/// Whether a response that begins like this may hold literals.
fn has_literals(response: &[u8]) -> bool {
    let Some(data) = response.strip_prefix(b"* ") else { return false };
    let word = data.split(|byte| *byte == b' ' || *byte == b'\r').next().unwrap_or_default();
    !["OK", "NO", "BAD", "BYE", "PREAUTH"].iter().any(|status| word.eq_ignore_ascii_case(status.as_bytes()))
}

/// The bytes that a line announces at its end: `{12}`, and as some servers write it `{12+}`.
pub(super) fn literal(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
    let line = line.strip_suffix(b"+").unwrap_or(line);
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = line.split_at_checked(line.len() - digits)?;
    if digits.is_empty() || !before.ends_with(b"{") {
        return None;
    }
    // A number that has no end is larger than any limit.
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}
