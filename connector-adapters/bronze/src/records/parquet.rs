//! The rows of a Parquet file, as the lines that JSONL has.

use std::{
    fmt::Write as _,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use ::parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    file::reader::{ChunkReader, Length},
};
use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Int64Type, UInt64Type},
    error::ArrowError,
};
use bytes::Bytes;
use connector_sdk::{Result, record::ENVELOPE_COLUMNS};

use super::unreadable;
use crate::{disk::Disk, fault, parquet::CURSOR_KIND};

const ROWS_AT_ONCE: usize = 1024;

/// Reads a file row by row.
pub(super) struct Rows {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    cursors_are_json: bool,
    batch: Option<Columns>,
    row: usize,
}

impl Rows {
    pub(super) fn open(disk: Arc<dyn Disk>, path: PathBuf) -> Result<Self> {
        let size = disk.size(&path).map_err(|error| fault::disk("read bronze", &path, error))?;
        let chunks = Chunks { disk, path: path.clone(), size };
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(chunks).map_err(|error| unreadable(&path, error))?;
        if let Some(missing) = ENVELOPE_COLUMNS.iter().find(|name| builder.schema().index_of(name).is_err()) {
            return Err(unreadable(&path, format!("it has no column `{missing}`, so it holds no envelopes")));
        }
        let metadata = builder.metadata().file_metadata();
        let cursors_are_json = metadata
            .key_value_metadata()
            .into_iter()
            .flatten()
            .any(|pair| pair.key == CURSOR_KIND && pair.value.as_deref() == Some("json"));
        let envelope = ProjectionMask::columns(metadata.schema_descr(), ENVELOPE_COLUMNS);
        let reader = builder
            .with_projection(envelope)
            .with_batch_size(ROWS_AT_ONCE)
            .build()
            .map_err(|error| unreadable(&path, error))?;
        Ok(Self { path, reader, cursors_are_json, batch: None, row: 0 })
    }

    fn next_row(&mut self) -> Result<Option<String>, ArrowError> {
        loop {
            if let Some(columns) = &self.batch
                && self.row < columns.rows
            {
                self.row += 1;
                return Ok(Some(columns.line(self.row - 1, self.cursors_are_json)));
            }
            match self.reader.next() {
                None => return Ok(None),
                Some(batch) => self.batch = Some(Columns::of(&batch?)?),
            }
            self.row = 0;
        }
    }
}

impl Iterator for Rows {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        self.next_row().map_err(|error| unreadable(&self.path, error)).transpose()
    }
}

/// The columns of a batch, in the envelope's order.
struct Columns {
    rows: usize,
    columns: Vec<(&'static str, Values)>,
}

/// How a column's values are written.
enum Values {
    /// As a JSON string.
    Text(StringArray),
    /// As it is.
    Json(StringArray),
    /// As one or the other, by the file's metadata.
    Cursor(StringArray),
    Unsigned(arrow::array::UInt64Array),
    Signed(arrow::array::Int64Array),
}

impl Columns {
    /// Another tool may have written the file anew, with string views or dictionaries; hence the casts.
    fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let mut columns = Vec::with_capacity(ENVELOPE_COLUMNS.len());
        for name in ENVELOPE_COLUMNS {
            let column = batch.column(batch.schema().index_of(name)?);
            let text = || cast(column, &DataType::Utf8).map(|array| array.as_string::<i32>().clone());
            let values = match name {
                "sequence" | "epoch" | "generation" => {
                    Values::Unsigned(cast(column, &DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
                }
                "extracted_at" | "source_timestamp" => {
                    Values::Signed(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
                }
                "key" | "changes" | "record" => Values::Json(text()?),
                "cursor" => Values::Cursor(text()?),
                _ => Values::Text(text()?),
            };
            columns.push((name, values));
        }
        Ok(Self { rows: batch.num_rows(), columns })
    }

    fn line(&self, row: usize, cursors_are_json: bool) -> String {
        let mut line = String::with_capacity(512);
        for (index, (name, values)) in self.columns.iter().enumerate() {
            line.push(if index == 0 { '{' } else { ',' });
            // Writing to a String does not fail.
            let _ = write!(line, "\"{name}\":");
            let _ = match values {
                Values::Text(array) if array.is_valid(row) => write!(line, "{}", quoted(array.value(row))),
                Values::Cursor(array) if array.is_valid(row) && !cursors_are_json => {
                    write!(line, "{}", quoted(array.value(row)))
                }
                // A line break can stand only between tokens, because a JSON string has none.
                Values::Json(array) | Values::Cursor(array) if array.is_valid(row) => {
                    for (index, part) in array.value(row).split(['\n', '\r']).enumerate() {
                        line.push_str(if index == 0 { "" } else { " " });
                        line.push_str(part);
                    }
                    Ok(())
                }
                Values::Unsigned(array) if array.is_valid(row) => write!(line, "{}", array.value(row)),
                Values::Signed(array) if array.is_valid(row) => write!(line, "{}", array.value(row)),
                _ => write!(line, "null"),
            };
        }
        line.push('}');
        line
    }
}

fn quoted(text: &str) -> serde_json::Value {
    text.into()
}

/// A file on a [`Disk`] as the Parquet reader wants it.
struct Chunks {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    size: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Chunks {
    type T = io::BufReader<ChunkRead>;

    fn get_read(&self, start: u64) -> ::parquet::errors::Result<Self::T> {
        let read = ChunkRead { disk: self.disk.clone(), path: self.path.clone(), offset: start };
        Ok(io::BufReader::with_capacity(64 << 10, read))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ::parquet::errors::Result<Bytes> {
        let bytes = self.disk.read(&self.path, start, length)?;
        if bytes.len() < length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(bytes.into())
    }
}

/// Reads on from an offset.
struct ChunkRead {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    offset: u64,
}

impl Read for ChunkRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.disk.read(&self.path, self.offset, buffer.len())?;
        buffer.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidData)?.copy_from_slice(&bytes);
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }
}
