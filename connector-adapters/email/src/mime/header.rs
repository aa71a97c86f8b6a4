//! The header block of an entity: where its fields are.

use std::ops::Range;

/// A field: where its name and its value stand, the value without its colon and its last line break.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Who reads a block.
pub(super) trait Reader {
    /// Whether the line that begins there ends the entity.
    fn is_delimiter(&self, line: usize) -> bool;

    /// Takes the next field.
    fn field(&mut self, field: Field);
}

/// What ended a header block, and what was wrong in it.
#[derive(Debug)]
pub(super) struct Block {
    /// Where the body begins.
    pub(super) body: usize,
    /// Lines that are no field and were passed over: the first, and how many.
    pub(super) stray: Option<(Range<usize>, usize)>,
    /// No blank line: the body begins where no field was.
    pub(super) unseparated: bool,
}

/// Reads the fields of the block that begins at `start`, up to the blank line, a delimiter, or the end.
///
/// A line that is no field: if fields follow before the blank line, it is passed over (folded without indentation, or
/// the `From ` line of an mbox), because everything that they say would be lost otherwise; if none follows, the body
/// has begun without a blank line.
pub(super) fn fields(data: &[u8], start: usize, reader: &mut impl Reader) -> Block {
    let mut block = Block { body: start, stray: None, unseparated: false };
    let mut current: Option<Field> = None;
    // Where the next field is known to begin: one search ahead serves all stray lines before it.
    let mut next_field = 0;
    let mut at = start;
    loop {
        let line = Line::at(data, at);
        if line.as_ref().is_some_and(|line| line.dashes(data))
            && let Some(done) = current.take()
        {
            // It may say what the line delimits.
            reader.field(done);
        }
        let Some(line) = line.filter(|line| !(line.dashes(data) && reader.is_delimiter(at))) else {
            // The end of the data, or a delimiter where a blank line belongs; fields alone are a whole entity.
            block.body = at.min(data.len());
            break;
        };
        if line.text.is_empty() {
            block.body = line.after;
            break;
        }
        if line.folded(data) && current.is_some() {
            if let Some(current) = &mut current {
                current.value.end = line.text.end;
            }
        } else if let Some(found) = line.field(data) {
            if let Some(done) = current.replace(found) {
                reader.field(done);
            }
        } else {
            if next_field <= at {
                next_field = ahead(data, line.after, reader);
            }
            if next_field == usize::MAX {
                block.body = at;
                block.unseparated = true;
                break;
            }
            if let Some(done) = current.take() {
                reader.field(done);
            }
            match &mut block.stray {
                Some((_, count)) => *count += 1,
                stray => *stray = Some((line.text.clone(), 1)),
            }
        }
        at = line.after;
    }
    if let Some(done) = current {
        reader.field(done);
    }
    block
}

/// Where the next field of this block begins; `usize::MAX` where none does.
fn ahead(data: &[u8], mut at: usize, reader: &impl Reader) -> usize {
    while let Some(line) = Line::at(data, at) {
        if line.text.is_empty() || (line.dashes(data) && reader.is_delimiter(at)) {
            break;
        }
        if line.field(data).is_some() {
            return at;
        }
        at = line.after;
    }
    usize::MAX
}

struct Line {
    /// Without the line break.
    text: Range<usize>,
    after: usize,
}

impl Line {
    fn at(data: &[u8], at: usize) -> Option<Self> {
        let rest = data.get(at..).filter(|rest| !rest.is_empty())?;
        let (length, after) = match memchr::memchr(b'\n', rest) {
            Some(end) => (end - usize::from(end > 0 && rest[end - 1] == b'\r'), end + 1),
            None => (rest.strip_suffix(b"\r").unwrap_or(rest).len(), rest.len()),
        };
        Some(Self { text: at..at + length, after: at + after })
    }

    fn dashes(&self, data: &[u8]) -> bool {
        data[self.text.clone()].starts_with(b"--")
    }

    fn folded(&self, data: &[u8]) -> bool {
        matches!(data[self.text.start], b' ' | b'\t')
    }

    /// RFC 5322 §2.2: a name of printable ASCII and a colon. Obsolete space before the colon is taken (§4.5).
    fn field(&self, data: &[u8]) -> Option<Field> {
        let line = &data[self.text.clone()];
        let colon = memchr::memchr(b':', line)?;
        let name = line[..colon].trim_ascii_end();
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let start = self.text.start;
        Some(Field { name: start..start + name.len(), value: start + colon + 1..self.text.end })
    }
}
