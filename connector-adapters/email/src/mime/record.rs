//! Writes the members of a record from the tree of a mail.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use base64::Engine;
use bytes::Bytes;

use super::address;
use super::charset::{self, Fidelity};
use super::date;
use super::defect::Defects;
use super::ids;
use super::json;
use super::part::Disposition;
use super::structure::{self, Leaf, Message, Role, Tree};
use super::transfer::{self, Encoding};
use super::words;
use super::{File, Options};

/// Who a message is from and to, in the order of the record.
const ADDRESSES: [(&str, &str); 5] =
    [("from", "from"), ("to", "to"), ("cc", "cc"), ("bcc", "bcc"), ("reply_to", "reply-to")];

/// Writes one record.
pub(super) struct Writer<'w, 'a> {
    pub(super) tree: &'w Tree<'a>,
    pub(super) options: &'w Options,
    pub(super) out: &'w mut Vec<u8>,
    pub(super) defects: &'w mut Defects,
    pub(super) files: Vec<File>,
    /// Where in the buffer the record begins.
    pub(super) start: usize,
    /// Bytes of header fields that may still be written.
    pub(super) fields: usize,
    pub(super) scratch: Vec<u8>,
    /// Something was left out because the record is full.
    pub(super) full: bool,
}

impl Writer<'_, '_> {
    /// Writes the mail and the messages inside it: a stack of those whose attachments are being written.
    pub(super) fn run(&mut self) {
        self.message(0);
        let mut stack = vec![(0, 0, true)];
        while let Some((message, next, first)) = stack.pop() {
            let leaves = &self.tree.messages[message].leaves;
            let attachment =
                leaves[next..].iter().position(|leaf| self.tree.leaves[*leaf].role == Role::Attachment);
            let found = attachment.filter(|_| self.has_room(256));
            let Some(offset) = found else {
                self.out.push(b']');
                if !stack.is_empty() {
                    self.out.extend_from_slice(b"}}");
                }
                continue;
            };
            if !first {
                self.out.push(b',');
            }
            let leaf = &self.tree.leaves[leaves[next + offset]];
            self.attachment(leaf);
            stack.push((message, next + offset + 1, false));
            match leaf.message.filter(|_| self.has_room(256)) {
                Some(inner) => {
                    self.out.extend_from_slice(b",\"message\":{");
                    self.message(inner);
                    stack.push((inner, 0, true));
                }
                None => self.out.push(b'}'),
            }
        }
    }

    /// Whether so many more bytes may be written; says once that they may not.
    fn has_room(&mut self, bytes: usize) -> bool {
        let fits = self.room() >= bytes;
        if !fits && !self.full {
            self.full = true;
            self.defects.add("record_cut", "message", Some("the record has reached its largest size"));
        }
        fits
    }

    fn room(&self) -> usize {
        self.options.caps.record.saturating_sub(self.out.len() - self.start)
    }

    /// Writes a message up to the bracket that opens its attachments.
    fn message(&mut self, number: usize) {
        let tree = self.tree;
        let message = &tree.messages[number];
        let data = &tree.buffers[message.buffer];
        let place = if number == 0 { None } else { Some(number) };
        let known = Known::of(data, message);
        self.identity(data, &known, place);
        self.headers(data, message, place);
        self.text("text", Role::Text, message);
        self.text("html", Role::Html, message);
        self.out.extend_from_slice(b",\"attachments\":[");
    }

    fn identity(&mut self, data: &[u8], known: &Known, place: Option<usize>) {
        let once = |range: &[std::ops::Range<usize>]| range.first().map(|value| &data[value.clone()]);
        for (name, values) in
            [("message-id", &known.message_id), ("date", &known.date), ("subject", &known.subject)]
        {
            if values.len() > 1 {
                self.defects.add("header_repeated", &named(name, place), None);
            }
        }
        self.out.extend_from_slice(b"\"message_id\":");
        let id = once(&known.message_id).and_then(|value| ids::ids(self.cut(value)).into_iter().next());
        json::string_or_null(self.out, id.as_deref());
        self.out.extend_from_slice(b",\"date\":");
        let date = once(&known.date).map(|value| (value, date::utc(value)));
        if let Some((value, None)) = &date {
            let text = words::text(self.cut(value)).text;
            self.defects.add("date", &named("date", place), Some(&text));
        }
        json::string_or_null(self.out, date.and_then(|(_, utc)| utc).as_deref());
        self.out.extend_from_slice(b",\"subject\":");
        let subject = once(&known.subject).map(|value| words::text(self.cut(value)).text);
        json::string_or_null(self.out, subject.as_deref());
        for ((member, name), values) in ADDRESSES.iter().zip(&known.addresses) {
            self.addresses(data, member, values);
            if values.len() > 1 {
                self.defects.add("header_repeated", &named(name, place), None);
            }
        }
        self.out.extend_from_slice(b",\"in_reply_to\":");
        let reply = once(&known.in_reply_to).and_then(|value| ids::ids(self.cut(value)).into_iter().next());
        json::string_or_null(self.out, reply.as_deref());
        self.out.extend_from_slice(b",\"references\":[");
        let mut first = true;
        for value in &known.references {
            for id in ids::ids(self.cut(&data[value.clone()])) {
                if self.room() < id.len() * 6 {
                    break;
                }
                separate(self.out, &mut first);
                json::string(self.out, &id);
            }
        }
        self.out.push(b']');
    }

    /// What of a field's value is looked at.
    fn cut<'v>(&self, value: &'v [u8]) -> &'v [u8] {
        &value[..value.len().min(self.options.caps.header)]
    }

    /// All mailboxes of all fields of that name: a second `To` is not lost.
    fn addresses(&mut self, data: &[u8], member: &str, values: &[std::ops::Range<usize>]) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(member.as_bytes());
        self.out.extend_from_slice(b"\":[");
        let mut first = true;
        // Half of what is left: the rest of the record has something to say too.
        let limit = self.out.len() + self.room() / 2;
        for value in values {
            let value = self.cut(&data[value.clone()]);
            let out = &mut *self.out;
            address::list(value, |mailbox| {
                separate(out, &mut first);
                out.extend_from_slice(b"{\"name\":");
                json::string_or_null(out, mailbox.name.as_deref());
                out.extend_from_slice(b",\"address\":");
                json::string_or_null(out, mailbox.address.as_deref());
                out.push(b'}');
                out.len() < limit
            });
        }
        self.out.push(b']');
    }

    /// All fields in order. `raw` is there where `value` is not what was sent but for its folds.
    fn headers(&mut self, data: &[u8], message: &Message, place: Option<usize>) {
        self.out.extend_from_slice(b",\"headers\":[");
        let mut first = true;
        let mut broken = BTreeSet::new();
        for field in &message.fields {
            let name = &data[field.name.clone()];
            let whole = &data[field.value.clone()];
            let value = self.cut(whole);
            let length = name.len() + value.len();
            if length > self.fields || self.room() < length * 16 + 256 {
                self.defects.add(
                    "headers_cut",
                    &named(&String::from_utf8_lossy(name), place),
                    Some("this field and all after it"),
                );
                self.fields = 0;
                break;
            }
            self.fields -= length;
            if value.len() < whole.len() {
                let size = format!("{} of {} bytes kept", value.len(), whole.len());
                self.defects.add("header_cut", &named(&String::from_utf8_lossy(name), place), Some(&size));
            }
            separate(self.out, &mut first);
            self.out.extend_from_slice(b"{\"name\":");
            // A name is printable ASCII, or it would not be one.
            json::string(self.out, std::str::from_utf8(name).unwrap_or_default());
            self.out.extend_from_slice(b",\"value\":");
            let text = words::text(value);
            json::string(self.out, &text.text);
            let mut bytes = Fidelity::Exact;
            if text.decoded {
                self.out.extend_from_slice(b",\"raw\":");
                let raw;
                (raw, bytes) = charset::guess(value.trim_ascii(), Fidelity::Guessed);
                json::string(self.out, &raw);
            }
            self.out.push(b'}');
            if text.fidelity != Fidelity::Exact {
                // Bytes that are neither ASCII nor UTF-8, or encoded words that are not what they say.
                let kind = if bytes == Fidelity::Exact { "header_charset" } else { "header_bytes" };
                broken.insert((kind, String::from_utf8_lossy(name).into_owned()));
            }
        }
        self.out.push(b']');
        for (kind, name) in broken {
            self.defects.add(kind, &named(&name, place), None);
        }
    }

    /// The texts of a message, one after the other, each on a line of its own.
    fn text(&mut self, member: &str, role: Role, message: &Message) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(member.as_bytes());
        self.out.extend_from_slice(b"\":");
        let tree = self.tree;
        let mut room = self.options.caps.text.min(self.room() / 2);
        let mut written = false;
        let mut line_ended = true;
        for leaf in message.leaves.iter().map(|leaf| &tree.leaves[*leaf]).filter(|leaf| leaf.role == role) {
            if !std::mem::replace(&mut written, true) {
                self.out.push(b'"');
            }
            let mut scratch = std::mem::take(&mut self.scratch);
            let (bytes, clean) = leaf.encoding.decode(tree.body(leaf), &mut scratch);
            if !clean {
                self.defects.add("encoding", &structure::place(&leaf.path), None);
            }
            let body = tree.body(leaf);
            let bytes = if !clean && leaf.encoding == Encoding::Base64 && !transfer::begins_like_base64(body)
            {
                body
            } else {
                bytes
            };
            let (text, fidelity) = charset::decode(leaf.content.charset.as_deref().map(str::as_bytes), bytes);
            let kind = match fidelity {
                Fidelity::Exact => None,
                Fidelity::Guessed => Some("charset_guessed"),
                Fidelity::Replaced => Some("charset_bytes"),
                Fidelity::Unknown => Some("charset_unknown"),
            };
            if let Some(kind) = kind {
                self.defects.add(kind, &structure::place(&leaf.path), leaf.content.charset.as_deref());
            }
            let before = self.out.len();
            if !line_ended && !text.is_empty() {
                self.out.extend_from_slice(b"\\n");
            }
            let kept = json::escaped_within(self.out, &text, room);
            if kept < text.len() {
                let size = format!("{kept} of {} bytes kept", text.len());
                self.defects.add("text_cut", &structure::place(&leaf.path), Some(&size));
            }
            room = room.saturating_sub(self.out.len() - before);
            line_ended = text.ends_with('\n') || (line_ended && text.is_empty());
            drop(text);
            self.scratch = scratch;
        }
        self.out.extend_from_slice(if written { b"\"" } else { b"null" });
    }

    /// Writes an attachment without the brace that closes it.
    fn attachment(&mut self, leaf: &Leaf) {
        let tree = self.tree;
        let mut scratch = std::mem::take(&mut self.scratch);
        let (bytes, clean) = leaf.encoding.decode(tree.body(leaf), &mut scratch);
        if !clean {
            self.defects.add("encoding", &structure::place(&leaf.path), None);
        }
        let sha256 = sha256(bytes);
        let content = &leaf.content;
        let out = &mut *self.out;
        out.extend_from_slice(b"{\"filename\":");
        json::string_or_null(out, content.filename.as_deref());
        out.extend_from_slice(b",\"content_type\":");
        json::string(out, &content.media);
        out.extend_from_slice(b",\"size\":");
        json::number(out, bytes.len() as u64);
        out.extend_from_slice(b",\"sha256\":");
        hex(out, &sha256);
        // RFC 2183 §2.1; without a disposition, what the HTML may refer to is part of it (RFC 2392).
        let inline = match content.disposition {
            Disposition::Inline => true,
            Disposition::Attachment => false,
            Disposition::Absent => content.id.is_some(),
        };
        out.extend_from_slice(if inline { b",\"inline\":true" } else { b",\"inline\":false" });
        out.extend_from_slice(b",\"content_id\":");
        json::string_or_null(out, content.id.as_deref());
        out.extend_from_slice(b",\"file\":");
        let place = out.len();
        out.extend_from_slice(b"null");
        if self.options.files {
            if bytes.len() > self.options.caps.attachment {
                let size = format!("{} bytes, not stored", bytes.len());
                self.defects.add("attachment_cut", &structure::place(&leaf.path), Some(&size));
            } else if let Some(known) = self.files.iter_mut().find(|file| file.sha256 == sha256) {
                known.places.push(place);
            } else {
                self.files.push(File { sha256, bytes: Bytes::copy_from_slice(bytes), places: vec![place] });
            }
        }
        self.scratch = scratch;
    }

    /// What ends the record: its defects, its hash, its bytes.
    pub(super) fn close(&mut self, raw: &[u8]) {
        let with_raw = self.options.raw && raw.len() / 3 * 4 + 4 <= self.room();
        if self.options.raw && !with_raw {
            self.defects.add("raw_cut", "message", Some("too large for one record"));
        }
        self.out.extend_from_slice(b",\"defects\":");
        self.defects.write(self.out);
        self.out.extend_from_slice(b",\"raw_sha256\":");
        hex(self.out, &sha256(raw));
        self.out.extend_from_slice(b",\"raw\":");
        if with_raw {
            let mut text = String::new();
            base64::engine::general_purpose::STANDARD.encode_string(raw, &mut text);
            self.out.push(b'"');
            self.out.extend_from_slice(text.as_bytes());
            self.out.push(b'"');
        } else {
            self.out.extend_from_slice(b"null");
        }
    }
}

/// The fields that have members of their own: where the value of each stands.
#[derive(Default)]
struct Known {
    message_id: Vec<std::ops::Range<usize>>,
    date: Vec<std::ops::Range<usize>>,
    subject: Vec<std::ops::Range<usize>>,
    addresses: [Vec<std::ops::Range<usize>>; 5],
    in_reply_to: Vec<std::ops::Range<usize>>,
    references: Vec<std::ops::Range<usize>>,
}

impl Known {
    fn of(data: &[u8], message: &Message) -> Self {
        let mut known = Self::default();
        for field in &message.fields {
            let name = &data[field.name.clone()];
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            let values = match name.len() {
                2 | 3 | 4 | 8 => match ADDRESSES.iter().position(|(_, address)| is(address)) {
                    Some(at) => &mut known.addresses[at],
                    None if is("date") => &mut known.date,
                    None => continue,
                },
                7 if is("subject") => &mut known.subject,
                10 if is("message-id") => &mut known.message_id,
                10 if is("references") => &mut known.references,
                11 if is("in-reply-to") => &mut known.in_reply_to,
                _ => continue,
            };
            values.push(field.value.clone());
        }
        known
    }
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// How a defect names a field, and the message inside the mail that it is of.
fn named(field: &str, message: Option<usize>) -> String {
    let field = field.to_ascii_lowercase();
    match message {
        None => format!("header {field}"),
        Some(number) => format!("header {field} of message {number}"),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest.as_ref());
    sha256
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out.push(b'"');
}
