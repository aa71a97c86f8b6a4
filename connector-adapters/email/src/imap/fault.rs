//! What the refusal of an IMAP server means: a class, and whether it is about one mailbox only.
//!
//! | what the server says | class |
//! |---|---|
//! | `[AUTHENTICATIONFAILED]`, `[AUTHORIZATIONFAILED]`, `[EXPIRED]`, `[WEBALERT]`, any `NO` to signing in | Auth |
//! | `[PRIVACYREQUIRED]`, `[CLIENTBUG]` | Config |
//! | `[UNAVAILABLE]`, `[INUSE]`, `[SERVERBUG]`, `BYE`, `User is authenticated but not connected` | Transient |
//! | `[THROTTLED]`, `[LIMIT]`, `[OVERQUOTA]` that tells of commands or bandwidth, too many connections | RateLimited |
//! | `[NONEXISTENT]`, `[NOPERM]`, `[OVERQUOTA]` of the store, everything else | Permanent |
//!
//! Sources: RFC 5530 for most codes; Gmail's `[THROTTLED]` (MailKit#1396), `[OVERQUOTA] Account exceeded command or
//! bandwidth limits` (ha-email-sensor#16), `[WEBALERT]`; Microsoft's `BAD User is authenticated but not connected`
//! (node-imap#689), which is a wrong mailbox, a wrong scope, or too many requests.

use std::{fmt, time::Duration};

use connector_sdk::{Class, Delivery, Error, secret::redacted};

use crate::{auth::Credential, sasl::without_secret};

use super::wire::{Condition, Status};

/// How long to wait when a server asks us to slow down and does not say for how long. Gmail locks for hours those who
/// do not stop ("Gmail bandwidth limits"); the run ends then and goes on with the next one.
const PAUSE: Duration = Duration::from_secs(60);
/// Of a server's words so many are shown.
const SHOWN: usize = 200;
/// Of its words so many bytes are looked at.
const LOOKED_AT: usize = 4_000;

/// A command that was not done, in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    /// In capitals; empty where there is none.
    pub(crate) code: String,
    /// Cleaned, for people.
    pub(crate) text: String,
}

impl Refusal {
    /// What was refused, and its class. `told` is what the server knows of us, and may say back in its words.
    pub(crate) fn classified(
        condition: &Condition<'_>,
        told: Option<&Credential>,
        is_signing_in: bool,
    ) -> (Self, Class) {
        let text = said(condition.text, told);
        // A code is a word; what is none may be anything, a secret too.
        let is_code = |name: &&[u8]| {
            let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-');
            name.len() <= 32 && name.iter().all(is_of_word)
        };
        let code = condition.code.map(|(name, _)| name).filter(is_code);
        let code = code.map(|name| String::from_utf8_lossy(name).to_ascii_uppercase()).unwrap_or_default();
        let refusal = Self { status: condition.status, code, text };
        let class = refusal.class(&says(condition.text), is_signing_in);
        (refusal, class)
    }

    fn class(&self, words: &str, is_signing_in: bool) -> Class {
        let tells = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        let is_throttled = tells(&[
            "too many",
            "throttl",
            "rate limit",
            "bandwidth",
            "command limit",
            "maximum number of connections",
            "try again later",
        ]);
        match self.code.as_str() {
            "AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED" | "WEBALERT" | "CONTACTADMIN" => {
                // Some servers say so while the store of passwords is away (Dovecot: "Temporary authentication failure").
                if tells(&["temporary", "too many"]) { Class::Transient } else { Class::Auth }
            }
            "PRIVACYREQUIRED" | "CLIENTBUG" => Class::Config,
            "UNAVAILABLE" | "INUSE" | "SERVERBUG" | "SYS/TEMP" => Class::Transient,
            "THROTTLED" | "LIMIT" => Class::RateLimited,
            "OVERQUOTA" if tells(&["command", "bandwidth", "download"]) => Class::RateLimited,
            _ if tells(&["authenticated but not connected"]) => Class::Transient,
            _ if is_throttled => Class::RateLimited,
            _ if self.status == Status::Bye => Class::Transient,
            // In words only, as Exchange says it.
            _ if tells(&["temporar", "internal", "unavailable"]) => Class::Transient,
            _ if is_signing_in && self.status == Status::No => Class::Auth,
            _ => Class::Permanent,
        }
    }

    /// The same, with what the server said before of a token that it does not take.
    #[must_use]
    pub(crate) fn because(mut self, said: Option<&str>) -> Self {
        if let Some(said) = said {
            let between = if self.text.is_empty() { "" } else { ": " };
            self.text = format!("{}{between}{}", self.text, shown(said.as_bytes()));
        }
        self
    }

    /// Whether it is about this mailbox, so that others can be read: it is not there, or not for us.
    pub(crate) fn is_of_mailbox(&self) -> bool {
        matches!(self.code.as_str(), "NONEXISTENT" | "NOPERM" | "TRYCREATE" | "CANNOT" | "ALREADYEXISTS" | "")
            && self.status == Status::No
    }

    /// Whether the server says that the mailbox is not there: by a code, or in words, as Dovecot and Exchange do.
    pub(crate) fn is_of_absence(&self) -> bool {
        let words = self.text.to_lowercase();
        let says = || {
            ["doesn't exist", "does not exist", "no such mailbox"].iter().any(|known| words.contains(known))
        };
        self.is_of_mailbox()
            && (matches!(self.code.as_str(), "NONEXISTENT" | "TRYCREATE") || (self.code.is_empty() && says()))
    }

    /// The error of an operation.
    pub(crate) fn into_error(self, operation: &'static str, class: Class) -> Error {
        let message = match class {
            Class::Auth => "the server does not accept the user and the credential",
            Class::RateLimited => "the server asks us to slow down",
            Class::Transient => "the server cannot do that now",
            Class::Config => "the server does not let us in this way",
            _ => "the server refuses the command",
        };
        let mut error = Error::new(class, operation, message).with_delivery(Delivery::Answered);
        if class == Class::RateLimited {
            error = error.with_retry_after(PAUSE);
        }
        error = error.with_context("answer", self.status);
        for (name, value) in [("code", self.code), ("said", self.text)] {
            if !value.is_empty() {
                error = error.with_context(name, value);
            }
        }
        error
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::No => "NO",
            Self::Bad => "BAD",
            Self::Bye => "BYE",
            Self::Preauth => "PREAUTH",
        })
    }
}

/// The words in lower case, to look for what servers are known to say. Never shown.
fn says(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..text.len().min(LOOKED_AT)).unwrap_or_default()).to_lowercase()
}

/// A server's words for people, without the credential that it was told.
pub(crate) fn said(text: &[u8], told: Option<&Credential>) -> String {
    let Some(credential) = told else { return shown(text) };
    let whole = String::from_utf8_lossy(text.get(..text.len().min(LOOKED_AT)).unwrap_or_default());
    shown(without_secret(&whole, credential).as_bytes())
}

/// Words of a server as they may be shown: short, on one line, without what looks like a secret.
pub(crate) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..text.len().min(LOOKED_AT)).unwrap_or_default());
    let line: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let redacted = redacted(line.trim());
    match redacted.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", redacted.get(..end).unwrap_or_default()),
        None => redacted,
    }
}

#[cfg(test)]
mod tests {
    use connector_sdk::Secret;

    use super::*;
    use crate::auth::Kind;

    fn credential() -> Credential {
        Credential::new("ada", Kind::Password, Secret::from("canary-7f3a9c"))
    }

    fn class(status: Status, code: &str, text: &str, during: During) -> Class {
        let code = (!code.is_empty()).then_some((code.as_bytes(), &b""[..]));
        let credential = credential();
        let is_signing_in = matches!(during, During::SigningIn);
        Refusal::classified(
            &Condition { status, code, text: text.as_bytes() },
            Some(&credential),
            is_signing_in,
        )
        .1
    }

    #[derive(Clone, Copy)]
    enum During {
        SigningIn,
        Working,
    }

    #[test]
    fn each_refusal_has_the_class_that_says_who_has_to_act() {
        use Class::{Auth, Config, Permanent, RateLimited, Transient};
        use During::{SigningIn, Working};
        for (status, code, text, during, expected) in [
            (Status::No, "AUTHENTICATIONFAILED", "Authentication failed.", SigningIn, Auth),
            (Status::No, "authenticationfailed", "Invalid credentials (Failure)", SigningIn, Auth),
            (Status::No, "", "LOGIN failed.", SigningIn, Auth),
            (Status::No, "WEBALERT", "Please log in via your web browser", SigningIn, Auth),
            (Status::No, "UNAVAILABLE", "Temporary authentication failure.", SigningIn, Transient),
            (Status::No, "AUTHENTICATIONFAILED", "Temporary authentication failure.", SigningIn, Transient),
            (Status::No, "PRIVACYREQUIRED", "Use TLS", SigningIn, Config),
            (Status::No, "ALERT", "Too many simultaneous connections. (Failure)", SigningIn, RateLimited),
            (Status::No, "OVERQUOTA", "Account exceeded command or bandwidth limits.", Working, RateLimited),
            (Status::No, "OVERQUOTA", "Quota exceeded (mailbox for user is full)", Working, Permanent),
            (Status::No, "THROTTLED", "slow down", Working, RateLimited),
            (Status::No, "INUSE", "locked", Working, Transient),
            (Status::Bad, "", "User is authenticated but not connected.", Working, Transient),
            (Status::No, "NONEXISTENT", "Mailbox doesn't exist", Working, Permanent),
            (Status::Bad, "", "Unknown command", Working, Permanent),
            (Status::Bye, "", "Server shutting down.", Working, Transient),
            (Status::No, "", "Server Unavailable. 15", Working, Transient),
            (Status::Bye, "", "Too many connections", SigningIn, RateLimited),
        ] {
            assert_eq!(class(status, code, text, during), expected, "{status} [{code}] {text}");
        }
    }

    #[test]
    fn a_server_that_says_the_credential_back_is_not_quoted() {
        for text in [&b"LOGIN ada canary-7f3a9c failed"[..], b"AUTHENTICATE PLAIN AGFkYQBjYW5hcnktN2YzYTlj?"]
        {
            let condition = Condition { status: Status::No, code: None, text };
            let (refusal, class) = Refusal::classified(&condition, Some(&credential()), false);
            let error = format!("{:?}", refusal.into_error("sign in", class));
            assert!(!error.contains("canary") && !error.contains("AGFk"), "{error}");
        }
        let long = shown(&b"\x1b[2Ja\r\n".repeat(1_000));
        assert!(long.chars().count() <= SHOWN + 1 && !long.contains(['\r', '\n', '\x1b']), "{long}");
    }

    #[test]
    fn only_what_is_said_of_a_mailbox_leaves_the_others_alone() {
        let of = |code: &str| {
            Refusal { status: Status::No, code: code.to_owned(), text: String::new() }.is_of_mailbox()
        };
        let absent = |code: &str, text: &str| {
            Refusal { status: Status::No, code: code.to_owned(), text: text.to_owned() }.is_of_absence()
        };
        assert!(absent("NONEXISTENT", "") && absent("", "Mailbox doesn't exist: Work"));
        assert!(!absent("", "Permission denied") && !absent("NOPERM", "Mailbox doesn't exist"));
        assert!(of("NONEXISTENT") && of("NOPERM") && of(""));
        assert!(!of("THROTTLED") && !of("UNAVAILABLE") && !of("INUSE"));
    }
}
