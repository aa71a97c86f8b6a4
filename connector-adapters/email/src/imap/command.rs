//! A command as it is sent: its words, and where the server has to be asked before more is sent.

use super::capability::Capabilities;

/// What a literal may have at most where LITERAL- is offered (RFC 7888, 6).
const LITERAL_MINUS: usize = 4096;

/// A command without its tag.
#[derive(Clone)]
pub(crate) struct Command {
    /// Parts, after each of which but the last the server is waited for.
    parts: Vec<Vec<u8>>,
    /// What it is called, for people.
    name: &'static str,
}

impl Command {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { parts: vec![name.as_bytes().to_vec()], name }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the server has to be waited for in the middle of it: nothing else may be under way then.
    pub(crate) fn waits(&self) -> bool {
        self.parts.len() > 1
    }

    /// Appends text of our own: words, numbers, parentheses.
    #[must_use]
    pub(crate) fn raw(mut self, text: impl AsRef<[u8]>) -> Self {
        self.last().extend_from_slice(text.as_ref());
        self
    }

    /// Appends a space and a string of anybody's, in quotes or as a literal.
    #[must_use]
    pub(crate) fn string(mut self, text: &[u8], capabilities: &Capabilities) -> Self {
        let last = self.last();
        last.push(b' ');
        let is_plain = text.len() <= 1_000 && text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if is_plain {
            last.push(b'"');
            for byte in text {
                if matches!(byte, b'"' | b'\\') {
                    last.push(b'\\');
                }
                last.push(*byte);
            }
            last.push(b'"');
            return self;
        }
        let waits_not =
            capabilities.has("LITERAL+") || (capabilities.has("LITERAL-") && text.len() <= LITERAL_MINUS);
        let plus = if waits_not { "+" } else { "" };
        last.extend_from_slice(format!("{{{}{plus}}}\r\n", text.len()).as_bytes());
        if waits_not {
            last.extend_from_slice(text);
        } else {
            self.parts.push(text.to_vec());
        }
        self
    }

    fn last(&mut self) -> &mut Vec<u8> {
        if self.parts.is_empty() {
            self.parts.push(Vec::new());
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    /// What is sent, part by part, with this tag.
    pub(crate) fn into_parts(mut self, tag: &str) -> Vec<Vec<u8>> {
        let mut first = Vec::with_capacity(64);
        first.extend_from_slice(tag.as_bytes());
        first.push(b' ');
        if let Some(part) = self.parts.first_mut() {
            first.append(part);
            *part = first;
        }
        self.last().extend_from_slice(b"\r\n");
        self.parts
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What follows the name may be a password.
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: Command) -> Vec<String> {
        command.into_parts("A1").into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
    }

    #[test]
    fn a_name_is_quoted_and_what_cannot_be_is_a_literal() {
        let none = Capabilities::default();
        let plus = Capabilities::parse(b"IMAP4rev1 LITERAL+");
        let minus = Capabilities::parse(b"IMAP4rev1 LITERAL-");
        let examine = |name: &[u8], capabilities: &Capabilities| {
            text(Command::new("EXAMINE").string(name, capabilities))
        };
        assert_eq!(examine(br#"a "b" \c"#, &none), ["A1 EXAMINE \"a \\\"b\\\" \\\\c\"\r\n"]);
        assert_eq!(examine("ü".as_bytes(), &none), ["A1 EXAMINE {2}\r\n", "ü\r\n"]);
        assert_eq!(examine("ü".as_bytes(), &plus), ["A1 EXAMINE {2+}\r\nü\r\n"]);
        assert_eq!(examine("ü".as_bytes(), &minus).len(), 1);
        assert_eq!(examine(&b"\xff".repeat(5_000).escape_ascii().collect::<Vec<_>>(), &minus).len(), 2);
        // A line break in a name begins no command.
        assert_eq!(examine(b"a\r\nA2 DELETE x", &none).len(), 2);
    }
}
