//! One stream being written: step 3 (accept) and step 4 (commit) of delivery.
//!
//! What a state covers already goes into one file that all partitions share, so that Bronze gets few large
//! files. What no state covers yet goes into a file of its partition, which waits until a commit reaches
//! it, and is thrown away when none does.

mod commit;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::Arc,
};

use connector_sdk::{
    PartitionId, Result,
    contract::{DeadLetter, SequencedBatch},
    crash,
    record::EnvelopeHeader,
};

use crate::{
    Format,
    disk::Disk,
    fault,
    jsonl::{DeadLetters, JsonlEncoder},
    layout::{PendingName, StreamDir},
    log::Log,
    parquet::ParquetEncoder,
    pending::{Encode, Output, Pending, explain},
    progress::{Part, Progress},
    typed::TypedSchema,
};

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct StreamWriter {
    pub(crate) log: Log,
    pub(crate) header: EnvelopeHeader,
    pub(crate) format: Format,
    pub(crate) typed: Option<Arc<TypedSchema>>,
    /// Numbers the pending files.
    serial: u64,
    /// What is covered, of all partitions.
    shared: Option<Pending>,
    /// What is not, by partition.
    spilled: BTreeMap<PartitionId, Pending>,
    progress: BTreeMap<PartitionId, Progress>,
    letters: Option<Letters>,
    /// Folders that this writer has made durable.
    folders_made: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Letters {
    name: String,
    path: PathBuf,
    lines: DeadLetters,
}

impl StreamWriter {
    pub(crate) fn new(
        log: Log,
        header: EnvelopeHeader,
        format: Format,
        typed: Option<Arc<TypedSchema>>,
    ) -> Self {
        Self {
            log,
            header,
            format,
            typed,
            serial: 0,
            shared: None,
            spilled: BTreeMap::new(),
            progress: BTreeMap::new(),
            letters: None,
            folders_made: BTreeSet::new(),
        }
    }

    fn disk(&self) -> &dyn Disk {
        &*self.log.disk
    }

    fn dir(&self) -> &StreamDir {
        &self.log.dir
    }

    /// Encodes a batch into the file where it belongs.
    pub(crate) fn emit(&mut self, batch: &SequencedBatch) -> Result<()> {
        let rows = batch.batch.len() as u64;
        if rows == 0 {
            return Ok(());
        }
        let part = Part::of(batch.first_sequence, rows);
        self.progress.entry(batch.partition.clone()).or_default().check(&batch.partition, part)?;
        let waiting = if batch.covered { self.shared.take() } else { self.spilled.remove(&batch.partition) };
        let mut pending = match waiting {
            Some(pending) => pending,
            None => {
                let pending = self.pending()?;
                crash::point("bronze.pending_created");
                pending
            }
        };
        let part = part.with_tally(pending.encode(batch)?);
        crash::point("bronze.encoded");
        if batch.covered {
            self.shared = Some(pending);
        } else {
            self.spilled.insert(batch.partition.clone(), pending);
        }
        self.progress.entry(batch.partition.clone()).or_default().add(part, batch.covered);
        Ok(())
    }

    pub(crate) fn dead_letter(&mut self, letter: &DeadLetter) -> Result<()> {
        let mut letters = match self.letters.take() {
            Some(letters) => letters,
            None => {
                let (name, path, output) = self.create(Format::Jsonl.extension())?;
                Letters { name, path, lines: DeadLetters::new(output) }
            }
        };
        letters.lines.push(letter).map_err(|fault| explain(fault, &letters.path))?;
        crash::point("bronze.letter_written");
        self.letters = Some(letters);
        Ok(())
    }

    /// Throws away what no state covers of the partition.
    pub(crate) fn discard(&mut self, partition: &PartitionId) -> Result<()> {
        if let Some(progress) = self.progress.get_mut(partition) {
            progress.discard();
        }
        match self.spilled.remove(partition) {
            None => Ok(()),
            Some(pending) => {
                self.throw_away(pending.path.clone(), pending)?;
                crash::point("bronze.discarded");
                Ok(())
            }
        }
    }

    /// Throws away everything that is not committed.
    pub(crate) fn close(mut self) -> Result<()> {
        for pending in std::mem::take(&mut self.spilled).into_values().chain(self.shared.take()) {
            self.throw_away(pending.path.clone(), pending)?;
        }
        match self.letters.take() {
            None => Ok(()),
            Some(letters) => self.throw_away(letters.path.clone(), letters),
        }
    }

    /// Closes a pending file, then removes it: some systems do not remove an open one.
    fn throw_away<F>(&self, path: PathBuf, file: F) -> Result<()> {
        drop(file);
        match self.disk().remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(fault::disk("discard", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn pending(&mut self) -> Result<Pending> {
        let (name, path, output) = self.create(self.format.extension())?;
        let encoder: Box<dyn Encode> = match self.format {
            Format::Jsonl => Box::new(JsonlEncoder::new(self.header.clone(), output)),
            Format::Parquet => Box::new(
                ParquetEncoder::new(self.header.clone(), self.typed.clone(), output)
                    .map_err(|fault| explain(fault, &path))?,
            ),
        };
        Ok(Pending::new(name, path, encoder))
    }

    fn create(&mut self, extension: &str) -> Result<(String, PathBuf, Output)> {
        let (number, fence, serial) = (self.log.next(), self.log.fence(), self.serial);
        self.serial += 1;
        let name = PendingName { number, fence, serial, extension }.to_string();
        let path = self.dir().pending().join(&name);
        let output = Output::create(self.disk(), &path)?;
        Ok((name, path, output))
    }
}
