//! JSONL: one envelope per line.

use std::io::Write;

use connector_sdk::{
    contract::{DeadLetter, SequencedBatch},
    record::{EnvelopeHeader, EnvelopeLines, Tally},
};

use crate::pending::{Encode, Fault, Output};

/// Lines gather up to this size before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// Lines on their way into a file.
#[derive(Debug)]
struct Lines {
    output: Output,
    buffer: Vec<u8>,
}

impl Lines {
    fn new(output: Output) -> Self {
        Self { output, buffer: Vec::new() }
    }

    fn write_when_full(&mut self) -> Result<(), Fault> {
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Fault> {
        self.output.write_all(&self.buffer)?;
        self.buffer.clear();
        // One huge record must not keep its memory for the rest of the stream.
        self.buffer.shrink_to(4 * WRITE_BYTES);
        Ok(())
    }

    fn finish(&mut self) -> Result<&mut Output, Fault> {
        self.write()?;
        Ok(&mut self.output)
    }
}

/// Encodes records as envelopes.
#[derive(Debug)]
pub(crate) struct JsonlEncoder {
    header: EnvelopeHeader,
    lines: Lines,
}

impl JsonlEncoder {
    pub(crate) fn new(header: EnvelopeHeader, output: Output) -> Self {
        Self { header, lines: Lines::new(output) }
    }
}

impl Encode for JsonlEncoder {
    fn encode(&mut self, batch: &SequencedBatch) -> Result<Tally, Fault> {
        let mut tally = Tally::default();
        let mut envelopes = EnvelopeLines::new(&self.header, batch);
        for (index, record) in batch.batch.iter().enumerate() {
            tally.add(record.operation, record.key.unwrap_or_default(), record.record.unwrap_or_default());
            envelopes.write(&mut self.lines.buffer, &record, batch.batch.changes(index));
            self.lines.write_when_full()?;
        }
        Ok(tally)
    }

    fn finish(&mut self) -> Result<&mut Output, Fault> {
        self.lines.finish()
    }
}

/// Encodes dead letters, which are lines in either format.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    lines: Lines,
    pub(crate) count: u64,
}

impl DeadLetters {
    pub(crate) fn new(output: Output) -> Self {
        Self { lines: Lines::new(output), count: 0 }
    }

    pub(crate) fn push(&mut self, letter: &DeadLetter) -> Result<(), Fault> {
        serde_json::to_writer(&mut self.lines.buffer, letter).map_err(|error| Fault::Batch(error.into()))?;
        self.lines.buffer.push(b'\n');
        self.count += 1;
        self.lines.write_when_full()
    }

    /// Writes what is left and makes it durable; answers how many bytes there are.
    pub(crate) fn finish(mut self) -> Result<u64, Fault> {
        Ok(self.lines.finish()?.sync()?)
    }
}
