//! Deletes of a full read (rule D-14): what an earlier generation had and this one, seen whole, has not.
//!
//! Each commit of a full read leaves a sorted file of the keys it covers, durable before the commit. When
//! every partition has been read to its end, the files are merged into one, which is compared with that of
//! the generation before: a sorted merge on disk, so memory does not grow with the stream.
//!
//! A key that was noted and whose commit failed stays noted: its deletion is then concluded one generation
//! later. The other way round, a delete of what is still there, cannot happen.

mod keys;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use connector_sdk::{Error, Result, StreamId, contract::SequencedBatch, crash};

pub(super) use keys::KeyReader;

/// The keys of one stream's full read.
#[derive(Debug)]
pub(super) struct Generation {
    /// Of the stream.
    folder: PathBuf,
    number: u64,
    /// Tells the files of this run from those of an earlier one that was interrupted.
    fence: u64,
    files: u64,
    noted: BTreeSet<Vec<u8>>,
    noted_bytes: usize,
}

/// Keys are kept in memory up to this size, then written, whether or not a commit covers them.
const NOTED_BYTES: usize = 8 << 20;

/// What two generations say.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Keys of the generation before.
    pub(super) before: u64,
    /// Of these: gone.
    pub(super) gone: u64,
}

impl Generation {
    /// The keys of generation `number` of a stream, below the host's work folder.
    pub(super) fn new(work: &Path, stream: &StreamId, number: u64, fence: u64) -> Self {
        Self {
            folder: work.join(encode(stream.as_str())),
            number,
            fence,
            files: 0,
            noted: BTreeSet::new(),
            noted_bytes: 0,
        }
    }

    /// Notes the keys of a batch.
    pub(super) fn note(&mut self, batch: &SequencedBatch) {
        for key in batch.batch.iter().filter_map(|record| record.key) {
            // A key costs about this much beside its bytes.
            self.noted_bytes += key.len() + 48;
            self.noted.insert(key.to_vec());
        }
    }

    /// Whether so much was noted that it should be written (rule D-20).
    pub(super) fn is_full(&self) -> bool {
        self.noted_bytes >= NOTED_BYTES
    }

    /// Makes durable what was noted. Call it before the commit that covers it.
    pub(super) async fn flush(&mut self) -> Result<()> {
        if self.noted.is_empty() {
            return Ok(());
        }
        let noted = std::mem::take(&mut self.noted);
        self.noted_bytes = 0;
        let path = self.parts().join(format!("{:020}-{:010}.keys", self.fence, self.files));
        self.files += 1;
        blocking(move || keys::write(&path, noted.into_iter().map(Ok)).map(drop)).await
    }

    /// Merges what was noted in this generation into one sorted file. Doing it again is the same.
    pub(super) async fn merge(&self) -> Result<()> {
        let (parts, merged) = (self.parts(), self.merged(self.number));
        blocking(move || {
            if merged.exists() {
                return Ok(());
            }
            keys::merge_folder(&parts, &merged)
        })
        .await
    }

    /// Compares this generation, merged, with the one before; none where there is no earlier one.
    pub(super) async fn compare(&self) -> Result<Option<Comparison>> {
        let Some(before) = self.before().await? else { return Ok(None) };
        let now = self.merged(self.number);
        blocking(move || {
            let mut gone = KeyReader::gone(&before, &now)?;
            let mut count = 0;
            while gone.next_key()?.is_some() {
                count += 1;
            }
            Ok(Some(Comparison { before: gone.seen_before(), gone: count }))
        })
        .await
    }

    /// The keys that are gone, in order, from behind `after` on, at most `limit`.
    pub(super) async fn gone(&self, after: Option<Vec<u8>>, limit: usize) -> Result<Vec<Vec<u8>>> {
        let Some(before) = self.before().await? else { return Ok(Vec::new()) };
        let now = self.merged(self.number);
        blocking(move || {
            let mut gone = KeyReader::gone(&before, &now)?;
            let mut keys = Vec::new();
            while keys.len() < limit {
                let Some(key) = gone.next_key()? else { break };
                if after.as_ref().is_none_or(|after| key > *after) {
                    keys.push(key);
                }
            }
            Ok(keys)
        })
        .await
    }

    /// Removes what is needed no more: everything of earlier generations, and the parts of this one.
    pub(super) async fn clean(&self) -> Result<()> {
        let (folder, number) = (self.folder.clone(), self.number);
        blocking(move || {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                let of =
                    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
                let Some(of) = of else { continue };
                if path.is_dir() && of <= number {
                    std::fs::remove_dir_all(&path)?;
                } else if of < number {
                    std::fs::remove_file(&path)?;
                }
                crash::point("keys.cleaned_one");
            }
            Ok(())
        })
        .await
    }

    fn parts(&self) -> PathBuf {
        self.folder.join(format!("{:010}", self.number))
    }

    fn merged(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:010}.keys"))
    }

    /// The merged file of the newest generation before this one.
    async fn before(&self) -> Result<Option<PathBuf>> {
        let (folder, number) = (self.folder.clone(), self.number);
        blocking(move || {
            let mut newest = None;
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                let is_merged = path.extension().is_some_and(|extension| extension == "keys");
                let of =
                    path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
                if let Some(of) = of.filter(|of| is_merged && *of < number) {
                    newest = newest.max(Some((of, path)));
                }
            }
            Ok(newest.map(|(_, path)| path))
        })
        .await
    }
}

/// A file name for any stream's name.
fn encode(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(crash::carry(work)).await;
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
        Error::permanent(
            "note keys",
            "the keys of the full read could not be written or read; the run stops here",
        )
        .with_source(source)
    };
    match done {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(error.into())),
        Err(error) => Err(failed(error.into())),
    }
}

#[cfg(test)]
mod tests;
