//! From a vendor's page to a batch, in one pass.

use std::borrow::Cow;

use bytes::Bytes;

use super::{Batch, Operation, Scan, ScanErrorKind, ScanSpec, Span, batch::Row, unescape};
use crate::{Class, Delivery, Error, Result, StreamId, Timestamp};

/// What to find in the pages of a stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PageSpec {
    /// The stream.
    pub stream: StreamId,
    /// Where the array of records is: `["records"]`; empty: the page is the array.
    pub records: Vec<String>,
    /// The fields of the page to pick out, as paths: `[["done"], ["meta", "next"]]`.
    pub page_fields: Vec<Vec<String>>,
    /// The key fields of a record.
    pub key: Vec<String>,
    /// The cursor field of a record.
    pub cursor: Option<String>,
    /// A boolean field that says a record is deleted.
    pub deleted: Option<String>,
}

impl PageSpec {
    /// Pages of that stream whose records are in the array at this path.
    pub fn new<S: Into<String>>(stream: impl Into<StreamId>, records: impl IntoIterator<Item = S>) -> Self {
        Self {
            stream: stream.into(),
            records: records.into_iter().map(Into::into).collect(),
            page_fields: Vec::new(),
            key: Vec::new(),
            cursor: None,
            deleted: None,
        }
    }

    /// Picks out a field of the page; [`Page::field`] finds it by the order of these calls.
    #[must_use]
    pub fn with_page_field<S: Into<String>>(mut self, path: impl IntoIterator<Item = S>) -> Self {
        self.page_fields.push(path.into_iter().map(Into::into).collect());
        self
    }

    /// Names the key fields.
    #[must_use]
    pub fn with_key<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.key = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Names the cursor field.
    #[must_use]
    pub fn with_cursor(mut self, field: Option<String>) -> Self {
        self.cursor = field;
        self
    }

    /// Names the field that says a record is deleted.
    #[must_use]
    pub fn with_deleted(mut self, field: Option<String>) -> Self {
        self.deleted = field;
        self
    }
}

/// Splits the pages of a stream. Made once, used for every page.
///
/// ```
/// use connector_sdk::record::{Operation, PageSpec, PageSplitter};
/// let spec = PageSpec::new("Contact", ["records"])
///     .with_page_field(["done"])
///     .with_key(["Id"])
///     .with_deleted(Some("IsDeleted".into()));
/// let page = r#"{"done":true,"records":[{"Id":"003A","Amount":0.10},{"Id":"003B","IsDeleted":true}]}"#;
/// let page = PageSplitter::new(spec).split(page, 1).unwrap();
/// assert_eq!(page.flag(0), Some(true));
/// let first = page.batch.get(0).unwrap();
/// assert_eq!(first.record.unwrap(), br#"{"Id":"003A","Amount":0.10}"#);
/// assert_eq!(first.key.unwrap(), br#"{"Id":"003A"}"#);
/// assert_eq!(page.batch.get(1).unwrap().operation, Operation::Delete);
/// ```
#[derive(Debug)]
pub struct PageSplitter {
    spec: PageSpec,
    scan: ScanSpec,
    /// `"Id":` for each key field, escaped.
    key_names: Vec<Vec<u8>>,
}

/// A page, split.
#[derive(Debug)]
pub struct Page {
    /// The records.
    pub batch: Batch,
    fields: Vec<Span>,
}

impl Page {
    /// The picked field as JSON text; none when the page does not have it.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<&[u8]> {
        self.fields.get(index).and_then(|span| span.of(&self.batch.page))
    }

    /// The picked field as text; none when it is absent, null or no string.
    #[must_use]
    pub fn text(&self, index: usize) -> Option<Cow<'_, str>> {
        self.field(index).and_then(unescape)
    }

    /// The picked field as what leads to the next page; none where the vendor says `null`: this is the last one. For
    /// vendors that say so on every page.
    ///
    /// # Errors
    /// Schema when the page does not have the field, or it is no string: that is no end (rule D-11), and taking it for
    /// one would lose all that follows.
    pub fn link(&self, index: usize) -> Result<Option<Cow<'_, str>>> {
        match self.field(index) {
            Some(b"null") => Ok(None),
            field => field.and_then(unescape).map(Some).ok_or_else(|| {
                let message = "the page does not say where the next one is, nor that it is the last";
                Error::new(Class::Schema, "split page", message)
                    .with_delivery(Delivery::Answered)
                    .with_context("stream", &self.batch.stream)
                    .with_context("field", index)
            }),
        }
    }

    /// The picked field as a boolean; none when it is absent or no boolean.
    #[must_use]
    pub fn flag(&self, index: usize) -> Option<bool> {
        match self.field(index)? {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The picked field as a whole number.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<u64> {
        std::str::from_utf8(self.field(index)?).ok()?.parse().ok()
    }
}

impl PageSplitter {
    /// Prepares for the pages that the spec describes.
    #[must_use]
    pub fn new(spec: PageSpec) -> Self {
        let fields = spec.key.iter().chain(&spec.cursor).chain(&spec.deleted);
        let scan = ScanSpec::new(&spec.records);
        let scan = spec.page_fields.iter().fold(scan, |scan, path| scan.with_page_field(path));
        let scan = fields.fold(scan, |scan, name| scan.with_record_field(&[name]));
        let key_names = spec
            .key
            .iter()
            .map(|name| format!("{}:", serde_json::Value::from(name.as_str())).into_bytes())
            .collect();
        Self { spec, scan, key_names }
    }

    /// What it was made for.
    #[must_use]
    pub fn spec(&self) -> &PageSpec {
        &self.spec
    }

    /// Splits page number `number` (for the error's text) of the stream: bytes, or a
    /// [`Response`](crate::http::Response), whose body it is.
    ///
    /// # Errors
    /// Transient when the page ends too early (a truncated body; rule D-12), so that it is asked for again;
    /// Schema when it is no JSON, is nested deeper than 128, has no array of records where one should be,
    /// or a record lacks a key field. Each names stream, page and byte offset.
    pub fn split(&self, page: impl Into<Bytes>, number: u64) -> Result<Page> {
        self.split_bytes(page.into(), number)
    }

    fn split_bytes(&self, page: Bytes, number: u64) -> Result<Page> {
        let mut scan = Scan::default();
        self.scan.scan(&page, &mut scan).map_err(|error| {
            let class = if matches!(error.kind, ScanErrorKind::UnexpectedEnd) {
                Class::Transient
            } else {
                Class::Schema
            };
            self.error(class, error.kind.to_string(), number, error.offset)
        })?;
        let keys = self.spec.key.len();
        let cursor_at = self.spec.cursor.as_ref().map(|_| keys);
        let deleted_at = self.spec.deleted.as_ref().map(|_| keys + usize::from(cursor_at.is_some()));
        let mut arena = Vec::with_capacity(scan.records.len() * 32 * keys);
        let mut rows = Vec::with_capacity(scan.records.len());
        for (index, &record) in scan.records.iter().enumerate() {
            let fields = scan.fields(index);
            let field = |at: Option<usize>| at.and_then(|at| fields.get(at)).copied().unwrap_or(Span::NONE);
            let key = self.compose_key(&page, fields, &mut arena).ok_or_else(|| {
                let offset = record.range().map_or(0, |range| range.start);
                self.error(Class::Schema, format!("record {index} has no key field"), number, offset)
            })?;
            let cursor = field(cursor_at);
            let deleted = field(deleted_at).of(&page) == Some(b"true");
            rows.push(Row {
                record,
                cursor: if cursor.of(&page) == Some(b"null") { Span::NONE } else { cursor },
                key,
                changes: Span::NONE,
                source_timestamp: cursor.of(&page).and_then(timestamp_millis),
                operation: if deleted { Operation::Delete } else { Operation::Upsert },
            });
        }
        let batch = Batch { stream: self.spec.stream.clone(), page, keys: arena, rows };
        Ok(Page { batch, fields: scan.page_fields })
    }

    /// Appends `{"Id":"003A"}` to the arena; none when a key field is missing.
    fn compose_key(&self, page: &[u8], fields: &[Span], arena: &mut Vec<u8>) -> Option<Span> {
        if self.key_names.is_empty() {
            return Some(Span::NONE);
        }
        let start = arena.len();
        for (index, (name, span)) in self.key_names.iter().zip(fields).enumerate() {
            arena.push(if index == 0 { b'{' } else { b',' });
            arena.extend_from_slice(name);
            arena.extend_from_slice(span.of(page)?);
        }
        arena.push(b'}');
        Some(Span::new(start, arena.len()))
    }

    fn error(&self, class: Class, message: String, number: u64, offset: usize) -> Error {
        Error::new(class, "split page", message)
            .with_delivery(Delivery::Answered)
            .with_context("stream", &self.spec.stream)
            .with_context("page", number)
            .with_context("byte", offset)
    }
}

/// Milliseconds UTC of a JSON string that holds a date and time; none for anything else.
///
/// The forms that vendors send a million times are read without the general parser:
/// `2024-01-01T00:00:00.000+0000`, `…Z`, `…+00:00`, with or without a fraction.
#[must_use]
pub fn timestamp_millis(json: &[u8]) -> Option<i64> {
    let text = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    utc_millis(text).or_else(|| {
        let text = std::str::from_utf8(text).ok()?;
        text.parse::<Timestamp>().ok().map(Timestamp::as_millis)
    })
}

fn utc_millis(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| {
        text.get(range)?
            .iter()
            .try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let (fraction, zone) = match text.get(19) {
        Some(b'.') => (number(20..23)?, text.get(23..)?),
        _ => (0, text.get(19..)?),
    };
    if !matches!(zone, b"Z" | b"+0000" | b"+00:00") {
        return None;
    }
    let longest = *[31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].get(usize::try_from(month - 1).ok()?)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if !(1..=longest).contains(&day)
        || (month == 2 && day == 29 && !leap)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    // Days since the epoch: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction)
}

#[cfg(test)]
mod tests;
