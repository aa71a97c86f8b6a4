//! A Bronze in memory, which can be told to fail, and shows what it was given in which order.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use connector_sdk::{
    Class, Context, Emit, Error, Operation, PartitionId, Result, StreamId,
    contract::{Commit, DeadLetter, Files, Lease, Opening, Receipt, SequencedBatch},
    record::Tally,
};

/// A record as it stands in the memory sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The partition it came from.
    pub partition: PartitionId,
    /// Its epoch.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// Its number.
    pub sequence: u64,
    /// What it says about its key.
    pub operation: Operation,
    /// Its key's JSON text.
    pub key: String,
    /// Its JSON text.
    pub record: String,
}

/// An [`Emit`] that keeps everything in memory, fenced like a real one.
#[derive(Debug, Clone, Default)]
pub struct MemorySink(Arc<Mutex<BTreeMap<StreamId, Stream>>>, Arc<Mutex<Faults>>, MemoryFiles);

/// [`Files`] in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl MemoryFiles {
    /// What is kept, by its path.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<String, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Files for MemoryFiles {
    async fn keep(&self, sha256: [u8; 32], bytes: Bytes) -> Result<String> {
        let name: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("_files/{}/{name}", &name[..2]);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), bytes);
        Ok(path)
    }
}

#[derive(Debug, Default)]
struct Stream {
    fence: u64,
    commits: u64,
    last: BTreeMap<PartitionId, Commit>,
    standing: Vec<Standing>,
    letters: Vec<DeadLetter>,
    pending: Vec<(Standing, bool)>,
    pending_letters: Vec<DeadLetter>,
    /// Open, and nothing has failed since.
    usable: bool,
    commits_asked: u64,
}

/// What goes wrong next, each once.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// So many commits succeed, then one fails before anything is published.
    pub fail_commit_after: Option<u64>,
    /// So many commits succeed, then one is published and its answer is lost, as in a crash.
    pub lose_commit_answer_after: Option<u64>,
    /// So many batches are taken, then one is refused, as by a full disk.
    pub fail_emit_after: Option<u64>,
}

impl MemorySink {
    /// The files that records name.
    #[must_use]
    pub fn kept_files(&self) -> BTreeMap<String, Bytes> {
        self.2.kept()
    }

    /// Sets what goes wrong next.
    pub fn set_faults(&self, faults: Faults) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// The records of a stream, in the order they were published.
    #[must_use]
    pub fn records(&self, stream: &str) -> Vec<Standing> {
        self.lock().get(stream).map(|stream| stream.standing.clone()).unwrap_or_default()
    }

    /// The dead letters of a stream.
    #[must_use]
    pub fn dead_letters(&self, stream: &str) -> Vec<DeadLetter> {
        self.lock().get(stream).map(|stream| stream.letters.clone()).unwrap_or_default()
    }

    /// How many commits were asked for, those that were refused too.
    #[must_use]
    pub fn commits_asked(&self, stream: &str) -> u64 {
        self.lock().get(stream).map_or(0, |stream| stream.commits_asked)
    }

    /// How many commits the stream has seen.
    #[must_use]
    pub fn commits(&self, stream: &str) -> u64 {
        self.lock().get(stream).map_or(0, |stream| stream.commits)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strikes(&self, pick: impl FnOnce(&mut Faults) -> &mut Option<u64>) -> bool {
        let mut faults = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        let left = pick(&mut faults);
        match left {
            None => false,
            Some(0) => {
                *left = None;
                true
            }
            Some(n) => {
                *n -= 1;
                false
            }
        }
    }
}

impl Stream {
    fn check_usable(&self, operation: &'static str) -> Result<()> {
        if self.usable {
            return Ok(());
        }
        Err(Error::bug(operation, "the stream is not open, or an earlier call failed; open it anew"))
    }
}

fn disk_full() -> Error {
    Error::new(Class::Permanent, "emit", "no space left on device")
}

#[async_trait]
impl Emit for MemorySink {
    fn files(&self, _cx: &Context) -> Option<Arc<dyn Files>> {
        Some(Arc::new(self.2.clone()))
    }

    async fn open(&self, _cx: &Context, opening: Opening) -> Result<Vec<Commit>> {
        let mut streams = self.lock();
        let stream = streams.entry(opening.lease.stream.clone()).or_default();
        if stream.fence > opening.lease.fence {
            return Err(fenced(&opening.lease, stream.fence));
        }
        stream.fence = opening.lease.fence;
        stream.usable = true;
        stream.pending.clear();
        stream.pending_letters.clear();
        Ok(stream.last.values().cloned().collect())
    }

    async fn emit(&self, _cx: &Context, batch: SequencedBatch) -> Result<()> {
        let refused = self.strikes(|faults| &mut faults.fail_emit_after);
        let mut streams = self.lock();
        let stream = streams.entry(batch.batch.stream().clone()).or_default();
        stream.check_usable("emit")?;
        if refused {
            stream.usable = false;
            return Err(disk_full());
        }
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"null")).into_owned();
        for (index, record) in batch.batch.iter().enumerate() {
            let standing = Standing {
                partition: batch.partition.clone(),
                epoch: batch.epoch,
                generation: batch.generation,
                sequence: batch.first_sequence + index as u64,
                operation: record.operation,
                key: text(record.key),
                record: text(record.record),
            };
            stream.pending.push((standing, batch.covered));
        }
        Ok(())
    }

    async fn dead_letter(&self, _cx: &Context, stream: &StreamId, letter: DeadLetter) -> Result<()> {
        self.lock().entry(stream.clone()).or_default().pending_letters.push(letter);
        Ok(())
    }

    async fn discard(&self, _cx: &Context, stream: &StreamId, partition: &PartitionId) -> Result<()> {
        let mut streams = self.lock();
        let stream = streams.entry(stream.clone()).or_default();
        stream.pending.retain(|(record, covered)| *covered || record.partition != *partition);
        Ok(())
    }

    async fn commit(&self, _cx: &Context, lease: &Lease, commits: &[Commit]) -> Result<Receipt> {
        let refused = self.strikes(|faults| &mut faults.fail_commit_after);
        let lose_answer = !refused && self.strikes(|faults| &mut faults.lose_commit_answer_after);
        let mut streams = self.lock();
        let stream = streams.entry(lease.stream.clone()).or_default();
        stream.commits_asked += 1;
        stream.check_usable("commit")?;
        // As in Bronze: what has failed is not used again before it is opened anew.
        stream.usable = false;
        if refused {
            return Err(disk_full());
        }
        if stream.fence != lease.fence {
            return Err(fenced(lease, stream.fence));
        }
        for commit in commits {
            let mut tally = Tally::default();
            let of_partition =
                stream.pending.iter().filter(|(record, _)| record.partition == commit.partition);
            for (record, _) in of_partition {
                let body = |text: &str| if text == "null" { Vec::new() } else { text.as_bytes().to_vec() };
                tally.add(record.operation, &body(&record.key), &body(&record.record));
            }
            if tally != commit.tally {
                return Err(
                    Error::bug("commit", "the tallies differ").with_context("partition", &commit.partition)
                );
            }
        }
        let (published, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut stream.pending)
            .into_iter()
            .partition(|(record, _)| commits.iter().any(|commit| commit.partition == record.partition));
        stream.pending = kept;
        let receipt = Receipt {
            number: stream.commits + 1,
            records: published.len() as u64,
            dead_letters: stream.pending_letters.len() as u64,
            files: Vec::new(),
        };
        stream.commits += 1;
        stream.standing.extend(published.into_iter().map(|(record, _)| record));
        let letters = std::mem::take(&mut stream.pending_letters);
        stream.letters.extend(letters);
        for commit in commits {
            stream.last.insert(commit.partition.clone(), commit.clone());
        }
        if lose_answer {
            return Err(Error::transient("commit", "the answer was lost"));
        }
        stream.usable = true;
        Ok(receipt)
    }

    async fn close(&self, _cx: &Context, stream: &StreamId) -> Result<()> {
        let mut streams = self.lock();
        let stream = streams.entry(stream.clone()).or_default();
        stream.usable = false;
        stream.pending.clear();
        stream.pending_letters.clear();
        Ok(())
    }
}

fn fenced(lease: &Lease, current: u64) -> Error {
    Error::permanent("commit", "a newer owner has the stream")
        .with_context("fence", lease.fence)
        .with_context("current", current)
}
