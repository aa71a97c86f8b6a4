//! The parts of a mail and how they lie in each other.

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    encode::{self, Encoding, base64_lines, is_seven_bit, normalised},
    word::parameter,
};

/// One part, with what belongs to it.
#[derive(Debug)]
pub(super) enum Part {
    /// Headers, each with its end, and a body of whole lines.
    Leaf { headers: String, body: Vec<u8> },
    /// Several parts of one kind.
    Multi { kind: &'static str, parts: Vec<Part> },
}

impl Part {
    /// A text of this kind, `plain` or `html`.
    pub(super) fn text(kind: &str, text: &str) -> Self {
        let text = normalised(text);
        let (encoding, body) = encode::text(&text);
        let charset = if text.is_ascii() { "us-ascii" } else { "utf-8" };
        let headers = format!(
            "Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {}\r\n",
            encoding.name()
        );
        Self::Leaf { headers, body }
    }

    /// A file.
    pub(super) fn file(kind: &str, name: &str, id: Option<&str>, content: &[u8]) -> Self {
        let is_message = kind.starts_with("message/");
        // A mail within a mail may not be encoded (RFC 2046, 5.2.1): one that has to be goes as bytes.
        let is_plain = is_message && is_seven_bit(content);
        let (kind, encoding, body) = match std::str::from_utf8(content) {
            Ok(text) if is_plain => (kind, Encoding::SevenBit, normalised(text).into_bytes()),
            _ if is_message => ("application/octet-stream", Encoding::Base64, base64_lines(content)),
            _ => (kind, Encoding::Base64, base64_lines(content)),
        };
        let disposition = if id.is_some() { "inline" } else { "attachment" };
        let mut headers = format!(
            "Content-Type: {kind}\r\nContent-Transfer-Encoding: {}\r\nContent-Disposition: {disposition}{}\r\n",
            encoding.name(),
            parameter("filename", name)
        );
        if let Some(id) = id {
            headers.push_str(&format!("Content-ID: <{id}>\r\n"));
        }
        Self::Leaf { headers, body }
    }

    /// These parts in one; a single one needs none around it.
    pub(super) fn joined(kind: &'static str, mut parts: Vec<Self>) -> Self {
        match parts.pop() {
            Some(only) if parts.is_empty() => only,
            last => {
                parts.extend(last);
                Self::Multi { kind, parts }
            }
        }
    }

    /// Writes it behind the headers of what it is in. It lies at most four deep: `mixed`, `alternative`, `related`, text.
    pub(super) fn write(&self, boundary: &str, out: &mut Vec<u8>) {
        match self {
            Self::Leaf { headers, body } => {
                out.extend_from_slice(headers.as_bytes());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(body);
            }
            Self::Multi { kind, parts } => {
                let own = format!("{boundary}.{kind}");
                out.extend_from_slice(
                    format!("Content-Type: multipart/{kind};\r\n boundary=\"{own}\"\r\n\r\n").as_bytes(),
                );
                for part in parts {
                    out.extend_from_slice(format!("--{own}\r\n").as_bytes());
                    part.write(boundary, out);
                    // The last line break before a boundary belongs to the boundary.
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(format!("--{own}--\r\n").as_bytes());
            }
        }
    }

    fn leaves<'a>(&'a self, each: &mut dyn FnMut(&'a [u8])) {
        match self {
            Self::Leaf { body, .. } => each(body),
            Self::Multi { parts, .. } => parts.iter().for_each(|part| part.leaves(each)),
        }
    }
}

/// What the boundaries of a mail begin with: the same for the same mail, so that it is the same bytes again when it is
/// composed again. `=_` stands in no encoded part (RFC 2045, 6.7), and a plain one that holds it gets another.
pub(super) fn seed(id: &str, part: &Part) -> String {
    for round in 0_u32.. {
        let mut hash = Context::new(&SHA256);
        hash.update(id.as_bytes());
        hash.update(&round.to_be_bytes());
        part.leaves(&mut |body| hash.update(body));
        let digest = hash.finish();
        let hex: String = digest.as_ref().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let seed = format!("=_{hex}");
        let mut is_taken = false;
        part.leaves(&mut |body| is_taken |= memchr::memmem::find(body, seed.as_bytes()).is_some());
        if !is_taken {
            return seed;
        }
    }
    String::new()
}
