//! Parquet: the envelope's columns, the record as its JSON text, zstd.
//!
//! The texts of the records are not copied on their way into the encoder: the column is a view into the
//! page that the vendor sent. The Arrow schema is not stored, so that every reader sees plain strings and
//! integers, whatever array they came from.

mod columns;

use std::sync::Arc;

use ::parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};
use connector_sdk::{
    contract::SequencedBatch,
    record::{EnvelopeHeader, Tally},
};

use crate::{
    pending::{Encode, Fault, Output},
    typed::{TypedColumns, TypedSchema},
};

/// A row group is written when it has so many bytes, compressed: it waits in memory until then.
const ROW_GROUP_BYTES: usize = 48 << 20;

/// A page, uncompressed. Below 128 KiB zstd's tables and the page itself stay in the processor's cache, and
/// the allocator takes the same memory again and again: a sixth less time than pages of 1 MiB, for files
/// that are a thirtieth larger.
const PAGE_BYTES: usize = 120 << 10;

/// Where a column has more different values than fit here, a dictionary costs more than it saves.
const DICTIONARY_BYTES: usize = 64 << 10;

/// In the file's metadata: `string` when every cursor was a JSON string, `json` when none was, else
/// `mixed`. The column has a string's text without quotes, and any other value's JSON text.
pub(crate) const CURSOR_KIND: &str = "connector.cursor";

/// Encodes records as rows.
pub(crate) struct ParquetEncoder {
    header: EnvelopeHeader,
    schema: SchemaRef,
    writer: ArrowWriter<Output>,
    typed: Option<TypedColumns>,
    cursors: CursorKinds,
}

/// Which kinds of cursor were seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CursorKinds {
    pub(crate) string: bool,
    pub(crate) other: bool,
}

impl CursorKinds {
    fn as_str(self) -> &'static str {
        match (self.string, self.other) {
            (_, false) => "string",
            (false, true) => "json",
            (true, true) => "mixed",
        }
    }
}

impl ParquetEncoder {
    pub(crate) fn new(
        header: EnvelopeHeader,
        typed: Option<Arc<TypedSchema>>,
        output: Output,
    ) -> Result<Self, Fault> {
        let mut fields = columns::fields();
        if let Some(typed) = &typed {
            fields.push(Field::new("data", DataType::Struct(typed.fields().clone()), true));
        }
        let schema = Arc::new(Schema::new(fields));
        let options = ArrowWriterOptions::new()
            .with_properties(properties(typed.as_deref())?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(output, schema.clone(), options)?;
        Ok(Self {
            header,
            schema,
            writer,
            typed: typed.map(TypedColumns::new),
            cursors: CursorKinds::default(),
        })
    }
}

fn properties(typed: Option<&TypedSchema>) -> Result<WriterProperties, Fault> {
    let column = ColumnPath::from;
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("connector-bronze version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    // What differs from row to row is no word of a dictionary; what is long has no useful bounds.
    for name in ["key", "cursor", "record"] {
        builder = builder.set_column_dictionary_enabled(column(name), false);
    }
    for name in ["sequence", "source_timestamp"] {
        builder = builder
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    let texts = typed.into_iter().flat_map(TypedSchema::texts);
    let texts = texts.map(|name| ColumnPath::new(vec!["data".to_owned(), name.to_owned()]));
    for path in ["key", "record", "changes"].map(column).into_iter().chain(texts) {
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Ok(builder.build())
}

impl Encode for ParquetEncoder {
    fn encode(&mut self, batch: &SequencedBatch) -> Result<Tally, Fault> {
        let keys = columns::keys(&batch.batch)?;
        let records = columns::records(&batch.batch)?;
        let tally = columns::tally(&batch.batch, &keys, &records);
        let mut arrays = columns::envelope(&self.header, batch, keys, &mut self.cursors)?;
        let typed: Option<ArrayRef> = match &mut self.typed {
            None => None,
            Some(typed) => Some(Arc::new(typed.columns(&records)?)),
        };
        arrays.push(Arc::new(records));
        arrays.extend(typed);
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
        Ok(tally)
    }

    fn finish(&mut self) -> Result<&mut Output, Fault> {
        if let Some(typed) = &self.typed {
            typed.report(&self.header.stream);
        }
        let kind = KeyValue::new(CURSOR_KIND.to_owned(), self.cursors.as_str().to_owned());
        self.writer.append_key_value_metadata(kind);
        self.writer.finish()?;
        Ok(self.writer.inner_mut())
    }
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(error) => Self::Disk(*error),
                Err(source) => Self::Batch(source),
            },
            error => Self::Batch(error.into()),
        }
    }
}

impl From<ArrowError> for Fault {
    fn from(error: ArrowError) -> Self {
        Self::Batch(error.into())
    }
}
