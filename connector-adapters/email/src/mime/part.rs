//! What the fields of an entity say about its body.

use super::charset::Fidelity;
use super::filename;
use super::header::Field;
use super::ids;
use super::parameter::Parameters;
use super::transfer::Encoding;

/// The Content-… fields of one entity.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// `type/subtype` in lower case; empty where nothing readable is said.
    pub(super) media: String,
    pub(super) charset: Option<String>,
    pub(super) boundary: Option<Vec<u8>>,
    pub(super) filename: Option<String>,
    pub(super) disposition: Disposition,
    pub(super) id: Option<String>,
    pub(super) encoding: Option<Encoding>,
    /// What is wrong with these fields, as kinds of defects.
    pub(super) defects: Vec<&'static str>,
    name: Option<String>,
    seen: u8,
}

/// Where the sender wants a part to be shown (RFC 2183).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Disposition {
    /// Nothing is said.
    #[default]
    Absent,
    /// In the text.
    Inline,
    /// Beside it; also what is said by words that nobody knows (RFC 2183 §2.8).
    Attachment,
}

/// What of one field is looked at: names of files in continuations have some hundred bytes.
const LONGEST: usize = 16 << 10;
/// RFC 5322 §2.1.1: a line has no more.
const LONGEST_ID: usize = 998;
/// RFC 6838 §4.2: a type and a subtype have 127 characters each.
const LONGEST_MEDIA: usize = 255;

/// RFC 2046 §5.1.1: 70 characters. It is compared with each line that begins with dashes, so it has no line of its own.
const LONGEST_BOUNDARY: usize = 256;

const TYPE: u8 = 1;
const ENCODING: u8 = 2;
const DISPOSITION: u8 = 4;
const ID: u8 = 8;

impl Content {
    /// Takes a field into account if it is one of Content-…; of several the first counts.
    pub(super) fn take(&mut self, data: &[u8], field: &Field) {
        let name = &data[field.name.clone()];
        let value = &data[field.value.clone()];
        let value = &value[..value.len().min(LONGEST)];
        // All begin alike, and nearly no other field does.
        let Some((start, rest)) = name.split_at_checked(8) else { return };
        if !start.eq_ignore_ascii_case(b"content-") {
            return;
        }
        let bit = match rest.len() {
            4 if rest.eq_ignore_ascii_case(b"type") => TYPE,
            17 if rest.eq_ignore_ascii_case(b"transfer-encoding") => ENCODING,
            11 if rest.eq_ignore_ascii_case(b"disposition") => DISPOSITION,
            2 if rest.eq_ignore_ascii_case(b"id") => ID,
            _ => return,
        };
        if self.seen & bit != 0 {
            self.defects.push("header_repeated");
            return;
        }
        self.seen |= bit;
        match bit {
            TYPE => self.take_type(value),
            ENCODING => self.encoding = Some(Encoding::of(value)),
            DISPOSITION => self.take_disposition(value),
            _ => self.id = ids::ids(value).into_iter().next().filter(|id| id.len() <= LONGEST_ID),
        }
    }

    /// The name of the file, from the disposition, else from the type.
    pub(super) fn finish(&mut self) {
        if self.filename.is_none() {
            self.filename = self.name.take();
        }
    }

    fn take_type(&mut self, value: &[u8]) {
        let parameters = Parameters::of(value);
        if let Some(name) = self.text(&parameters, "name") {
            self.name = filename::safe(&name);
        }
        self.charset =
            parameters.bytes("charset").map(|label| String::from_utf8_lossy(&label).trim().to_owned());
        let boundary = parameters.bytes("boundary").map(|boundary| boundary.into_owned());
        self.boundary = boundary.filter(|boundary| {
            boundary.len() <= LONGEST_BOUNDARY && !boundary.iter().any(u8::is_ascii_control)
        });
        let whole = parameters.value.split_once('/').is_some_and(|(kind, subtype)| {
            !kind.is_empty()
                && !subtype.is_empty()
                && !subtype.contains('/')
                && parameters.value.len() <= LONGEST_MEDIA
        });
        if whole {
            self.media = parameters.value;
        } else if parameters.value == "text" {
            // What senders before MIME wrote (RFC 2045 §5.2).
            self.media = "text/plain".to_owned();
        } else {
            self.defects.push("content_type");
        }
    }

    fn take_disposition(&mut self, value: &[u8]) {
        let parameters = Parameters::of(value);
        if let Some(name) = self.text(&parameters, "filename") {
            self.filename = filename::safe(&name);
        }
        self.disposition = match parameters.value.as_str() {
            "" => Disposition::Absent,
            "inline" => Disposition::Inline,
            _ => Disposition::Attachment,
        };
    }

    fn text(&mut self, parameters: &Parameters<'_>, name: &str) -> Option<String> {
        let (text, fidelity) = parameters.get(name)?;
        if fidelity != Fidelity::Exact {
            self.defects.push("filename_charset");
        }
        Some(text)
    }
}
