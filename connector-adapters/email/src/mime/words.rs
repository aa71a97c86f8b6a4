//! Text of header fields: unfolded, encoded words (RFC 2047) decoded.
//!
//! Our own and not mail-parser's, because adjacent words are one text: senders cut a character of several bytes in two
//! (RFC 2047 §5 forbids it, and they do), which decoded word by word comes out as four U+FFFD.

use std::borrow::Cow;

use memchr::memmem;

use super::charset::{self, Fidelity};
use super::transfer;

/// An encoded word has 75 characters (RFC 2047 §2); senders that do not cut a long subject are read up to this.
/// A search for its end never goes further, so that a header full of beginnings costs no more than its length.
const LONGEST_WORD: usize = 16 << 10;

/// What a field says.
#[derive(Debug)]
pub(super) struct Text<'a> {
    /// Unfolded and decoded, without space around it.
    pub(super) text: Cow<'a, str>,
    /// Whether there was something to decode: encoded words, or bytes that are not UTF-8.
    pub(super) decoded: bool,
    /// The worst that happened.
    pub(super) fidelity: Fidelity,
}

/// Decodes the value of an unstructured field, or of a phrase.
pub(super) fn text(value: &[u8]) -> Text<'_> {
    let value = value.trim_ascii();
    if memchr::memchr2(b'\n', b'\r', value).is_none() && !has_word(value) {
        let (text, fidelity) = charset::guess(value, Fidelity::Guessed);
        return Text { text, decoded: fidelity != Fidelity::Exact, fidelity };
    }
    let mut unfolding = Unfolding {
        text: String::with_capacity(value.len()),
        space: None,
        group: None,
        decoded: false,
        fidelity: Fidelity::Exact,
    };
    unfolding.run(value);
    Text { text: Cow::Owned(unfolding.text), decoded: unfolding.decoded, fidelity: unfolding.fidelity }
}

/// Whether there may be an encoded word.
fn has_word(value: &[u8]) -> bool {
    memchr::memchr_iter(b'=', value).any(|at| value.get(at + 1) == Some(&b'?'))
}

/// How long the encoded word is that stands here, if one does.
pub(super) fn word(bytes: &[u8]) -> Option<usize> {
    Word::at(bytes).map(|word| word.length)
}

struct Unfolding<'a> {
    text: String,
    /// White space that is written only if the next thing is not another encoded word.
    space: Option<&'a [u8]>,
    /// Adjacent encoded words of one charset: their bytes are one text.
    group: Option<(&'a [u8], Vec<u8>)>,
    decoded: bool,
    fidelity: Fidelity,
}

impl<'a> Unfolding<'a> {
    fn run(&mut self, value: &'a [u8]) {
        let mut at = 0;
        while at < value.len() {
            let rest = &value[at..];
            if matches!(rest[0], b'\r' | b'\n') || (self.group.is_some() && rest[0].is_ascii_whitespace()) {
                let length = rest.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(rest.len());
                self.whitespace(&rest[..length]);
                at += length;
            } else if let Some(word) = Word::at(rest) {
                self.word(&word);
                at += word.length;
            } else {
                let length = literal(rest);
                let text = &rest[..length];
                let folds = matches!(rest.get(length), Some(b'\r' | b'\n'));
                self.literal(if folds { text.trim_ascii_end() } else { text });
                at += length;
            }
        }
        self.flush();
    }

    fn whitespace(&mut self, space: &'a [u8]) {
        if self.group.is_some() {
            self.space = Some(space);
        } else {
            self.write_space(space);
        }
    }

    /// A fold is one space, whatever the next line begins with.
    fn write_space(&mut self, space: &[u8]) {
        if memchr::memchr2(b'\n', b'\r', space).is_some() {
            self.text.push(' ');
        } else {
            self.text.extend(space.iter().map(|byte| char::from(*byte)));
        }
    }

    fn word(&mut self, word: &Word<'a>) {
        self.decoded = true;
        if let Some((charset, bytes)) = &mut self.group
            && charset.eq_ignore_ascii_case(word.charset)
        {
            self.space = None;
            word.decode(bytes);
            return;
        }
        let adjacent = self.group.is_some();
        if adjacent {
            self.space = None;
        }
        self.flush();
        let mut bytes = Vec::with_capacity(word.payload.len());
        word.decode(&mut bytes);
        self.group = Some((word.charset, bytes));
    }

    fn literal(&mut self, bytes: &[u8]) {
        self.flush();
        let (text, fidelity) = charset::guess(bytes, Fidelity::Guessed);
        self.decoded |= fidelity != Fidelity::Exact;
        self.fidelity = self.fidelity.max(fidelity);
        self.text.push_str(&text);
    }

    fn flush(&mut self) {
        if let Some((charset, bytes)) = self.group.take() {
            let (text, fidelity) = charset::decode(Some(charset), &bytes);
            self.fidelity = self.fidelity.max(fidelity);
            self.text.push_str(&text);
        }
        if let Some(space) = self.space.take() {
            self.write_space(space);
        }
    }
}

/// How far it is to the next thing that means something: a fold, or what may be an encoded word.
fn literal(text: &[u8]) -> usize {
    let skip = if text.starts_with(b"=?") { 2 } else { 1 };
    let found = memchr::memchr3_iter(b'\r', b'\n', b'=', &text[skip..])
        .find(|at| text[skip + at] != b'=' || text.get(skip + at + 1) == Some(&b'?'));
    found.map_or(text.len(), |at| skip + at)
}

/// `=?charset*language?encoding?payload?=`
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    payload: &'a [u8],
    length: usize,
}

impl<'a> Word<'a> {
    fn at(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(b"=?")?;
        let charset_end = rest.iter().take(64).position(|byte| *byte == b'?' || !byte.is_ascii_graphic())?;
        let (charset, rest) = rest.split_at(charset_end);
        let rest = rest.strip_prefix(b"?")?;
        let base64 = match rest.first()? {
            b'b' | b'B' => true,
            b'q' | b'Q' => false,
            _ => return None,
        };
        let rest = rest.get(1..)?.strip_prefix(b"?")?;
        let end = memmem::find(&rest[..rest.len().min(LONGEST_WORD)], b"?=")?;
        let payload = &rest[..end];
        // Another word begins before this one ends: this one has no end of its own.
        if base64 && payload.contains(&b'?') {
            return None;
        }
        // RFC 2231 §5: the language after the charset.
        let charset = charset.split(|byte| *byte == b'*').next().filter(|charset| !charset.is_empty())?;
        let length = bytes.len() - rest.len() + end + 2;
        Some(Self { charset, base64, payload, length })
    }

    fn decode(&self, out: &mut Vec<u8>) {
        if self.base64 {
            transfer::base64(self.payload, out);
        } else {
            transfer::q(self.payload, out);
        }
    }
}
