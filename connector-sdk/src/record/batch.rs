//! A batch: the page a vendor sent, and where the records lie in it.

use std::fmt;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use crate::StreamId;

/// What a record says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is, or has become, this.
    Upsert = 1,
    /// It is gone. The record may be null.
    Delete = 2,
    /// It was seen by a full read.
    Snapshot = 3,
    /// Everything read before of this partition is void.
    Reset = 4,
}

impl Operation {
    /// As the envelope writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::Snapshot => "snapshot",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Records of one stream, as spans of the page they came in.
///
/// Cloning shares the page. Key objects are small and stand, already composed, in an arena of the batch.
#[derive(Clone)]
pub struct Batch {
    pub(super) stream: StreamId,
    pub(super) page: Bytes,
    pub(super) keys: Vec<u8>,
    pub(super) rows: Vec<Row>,
}

/// Where one record's parts are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) record: Span,
    pub(super) cursor: Span,
    /// Span of the arena of keys.
    pub(super) key: Span,
    /// Span of the arena of keys.
    pub(super) changes: Span,
    /// Milliseconds UTC.
    pub(super) source_timestamp: Option<i64>,
    pub(super) operation: Operation,
}

/// One record of a batch.
#[derive(Debug, Clone, Copy)]
pub struct RecordView<'a> {
    /// What it says about its key.
    pub operation: Operation,
    /// The vendor's JSON, unchanged; none for a delete or reset without a body.
    pub record: Option<&'a [u8]>,
    /// The key as a JSON object of the key fields; none where the stream has no key.
    pub key: Option<&'a [u8]>,
    /// The cursor as the vendor's JSON value.
    pub cursor: Option<&'a [u8]>,
    /// When the vendor says it changed, in milliseconds UTC.
    pub source_timestamp: Option<i64>,
}

impl Batch {
    /// The stream it belongs to.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no record in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The page that the records lie in. A columnar sink shares it instead of copying.
    #[must_use]
    pub fn page(&self) -> &Bytes {
        &self.page
    }

    /// The place of record `index` in [`Batch::page`], in bytes; none for a record without a body.
    #[must_use]
    pub fn record_span(&self, index: usize) -> Option<std::ops::Range<usize>> {
        self.rows.get(index).and_then(|row| row.record.range())
    }

    /// What it holds on to, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.page.len() + self.keys.capacity() + self.rows.capacity() * size_of::<Row>()
    }

    /// Record `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<RecordView<'_>> {
        self.rows.get(index).map(|row| self.view(row))
    }

    /// What a policy has changed in record `index`: a JSON array for the envelope's `changes`.
    #[must_use]
    pub fn changes(&self, index: usize) -> Option<&[u8]> {
        self.rows.get(index).and_then(|row| row.changes.of(&self.keys))
    }

    /// The records, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RecordView<'_>> {
        self.rows.iter().map(|row| self.view(row))
    }

    /// Keeps the records for which `keep` says so, with their place in the batch before.
    pub fn retain(&mut self, mut keep: impl FnMut(RecordView<'_>) -> bool) {
        let Self { page, keys, rows, .. } = self;
        rows.retain(|row| keep(view(page, keys, row)));
    }

    /// Sets the operation of every record to `operation` where it was [`Operation::Upsert`]: for a full read.
    #[must_use]
    pub fn into_snapshot(mut self) -> Self {
        for row in &mut self.rows {
            if row.operation == Operation::Upsert {
                row.operation = Operation::Snapshot;
            }
        }
        self
    }

    fn view(&self, row: &Row) -> RecordView<'_> {
        view(&self.page, &self.keys, row)
    }
}

fn view<'a>(page: &'a [u8], keys: &'a [u8], row: &Row) -> RecordView<'a> {
    RecordView {
        operation: row.operation,
        record: row.record.of(page),
        key: row.key.of(keys),
        cursor: row.cursor.of(page),
        source_timestamp: row.source_timestamp,
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Records are personal data: their number is enough.
        f.debug_struct("Batch")
            .field("stream", &self.stream)
            .field("records", &self.rows.len())
            .field("page_bytes", &self.page.len())
            .finish()
    }
}

/// Composes a batch from records that do not lie in one page: rows of a CSV, mails, events.
///
/// The record's bytes must be one valid JSON value, the key's a JSON object; this is the author's promise,
/// which the sinks rely on.
#[derive(Debug)]
pub struct BatchBuilder {
    stream: StreamId,
    page: Vec<u8>,
    keys: Vec<u8>,
    rows: Vec<Row>,
}

impl BatchBuilder {
    /// A batch of that stream, empty.
    #[must_use]
    pub fn new(stream: StreamId) -> Self {
        Self { stream, page: Vec::new(), keys: Vec::new(), rows: Vec::new() }
    }

    /// The same, with room for so many bytes of records.
    #[must_use]
    pub fn with_capacity(stream: StreamId, bytes: usize) -> Self {
        Self { page: Vec::with_capacity(bytes), ..Self::new(stream) }
    }

    /// Adds a record that is, or has become, this. The cursor is a JSON value.
    pub fn upsert(&mut self, key: &[u8], record: &[u8], cursor: Option<&[u8]>) {
        self.push(RecordView {
            operation: Operation::Upsert,
            record: Some(record),
            key: Some(key),
            cursor,
            source_timestamp: None,
        });
    }

    /// Adds the fact that a record is gone.
    pub fn delete(&mut self, key: &[u8], cursor: Option<&[u8]>) {
        self.push(RecordView {
            operation: Operation::Delete,
            record: None,
            key: Some(key),
            cursor,
            source_timestamp: None,
        });
    }

    /// Adds a record with all its parts.
    pub fn push(&mut self, record: RecordView<'_>) {
        self.push_changed(record, None);
    }

    /// Adds a record that a policy has changed; `changes` is a JSON array that says what.
    pub fn push_changed(&mut self, record: RecordView<'_>, changes: Option<&[u8]>) {
        let row = Row {
            changes: append(&mut self.keys, changes),
            record: append(&mut self.page, record.record),
            cursor: append(&mut self.page, record.cursor),
            key: append(&mut self.keys, record.key),
            source_timestamp: record.source_timestamp,
            operation: record.operation,
        };
        self.rows.push(row);
    }

    /// Adds a record that `write` appends to the buffer it is given, without a copy in between. Answered are the
    /// places of its parts in the buffer, which holds other records before it: take them from its length. What is
    /// appended before an error is left out.
    ///
    /// ```
    /// use connector_sdk::record::{BatchBuilder, Written};
    ///
    /// let mut batch = BatchBuilder::new("Contact".into());
    /// batch.write(|out| -> Result<Written, std::fmt::Error> {
    ///     out.extend_from_slice(br#"{"Id":"#);
    ///     let start = out.len();
    ///     out.extend_from_slice(br#""003A""#);
    ///     let id = start..out.len();
    ///     out.push(b'}');
    ///     Ok(Written::upsert().with_key("Id", id))
    /// })?;
    /// let batch = batch.build();
    /// assert_eq!(batch.get(0).unwrap().key, Some(&br#"{"Id":"003A"}"#[..]));
    /// # Ok::<(), std::fmt::Error>(())
    /// ```
    ///
    /// # Errors
    /// As `write` says.
    pub fn write<'a, E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<Written<'a>, E>,
    ) -> std::result::Result<(), E> {
        let start = self.page.len();
        let written = match write(&mut self.page) {
            Ok(written) => written,
            Err(error) => {
                self.page.truncate(start);
                return Err(error);
            }
        };
        let Self { page, keys, rows, .. } = self;
        let key = match written.key.and_then(|(name, at)| Some((name, page.get(at)?))) {
            Some((name, value)) => {
                let key = keys.len();
                keys.extend_from_slice(b"{\"");
                keys.extend_from_slice(name.as_bytes());
                keys.extend_from_slice(b"\":");
                keys.extend_from_slice(value);
                keys.push(b'}');
                Span::new(key, keys.len())
            }
            None => Span::NONE,
        };
        let cursor = written.cursor.filter(|at| page.get(at.clone()).is_some_and(|value| value != b"null"));
        let source_timestamp =
            cursor.clone().and_then(|at| page.get(at)).and_then(super::page::timestamp_millis);
        rows.push(Row {
            record: Span::new(start, page.len()),
            cursor: cursor.map_or(Span::NONE, |at| Span::new(at.start, at.end)),
            key,
            changes: Span::NONE,
            source_timestamp,
            operation: written.operation,
        });
        Ok(())
    }

    /// Bytes taken in so far; start a new batch at a few MiB.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.page.len()
    }

    /// Records taken in so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing was taken in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The batch.
    #[must_use]
    pub fn build(self) -> Batch {
        Batch { stream: self.stream, page: self.page.into(), keys: self.keys, rows: self.rows }
    }
}

/// What [`BatchBuilder::write`] has written: places of its buffer.
#[derive(Debug)]
pub struct Written<'a> {
    operation: Operation,
    key: Option<(&'a str, std::ops::Range<usize>)>,
    cursor: Option<std::ops::Range<usize>>,
}

impl<'a> Written<'a> {
    /// A record that is, or has become, this; without a key and a cursor.
    #[must_use]
    pub fn upsert() -> Self {
        Self { operation: Operation::Upsert, key: None, cursor: None }
    }

    /// Says that the record is gone.
    #[must_use]
    pub fn deleted(mut self) -> Self {
        self.operation = Operation::Delete;
        self
    }

    /// Names the key field, which holds nothing that JSON escapes, and where its value stands.
    #[must_use]
    pub fn with_key(mut self, name: &'a str, value: std::ops::Range<usize>) -> Self {
        self.key = Some((name, value));
        self
    }

    /// Says where the cursor's value stands.
    #[must_use]
    pub fn with_cursor(mut self, value: std::ops::Range<usize>) -> Self {
        self.cursor = Some(value);
        self
    }
}

fn append(arena: &mut Vec<u8>, bytes: Option<&[u8]>) -> Span {
    let Some(bytes) = bytes else { return Span::NONE };
    let start = arena.len();
    arena.extend_from_slice(bytes);
    Span::new(start, arena.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_counts_what_was_taken_in() {
        let mut builder = BatchBuilder::new("s".into());
        assert!(builder.is_empty() && (builder.len(), builder.bytes()) == (0, 0));
        builder.upsert(b"{\"id\":1}", b"{\"id\":1}", None);
        builder.delete(b"{\"id\":2}", None);
        assert!(!builder.is_empty() && builder.len() == 2 && builder.bytes() >= 8);
        let mut batch = builder.build();
        assert!(batch.len() == 2 && !batch.is_empty());
        batch.retain(|record| record.operation == Operation::Delete);
        assert_eq!(batch.len(), 1);
        batch.retain(|_| false);
        assert_eq!((batch.is_empty(), batch.len()), (true, 0));
    }
}
