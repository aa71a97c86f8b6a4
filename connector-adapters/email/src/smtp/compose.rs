//! From an input to the bytes of a mail (RFC 5322, MIME).
//!
//! What comes in may be hostile: a subject out of a database, the name of a file that somebody uploaded. So nothing is
//! escaped in the hope that it suffices: line breaks, NUL and other control characters are refused wherever a header is
//! made of it, and the field is named. Bodies are in ASCII after encoding, in lines of at most 998 bytes, all of which
//! end with CR LF, whatever the input had for line ends.
//!
//! ```text
//!  multipart/mixed ─┬─ multipart/alternative ─┬─ text/plain
//!                   │                         └─ multipart/related ─┬─ text/html
//!                   │                                               └─ image (content_id)
//!                   └─ attachment …             each level only where it has more than one part
//! ```

mod encode;
mod header;
mod part;
mod word;

use connector_sdk::{Result, Timestamp};

use self::{
    header::{Headers, LONGEST_VALUE, date, message_id},
    part::Part,
};
use super::{
    address::{Address, Mailbox, safe},
    input::{Attachment, Send, wrong},
};

/// The most recipients of one mail.
const MOST_RECIPIENTS: usize = 10_000;
/// The most attachments of one mail.
const MOST_ATTACHMENTS: usize = 1_000;

/// A mail as it is sent, and who it is for.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// Headers, an empty line and the body. Every line ends with CR LF.
    pub(crate) bytes: Vec<u8>,
    /// Where its headers end, in bytes: before the empty line.
    pub(crate) head: usize,
    /// Its Message-ID, without angle brackets.
    pub(crate) message_id: String,
    /// Who sends it, as the server is told.
    pub(crate) sender: Address,
    /// Who gets it, each once, in the order of `to`, `cc`, `bcc`.
    pub(crate) recipients: Vec<Address>,
    /// Its headers hold what only servers with SMTPUTF8 pass on.
    pub(crate) needs_utf8: bool,
}

/// What is not in the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// Who it is from when the input does not say so.
    pub(crate) from: &'a Mailbox,
    /// Who gets what cannot be delivered, where that is not who it is from.
    pub(crate) sender: Option<&'a Address>,
    /// When it is sent.
    pub(crate) now: Timestamp,
    /// What stands before the `@` of its Message-ID where the input has none.
    pub(crate) unique: &'a str,
}

/// Composes a mail.
///
/// # Errors
/// Config, naming the field that does not fit.
pub(crate) fn compose(input: &Send, given: Given<'_>) -> Result<Mail> {
    let from = match &input.from {
        Some(from) => from.check("from")?,
        None => given.from.clone(),
    };
    let (to, cc, bcc) = (input.to.check("to")?, input.cc.check("cc")?, input.bcc.check("bcc")?);
    let reply_to = input.reply_to.check("reply_to")?;
    let id = match &input.message_id {
        Some(id) => message_id("message_id", id)?,
        None => format!("{}@{}", given.unique, literal_free(from.address.domain())),
    };
    let shown = [&to, &cc, &reply_to].into_iter().flatten().chain([&from]);
    let needs_utf8 = shown.into_iter().any(|mailbox| mailbox.address.needs_utf8());
    let mut headers = Headers::default();
    headers.line("Date", &date(given.now));
    headers.mailboxes("From", std::slice::from_ref(&from));
    headers.mailboxes("Reply-To", &reply_to);
    headers.mailboxes("To", &to);
    headers.mailboxes("Cc", &cc);
    if to.is_empty() && cc.is_empty() {
        // Some servers refuse a mail without any of them, or write the hidden ones in.
        headers.line("To", "undisclosed-recipients:;");
    }
    safe("subject", &input.subject)?;
    if input.subject.len() > LONGEST_VALUE {
        return Err(wrong("subject", "is longer than 64 KiB"));
    }
    headers.text("Subject", &input.subject);
    headers.line("Message-ID", &format!("<{id}>"));
    if let Some(answered) = &input.in_reply_to {
        headers.line("In-Reply-To", &format!("<{}>", message_id("in_reply_to", answered)?));
    }
    let references = input.references.iter().enumerate();
    let references: Result<Vec<String>> = references
        .map(|(index, id)| Ok(format!("<{}>", message_id(&format!("references[{index}]"), id)?)))
        .collect();
    headers.words("References", &references?);
    for (index, extra) in input.headers.iter().enumerate() {
        headers.extra(index, &extra.name, &extra.value)?;
    }
    headers.line("MIME-Version", "1.0");
    let mut bytes = headers.finish();
    let part = body(input)?;
    let boundary = part::seed(&id, &part);
    part.write(&boundary, &mut bytes);
    let head = memchr::memmem::find(&bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 2);
    let recipients = recipients(&to, &cc, &bcc)?;
    let sender = given.sender.cloned().unwrap_or(from.address);
    Ok(Mail { bytes, head, message_id: id, sender, recipients, needs_utf8 })
}

/// A domain that can stand in a Message-ID: an address in brackets cannot everywhere.
fn literal_free(domain: &str) -> &str {
    if domain.starts_with('[') { "localhost" } else { domain }
}

fn recipients(to: &[Mailbox], cc: &[Mailbox], bcc: &[Mailbox]) -> Result<Vec<Address>> {
    let mut seen = std::collections::HashSet::new();
    let all = [to, cc, bcc].into_iter().flatten();
    let each: Vec<Address> = all
        .map(|mailbox| mailbox.address.clone())
        .filter(|address| seen.insert(address.to_string()))
        .collect();
    match each.len() {
        0 => Err(wrong("to", "is empty, and so are `cc` and `bcc`")),
        1..=MOST_RECIPIENTS => Ok(each),
        _ => Err(wrong("to", format!("has more than {MOST_RECIPIENTS} recipients with `cc` and `bcc`"))),
    }
}

fn body(input: &Send) -> Result<Part> {
    if input.attachments.len() > MOST_ATTACHMENTS {
        return Err(wrong("attachments", format!("has more than {MOST_ATTACHMENTS} of them")));
    }
    let mut shown = Vec::new();
    let mut attached = Vec::new();
    for (index, attachment) in input.attachments.iter().enumerate() {
        let part = file(index, attachment)?;
        if attachment.content_id.is_some() && input.html.is_some() { &mut shown } else { &mut attached }
            .push(part);
    }
    let html = input.html.as_ref().map(|html| {
        shown.insert(0, Part::text("html", html));
        Part::joined("related", shown)
    });
    let text = input.text.as_ref().map(|text| Part::text("plain", text));
    let mut parts: Vec<Part> = text.into_iter().chain(html).collect();
    if parts.is_empty() && attached.is_empty() {
        return Err(wrong("text", "is not there, and neither are `html` and `attachments`"));
    }
    if parts.len() > 1 {
        parts = vec![Part::joined("alternative", parts)];
    }
    parts.extend(attached);
    Ok(Part::joined("mixed", parts))
}

fn file(index: usize, attachment: &Attachment) -> Result<Part> {
    let field = |name: &str| format!("attachments[{index}].{name}");
    let id =
        attachment.content_id.as_ref().map(|id| header::content_id(&field("content_id"), id)).transpose()?;
    let kind = match &attachment.content_type {
        Some(kind) => header::content_type(&field("content_type"), kind)?,
        None => "application/octet-stream".to_owned(),
    };
    let name = header::filename(&field("filename"), &attachment.filename)?;
    let content = encode::unpacked(&field("content_base64"), &attachment.content_base64)?;
    Ok(Part::file(&kind, &name, id.as_deref(), &content))
}
