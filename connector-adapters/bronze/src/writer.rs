//! One stream being written: step 3 (accept) and step 4 (commit) of delivery.
//!
//! What a state covers already goes into one file that all partitions share, so that Bronze gets few large
//! files. What no state covers yet goes into a file of its partition, which waits until a commit reaches
//! it, and is thrown away when none does.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use connector_sdk::{
    Error, PartitionId, Result, Timestamp,
    contract::{Commit, DeadLetter, FileReceipt, Lease, Receipt, SequencedBatch},
    record::EnvelopeHeader,
};

use crate::{
    Format,
    disk::Disk,
    fault,
    jsonl::{DeadLetters, JsonlEncoder},
    layout::{PendingName, StreamDir, data_path, dead_letters_path},
    log::{Log, LoggedFile, Put},
    parquet::ParquetEncoder,
    pending::{Encode, Output, Pending, Sealed, explain, verify},
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
            None => self.pending()?,
        };
        let part = part.with_tally(pending.encode(batch)?);
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
            Some(pending) => self.throw_away(pending.path.clone(), pending),
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

    /// Publishes what the commits cover. The steps stand in the order that makes it safe.
    pub(crate) fn commit(&mut self, at: Timestamp, lease: &Lease, commits: &[Commit]) -> Result<Receipt> {
        if !self.log.of.is_of(lease) {
            return Err(Error::bug("commit", "the lease is of another stream"));
        }
        if lease.fence != self.log.fence() {
            return Err(fault::fenced("commit", self.dir().path(), self.log.fence(), lease.fence));
        }
        let with_spilled = self.check_commits(commits)?;
        if commits.is_empty() && self.letters.is_none() {
            return Ok(Receipt { number: self.log.next() - 1, ..Receipt::default() });
        }
        let spilled = with_spilled.iter().filter_map(|partition| self.spilled.remove(partition));
        let files: Vec<Pending> = self.shared.take().into_iter().chain(spilled).collect();
        // 1. The bytes and then the names of the files are durable, and the folders they will go to exist.
        let (files, dead_letters) = self.seal(at, files)?;
        let all: Vec<LoggedFile> = files.iter().chain(&dead_letters).cloned().collect();
        self.sync_dir(&self.dir().pending())?;
        self.make_folders(&all)?;
        // 2. The commit point.
        let number = match self.log.put(commits, &all, at)? {
            Put::Done(number) => number,
            Put::Taken { fence } => {
                for file in &all {
                    self.throw_away(self.dir().pending().join(&file.pending), ())?;
                }
                return Err(fault::fenced("commit", self.dir().path(), self.log.fence(), fence));
            }
        };
        // 3. The files come into sight. If this fails they do at the next opening.
        self.publish(&all)?;
        self.settle(commits);
        if let Err(error) = self.log.fold_when_due() {
            tracing::warn!(stream = %self.header.stream, %error, "the commit log could not be folded; it is tried again");
        }
        Ok(self.receipt(number, &files, &dead_letters))
    }

    /// Rules D-05 and D-06: what the host says was read is what was encoded, and all of it is named.
    /// Answers the partitions whose spilled file goes along.
    fn check_commits(&self, commits: &[Commit]) -> Result<Vec<PartitionId>> {
        let mut with_spilled = Vec::new();
        let mut named = std::collections::BTreeSet::new();
        for commit in commits {
            if !named.insert(&commit.partition) {
                return Err(Error::bug("commit", "a partition is named twice in one commit")
                    .with_context("partition", &commit.partition));
            }
            if self.progress.get(&commit.partition).copied().unwrap_or_default().check_commit(commit)? {
                with_spilled.push(commit.partition.clone());
            }
        }
        let forgotten =
            self.progress.iter().find(|(id, progress)| progress.has_covered() && !named.contains(id));
        match forgotten {
            None => Ok(with_spilled),
            Some((partition, _)) => {
                Err(Error::bug("commit", "records that a state covers are not in the commit")
                    .with_context("partition", partition))
            }
        }
    }

    fn seal(&mut self, at: Timestamp, files: Vec<Pending>) -> Result<(Vec<LoggedFile>, Option<LoggedFile>)> {
        let (number, fence, day) = (self.log.next(), self.log.fence(), at.date());
        let mut sealed = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let Sealed { name, bytes, tally } = file.seal(self.disk())?;
            sealed.push(LoggedFile {
                path: data_path(&day, number, fence, index, self.format.extension()),
                pending: name,
                records: tally.count,
                bytes,
                hash: Some(tally.hex()),
            });
        }
        let Some(Letters { name, path, lines }) = self.letters.take() else { return Ok((sealed, None)) };
        let records = lines.count;
        let bytes = verify(self.disk(), &path, lines.finish())?;
        let path = dead_letters_path(number, fence);
        Ok((sealed, Some(LoggedFile { path, pending: name, records, bytes, hash: None })))
    }

    fn make_folders(&self, files: &[LoggedFile]) -> Result<()> {
        for dir in self.folders(files) {
            self.disk().create_dirs(&dir).map_err(|error| fault::disk("commit", &dir, error))?;
        }
        Ok(())
    }

    fn folders(&self, files: &[LoggedFile]) -> std::collections::BTreeSet<PathBuf> {
        files.iter().filter_map(|file| self.dir().resolve(&file.path).parent().map(Path::to_owned)).collect()
    }

    /// Brings the files of our own commit into sight.
    fn publish(&self, files: &[LoggedFile]) -> Result<()> {
        for file in files {
            // A newer owner may have rolled our commit forward; then it is where it belongs.
            if !self.rename(file)? {
                let path = self.dir().resolve(&file.path);
                self.disk().size(&path).map_err(|error| fault::disk("commit", &path, error))?;
            }
        }
        self.folders(files).iter().try_for_each(|dir| self.sync_dir(dir))
    }

    /// Finishes what the log says was committed. A file that is not pending any more has been published;
    /// that it is not to be seen means nothing, because old Bronze may have been moved away.
    pub(crate) fn roll_forward(&self, files: &[LoggedFile]) -> Result<()> {
        self.make_folders(files)?;
        let mut renamed = Vec::new();
        for file in files {
            if self.rename(file)? {
                renamed.push(file.clone());
            }
        }
        if !renamed.is_empty() {
            tracing::info!(stream = %self.header.stream, files = renamed.len(), "published what a crash had left committed but not visible");
        }
        self.folders(&renamed).iter().try_for_each(|dir| self.sync_dir(dir))
    }

    /// False when it is not pending.
    fn rename(&self, file: &LoggedFile) -> Result<bool> {
        let (from, to) = (self.dir().pending().join(&file.pending), self.dir().resolve(&file.path));
        match self.disk().rename(&from, &to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(fault::disk("commit", &to, error)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.disk().sync_dir(dir).map_err(|error| fault::disk("commit", dir, error))
    }

    fn settle(&mut self, commits: &[Commit]) {
        for commit in commits {
            if let Some(progress) = self.progress.get_mut(&commit.partition) {
                progress.settle(commit);
                // Windows come and go; a finished one is not heard of again.
                if commit.state.is_complete() && progress.is_idle() {
                    self.progress.remove(&commit.partition);
                }
            }
        }
    }

    fn receipt(&self, number: u64, files: &[LoggedFile], dead_letters: &Option<LoggedFile>) -> Receipt {
        let files = files.iter().map(|file| FileReceipt {
            path: self.dir().receipt_path(&file.path),
            records: file.records,
            bytes: file.bytes,
            hash: file.hash.clone().unwrap_or_default(),
        });
        let files: Vec<FileReceipt> = files.collect();
        Receipt {
            number,
            records: files.iter().map(|file| file.records).sum(),
            dead_letters: dead_letters.as_ref().map_or(0, |file| file.records),
            files,
        }
    }
}
