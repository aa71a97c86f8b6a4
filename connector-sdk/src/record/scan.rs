//! The one pass over a page: checks the JSON, finds the records, picks out what was asked for.
//!
//! [`ScanSpec::scan`] reads each byte once (and its UTF-8 once more, at memory speed). It builds no tree, copies
//! no record, and parses no number: a [`Span`] is where the vendor's own text stands. It is as strict as
//! RFC 8259 and says of every page what serde_json says of it, with these decisions of its own:
//!
//! - Containers nest at most [`MAX_DEPTH`] deep, the page's own included. (serde_json stops at 127; a record is
//!   at least one level down, so whatever passes here can be parsed there.)
//! - A key that stands twice in an object counts as its last value, for picks and for the records alike.
//! - Keys are compared as text: `"I\u0064"` is `Id`.
//! - A lone surrogate escape (`"\ud83d"`) is no text, so it is an error wherever it stands.
//! - Numbers of any length and size are legal, and stay text.
//!
//! How it is quick, in order of what it brings: a key that stands where it stood in the record before is
//! recognised by comparing bytes instead of being read ([`walk`]); strings are skipped 32 bytes at a time
//! ([`block`]); values that nobody asked for go through a loop that knows nothing of paths ([`value`]). Nesting
//! is kept in the bits of a `u128`, so a page of brackets costs neither stack nor heap.

mod block;
mod error;
mod number;
mod spec;
mod text;
mod value;
mod walk;

use std::ops::Range;

pub use error::{ScanError, ScanErrorKind};
pub use spec::ScanSpec;
pub use text::unescape;

/// How deep objects and arrays may nest in a page.
pub const MAX_DEPTH: usize = 128;

/// Where a JSON value stands in its page: byte offsets, the end excluded.
///
/// Half the size of a range, because a batch holds several for each record; hence pages under 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The place of a value that is not there.
    pub const NONE: Self = Self { start: u32::MAX, end: u32::MAX };

    /// From `start` up to and without `end`, in bytes. An offset beyond 4 GiB gives a span that finds nothing.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::NONE,
        }
    }

    /// The offsets, in bytes; none for [`Span::NONE`].
    #[must_use]
    pub fn range(self) -> Option<Range<usize>> {
        (self != Self::NONE).then_some(self.start as usize..self.end as usize)
    }

    /// The bytes themselves; none for [`Span::NONE`] and when `page` is too short to be the one scanned.
    #[must_use]
    pub fn of(self, page: &[u8]) -> Option<&[u8]> {
        self.range().and_then(|range| page.get(range))
    }
}

/// What a scan found. Reuse one for many pages, and it soon allocates no more.
#[derive(Debug, Default)]
pub struct Scan {
    /// The records, in the page's order.
    pub records: Vec<Span>,
    /// For each record its fields, in the order of the spec; [`Scan::fields`] cuts out one record's.
    pub record_fields: Vec<Span>,
    /// The fields of the page, in the order of the spec; [`Span::NONE`] where absent.
    pub page_fields: Vec<Span>,
    fields_per_record: usize,
    known_keys: Vec<walk::KnownKey>,
}

impl Scan {
    /// The fields of record `index` in the order of the spec, [`Span::NONE`] where absent. Empty beyond the last
    /// record.
    #[must_use]
    pub fn fields(&self, index: usize) -> &[Span] {
        let start = index.saturating_mul(self.fields_per_record);
        let end = start.saturating_add(self.fields_per_record);
        self.record_fields.get(start..end).unwrap_or_default()
    }

    fn clear(&mut self) {
        self.records.clear();
        self.record_fields.clear();
        self.page_fields.clear();
        self.known_keys.clear();
    }
}

impl ScanSpec {
    /// Checks the page and fills `out` with what this spec asks for.
    ///
    /// # Errors
    /// The first thing wrong with the page, in its order, with kind and byte offset; `out` is empty then. A page
    /// that is right but has no array of records gives [`ScanErrorKind::RecordsMissing`] or
    /// [`ScanErrorKind::RecordsNotAnArray`].
    pub fn scan(&self, page: &[u8], out: &mut Scan) -> Result<(), ScanError> {
        out.clear();
        out.fields_per_record = self.record_fields();
        out.page_fields.resize(self.page_fields(), Span::NONE);
        let result = walk(self, page, out);
        if result.is_err() {
            out.clear();
        }
        result
    }
}

fn walk(spec: &ScanSpec, page: &[u8], out: &mut Scan) -> Result<(), ScanError> {
    if u32::try_from(page.len()).is_err() {
        return Err(ScanError { kind: ScanErrorKind::TooLarge, offset: u32::MAX as usize });
    }
    let mut walk = walk::Walk::new(spec, page, out);
    match (walk.page(), simdutf8::compat::from_utf8(page)) {
        (Ok(()), Ok(_)) => walk.records_found(),
        (Err(fault), Ok(_)) => Err(*fault),
        // A character cut in two by the end of the page: the walk has missed its closing quote as well.
        (Err(fault), Err(utf8)) if utf8.error_len().is_none() || fault.offset < utf8.valid_up_to() => {
            Err(*fault)
        }
        (_, Err(utf8)) => Err(ScanError { kind: ScanErrorKind::Utf8, offset: utf8.valid_up_to() }),
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
