//! The tree of a mail: its messages and the leaves of each, found in one pass over the bytes.
//!
//! No function here calls itself: depth is a stack of our own with a cap. mail-parser 0.11 aborts the process on a chain
//! of `message/rfc822` (its own values are dropped recursively), which is why its parser is not used.

use std::borrow::Cow;
use std::ops::Range;

use super::Caps;
use super::defect::Defects;
use super::delimiter::{self, Delimiter};
use super::header::{self, Field};
use super::part::{Content, Disposition};
use super::transfer::Encoding;

/// An encoded message inside a message (which RFC 2046 §5.2.1 forbids) is decoded at most this often in a chain: each
/// time costs a copy of what is left.
const MOST_ENCODED: usize = 4;

/// A message: the mail itself, or one inside it.
#[derive(Debug)]
pub(super) struct Message {
    /// Which of the buffers it stands in.
    pub(super) buffer: usize,
    pub(super) fields: Vec<Field>,
    /// In order.
    pub(super) leaves: Vec<usize>,
}

/// A part that has no parts, or is a message.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) buffer: usize,
    pub(super) body: Range<usize>,
    pub(super) content: Content,
    pub(super) encoding: Encoding,
    pub(super) role: Role,
    /// The message that it is.
    pub(super) message: Option<usize>,
    /// Its number as IMAP counts parts: `1.2`.
    pub(super) path: String,
    depth: usize,
    encoded: usize,
}

/// What a leaf is to its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Part of the plain text.
    Text,
    /// Part of the HTML.
    Html,
    /// Anything else.
    Attachment,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) buffers: Vec<Cow<'a, [u8]>>,
    /// The first is the mail.
    pub(super) messages: Vec<Message>,
    pub(super) leaves: Vec<Leaf>,
}

impl<'a> Tree<'a> {
    /// Takes a mail apart.
    pub(super) fn of(raw: &'a [u8], caps: &Caps, defects: &mut Defects) -> Self {
        let mut walk = Walk { messages: Vec::new(), leaves: Vec::new(), caps, defects, full: false };
        let mut buffers = vec![Cow::Borrowed(raw)];
        walk.buffer(raw, 0, 0, 0, "");
        // Leaves that are encoded messages: their bytes are a buffer of their own. The list grows while it is read.
        let mut index = 0;
        while let Some(leaf) = walk.leaves.get(index) {
            if is_message(&leaf.content.media)
                && leaf.message.is_none()
                && leaf.encoded < MOST_ENCODED
                && leaf.depth < caps.depth
                && let Some(bytes) = leaf.encoding.decoded(&buffers[leaf.buffer][leaf.body.clone()])
            {
                let (depth, encoded, path) = (leaf.depth + 1, leaf.encoded + 1, leaf.path.clone());
                let number = walk.messages.len();
                if walk.buffer(&bytes, buffers.len(), depth, encoded, &path) {
                    walk.leaves[index].message = Some(number);
                    buffers.push(Cow::Owned(bytes));
                }
            }
            index += 1;
        }
        let Walk { messages, leaves, .. } = walk;
        Self { buffers, messages, leaves }
    }

    /// The encoded bytes of a leaf.
    pub(super) fn body(&self, leaf: &Leaf) -> &[u8] {
        &self.buffers[leaf.buffer][leaf.body.clone()]
    }
}

/// `message/rfc822`, and `message/global` of RFC 6532.
pub(super) fn is_message(media: &str) -> bool {
    matches!(media, "message/rfc822" | "message/global" | "message/news")
}

/// An entity whose parts are being read.
struct Open {
    kind: Kind,
    boundary: Option<Vec<u8>>,
    /// Where its body begins.
    start: usize,
    /// How many parts it has so far.
    parts: usize,
    path: String,
    /// The message that its leaves belong to.
    message: usize,
    /// The leaf of a message that is open, whose end is not known yet.
    leaf: Option<usize>,
    /// What its own fields say, should it turn out to have no parts.
    content: Option<Content>,
}

/// What an entity turned out to be.
enum Entered {
    Opened(Box<Open>),
    Leaf(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    Mixed,
    Alternative,
    Related,
    Digest,
}

impl Kind {
    fn of(media: &str) -> Self {
        match media {
            "multipart/alternative" => Self::Alternative,
            "multipart/related" => Self::Related,
            "multipart/digest" => Self::Digest,
            _ => Self::Mixed,
        }
    }
}

struct Walk<'c> {
    messages: Vec<Message>,
    leaves: Vec<Leaf>,
    caps: &'c Caps,
    defects: &'c mut Defects,
    /// The cap of parts is reached.
    full: bool,
}

impl Walk<'_> {
    /// Reads one message and all that is in it as far as it is not encoded; `false` when there are enough parts already.
    fn buffer(&mut self, data: &[u8], buffer: usize, depth: usize, encoded: usize, path: &str) -> bool {
        if self.full() {
            return false;
        }
        let mut open: Vec<Open> = Vec::new();
        let mut at = 0;
        let mut message_begins = true;
        loop {
            let owner =
                if message_begins { self.messages.len() } else { open.last().map_or(0, |open| open.message) };
            let (content, start, fields) = self.head(data, at, &open, message_begins, path);
            if message_begins {
                self.messages.push(Message { buffer, fields, leaves: Vec::new() });
            }
            let here = Place { buffer, depth: depth + open.len(), encoded, owner };
            message_begins = false;
            let mut leaf = None;
            match self.enter(data, content, start, &open, path, here) {
                Entered::Leaf(number) => leaf = Some(number),
                Entered::Opened(entered) => {
                    message_begins = entered.kind == Kind::Message;
                    open.push(*entered);
                    at = start;
                    if message_begins {
                        continue;
                    }
                }
            }
            match self.next_part(data, &mut open, start, leaf, here) {
                Some(next) => at = next,
                None => return true,
            }
            if self.full() {
                self.close(data, &mut open, 0, data.len(), here);
                return true;
            }
        }
    }

    fn full(&mut self) -> bool {
        if self.leaves.len() + self.messages.len() >= self.caps.parts && !self.full {
            self.full = true;
            self.defects.add("parts_cut", "message", Some("more parts than are read"));
        }
        self.full
    }

    /// Reads the fields of the entity at `at`.
    fn head(
        &mut self,
        data: &[u8],
        at: usize,
        open: &[Open],
        keep: bool,
        path: &str,
    ) -> (Content, usize, Vec<Field>) {
        let most = if keep { self.caps.headers } else { 0 };
        let mut head = Head { data, open, most, content: Content::default(), fields: Vec::new(), dropped: 0 };
        let block = header::fields(data, at, &mut head);
        let Head { mut content, fields, dropped, .. } = head;
        content.finish();
        let place = || place(open.last().map_or(path, |open| &open.path));
        if keep && dropped > 0 {
            self.defects.add("headers_cut", &place(), Some(&format!("{dropped} more")));
        }
        if let Some((line, count)) = block.stray {
            let line =
                String::from_utf8_lossy(&data[line.start..line.end.min(line.start + 200)]).into_owned();
            self.defects.add(if count > 1 { "header_lines" } else { "header_line" }, &place(), Some(&line));
        }
        if block.unseparated {
            self.defects.add("header_end", &place(), None);
        }
        for defect in content.defects.drain(..) {
            self.defects.add(defect, &place(), None);
        }
        (content, block.body, fields)
    }

    /// Opens what has parts, or makes a leaf of what has none.
    fn enter(
        &mut self,
        data: &[u8],
        mut content: Content,
        start: usize,
        open: &[Open],
        root: &str,
        here: Place,
    ) -> Entered {
        let parent = open.last();
        let whole = parent.is_none_or(|parent| parent.kind == Kind::Message);
        let path = match parent {
            Some(parent) if !whole => child(&parent.path, parent.parts),
            Some(parent) => parent.path.clone(),
            None => root.to_owned(),
        };
        // What is all of a message is its part 1, unless it has parts (RFC 9051 §6.4.5.1).
        let path_of_leaf = if whole { child(&path, 1) } else { path.clone() };
        if content.media.is_empty() {
            let digest = parent.is_some_and(|parent| parent.kind == Kind::Digest);
            content.media = if digest { "message/rfc822" } else { "text/plain" }.to_owned();
        }
        let encoding = content.encoding.unwrap_or(Encoding::Identity);
        let multipart = content.media.starts_with("multipart/");
        let message =
            is_message(&content.media) && matches!(encoding, Encoding::Identity | Encoding::Unknown);
        if (multipart || is_message(&content.media)) && here.depth >= self.caps.depth {
            self.defects.add("depth_cut", &place(&path), Some(&content.media));
        } else if multipart {
            if !matches!(encoding, Encoding::Identity) {
                self.defects.add("encoding_of_multipart", &place(&path), None);
            }
            match content.boundary.take().filter(|boundary| !boundary.is_empty()) {
                Some(boundary) => {
                    return Entered::Opened(Box::new(Open {
                        kind: Kind::of(&content.media),
                        boundary: Some(boundary),
                        start,
                        parts: 0,
                        path,
                        message: here.owner,
                        leaf: None,
                        content: Some(content),
                    }));
                }
                None => {
                    self.defects.add("boundary_missing", &place(&path), None);
                    content.media = "text/plain".to_owned();
                }
            }
        } else if message {
            let leaf = self.leaf(content, start..data.len(), parent, path_of_leaf.clone(), here);
            self.leaves[leaf].message = Some(self.messages.len());
            return Entered::Opened(Box::new(Open {
                kind: Kind::Message,
                boundary: None,
                start,
                parts: 0,
                path: path_of_leaf,
                message: self.messages.len(),
                leaf: Some(leaf),
                content: None,
            }));
        }
        Entered::Leaf(self.leaf(content, start..data.len(), parent, path_of_leaf, here))
    }

    fn leaf(
        &mut self,
        content: Content,
        body: Range<usize>,
        parent: Option<&Open>,
        path: String,
        here: Place,
    ) -> usize {
        let number = self.leaves.len();
        let encoding = content.encoding.unwrap_or(Encoding::Identity);
        let path = if path.is_empty() { "1".to_owned() } else { path };
        if encoding == Encoding::Unknown {
            self.defects.add("encoding_unknown", &place(&path), None);
        }
        let Place { buffer, depth, encoded, owner } = here;
        let role = role(&content, parent);
        self.leaves.push(Leaf { buffer, body, content, encoding, role, message: None, path, depth, encoded });
        if let Some(message) = self.messages.get_mut(owner) {
            message.leaves.push(number);
        }
        number
    }

    /// From a body to the next part: ends what a delimiter ends. `None` at the end of the data.
    fn next_part(
        &mut self,
        data: &[u8],
        open: &mut Vec<Open>,
        body: usize,
        mut leaf: Option<usize>,
        here: Place,
    ) -> Option<usize> {
        let mut from = body;
        loop {
            let found = if open.iter().any(|open| open.boundary.is_some()) {
                delimiter::next(data, from, |at| delimiter::at(data, at, boundaries(open)))
            } else {
                None
            };
            let Some(found) = found else {
                self.close(data, open, 0, data.len(), here);
                return None;
            };
            if let Some(leaf) = leaf.take().and_then(|leaf| self.leaves.get_mut(leaf)) {
                leaf.body.end = found.body_end(data, leaf.body.start);
            }
            self.ended(data, open, &found, here);
            from = found.after;
            if !found.closing {
                return Some(found.after);
            }
        }
    }

    /// Ends what is inside the boundary that was found, and begins its next part or ends it too.
    fn ended(&mut self, data: &[u8], open: &mut Vec<Open>, found: &Delimiter, here: Place) {
        self.close(data, open, found.level + 1, found.line, here);
        let Some(multipart) = open.last_mut() else { return };
        if found.closing {
            if multipart.parts == 0 {
                self.defects.add("multipart_empty", &place(&multipart.path), None);
            }
            open.pop();
        } else {
            multipart.parts += 1;
        }
    }

    /// Ends all entities from `level` on, whose bytes end before the line at `line`.
    fn close(&mut self, data: &[u8], open: &mut Vec<Open>, level: usize, line: usize, here: Place) {
        while open.len() > level {
            let Some(closed) = open.pop() else { return };
            let end = if line == data.len() {
                line
            } else {
                Delimiter { line, after: line, level, closing: false }.body_end(data, closed.start)
            };
            if let Some(leaf) = closed.leaf.and_then(|leaf| self.leaves.get_mut(leaf)) {
                leaf.body.end = end.max(leaf.body.start);
            }
            if closed.boundary.is_none() || self.full {
                continue;
            }
            if closed.parts > 0 {
                self.defects.add("boundary_not_closed", &place(&closed.path), None);
                continue;
            }
            // Its boundary never came: a text, whatever it wanted to be.
            self.defects.add("boundary_not_found", &place(&closed.path), None);
            if let Some(mut content) = closed.content {
                content.media = "text/plain".to_owned();
                let here = Place { depth: here.depth, owner: closed.message, ..here };
                self.leaf(content, closed.start..end.max(closed.start), open.last(), closed.path, here);
            }
        }
    }
}

/// Where a leaf belongs.
#[derive(Clone, Copy)]
struct Place {
    buffer: usize,
    depth: usize,
    encoded: usize,
    owner: usize,
}

/// What is text of the message: text that is not said to be an attachment and has no name of a file, unless it is all that
/// there is; of multipart/related only its root (RFC 2387).
fn role(content: &Content, parent: Option<&Open>) -> Role {
    let role = match content.media.as_str() {
        "text/plain" => Role::Text,
        "text/html" => Role::Html,
        _ => return Role::Attachment,
    };
    let alone = parent.is_none_or(|parent| parent.kind == Kind::Message);
    let beside = parent.is_some_and(|parent| parent.kind == Kind::Related && parent.parts > 1);
    if content.disposition == Disposition::Attachment || beside || (content.filename.is_some() && !alone) {
        return Role::Attachment;
    }
    role
}

/// Reads the fields of an entity inside others.
struct Head<'h> {
    data: &'h [u8],
    open: &'h [Open],
    /// How many fields are kept.
    most: usize,
    content: Content,
    fields: Vec<Field>,
    dropped: usize,
}

impl header::Reader for Head<'_> {
    fn is_delimiter(&self, line: usize) -> bool {
        let own = [(self.open.len(), self.content.boundary.as_deref())];
        delimiter::at(self.data, line, boundaries(self.open).chain(own)).is_some()
    }

    fn field(&mut self, field: Field) {
        self.content.take(self.data, &field);
        if self.fields.len() < self.most {
            self.fields.push(field);
        } else {
            self.dropped += 1;
        }
    }
}

fn boundaries(open: &[Open]) -> impl DoubleEndedIterator<Item = (usize, Option<&[u8]>)> {
    (0..open.len()).map(|level| (level, open[level].boundary.as_deref()))
}

fn child(path: &str, number: usize) -> String {
    if path.is_empty() { number.to_string() } else { format!("{path}.{number}") }
}

/// How a defect names a place.
pub(super) fn place(path: &str) -> String {
    if path.is_empty() { "message".to_owned() } else { format!("part {path}") }
}
