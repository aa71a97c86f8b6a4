//! One mail transaction: who sends, who gets it, the mail, and what became of each recipient.
//!
//! ```text
//!  MAIL ─ RCPT … ─ DATA ─ 354 ─ the mail ─ dot ─ reply
//!   │       │                 │              └─ lost: nobody knows, and nobody sends it again
//!   └───────┴─────────────────┴─ lost: it was not sent
//! ```
//!
//! The replies to MAIL, every RCPT and DATA are all read, pipelined or not (RFC 2920, 3.1): one refused recipient takes
//! the mail from nobody else. Where all are refused and the server wants the mail all the same, it gets a lone dot.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use connector_sdk::{Class, Error};

use super::{
    address::Address,
    fault,
    input::{Dsn, Notify, Return},
    reply::Reply,
    session::Session,
};

const OPERATION: &str = "send";

/// What became of a recipient, and how the server said so.
#[derive(Debug, Clone)]
pub(super) struct Fate {
    pub(super) kind: Kind,
    pub(super) code: Option<u16>,
    pub(super) enhanced: Option<String>,
    pub(super) message: String,
    pub(super) class: Option<Class>,
    pub(super) retry_after: Option<Duration>,
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Accepted,
    Deferred,
    Refused,
    Unknown,
}

impl Fate {
    /// As this reply says, in these words of it.
    fn of(reply: &Reply, shown: String) -> Self {
        let kind = match reply.code / 100 {
            2 => Kind::Accepted,
            4 => Kind::Deferred,
            _ => Kind::Refused,
        };
        let verdict = (kind != Kind::Accepted).then(|| fault::verdict(reply));
        Self {
            kind,
            code: Some(reply.code),
            enhanced: reply.enhanced().map(str::to_owned),
            message: shown,
            class: verdict.map(|verdict| verdict.class),
            retry_after: verdict.and_then(|verdict| verdict.retry_after),
        }
    }

    /// It was not sent, because of this.
    pub(super) fn put_off(error: &Error) -> Self {
        let context =
            |wanted: &str| error.context().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        Self {
            kind: Kind::Deferred,
            code: context("code").and_then(|code| code.parse().ok()),
            enhanced: context("enhanced").map(str::to_owned),
            message: context("server_says").unwrap_or(error.message()).to_owned(),
            class: Some(error.class()),
            retry_after: error.retry_after(),
        }
    }

    /// It may have been taken.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Unknown,
            code: None,
            enhanced: None,
            message: message.into(),
            class: Some(Class::Ambiguous),
            retry_after: None,
        }
    }

    /// It cannot be sent to this server, which was not asked.
    pub(super) fn impossible(enhanced: &str, message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Refused,
            code: None,
            enhanced: Some(enhanced.to_owned()),
            message: message.into(),
            class: Some(Class::Permanent),
            retry_after: None,
        }
    }

    /// The server has had enough recipients for one transaction (RFC 5321, 4.5.3.1.10).
    pub(super) fn is_for_the_next(&self) -> bool {
        self.kind == Kind::Deferred && self.is_of_too_many()
    }

    /// By the enhanced code where there is one, otherwise by the code, which may mean a full disk too: then it is said
    /// again when the recipient stands alone.
    fn is_of_too_many(&self) -> bool {
        match &self.enhanced {
            Some(code) => code.ends_with(".5.3"),
            None => matches!(self.code, Some(452 | 552)),
        }
    }
}

/// What is sent, and to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope<'a> {
    pub(super) sender: &'a Address,
    pub(super) recipients: &'a [&'a Address],
    /// The mail, with CR LF at the end of each line.
    pub(super) bytes: &'a [u8],
    /// Its headers hold more than ASCII.
    pub(super) needs_utf8: bool,
    pub(super) dsn: Option<&'a Dsn>,
    /// Is set when the mail begins to go out.
    pub(super) begun: &'a AtomicBool,
}

impl Session {
    /// Sends, and says for each recipient what became of it, in their order.
    pub(super) async fn send(&mut self, envelope: Envelope<'_>) -> Vec<Fate> {
        let mut fates = vec![None; envelope.recipients.len()];
        let last = self.transact(envelope, &mut fates).await;
        // Whoever was not refused before shares what became of the mail.
        fates.into_iter().map(|fate| fate.unwrap_or_else(|| last.clone())).collect()
    }

    /// Fills in what is certain of single recipients; answers what became of the others.
    async fn transact(&mut self, envelope: Envelope<'_>, fates: &mut [Option<Fate>]) -> Fate {
        if let Some(largest) =
            self.extensions.largest().filter(|largest| *largest < envelope.bytes.len() as u64)
        {
            return Fate::impossible(
                "5.3.4",
                format!("the server takes mail up to {largest} bytes, and this is larger"),
            );
        }
        if envelope.needs_utf8 && !self.extensions.utf8 {
            return Fate::impossible(
                "5.6.7",
                "an address in the headers needs SMTPUTF8, which the server does not offer",
            );
        }
        // Of those who need more than the server can, nobody else has to suffer.
        for (fate, recipient) in fates.iter_mut().zip(envelope.recipients) {
            if recipient.needs_utf8() && !self.extensions.utf8 {
                let message = "the address needs SMTPUTF8, which the server does not offer";
                *fate = Some(Fate::impossible("5.6.7", message));
            }
        }
        match self.converse(envelope, fates).await {
            Ok(fate) => fate,
            Err(error) => Fate::put_off(&error),
        }
    }

    /// # Errors
    /// When the connection is lost before the mail was sent whole.
    async fn converse(&mut self, envelope: Envelope<'_>, fates: &mut [Option<Fate>]) -> Result<Fate, Error> {
        // What was said too much would be taken for the answer to what comes next.
        if self.wire.has_more() {
            self.wire.give_up();
            return Err(Error::transient(OPERATION, "the server has said more than it was asked"));
        }
        if !self.wire.has_time() {
            return Err(Error::transient(
                OPERATION,
                "it was not tried: too little time is left to hear of its end",
            ));
        }
        let asked: Vec<usize> = (0..fates.len()).filter(|index| fates[*index].is_none()).collect();
        let Some(sender) = self.mail_command(&envelope, &asked) else {
            return Ok(Fate::impossible(
                "5.6.7",
                "the sender needs SMTPUTF8, which the server does not offer",
            ));
        };
        if asked.is_empty() {
            return Ok(Fate::impossible("5.6.7", "nobody is left"));
        }
        let recipients: Vec<String> = asked
            .iter()
            .map(|index| self.recipient_command(&envelope, envelope.recipients[*index]))
            .collect();
        let mut is_wanted = false;
        let mut sender_refused = None;
        let data = if self.extensions.pipelining {
            let group = format!("{sender}{}DATA\r\n", recipients.concat());
            self.wire.say(OPERATION, group.as_bytes()).await?;
            let reply = self.verdict().await?;
            if !reply.is_done() {
                sender_refused = Some(self.fate(&reply));
            }
            for index in &asked {
                let reply = match (self.verdict().await, &sender_refused) {
                    (Ok(reply), _) => reply,
                    // Who hangs up after a refusal has said it with the refusal.
                    (Err(_), Some(refused)) => return Ok(refused.clone()),
                    (Err(error), None) => return Err(error),
                };
                is_wanted |= self.note(&reply, &mut fates[*index], sender_refused.is_some());
            }
            match (self.wire.hear(OPERATION).await, &sender_refused) {
                (Err(_), Some(refused)) => return Ok(refused.clone()),
                (reply, _) => Some(reply?),
            }
        } else {
            let reply = self.ask_line(&sender).await?;
            if reply.is_done() {
                for (index, command) in asked.iter().zip(&recipients) {
                    let reply = self.ask_line(command).await?;
                    is_wanted |= self.note(&reply, &mut fates[*index], false);
                }
            } else {
                sender_refused = Some(self.fate(&reply));
            }
            if is_wanted { Some(self.wire.ask(OPERATION, "DATA").await?) } else { None }
        };
        match data {
            Some(reply) if reply.code == 354 && is_wanted => self.content(envelope).await,
            Some(reply) if reply.code == 354 => {
                // The server waits for a mail that is for nobody: none is sent, and what it says of that is nothing to us.
                if self.wire.say(OPERATION, b".\r\n").await.is_ok() {
                    let _ = self.wire.hear_final(OPERATION).await;
                }
                Ok(sender_refused.unwrap_or_else(nobody))
            }
            Some(reply) if is_wanted && (reply.is_put_off() || reply.is_refused()) => {
                let fate = self.fate(&reply);
                self.reset().await;
                Ok(fate)
            }
            // A success here is the answer to something else: nothing of the mail was sent.
            Some(reply) if is_wanted => Err(self.out_of_step(reply.code)),
            _ => {
                self.reset().await;
                Ok(sender_refused.unwrap_or_else(nobody))
            }
        }
    }

    /// The mail and its end. From the first byte of the end on nobody knows what the server has heard.
    async fn content(&mut self, Envelope { bytes, begun, .. }: Envelope<'_>) -> Result<Fate, Error> {
        if self.wire.has_more() {
            // It would be taken for the answer to the end of the mail.
            return Err(self.out_of_step(354));
        }
        begun.store(true, Ordering::Relaxed);
        self.wire.say(OPERATION, &stuffed(bytes)).await?;
        let answered = match self.wire.say(OPERATION, b".\r\n").await {
            Ok(()) => self.wire.hear_final(OPERATION).await,
            Err(error) => Err(error),
        };
        Ok(match answered {
            Ok(reply) if reply.is_done() || reply.is_put_off() || reply.is_refused() => self.fate(&reply),
            Ok(reply) => {
                self.wire.give_up();
                Fate::unknown(format!("the server answered the end of the mail with {}", reply.code))
            }
            Err(error) => Fate::unknown(format!(
                "the whole mail was sent and no answer came, so that it may have been taken: {}",
                error.message()
            )),
        })
    }

    /// Keeps what is said of one recipient, unless it was taken; answers whether it was.
    fn note(&self, reply: &Reply, fate: &mut Option<Fate>, is_moot: bool) -> bool {
        if is_moot || reply.is_done() {
            return reply.is_done() && !is_moot;
        }
        let mut of = self.fate(reply);
        if of.code == Some(552) && of.is_of_too_many() {
            // The code that servers of old have for it (RFC 5321, 4.5.3.1.10).
            (of.kind, of.class) = (Kind::Deferred, Some(Class::Transient));
        }
        *fate = Some(of);
        false
    }

    fn fate(&self, reply: &Reply) -> Fate {
        Fate::of(reply, self.shown(reply))
    }

    async fn ask_line(&mut self, line: &str) -> Result<Reply, Error> {
        self.wire.say(OPERATION, line.as_bytes()).await?;
        self.verdict().await
    }

    /// The reply to MAIL or RCPT: yes, not now, or no. Anything else is not the reply to that.
    async fn verdict(&mut self) -> Result<Reply, Error> {
        let reply = self.wire.hear(OPERATION).await?;
        if reply.is_done() || reply.is_put_off() || reply.is_refused() {
            return Ok(reply);
        }
        Err(self.out_of_step(reply.code))
    }

    /// Nobody knows any more which reply is to what: the session is over, before the mail was sent.
    fn out_of_step(&mut self, code: u16) -> Error {
        self.wire.give_up();
        let message = "the server's answers are not those to what it was asked";
        Error::transient(OPERATION, message).with_context("code", code)
    }

    /// Makes the session ready for another mail; one that does not answer is not used again.
    async fn reset(&mut self) {
        if !self.wire.is_over() && !self.wire.ask(OPERATION, "RSET").await.is_ok_and(|reply| reply.is_done())
        {
            self.wire.give_up();
        }
    }

    /// With the extensions that the mail needs and the server has. None where the sender needs one that it has not.
    fn mail_command(&self, envelope: &Envelope<'_>, asked: &[usize]) -> Option<String> {
        let extensions = &self.extensions;
        let needs_utf8 = envelope.needs_utf8
            || envelope.sender.needs_utf8()
            || asked.iter().any(|index| envelope.recipients[*index].needs_utf8());
        if envelope.sender.needs_utf8() && !extensions.utf8 {
            return None;
        }
        let mut command = format!("MAIL FROM:<{}>", envelope.sender);
        if extensions.size.is_some() {
            let _ = write!(command, " SIZE={}", envelope.bytes.len());
        }
        if needs_utf8 {
            // Headers with more than ASCII are content of 8 bits (RFC 6531, 3.6).
            command.push_str(if extensions.eight_bit { " BODY=8BITMIME SMTPUTF8" } else { " SMTPUTF8" });
        }
        if let Some(dsn) = envelope.dsn.filter(|_| extensions.dsn) {
            match dsn.content {
                Some(Return::Full) => command.push_str(" RET=FULL"),
                Some(Return::Headers) => command.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(id) = &dsn.envelope_id {
                let _ = write!(command, " ENVID={}", xtext(id));
            }
        }
        command.push_str("\r\n");
        Some(command)
    }

    fn recipient_command(&self, envelope: &Envelope<'_>, recipient: &Address) -> String {
        let mut command = format!("RCPT TO:<{recipient}>");
        if let Some(dsn) = envelope.dsn.filter(|_| self.extensions.dsn) {
            let mut words: Vec<&str> = dsn.notify.iter().map(Notify::word).collect();
            words.sort_unstable();
            words.dedup();
            let _ = write!(
                command,
                " NOTIFY={}",
                if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }
            );
            if !recipient.needs_utf8() {
                let _ = write!(command, " ORCPT=rfc822;{}", xtext(&recipient.to_string()));
            }
        }
        command.push_str("\r\n");
        command
    }
}

impl Notify {
    fn word(&self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::Delay => "DELAY",
        }
    }
}

/// What nobody has: each recipient has a fate of its own.
fn nobody() -> Fate {
    Fate::impossible("5.5.1", "no recipient was taken")
}

/// RFC 3461, 4: what is not plain is written in hexadecimal, so that nothing can be put in.
fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "+{byte:02X}");
        }
    }
    out
}

/// The mail as it goes over the wire, up to the final dot: every line ends with CR LF, whatever ended it, and a dot at
/// its beginning stands twice (RFC 5321, 4.5.2). So nothing in it can be taken for its end.
pub(super) fn stuffed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 64 + 2);
    let mut rest = bytes;
    while !rest.is_empty() {
        if rest.first() == Some(&b'.') {
            out.push(b'.');
        }
        let at = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, end) = rest.split_at(at);
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_line_is_a_lone_dot_and_no_line_break_stands_bare() {
        for (bytes, expected) in [
            (&b"a\r\n"[..], &b"a\r\n"[..]),
            (b"a", b"a\r\n"),
            (b"", b""),
            (b".", b"..\r\n"),
            (b"a\n.\nb\r.\rc\r\n.\r\n", b"a\r\n..\r\nb\r\n..\r\nc\r\n..\r\n"),
            (b"a\r\r\n.\n\n.b", b"a\r\n\r\n..\r\n\r\n..b\r\n"),
            (b"\r\n.\r", b"\r\n..\r\n"),
        ] {
            assert_eq!(stuffed(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_parameter_cannot_be_left() {
        assert_eq!(xtext("a=b+c d\r\nRCPT TO:<x>ä"), "a+3Db+2Bc+20d+0D+0ARCPT+20TO:<x>+C3+A4");
    }

    proptest! {
        #[test]
        fn whatever_is_stuffed_has_one_end(bytes in prop::collection::vec(prop::sample::select(b"\r\n.ab".to_vec()), 0..40)) {
            let out = stuffed(&bytes);
            let text = String::from_utf8(out).unwrap();
            prop_assert!(text.is_empty() || text.ends_with("\r\n"));
            for line in text.split("\r\n") {
                prop_assert!(line != "." && !line.contains(['\r', '\n']), "{text:?}");
            }
            // Taken apart again it is the same lines.
            let lines: Vec<&str> = text.split("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            let given = String::from_utf8(bytes).unwrap().replace("\r\n", "\n").replace('\r', "\n");
            let mut given: Vec<&str> = given.split('\n').collect();
            if given.last().is_some_and(|last| !last.is_empty()) {
                given.push("");
            }
            prop_assert_eq!(lines, given);
        }
    }
}
