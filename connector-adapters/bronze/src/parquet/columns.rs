//! The columns of the envelope, from a batch.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{
        ArrayRef, DictionaryArray, Int8Array, Int64Array, StringArray, StringViewArray, UInt64Array,
        make_view,
    },
    buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field},
};
use connector_sdk::{
    Batch, Operation,
    contract::SequencedBatch,
    record::{ENVELOPE_COLUMNS, EnvelopeHeader, Tally},
};

use super::CursorKinds;
use crate::pending::Fault;

/// The columns as they are handed to the encoder, `record` last.
pub(super) fn fields() -> Vec<Field> {
    ENVELOPE_COLUMNS.iter().map(|name| Field::new(*name, column_type(name), is_nullable(name))).collect()
}

fn column_type(name: &str) -> DataType {
    match name {
        "sequence" | "epoch" | "generation" => DataType::UInt64,
        "extracted_at" | "source_timestamp" => DataType::Int64,
        "key" | "cursor" | "changes" => DataType::Utf8,
        "record" => DataType::Utf8View,
        _ => DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
    }
}

fn is_nullable(name: &str) -> bool {
    matches!(name, "key" | "cursor" | "source_timestamp" | "changes" | "record")
}

/// All columns but `record`, in order.
pub(super) fn envelope(
    header: &EnvelopeHeader,
    batch: &SequencedBatch,
    keys: StringArray,
    cursors: &mut CursorKinds,
) -> Result<Vec<ArrayRef>, Fault> {
    let rows = batch.batch.len();
    let first = batch.first_sequence;
    let numbers = |value: u64| Arc::new(UInt64Array::from_value(value, rows)) as ArrayRef;
    let changed_at: Int64Array = batch.batch.iter().map(|record| record.source_timestamp).collect();
    Ok(vec![
        constant(header.tenant.as_str(), rows)?,
        constant(header.connector.as_str(), rows)?,
        constant(&header.connector_version, rows)?,
        constant(header.connection.as_str(), rows)?,
        constant(header.stream.as_str(), rows)?,
        constant(batch.partition.as_str(), rows)?,
        constant(header.run_id.as_str(), rows)?,
        Arc::new(UInt64Array::from_iter_values((first..).take(rows))),
        operations(&batch.batch)?,
        Arc::new(keys),
        Arc::new(self::cursors(&batch.batch, cursors)?),
        numbers(batch.epoch),
        numbers(batch.generation),
        Arc::new(Int64Array::from_value(batch.extracted_at.as_millis(), rows)),
        Arc::new(changed_at),
        constant(&batch.schema_fingerprint, rows)?,
        Arc::new(changes(&batch.batch)?),
    ])
}

/// One text in every row.
fn constant(text: &str, rows: usize) -> Result<ArrayRef, Fault> {
    let words = Arc::new(StringArray::from_iter_values([text]));
    Ok(Arc::new(DictionaryArray::try_new(Int8Array::from_value(0, rows), words)?))
}

fn operations(batch: &Batch) -> Result<ArrayRef, Fault> {
    const ALL: [Operation; 4] = [Operation::Upsert, Operation::Delete, Operation::Snapshot, Operation::Reset];
    let words = Arc::new(StringArray::from_iter_values(ALL.map(Operation::as_str)));
    let indices = batch.iter().map(|record| match record.operation {
        Operation::Upsert => 0,
        Operation::Delete => 1,
        Operation::Snapshot => 2,
        Operation::Reset => 3,
    });
    Ok(Arc::new(DictionaryArray::try_new(Int8Array::from_iter_values(indices), words)?))
}

pub(super) fn keys(batch: &Batch) -> Result<StringArray, Fault> {
    let mut texts = Texts::with_rows(batch.len());
    for record in batch.iter() {
        texts.push(record.key)?;
    }
    texts.finish()
}

fn changes(batch: &Batch) -> Result<StringArray, Fault> {
    let mut texts = Texts::with_rows(batch.len());
    for index in 0..batch.len() {
        texts.push(batch.changes(index))?;
    }
    texts.finish()
}

/// A string's text without quotes and escapes; any other value's JSON text.
fn cursors(batch: &Batch, kinds: &mut CursorKinds) -> Result<StringArray, Fault> {
    let mut texts = Texts::with_rows(batch.len());
    for record in batch.iter() {
        let text = record.cursor.map(unquote);
        match record.cursor.map(|json| json.first() == Some(&b'"')) {
            Some(true) => kinds.string = true,
            Some(false) => kinds.other = true,
            None => {}
        }
        texts.push(text.as_deref())?;
    }
    texts.finish()
}

fn unquote(json: &[u8]) -> Cow<'_, [u8]> {
    match json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        None => Cow::Borrowed(json),
        Some(text) if memchr::memchr(b'\\', text).is_none() => Cow::Borrowed(text),
        Some(text) => serde_json::from_slice(json)
            .map_or(Cow::Borrowed(text), |text: String| Cow::Owned(text.into_bytes())),
    }
}

/// The records' texts, as views into the page.
pub(super) fn records(batch: &Batch) -> Result<StringViewArray, Fault> {
    let page = batch.page();
    let mut views = Vec::with_capacity(batch.len());
    let mut present = Vec::with_capacity(batch.len());
    for index in 0..batch.len() {
        let span = batch.record_span(index);
        present.push(span.is_some());
        views.push(match span {
            None => 0,
            Some(span) => {
                let text = page
                    .get(span.clone())
                    .ok_or_else(|| Fault::Batch("a record lies outside its page".into()))?;
                make_view(text, 0, u32::try_from(span.start).map_err(too_large)?)
            }
        });
    }
    let nulls = NullBuffer::from(present);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    // Checks that each text is UTF-8, which costs less than a tenth of hashing it.
    Ok(StringViewArray::try_new(ScalarBuffer::from(views), [Buffer::from(page.clone())], nulls)?)
}

/// The tally of what stands in the columns, not of what was handed in.
pub(super) fn tally(batch: &Batch, keys: &StringArray, records: &StringViewArray) -> Tally {
    let mut tally = Tally::default();
    for ((record, key), text) in batch.iter().zip(keys).zip(records) {
        tally.add(record.operation, key.unwrap_or_default().as_bytes(), text.unwrap_or_default().as_bytes());
    }
    tally
}

/// Texts of a column, one after the other.
struct Texts {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    present: Vec<bool>,
}

impl Texts {
    fn with_rows(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(rows * 32), offsets, present: Vec::with_capacity(rows) }
    }

    fn push(&mut self, text: Option<&[u8]>) -> Result<(), Fault> {
        self.bytes.extend_from_slice(text.unwrap_or_default());
        self.offsets.push(i32::try_from(self.bytes.len()).map_err(too_large)?);
        self.present.push(text.is_some());
        Ok(())
    }

    fn finish(self) -> Result<StringArray, Fault> {
        let nulls = NullBuffer::from(self.present);
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Ok(StringArray::try_new(offsets, Buffer::from(self.bytes), nulls)?)
    }
}

fn too_large(_: std::num::TryFromIntError) -> Fault {
    Fault::Batch("more than 2 GiB in one batch".into())
}
