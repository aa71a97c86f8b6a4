//! What a server says that it can do (RFC 5321, 4.1.1.1).

use super::reply::Reply;

/// The most mechanisms that are looked at.
const MOST_MECHANISMS: usize = 64;

/// The extensions of a server that matter to who sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    /// RFC 3207.
    pub(crate) starttls: bool,
    /// RFC 2920.
    pub(crate) pipelining: bool,
    /// RFC 6152.
    pub(crate) eight_bit: bool,
    /// RFC 6531.
    pub(crate) utf8: bool,
    /// RFC 3461.
    pub(crate) dsn: bool,
    /// RFC 1870: offered, and the largest message in bytes where the server names it.
    pub(crate) size: Option<Option<u64>>,
    /// RFC 4954: the mechanisms to sign in with.
    pub(crate) mechanisms: Vec<String>,
}

impl Extensions {
    /// Those of this reply to EHLO. The first line is the server's name.
    pub(crate) fn of(reply: &Reply) -> Self {
        let mut extensions = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            // Old servers write `AUTH=LOGIN`, some beside the right form.
            let Some(word) = words.next() else { continue };
            let (keyword, first) =
                word.split_once('=').map_or((word, None), |(keyword, first)| (keyword, Some(first)));
            match keyword.to_ascii_uppercase().as_str() {
                "STARTTLS" => extensions.starttls = true,
                "PIPELINING" => extensions.pipelining = true,
                "8BITMIME" => extensions.eight_bit = true,
                "SMTPUTF8" => extensions.utf8 = true,
                "DSN" => extensions.dsn = true,
                // Nought means that there is no limit (RFC 1870, 3).
                "SIZE" => {
                    let size = words.next().and_then(|size| size.parse().ok());
                    extensions.size = Some(size.filter(|size| *size > 0));
                }
                "AUTH" => {
                    let names = first.into_iter().chain(words).map(str::to_ascii_uppercase);
                    let left = MOST_MECHANISMS.saturating_sub(extensions.mechanisms.len());
                    extensions.mechanisms.extend(names.take(left));
                }
                _ => {}
            }
        }
        extensions
    }

    /// The largest message that the server takes, in bytes, where it says so.
    pub(crate) fn largest(&self) -> Option<u64> {
        self.size.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_read_in_whatever_case_and_form() {
        let lines = [
            "mx.example.test greets you, STARTTLS",
            "pipelining",
            "SIZE 5242880",
            "AUTH PLAIN login",
            "AUTH=LOGIN XOAUTH2",
            "8bitmime",
            "SMTPUTF8",
            "X-EXPS=LOGIN",
            "",
        ];
        let reply = Reply { code: 250, lines: lines.map(str::to_owned).to_vec() };
        let found = Extensions::of(&reply);
        assert!(found.pipelining && found.eight_bit && found.utf8 && !found.dsn);
        assert!(!found.starttls, "the first line is a name");
        assert_eq!(found.largest(), Some(5_242_880));
        assert_eq!(found.mechanisms, ["PLAIN", "LOGIN", "LOGIN", "XOAUTH2"]);
        for (line, size) in
            [("SIZE", Some(None)), ("SIZE 0", Some(None)), ("SIZE x", Some(None)), ("HELP", None)]
        {
            let reply = Reply { code: 250, lines: vec!["mx".to_owned(), line.to_owned()] };
            assert_eq!(Extensions::of(&reply).size, size, "{line}");
        }
    }
}
