//! The way through a page along the paths of a spec.
//!
//! Recursion follows the spec, one call for each name of a path that the page really has; what the page nests
//! beside those paths goes through [`value`] and costs no stack.

use super::{
    Scan, ScanError, ScanErrorKind, ScanSpec, Span,
    error::{Fault, fault},
    spec::{Node, PAGE, RECORD},
    value::{self, Token, after_value, behind_space, deeper, token, value},
};

/// Records of one page at the most. A page is capped in bytes, but an array of numbers has one in every two of them.
const MAX_RECORDS: usize = 1_000_000;

/// A key, colon included, as a record before this one has it.
///
/// The records of a page have the same keys in the same order, give or take a few. Where the same bytes stand
/// again, nothing need be read again: they are valid, and are or are not a wanted field, as before. What makes it
/// twice as fast is that the processor goes on to the value before it has compared the key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownKey {
    start: u32,
    length: u32,
    child: Option<usize>,
}

/// So many keys are remembered. In records with more, or of very many shapes, the last one gives way.
const KNOWN_KEYS: usize = 512;

/// Where a record lacks a key, so many of the next known ones are tried.
const LOOK_AHEAD: usize = 3;

pub(super) struct Walk<'a> {
    spec: &'a ScanSpec,
    page: &'a [u8],
    out: &'a mut Scan,
    /// Inside the array of records: where the current record's fields start in `out.record_fields`.
    row: Option<usize>,
    found: Found,
}

/// What stands at the path of the records, as far as the page has been read.
#[derive(Clone, Copy)]
enum Found {
    Nothing,
    Array,
    Null(usize),
    Other(usize),
}

impl<'a> Walk<'a> {
    pub(super) fn new(spec: &'a ScanSpec, page: &'a [u8], out: &'a mut Scan) -> Self {
        Self { spec, page, out, row: None, found: Found::Nothing }
    }

    /// The whole page: one value, and white space.
    pub(super) fn page(&mut self) -> Result<(), Fault> {
        let page = self.page;
        if page.starts_with("\u{feff}".as_bytes()) {
            return Err(fault(ScanErrorKind::ByteOrderMark, 0));
        }
        let first = token(page, 0)?;
        let end = behind_space(page, self.wanted(PAGE, first, 0)?);
        if end < page.len() { Err(fault(ScanErrorKind::TrailingData, end)) } else { Ok(()) }
    }

    /// Whether there was an array where the records should be, once the page is known to be right.
    pub(super) fn records_found(&self) -> Result<(), ScanError> {
        let (kind, offset) = match self.found {
            Found::Array => return Ok(()),
            Found::Null(_) if self.spec.null_is_empty() => return Ok(()),
            Found::Null(at) | Found::Other(at) => (ScanErrorKind::RecordsNotAnArray, at),
            Found::Nothing => (ScanErrorKind::RecordsMissing, self.page.len()),
        };
        Err(ScanError { kind, offset })
    }

    /// The value of a node of the spec.
    fn wanted(&mut self, node: usize, first: Token, depth: usize) -> Result<usize, Fault> {
        let spec = self.spec;
        let node = spec.node(node);
        let end =
            if node.is_leaf() { value(self.page, first, depth)? } else { self.inner(node, first, depth)? };
        self.keep(&node.fields, Span::new(first.at, end));
        Ok(end)
    }

    /// The value of a node that is, or is on the way to, something else than a field: the records, fields within.
    #[inline(never)]
    fn inner(&mut self, node: &Node, first: Token, depth: usize) -> Result<usize, Fault> {
        self.forget(node);
        if node.records {
            self.found = match first.byte {
                b'[' => Found::Array,
                b'n' => Found::Null(first.at),
                _ => Found::Other(first.at),
            };
        }
        match first.byte {
            b'[' if node.records => self.records(first, depth),
            b'{' => self.object::<false>(node, first, depth),
            _ => value(self.page, first, depth),
        }
    }

    /// A key that stands a second time takes back all that its first value gave, also what the second lacks.
    fn forget(&mut self, node: &Node) {
        self.keep(&node.fields_below, Span::NONE);
        if node.records || node.records_below {
            self.found = Found::Nothing;
            self.out.records.clear();
            self.out.record_fields.clear();
        }
    }

    fn keep(&mut self, fields: &[usize], span: Span) {
        let row = match self.row {
            Some(start) => self.out.record_fields.get_mut(start..),
            None => Some(self.out.page_fields.as_mut_slice()),
        };
        let row = row.unwrap_or_default();
        for &field in fields {
            if let Some(kept) = row.get_mut(field) {
                *kept = span;
            }
        }
    }

    /// The array of records that opens at `open`.
    #[inline(never)]
    fn records(&mut self, open: Token, depth: usize) -> Result<usize, Fault> {
        let (page, spec) = (self.page, self.spec);
        let depth = deeper(depth, open.at)?;
        let record = spec.node(RECORD);
        let mut next = token(page, open.at + 1)?;
        if next.byte == b']' {
            return Ok(next.at + 1);
        }
        loop {
            let row = self.out.record_fields.len();
            self.out.record_fields.resize(row + spec.record_fields(), Span::NONE);
            self.row = Some(row);
            let end = match next.byte {
                b'{' => self.object::<true>(record, next, depth)?,
                _ => value(page, next, depth)?,
            };
            let span = Span::new(next.at, end);
            self.keep(&record.fields, span);
            if self.out.records.len() >= MAX_RECORDS {
                return Err(fault(ScanErrorKind::TooManyRecords, next.at));
            }
            self.out.records.push(span);
            next = token(page, end)?;
            match next.byte {
                b',' => next = token(page, next.at + 1)?,
                b']' => break,
                _ => return Err(after_value(false, page, next)),
            }
        }
        self.row = None;
        Ok(next.at + 1)
    }

    /// The object that opens at `open`; its members may be children of `node`. A record's keys are remembered.
    #[inline(always)]
    fn object<const RECORD: bool>(&mut self, node: &Node, open: Token, depth: usize) -> Result<usize, Fault> {
        let page = self.page;
        let depth = deeper(depth, open.at)?;
        let mut next = token(page, open.at + 1)?;
        if next.byte == b'}' {
            return Ok(next.at + 1);
        }
        let mut position = 0;
        loop {
            let (child, colon_end) = if RECORD {
                if !self.is_known(position, next.at) {
                    position = self.learn(position, node, next)?;
                }
                let known = self.out.known_keys[position];
                position += 1;
                (known.child, next.at + known.length as usize)
            } else {
                key(page, node, next)?
            };
            let first = token(page, colon_end)?;
            let end = match child {
                None => value(page, first, depth)?,
                Some(child) => self.wanted(child, first, depth)?,
            };
            next = token(page, end)?;
            match next.byte {
                b',' => next = token(page, next.at + 1)?,
                b'}' => return Ok(next.at + 1),
                _ => return Err(after_value(true, page, next)),
            }
        }
    }

    /// Whether the known key of that position stands at `at`.
    #[inline(always)]
    fn is_known(&self, position: usize, at: usize) -> bool {
        self.out.known_keys.get(position).is_some_and(|known| {
            let (start, length) = (known.start as usize, known.length as usize);
            matches!((self.page.get(start..start + length), self.page.get(at..at + length)), (Some(a), Some(b)) if a == b)
        })
    }

    /// Finds the key at `first` among the next few known ones, or reads it and makes it known; gives its position.
    #[inline(never)]
    fn learn(&mut self, position: usize, node: &Node, first: Token) -> Result<usize, Fault> {
        if let Some(found) =
            (position + 1..=position + LOOK_AHEAD).find(|&ahead| self.is_known(ahead, first.at))
        {
            return Ok(found);
        }
        let (child, colon_end) = key(self.page, node, first)?;
        // Neither is cut off: a page is shorter than 4 GiB.
        let key = KnownKey { start: first.at as u32, length: (colon_end - first.at) as u32, child };
        let known_keys = &mut self.out.known_keys;
        if known_keys.len() < KNOWN_KEYS {
            known_keys.insert(position, key);
            return Ok(position);
        }
        let position = position.min(KNOWN_KEYS - 1);
        known_keys[position] = key;
        Ok(position)
    }
}

/// Reads `"key":` at `first`; gives the child of `node` of that name, if there is one, and the colon's end.
#[inline(always)]
fn key(page: &[u8], node: &Node, first: Token) -> Result<(Option<usize>, usize), Fault> {
    let key = value::key(page, first)?;
    let raw = page.get(first.at..key.end).unwrap_or_default();
    Ok((node.child(raw, key.plain), key.colon_end))
}
