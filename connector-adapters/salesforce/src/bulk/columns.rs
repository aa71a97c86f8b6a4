//! Rows of a CSV as records: each cell becomes the JSON value that its field's type says, in one pass.
//!
//! Empty is null, because the vendor writes both alike. Numbers keep their digits; a value that is not of its field's
//! type stays text, as it came (the values of custom fields do not always match the description).

use std::{fmt, sync::Arc};

use bytes::Bytes;
use connector_sdk::{
    Batch, Class, Delivery, Error, Result, StreamId,
    record::{BatchBuilder, Written},
};

use super::csv::{Delimiter, Malformed, Place, What};
use crate::describe::FieldKind;

/// A batch is closed at this size, in bytes, however few rows it has.
const BATCH_BYTES: usize = 4 << 20;

/// What to look for in the columns.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) stream: StreamId,
    /// The fields asked for, in order.
    pub(crate) fields: Vec<(String, FieldKind)>,
    /// None: rows have no key.
    pub(crate) key: Option<String>,
    pub(crate) cursor: Option<String>,
    /// The field that says a row is deleted, where that is asked for.
    pub(crate) deleted: Option<&'static str>,
    /// Where a record is to look as by REST: the path of its object, `/services/data/v66.0/sobjects/Contact/`.
    pub(crate) path: Option<String>,
}

/// The rows of one document, batch by batch. Debug shows none: they are personal data.
pub(crate) struct Rows {
    columns: Arc<Columns>,
    document: Bytes,
    place: Place,
    header: Header,
    /// Rows handed out or passed over.
    taken: u64,
    /// Bytes of the largest batch so far.
    largest: usize,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("stream", &self.columns.stream)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

/// What the first row says.
#[derive(Debug, Default)]
struct Header {
    /// None: it was not asked for.
    columns: Vec<Option<Column>>,
    key: Option<usize>,
    cursor: Option<usize>,
    deleted: Option<usize>,
}

#[derive(Debug)]
struct Column {
    /// `,"Name":`
    name: Vec<u8>,
    kind: FieldKind,
}

impl Rows {
    /// Reads the header row.
    ///
    /// # Errors
    /// Transient when the document was cut; Schema when it is no UTF-8, or lacks a column that was asked for.
    pub(crate) fn open(document: Bytes, delimiter: Delimiter, columns: &Arc<Columns>) -> Result<Self> {
        if let Err(error) = std::str::from_utf8(&document) {
            // Cut within a character, which asking again may mend.
            let class = if error.error_len().is_none() { Class::Transient } else { Class::Schema };
            return Err(wrong(columns, class, "the CSV is no UTF-8", error.valid_up_to()));
        }
        let place = Place::start(&document, delimiter);
        let mut rows = Self {
            columns: Arc::clone(columns),
            document,
            place,
            header: Header::default(),
            taken: 0,
            largest: 0,
        };
        if rows.is_end() {
            return Err(rows.wrong(Class::Transient, "the CSV is empty: it lacks even its header row"));
        }
        rows.header = rows.read_header()?;
        Ok(rows)
    }

    /// Those of a job that found nothing.
    pub(crate) fn none(columns: &Arc<Columns>) -> Self {
        Self {
            columns: Arc::clone(columns),
            document: Bytes::new(),
            place: Place::start(&[], Delimiter::Comma),
            header: Header::default(),
            taken: 0,
            largest: 0,
        }
    }

    /// Whether all rows were taken.
    pub(crate) fn is_end(&self) -> bool {
        self.place.is_end(&self.document)
    }

    /// Rows handed out or passed over so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Passes over rows that were read before.
    pub(crate) fn skip(&mut self, rows: u64) -> Result<()> {
        while self.taken < rows && !self.is_end() {
            self.cells(|_, _, _| ())?;
        }
        Ok(())
    }

    /// The next rows, at most so many; none at the end.
    pub(crate) fn batch(&mut self, records: usize) -> Result<Option<Batch>> {
        if self.is_end() {
            return Ok(None);
        }
        // As large as the last one, or a guess.
        let room = self.largest + self.largest / 8;
        let mut batch = BatchBuilder::with_capacity(self.columns.stream.clone(), room);
        while batch.len() < records && batch.bytes() < BATCH_BYTES && !self.is_end() {
            self.record(&mut batch)?;
        }
        self.largest = self.largest.max(batch.bytes());
        Ok(Some(batch.build()))
    }

    fn record(&mut self, batch: &mut BatchBuilder) -> Result<()> {
        let columns = Arc::clone(&self.columns);
        batch.write(|out| {
            let (mut key, mut cursor, mut is_deleted) = (None, None, false);
            let has_attributes = self.write_attributes(out)?;
            self.cells(|header, index, cell| {
                let Some(Some(column)) = header.columns.get(index) else { return };
                match has_attributes && column.name.starts_with(b"{") {
                    true => column.write_after(out),
                    false => out.extend_from_slice(&column.name),
                }
                let start = out.len();
                column.kind.write(out, cell.raw, cell.is_doubled);
                if Some(index) == header.key && !cell.raw.is_empty() {
                    key = Some(start..out.len());
                }
                if Some(index) == header.cursor {
                    cursor = Some(start..out.len());
                }
                if Some(index) == header.deleted {
                    is_deleted = cell.raw == b"true";
                }
            })?;
            out.push(b'}');
            let mut written = Written::upsert();
            match (&columns.key, key) {
                (Some(name), Some(key)) => written = written.with_key(name, key),
                (Some(_), None) => return Err(self.wrong(Class::Schema, "a row came without an id")),
                (None, _) => (),
            }
            if let Some(cursor) = cursor {
                written = written.with_cursor(cursor);
            }
            Ok(if is_deleted { written.deleted() } else { written })
        })
    }

    /// Writes what REST writes before the fields, where that is wanted. Whether it was.
    fn write_attributes(&self, out: &mut Vec<u8>) -> Result<bool> {
        let (Some(path), Some(key)) = (&self.columns.path, self.header.key) else { return Ok(false) };
        // The id stands somewhere in the row.
        let mut ahead = self.place;
        for _ in 0..key {
            ahead.cell(&self.document).map_err(|error| self.malformed(error))?;
        }
        let id = ahead.cell(&self.document).map_err(|error| self.malformed(error))?;
        attributes(out, self.columns.stream.as_str(), path, id.raw);
        Ok(true)
    }

    /// Walks over the cells of one row.
    #[inline]
    fn cells(&mut self, mut each: impl FnMut(&Header, usize, super::csv::Cell<'_>)) -> Result<()> {
        let width = self.header.columns.len();
        let mut index = 0;
        loop {
            let cell = self.place.cell(&self.document).map_err(|error| self.malformed(error))?;
            each(&self.header, index, cell);
            index += 1;
            if cell.ends_row {
                break;
            }
        }
        if index != width {
            let message = format!("a row has {index} columns, the header has {width}");
            return Err(self.wrong(Class::Schema, &message));
        }
        self.taken += 1;
        Ok(())
    }

    fn read_header(&mut self) -> Result<Header> {
        let mut names = Vec::new();
        loop {
            let cell = self.place.cell(&self.document).map_err(|error| self.malformed(error))?;
            names.push(String::from_utf8_lossy(cell.raw).into_owned());
            if cell.ends_row {
                break;
            }
        }
        let known = &self.columns;
        let find = |name: &str| names.iter().position(|column| column.eq_ignore_ascii_case(name));
        let lacks = |name: &str| {
            self.wrong(Class::Schema, &format!("the CSV has no column `{}`", name.escape_debug()))
        };
        if let Some((name, _)) = known.fields.iter().find(|(name, _)| find(name).is_none()) {
            return Err(lacks(name));
        }
        let key = known.key.as_deref().map(|key| find(key).ok_or_else(|| lacks(key))).transpose()?;
        let mut is_first = true;
        let columns = names.iter().map(|name| {
            let (name, kind) = known.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
            // As described, not as the header spells it: records of all doors name their fields alike.
            let mut quoted = vec![if std::mem::take(&mut is_first) { b'{' } else { b',' }];
            FieldKind::Text.write(&mut quoted, name.as_bytes(), false);
            quoted.push(b':');
            Some(Column { name: quoted, kind: *kind })
        });
        let columns = columns.collect();
        Ok(Header {
            columns,
            key,
            cursor: known.cursor.as_deref().and_then(find),
            deleted: known.deleted.and_then(find),
        })
    }

    fn malformed(&self, error: Malformed) -> Error {
        let class = match error.what {
            What::Ends => Class::Transient,
            What::AfterQuote => Class::Schema,
        };
        wrong(&self.columns, class, &error.what.to_string(), error.at).with_context("row", self.taken + 1)
    }

    fn wrong(&self, class: Class, message: &str) -> Error {
        wrong(&self.columns, class, message, self.place.at()).with_context("row", self.taken + 1)
    }
}

fn wrong(columns: &Columns, class: Class, message: &str, at: usize) -> Error {
    Error::new(class, "results", message.to_owned())
        .with_delivery(Delivery::Answered)
        .with_context("stream", &columns.stream)
        .with_context("byte", at)
}

impl Column {
    /// Writes the name of a first column that is not the first of the record.
    fn write_after(&self, out: &mut Vec<u8>) {
        out.push(b',');
        out.extend_from_slice(self.name.get(1..).unwrap_or_default());
    }
}

/// What REST writes before the fields of a record.
fn attributes(out: &mut Vec<u8>, object: &str, path: &str, id: &[u8]) {
    out.extend_from_slice(b"{\"attributes\":{\"type\":");
    text(out, object.as_bytes(), false);
    out.extend_from_slice(b",\"url\":");
    text(out, path.as_bytes(), false);
    out.pop();
    out.extend(id.iter().filter(|byte| byte.is_ascii_alphanumeric()));
    out.extend_from_slice(b"\"}");
}

impl FieldKind {
    /// Writes a cell as JSON.
    #[inline]
    fn write(self, out: &mut Vec<u8>, raw: &[u8], is_doubled: bool) {
        if raw.is_empty() {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Self::Boolean if raw == b"true" || raw == b"false" => out.extend_from_slice(raw),
            Self::Integer => match whole(raw) {
                Some(digits) => out.extend_from_slice(digits),
                None => text(out, raw, is_doubled),
            },
            Self::Number if is_number(raw) => out.extend_from_slice(raw),
            Self::Time if raw.ends_with(b"Z") && !is_doubled => {
                text(out, raw.strip_suffix(b"Z").unwrap_or(raw), false);
                out.pop();
                out.extend_from_slice(b"+0000\"");
            }
            _ => text(out, raw, is_doubled),
        }
    }
}

/// The digits of an integer, which may come as `3.0`.
fn whole(raw: &[u8]) -> Option<&[u8]> {
    let dot = raw.iter().position(|byte| *byte == b'.').unwrap_or(raw.len());
    let (digits, fraction) = raw.split_at_checked(dot)?;
    let is_whole =
        fraction.is_empty() || fraction.len() > 1 && fraction.iter().skip(1).all(|byte| *byte == b'0');
    (is_whole && is_number(digits)).then_some(digits)
}

/// Whether these bytes are a number of JSON (RFC 8259, 6).
fn is_number(raw: &[u8]) -> bool {
    let digits = |from: &[u8]| from.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = raw.strip_prefix(b"-").unwrap_or(raw);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest.first() == Some(&b'0') {
        return false;
    }
    rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = fraction.get(length..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let length = digits(exponent);
        if length == 0 {
            return false;
        }
        rest = exponent.get(length..).unwrap_or_default();
    }
    rest.is_empty()
}

/// Writes text as a JSON string.
#[inline]
fn text(out: &mut Vec<u8>, raw: &[u8], is_doubled: bool) {
    out.push(b'"');
    if !is_doubled && !raw.iter().fold(false, |any, byte| any | needs_escape(*byte)) {
        out.extend_from_slice(raw);
    } else {
        escaped(out, raw);
    }
    out.push(b'"');
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'\\') | (byte == b'"')
}

/// Quotes come in pairs here, each of which stands for one.
fn escaped(out: &mut Vec<u8>, mut raw: &[u8]) {
    while let Some(at) = raw.iter().position(|byte| needs_escape(*byte)) {
        let (plain, rest) = raw.split_at(at);
        out.extend_from_slice(plain);
        let mut taken = 1;
        match rest.first().copied().unwrap_or_default() {
            b'"' => {
                out.extend_from_slice(b"\\\"");
                taken += usize::from(rest.get(1) == Some(&b'"'));
            }
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            // NUL among them, which breaks other readers of CSV; here it is data.
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        raw = rest.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(raw);
}

#[cfg(test)]
mod tests;
