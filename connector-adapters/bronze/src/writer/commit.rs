//! The commit: what is covered becomes durable and visible, together with the states that cover it.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use connector_sdk::{
    Error, PartitionId, Result, Timestamp,
    contract::{Commit, FileReceipt, Lease, Receipt},
    crash,
};

use super::{Letters, StreamWriter};
use crate::{
    fault,
    layout::{data_path, dead_letters_path},
    log::{LoggedFile, Put},
    pending::{Pending, Sealed, verify},
};

impl StreamWriter {
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
        crash::point("bronze.commit_checked");
        // 1. The bytes and then the names of the files are durable, and the folders they will go to exist.
        let (files, dead_letters) = self.seal(at, files)?;
        let all: Vec<LoggedFile> = files.iter().chain(&dead_letters).cloned().collect();
        crash::point("bronze.sealed");
        self.sync_dir(&self.dir().pending())?;
        crash::point("bronze.pending_synced");
        self.make_folders(&all)?;
        crash::point("bronze.days_made");
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
        crash::point("bronze.logged");
        // 3. The files come into sight. If this fails they do at the next opening.
        self.publish(&all)?;
        crash::point("bronze.published");
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
        let mut named = BTreeSet::new();
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
            crash::point("bronze.sealed_one");
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
        crash::point("bronze.letters_sealed");
        let path = dead_letters_path(number, fence);
        Ok((sealed, Some(LoggedFile { path, pending: name, records, bytes, hash: None })))
    }

    /// Makes the folders that the files go to, once in the life of this writer: each costs a few syncs.
    fn make_folders(&mut self, files: &[LoggedFile]) -> Result<()> {
        for dir in self.folders(files) {
            if !self.folders_made.contains(&dir) {
                self.disk().create_dirs(&dir).map_err(|error| fault::disk("commit", &dir, error))?;
                self.folders_made.insert(dir);
            }
        }
        Ok(())
    }

    fn folders(&self, files: &[LoggedFile]) -> BTreeSet<PathBuf> {
        files.iter().filter_map(|file| self.dir().resolve(&file.path).parent().map(Path::to_owned)).collect()
    }

    /// Brings the files of our own commit into sight.
    fn publish(&self, files: &[LoggedFile]) -> Result<()> {
        for file in files {
            // A newer owner may have rolled our commit forward; then it is where it belongs.
            if self.rename(file)? {
                crash::point("bronze.published_one");
            } else {
                let path = self.dir().resolve(&file.path);
                self.disk().size(&path).map_err(|error| fault::disk("commit", &path, error))?;
            }
        }
        self.folders(files).iter().try_for_each(|dir| self.sync_dir(dir))
    }

    /// Finishes what the log says was committed. A file that is not pending any more has been published;
    /// that it is not to be seen means nothing, because old Bronze may have been moved away.
    ///
    /// Whoever published a file may have died before the sync. So all their folders are synced: when the log is folded
    /// nobody remembers a file, and one that a power cut puts back would be thrown away.
    pub(crate) fn roll_forward(&mut self, files: &[LoggedFile]) -> Result<()> {
        self.make_folders(files)?;
        let mut renamed = 0;
        for file in files {
            if self.rename(file)? {
                crash::point("bronze.rolled_one");
                renamed += 1;
            }
        }
        if renamed > 0 {
            tracing::info!(stream = %self.header.stream, files = renamed, "published what a crash had left committed but not visible");
        }
        self.folders(files).iter().try_for_each(|dir| self.sync_dir(dir))
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
