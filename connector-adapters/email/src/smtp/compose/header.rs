//! Headers: each value is checked before it stands in one, and folded so that no line is long.

use connector_sdk::{Result, Timestamp};

use super::{
    super::{
        address::{Mailbox, is_invisible, safe},
        input::wrong,
    },
    word::encoded,
};

/// A line is folded where it would be longer (RFC 5322, 2.1.1).
const FOLDS_AT: usize = 78;
/// A word that is longer is encoded, and so split.
const LONGEST_WORD: usize = 500;
/// A line, without its end (RFC 5322, 2.1.1).
const LONGEST_LINE: usize = 998;
/// A name of a header.
const LONGEST_NAME: usize = 76;
/// A value of a header, in bytes.
pub(super) const LONGEST_VALUE: usize = 64 << 10;
/// A Message-ID: it has to fit into a line.
const LONGEST_ID: usize = 250;
/// A name of a file, in bytes: what file systems take.
const LONGEST_FILENAME: usize = 255;

/// Headers that have a field of their own in the input, or that are not the sender's to write.
const OWN: [&str; 13] = [
    "bcc",
    "cc",
    "date",
    "dkim-signature",
    "from",
    "in-reply-to",
    "message-id",
    "mime-version",
    "references",
    "reply-to",
    "return-path",
    "subject",
    "to",
];

/// The headers of a mail, as they are written.
#[derive(Debug, Default)]
pub(super) struct Headers(String);

impl Headers {
    /// A header whose value is ASCII and short.
    pub(super) fn line(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name}: {value}\r\n"));
    }

    /// A header that is text.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        let value = value.trim();
        let column = name.len() + 2;
        let is_bare = value.is_ascii()
            && !value.contains("=?")
            && !value.contains('\t')
            && value.split(' ').all(|word| word.len() <= LONGEST_WORD);
        // Runs of spaces give no place to break at.
        let bare = is_bare.then(|| folded(value, column));
        let fits = |value: &String| value.split("\r\n").all(|line| line.len() + column <= LONGEST_LINE);
        let value = bare.filter(fits).unwrap_or_else(|| encoded(value, column));
        self.line(name, &value);
    }

    /// A header that is a list of words, one on each line; nothing where there are none.
    pub(super) fn words(&mut self, name: &str, words: &[String]) {
        if !words.is_empty() {
            self.line(name, &words.join("\r\n "));
        }
    }

    /// A header that is a list of addresses; nothing where there are none.
    pub(super) fn mailboxes(&mut self, name: &str, mailboxes: &[Mailbox]) {
        if mailboxes.is_empty() {
            return;
        }
        let each = mailboxes.iter().map(|mailbox| match &mailbox.name {
            None => mailbox.address.to_string(),
            Some(shown) => {
                let shown = phrase(shown, name.len() + 2);
                let last = shown.rsplit('\n').next().unwrap_or_default().len();
                let address = format!("<{}>", mailbox.address);
                let gap = if last + address.len() > FOLDS_AT - 10 { "\r\n " } else { " " };
                format!("{shown}{gap}{address}")
            }
        });
        self.line(name, &each.collect::<Vec<_>>().join(",\r\n "));
    }

    /// A header of the input.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(super) fn extra(&mut self, index: usize, name: &str, value: &str) -> Result<()> {
        let field = format!("headers[{index}].name");
        let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_name) {
            return Err(wrong(&field, "is no name of a header"));
        }
        let lower = name.to_ascii_lowercase();
        if OWN.contains(&lower.as_str()) || lower.starts_with("content-") {
            return Err(wrong(&field, "is a header that has a field of its own, or that is made here"));
        }
        let field = format!("headers[{index}].value");
        safe(&field, value)?;
        if value.len() > LONGEST_VALUE {
            return Err(wrong(&field, "is longer than 64 KiB"));
        }
        self.text(name, value);
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// Broken at spaces, before the column where a line is too long. Each line begins with the space that it was broken at,
/// so that the value stays the same when the breaks are taken out.
fn folded(value: &str, column: usize) -> String {
    let mut out = String::with_capacity(value.len() + 16);
    let mut column = column;
    for (index, word) in value.split(' ').enumerate() {
        if index > 0 {
            // A line of nothing but spaces would end the headers for some: the break comes before a word.
            let breaks = column + 1 + word.len() > FOLDS_AT && !word.is_empty();
            if breaks && !out.ends_with(' ') && !out.is_empty() {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

/// A name that is shown: as words, in quotes, or encoded.
fn phrase(name: &str, column: usize) -> String {
    let is_short = name.len() <= LONGEST_NAME;
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || b" !#$%&'*+-/^_{|}~".contains(&byte);
    if !name.is_ascii() || name.contains("=?") || name.contains('\t') || !is_short {
        encoded(name, column)
    } else if name.bytes().all(is_atom) && !name.contains("  ") {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// An id without its angle brackets.
///
/// # Errors
/// Config, naming the field.
pub(super) fn message_id(field: &str, text: &str) -> Result<String> {
    let id = content_id(field, text)?;
    if !id.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty()) {
        return Err(wrong(field, "is no Message-ID such as `id@example.com`"));
    }
    Ok(id)
}

/// An id without its angle brackets, with an `@` in it or without.
///
/// # Errors
/// Config, naming the field.
pub(super) fn content_id(field: &str, text: &str) -> Result<String> {
    let id = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let is_id =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\' | b',' | b';');
    if id.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(is_id) {
        return Err(wrong(
            field,
            "is no id: up to 250 characters of ASCII without spaces and angle brackets",
        ));
    }
    Ok(id.to_owned())
}

/// A name of a file: no path, nothing hidden.
///
/// # Errors
/// Config, naming the field.
pub(super) fn filename(field: &str, name: &str) -> Result<String> {
    safe(field, name)?;
    let is_path = |c: char| matches!(c, '/' | '\\' | '\t');
    if name.trim().is_empty() || name.len() > LONGEST_FILENAME {
        return Err(wrong(field, "is empty, or longer than 255 bytes"));
    }
    if name.contains(is_path) || name.contains(is_invisible) || matches!(name, "." | "..") {
        return Err(wrong(field, "is a path, or holds characters that are not seen"));
    }
    Ok(name.to_owned())
}

/// A type such as `text/csv; charset=utf-8`.
///
/// # Errors
/// Config, naming the field.
pub(super) fn content_type(field: &str, text: &str) -> Result<String> {
    let refuse = |why: &str| wrong(field, why);
    safe(field, text)?;
    let is_token = |text: &str| {
        let is_tspecial = |byte: u8| b"()<>@,;:\\\"/[]?=".contains(&byte);
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !is_tspecial(byte))
    };
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    if text.len() > 500
        || !kind.split_once('/').is_some_and(|(left, right)| is_token(left) && is_token(right))
    {
        return Err(refuse("is no type such as `application/pdf`"));
    }
    if kind.starts_with("multipart/") {
        return Err(refuse("is a type of many parts, which one file is not"));
    }
    let mut out = kind;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let is_value = match bare {
            Some(bare) => bare.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte)),
            None => is_token(value),
        };
        if !is_token(name) || !is_value || name.contains('*') {
            return Err(refuse("has a parameter that is none"));
        }
        out.push_str(&format!(";\r\n {name}={value}"));
    }
    Ok(out)
}

/// RFC 5322, 3.3, in UTC.
pub(super) fn date(at: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_a_line_may_be_however_the_words_stand() {
        for value in ["word  ".repeat(400), "a   ".repeat(2_000), "x".repeat(400) + &" ".repeat(1_500) + "y"]
        {
            let mut headers = Headers::default();
            headers.text("Subject", &value);
            let text = String::from_utf8(headers.finish()).unwrap();
            let longest = text.split("\r\n").map(str::len).max().unwrap();
            assert!(longest <= LONGEST_LINE, "{longest}");
        }
    }
}
