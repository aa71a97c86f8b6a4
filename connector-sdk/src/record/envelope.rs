//! The envelope: what Bronze stores of a record. Its JSON form is one line of JSONL.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RecordView;
use crate::{ConnectionName, ConnectorId, RunId, StreamId, TenantId, contract::SequencedBatch};

/// The keys of the JSON form, which are the columns of Parquet, in order.
pub const ENVELOPE_COLUMNS: [&str; 18] = [
    "tenant",
    "connector",
    "connector_version",
    "connection",
    "stream",
    "partition",
    "run_id",
    "sequence",
    "operation",
    "key",
    "cursor",
    "epoch",
    "generation",
    "extracted_at",
    "source_timestamp",
    "schema_fingerprint",
    "changes",
    "record",
];

/// What the envelopes of one stream in one run have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeHeader {
    /// Whose data it is.
    pub tenant: TenantId,
    /// Which connector read it.
    pub connector: ConnectorId,
    /// In which version.
    pub connector_version: Arc<str>,
    /// Through which connection.
    pub connection: ConnectionName,
    /// From which stream.
    pub stream: StreamId,
    /// In which run.
    pub run_id: RunId,
}

/// The parts of an envelope that do not change within a batch, rendered once.
#[derive(Debug)]
pub struct EnvelopeLines {
    /// Up to the sequence.
    head: Vec<u8>,
    /// From the epoch to the time of extraction.
    middle: Vec<u8>,
    /// From the schema to the record.
    tail: Vec<u8>,
    sequence: u64,
}

impl EnvelopeLines {
    /// Renders what the batch's envelopes have in common.
    #[must_use]
    pub fn new(header: &EnvelopeHeader, batch: &SequencedBatch) -> Self {
        let mut head = Vec::with_capacity(256);
        let texts = [
            ("{\"tenant\":", header.tenant.as_str()),
            (",\"connector\":", header.connector.as_str()),
            (",\"connector_version\":", &header.connector_version),
            (",\"connection\":", header.connection.as_str()),
            (",\"stream\":", header.stream.as_str()),
            (",\"partition\":", batch.partition.as_str()),
            (",\"run_id\":", header.run_id.as_str()),
        ];
        for (name, text) in texts {
            head.extend_from_slice(name.as_bytes());
            quote(&mut head, text);
        }
        head.extend_from_slice(b",\"sequence\":");
        let middle = format!(
            ",\"epoch\":{},\"generation\":{},\"extracted_at\":{},\"source_timestamp\":",
            batch.epoch,
            batch.generation,
            batch.extracted_at.as_millis()
        );
        let mut tail = b",\"schema_fingerprint\":".to_vec();
        quote(&mut tail, &batch.schema_fingerprint);
        tail.extend_from_slice(b",\"changes\":");
        Self { head, middle: middle.into_bytes(), tail, sequence: batch.first_sequence }
    }

    /// Appends the next record's line. Line breaks between its tokens become spaces; nothing else of it
    /// changes. `changes` is a JSON array of the fields a policy has nulled.
    pub fn write(&mut self, out: &mut Vec<u8>, record: &RecordView<'_>, changes: Option<&[u8]>) {
        out.reserve(
            self.head.len()
                + self.middle.len()
                + self.tail.len()
                + record.record.map_or(4, <[u8]>::len)
                + 160,
        );
        out.extend_from_slice(&self.head);
        number(out, self.sequence);
        self.sequence = self.sequence.saturating_add(1);
        out.extend_from_slice(b",\"operation\":\"");
        out.extend_from_slice(record.operation.as_str().as_bytes());
        out.extend_from_slice(b"\",\"key\":");
        json(out, record.key);
        out.extend_from_slice(b",\"cursor\":");
        json(out, record.cursor);
        out.extend_from_slice(&self.middle);
        match record.source_timestamp {
            None => out.extend_from_slice(b"null"),
            Some(millis) => {
                if millis < 0 {
                    out.push(b'-');
                }
                number(out, millis.unsigned_abs());
            }
        }
        out.extend_from_slice(&self.tail);
        json(out, changes);
        out.extend_from_slice(b",\"record\":");
        json(out, record.record);
        out.extend_from_slice(b"}\n");
    }
}

/// Appends the value; a line break can stand only between tokens, because a JSON string has none.
fn json(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let Some(mut rest) = value else {
        out.extend_from_slice(b"null");
        return;
    };
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        let (before, after) = rest.split_at(at);
        out.extend_from_slice(before);
        out.push(b' ');
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

fn quote(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
}

#[cfg(test)]
mod tests;
