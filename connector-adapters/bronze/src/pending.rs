//! A file on its way: encoded as records come, sealed by a commit, and nobody's until then.

use std::{
    fmt,
    io::{self, Write},
    path::{Path, PathBuf},
};

use connector_sdk::{Error, Result, contract::SequencedBatch, crash, record::Tally};

use crate::{
    disk::{Disk, DiskFile},
    fault,
};

/// Turns batches into the bytes of one file.
pub(crate) trait Encode: Send {
    /// Takes a batch in; answers the tally of what it has encoded (rule D-05).
    fn encode(&mut self, batch: &SequencedBatch) -> Result<Tally, Fault>;

    /// Writes what is left; nothing can be encoded after it.
    fn finish(&mut self) -> Result<&mut Output, Fault>;
}

/// Why a batch could not be encoded.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The disk.
    Disk(io::Error),
    /// The batch is not what it should be.
    Batch(Box<dyn std::error::Error + Send + Sync>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// The file behind an encoder; counts what goes into it.
pub(crate) struct Output {
    file: Box<dyn DiskFile>,
    bytes: u64,
}

impl Output {
    pub(crate) fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.create(path).map_err(|error| fault::disk("emit", path, error))?;
        Ok(Self { file, bytes: 0 })
    }

    /// Makes the bytes durable; answers how many they are.
    pub(crate) fn sync(&mut self) -> io::Result<u64> {
        self.file.flush()?;
        crash::point("bronze.file_flushed");
        self.file.sync()?;
        crash::point("bronze.file_synced");
        Ok(self.bytes)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A file in `_pending`.
pub(crate) struct Pending {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    encoder: Box<dyn Encode>,
    tally: Tally,
}

impl Pending {
    pub(crate) fn new(name: String, path: PathBuf, encoder: Box<dyn Encode>) -> Self {
        Self { name, path, encoder, tally: Tally::default() }
    }

    pub(crate) fn encode(&mut self, batch: &SequencedBatch) -> Result<Tally> {
        let tally = self.encoder.encode(batch).map_err(|fault| explain(fault, &self.path))?;
        self.tally.merge(tally);
        Ok(tally)
    }

    pub(crate) fn seal(self, disk: &dyn Disk) -> Result<Sealed> {
        let Self { name, path, mut encoder, tally } = self;
        let finished = encoder.finish().and_then(|output| Ok(output.sync()?));
        drop(encoder);
        Ok(Sealed { name, bytes: verify(disk, &path, finished)?, tally })
    }
}

/// What a file holds that was finished and synced; its name is durable once the folder is synced. Finds
/// out a file that somebody has taken away, and a disk that has taken less than it said (rule D-21).
pub(crate) fn verify(disk: &dyn Disk, path: &Path, finished: Result<u64, Fault>) -> Result<u64> {
    let bytes = finished.map_err(|fault| explain(fault, path))?;
    let size = disk.size(path).map_err(|error| fault::disk("commit", path, error))?;
    if size == bytes {
        return Ok(bytes);
    }
    let lost = io::Error::other(format!("{bytes} bytes were written, {size} are there"));
    Err(fault::disk("commit", path, lost))
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("name", &self.name)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

pub(crate) fn explain(fault: Fault, path: &Path) -> Error {
    match fault {
        Fault::Disk(error) => fault::disk("emit", path, error),
        Fault::Batch(error) => Error::bug("emit", format!("the batch cannot be encoded: {error}"))
            .with_context("path", path.display())
            .with_source(error),
    }
}

/// A file that waits for its commit, complete and durable.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Its name in `_pending`.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) tally: Tally,
}
