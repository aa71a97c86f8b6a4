//! What a server says that it can do.

use std::collections::BTreeSet;

/// Words of CAPABILITY, in capitals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Capabilities(BTreeSet<String>);

/// How changes of a mailbox are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// The server tells what has vanished and what has changed (RFC 7162, QRESYNC).
    Qresync,
    /// It tells what has changed (RFC 7162, CONDSTORE).
    Condstore,
    /// It tells nothing.
    Compare,
}

/// More words than that no server has.
const MOST: usize = 1_000;

impl Capabilities {
    pub(crate) fn parse(words: &[u8]) -> Self {
        let words = words.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).take(MOST);
        Self(words.map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect())
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The SASL mechanisms that are offered.
    pub(crate) fn mechanisms(&self) -> Vec<&str> {
        self.0.iter().filter_map(|word| word.strip_prefix("AUTH=")).collect()
    }

    pub(crate) fn changes(&self) -> Changes {
        if self.has("QRESYNC") && self.has("ENABLE") {
            Changes::Qresync
        } else if self.has("CONDSTORE") || self.has("QRESYNC") {
            Changes::Condstore
        } else {
            Changes::Compare
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_changes_are_found_depends_on_what_is_offered() {
        let changes = |text: &str| Capabilities::parse(text.as_bytes()).changes();
        assert_eq!(changes("IMAP4rev1 ENABLE CONDSTORE QRESYNC"), Changes::Qresync);
        assert_eq!(changes("imap4rev1 enable condstore"), Changes::Condstore);
        // Microsoft 365, after signing in (MailKit#1494).
        assert_eq!(
            changes("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID"),
            Changes::Compare
        );
        assert_eq!(Capabilities::parse(b"AUTH=PLAIN auth=xoauth2").mechanisms(), ["PLAIN", "XOAUTH2"]);
    }
}
