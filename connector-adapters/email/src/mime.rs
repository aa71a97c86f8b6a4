//! What is in a mail: from its bytes to the members of a record.
//!
//! [`parse`] never fails. Mail is malformed as a rule, so what cannot be read as it should is read as it can be, and
//! `defects` says what, where, and what was cut. Nothing in here recurses, and what is written is bounded by [`Caps`]
//! whatever comes in.
//!
//! | member | what it is |
//! |---|---|
//! | `message_id`, `in_reply_to` | the first id of the field, without angle brackets (RFC 5322 §3.6.4); null |
//! | `date` | the instant of the Date field in UTC, RFC 3339; null where it says none. As sent it stands in `headers` |
//! | `subject` | decoded; null |
//! | `from`, `to`, `cc`, `bcc`, `reply_to` | `[{name, address}]`, members of groups too, of all fields of that name |
//! | `references` | ids, in order |
//! | `headers` | `[{name, value}]`, all, in order, unfolded and decoded; `raw` beside it where decoding changed it |
//! | `text`, `html` | the bodies, decoded; several texts one after the other; null |
//! | `attachments` | `[{filename, content_type, size, sha256, inline, content_id, file}]` of the decoded bytes; `message`, with these members, of a message inside |
//! | `defects` | `[{kind, where, detail?}]` |
//! | `raw_sha256`, `raw` | of the bytes as they came; `raw` (base64) where it is asked for, else null |

mod address;
mod charset;
mod date;
mod defect;
mod delimiter;
mod filename;
mod header;
mod ids;
mod json;
mod parameter;
mod part;
mod record;
mod structure;
mod transfer;
mod words;

use bytes::Bytes;
use defect::Defects;
use record::Writer;
use structure::Tree;

/// How much of a mail goes into its record. What is cut is said in `defects`.
#[derive(Debug, Clone)]
pub struct Caps {
    /// Bytes of JSON of the record, nearly: each list ends when it is reached.
    pub record: usize,
    /// Bytes of JSON of `text`, and of `html`.
    pub text: usize,
    /// Bytes of an attachment that is stored as a file.
    pub attachment: usize,
    /// Fields of a message.
    pub headers: usize,
    /// Bytes of one field that are looked at.
    pub header: usize,
    /// Bytes of all fields of the mail and of the messages in it that `headers` holds.
    pub all_headers: usize,
    /// Parts and messages.
    pub parts: usize,
    /// How deep multiparts and messages may be inside one another.
    pub depth: usize,
}

impl Default for Caps {
    /// A record of 15 MiB, which is within what a host takes (16 MiB); 4 MiB of text and of HTML; attachments of any size;
    /// 1,000 fields of 256 KiB, 1 MiB in all; 10,000 parts; 32 levels.
    fn default() -> Self {
        Self {
            record: 15 << 20,
            text: 4 << 20,
            attachment: usize::MAX,
            headers: 1_000,
            header: 256 << 10,
            all_headers: 1 << 20,
            parts: 10_000,
            depth: 32,
        }
    }
}

/// How a mail is read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What is cut.
    pub caps: Caps,
    /// Writes the bytes as they came into `raw`, if they fit into the record.
    pub raw: bool,
    /// The size of the message in bytes, where only its beginning was fetched.
    pub size: Option<u64>,
    /// Hands over the bytes of attachments ([`Parsed::files`]).
    pub files: bool,
}

/// The decoded bytes of an attachment.
#[derive(Debug)]
#[non_exhaustive]
pub struct File {
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// The bytes.
    pub bytes: Bytes,
    /// Where in the buffer `null` stands for its path.
    places: Vec<usize>,
}

/// What the caller has to know besides what was written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parsed {
    /// Attachments to keep, each content once; empty unless [`Options::files`].
    pub files: Vec<File>,
    /// How many defects were found.
    pub defects: usize,
}

impl Parsed {
    /// Writes the paths of the files, in the order of [`Parsed::files`], into `out`, which is as [`parse`] left it.
    pub fn name_files(&self, out: &mut Vec<u8>, paths: &[String]) {
        let named = self.files.iter().zip(paths);
        let mut places: Vec<(usize, &str)> =
            named.flat_map(|(file, path)| file.places.iter().map(|place| (*place, path.as_str()))).collect();
        places.sort_unstable();
        let Some(&(first, _)) = places.first() else { return };
        let tail = out.split_off(first);
        let mut at = 0;
        for (place, path) in places {
            let end = (place - first).min(tail.len());
            out.extend_from_slice(&tail[at..end]);
            json::string(out, path);
            at = (end + b"null".len()).min(tail.len());
        }
        out.extend_from_slice(&tail[at..]);
    }
}

/// Reads a mail and appends the members of its record to `out`, from `"message_id"` to `raw`, without braces around them.
///
/// ```
/// use connector_email::mime::{Options, parse};
/// let mut record = b"{".to_vec();
/// parse(b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nHello\r\n", &Options::default(), &mut record);
/// record.push(b'}');
/// let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
/// assert_eq!(record["subject"], "café");
/// assert_eq!(record["text"], "Hello\r\n");
/// ```
pub fn parse(raw: &[u8], options: &Options, out: &mut Vec<u8>) -> Parsed {
    let mut defects = Defects::default();
    if let Some(size) = options.size.filter(|size| *size > raw.len() as u64) {
        let detail = format!("{} of {size} bytes fetched", raw.len());
        defects.add("message_cut", "message", Some(&detail));
    }
    let tree = Tree::of(raw, &options.caps, &mut defects);
    let start = out.len();
    let mut writer = Writer {
        tree: &tree,
        options,
        out,
        defects: &mut defects,
        files: Vec::new(),
        start,
        fields: options.caps.all_headers,
        scratch: Vec::new(),
        full: false,
    };
    writer.run();
    writer.close(raw);
    let files = writer.files;
    Parsed { files, defects: defects.count() }
}
