//! Replies of a server (RFC 5321, 4.2), without I/O: bytes go in, replies come out, and nothing grows without limit.

use memchr::memchr;

/// The longest line, in bytes. The standard has 512; servers that explain themselves write more.
pub(crate) const LONGEST_LINE: usize = 4_096;
/// The most lines of one reply.
pub(crate) const MOST_LINES: usize = 256;
/// How much text of a reply is kept, in bytes.
const LONGEST_TEXT: usize = 16_384;

/// What a server answers a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// 200 to 599.
    pub(crate) code: u16,
    /// The text of its lines, as far as it is kept. It is the server's, and may hold anything but line breaks.
    pub(crate) lines: Vec<String>,
}

/// The server does not speak SMTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A line is too long.
    Line,
    /// A reply has too many lines.
    Lines,
    /// A line does not begin with a code.
    Code,
    /// The lines of a reply have different codes.
    Codes,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line => write!(f, "a line is longer than {LONGEST_LINE} bytes"),
            Self::Lines => write!(f, "a reply has more than {MOST_LINES} lines"),
            Self::Code => f.write_str("a line does not begin with a code"),
            Self::Codes => f.write_str("the lines of a reply have different codes"),
        }
    }
}

impl Reply {
    /// 2yz: it is done.
    pub(crate) fn is_done(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz: not now.
    pub(crate) fn is_put_off(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: never so.
    pub(crate) fn is_refused(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status code at the beginning of the text (RFC 2034, 4), where its class is that of the reply.
    pub(crate) fn enhanced(&self) -> Option<&str> {
        let word = self.lines.first()?.split(' ').next()?;
        let mut parts = word.split('.');
        let is_number = |part: &str, longest| {
            (1..=longest).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let class = parts.next().filter(|part| is_number(part, 1))?;
        let is_one = parts.next().is_some_and(|part| is_number(part, 3))
            && parts.next().is_some_and(|part| is_number(part, 3))
            && parts.next().is_none();
        (is_one && class.parse() == Ok(self.code / 100)).then_some(word)
    }

    /// The text on one line, without the enhanced code that stands before each of its lines.
    pub(crate) fn text(&self) -> String {
        let enhanced = self.enhanced();
        let lines = self.lines.iter().map(|line| {
            let rest = enhanced.and_then(|enhanced| line.strip_prefix(enhanced)).unwrap_or(line);
            rest.trim()
        });
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// Turns bytes into replies.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    buffer: Vec<u8>,
    /// What of the buffer has been read.
    at: usize,
    lines: Vec<String>,
    count: usize,
    kept: usize,
    code: Option<u16>,
}

impl Replies {
    /// Takes in what the server sent. After a reply that could not be read it takes in nothing sensible.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether something was sent that is no whole reply yet, or that nobody has asked for.
    pub(crate) fn has_more(&self) -> bool {
        self.at < self.buffer.len() || self.count > 0
    }

    /// The next reply; none: more has to be read first.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, Unreadable> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest) else {
                return if rest.len() > LONGEST_LINE { Err(Unreadable::Line) } else { Ok(None) };
            };
            if end > LONGEST_LINE {
                return Err(Unreadable::Line);
            }
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let (code, goes_on, text) = parse(line)?;
            self.at += end + 1;
            self.count += 1;
            if self.count > MOST_LINES {
                return Err(Unreadable::Lines);
            }
            if self.code.is_some_and(|known| known != code) {
                return Err(Unreadable::Codes);
            }
            self.code = Some(code);
            self.kept += text.len();
            if self.kept <= LONGEST_TEXT {
                self.lines.push(text);
            }
            if !goes_on {
                let lines = std::mem::take(&mut self.lines);
                (self.code, self.count, self.kept) = (None, 0, 0);
                return Ok(Some(Reply { code, lines }));
            }
        }
    }
}

/// Code, whether more lines follow, and the text without control characters.
fn parse(line: &[u8]) -> Result<(u16, bool, String), Unreadable> {
    let (digits, rest) = line.split_at_checked(3).ok_or(Unreadable::Code)?;
    let code =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let code = code.and_then(|digits| digits.parse().ok()).filter(|code| (200..600).contains(code));
    let goes_on = match rest.first() {
        Some(b'-') => true,
        Some(b' ' | b'\t') | None => false,
        Some(_) => return Err(Unreadable::Code),
    };
    let text = String::from_utf8_lossy(rest.get(1..).unwrap_or_default());
    let text = text.replace(|c: char| c.is_control(), " ");
    Ok((code.ok_or(Unreadable::Code)?, goes_on, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Reply>, Unreadable> {
        let mut replies = Replies::default();
        replies.push(bytes);
        let mut found = Vec::new();
        while let Some(reply) = replies.next()? {
            found.push(reply);
        }
        Ok(found)
    }

    #[test]
    fn replies_of_one_line_and_of_many_are_read() {
        let found = all(
            b"220 mx ESMTP\r\n250-mx\r\n250-SIZE 100\r\n250 HELP\r\n250\r\n550-5.1.1 no\r\n550 5.1.1 body\n",
        )
        .unwrap();
        assert_eq!(found.iter().map(|reply| reply.code).collect::<Vec<_>>(), [220, 250, 250, 550]);
        assert_eq!(found[1].lines, ["mx", "SIZE 100", "HELP"]);
        assert_eq!((found[3].enhanced(), found[3].text().as_str()), (Some("5.1.1"), "no body"));
    }

    #[test]
    fn an_enhanced_code_is_one_only_in_its_place_and_of_the_reply_s_class() {
        let enhanced =
            |text: &str| all(format!("450 {text}\r\n").as_bytes()).unwrap()[0].enhanced().map(str::to_owned);
        assert_eq!(enhanced("4.7.1 greylisted").as_deref(), Some("4.7.1"));
        for none in ["greylisted 4.7.1", "5.7.1 x", "4.7", "4.7.1.2 x", "4..1 x", "4.7777.1 x", "", "4.7.1x"]
        {
            assert_eq!(enhanced(none), None, "{none}");
        }
    }

    #[test]
    fn a_reply_that_is_none_is_an_error_and_one_without_end_is_one_too() {
        for (bytes, error) in [
            (b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Unreadable::Code),
            (b"* OK IMAP4rev1\r\n".to_vec(), Unreadable::Code),
            (b"25\r\n".to_vec(), Unreadable::Code),
            (b"100 x\r\n".to_vec(), Unreadable::Code),
            (b"2500 x\r\n".to_vec(), Unreadable::Code),
            ("2é0 x\r\n".as_bytes().to_vec(), Unreadable::Code),
            (b"250-a\r\n251 b\r\n".to_vec(), Unreadable::Codes),
            ([b"250 ".to_vec(), vec![b'x'; LONGEST_LINE]].concat(), Unreadable::Line),
            (b"250-x\r\n".repeat(MOST_LINES + 1), Unreadable::Lines),
        ] {
            assert_eq!(all(&bytes).unwrap_err(), error);
        }
        let long = b"250-".iter().chain(&[b'x'; 4_000]).chain(b"\r\n").copied().collect::<Vec<_>>();
        let found = all(&[long.repeat(20), b"250 end\r\n".to_vec()].concat()).unwrap();
        assert!(found[0].lines.concat().len() <= LONGEST_TEXT);
    }

    #[test]
    fn what_nobody_asked_for_is_seen() {
        let mut replies = Replies::default();
        replies.push(b"220 go on\r\n250 injected\r\n");
        assert_eq!(replies.next().unwrap().unwrap().code, 220);
        assert!(replies.has_more());
        assert_eq!(replies.next().unwrap().unwrap().code, 250);
        assert!(!replies.has_more());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_how_they_are_cut_changes_nothing(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "(2[0-9]{2}[- ][ -~]{0,5}\r?\n){0,6}".prop_map(String::into_bytes),
            ],
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(bytes.len() + 1);
            let mut replies = Replies::default();
            let mut found = Vec::new();
            let mut failed = None;
            for part in [&bytes[..cut], &bytes[cut..]] {
                replies.push(part);
                while failed.is_none() {
                    match replies.next() {
                        Ok(Some(reply)) => found.push(reply),
                        Ok(None) => break,
                        Err(error) => failed = Some(error),
                    }
                }
            }
            match all(&bytes) {
                Ok(whole) => prop_assert!(failed.is_none() && whole == found),
                Err(error) => prop_assert_eq!(failed, Some(error)),
            }
        }
    }
}
