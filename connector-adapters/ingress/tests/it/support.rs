//! A journal on a disk that fails as told, and what tests say to it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use connector_bronze::Disk as _;
use connector_ingress::journal::{Disk, DiskFile, Entry, Journal, Limits, Remember};
use connector_sdk::{Result, SystemClock, Timestamp};
use connector_testkit::disk::MemoryDisk;

/// When events come, unless a test says otherwise.
pub(crate) const T0: i64 = 1_800_000_000_000;

#[expect(clippy::disallowed_methods, reason = "a test that hangs must end")]
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

/// The testkit's disk behind the journal's seam; counts syncs, and has a lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct TestDisk {
    pub(crate) memory: MemoryDisk,
    pub(crate) syncs: Arc<AtomicU64>,
    /// How large it says it is; 0: it does not say.
    pub(crate) size: Arc<AtomicU64>,
    locked: Arc<AtomicBool>,
}

struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

struct TestFile(Box<dyn connector_bronze::DiskFile>, Arc<AtomicU64>);

impl Write for TestFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl DiskFile for TestFile {
    fn sync(&mut self) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sync()
    }
}

impl TestDisk {
    /// Another disk with the same on it.
    pub(crate) fn fork(&self) -> Self {
        Self { memory: self.memory.fork(), ..Self::default() }
    }
}

impl Disk for TestDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.memory.create_dirs(dir)
    }
    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let was = self.locked.swap(true, Ordering::SeqCst);
        Ok((!was).then(|| Box::new(Held(Arc::clone(&self.locked))) as Box<dyn Send>))
    }
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(TestFile(self.memory.create(file)?, Arc::clone(&self.syncs))))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }
    fn remove(&self, file: &Path) -> io::Result<()> {
        self.memory.remove(file)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.memory.list(dir)?.into_iter().map(|entry| entry.name).collect())
    }
    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.memory.read(file, offset, length)
    }
    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(match self.size.load(Ordering::SeqCst) {
            0 => u64::MAX,
            size => size.saturating_sub(self.memory.used() as u64),
        })
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.memory.sync_dir(dir)
    }
}

/// Small, so that there are many segments.
pub(crate) fn small() -> Limits {
    Limits { max_size: 64 << 10, segment_size: 1 << 10, remember: Remember::default() }
}

pub(crate) async fn open_with(disk: &TestDisk, limits: Limits) -> Result<Journal> {
    let folder = PathBuf::from("/data/journal");
    bounded(Journal::open(Arc::new(disk.clone()), folder, limits, &SystemClock::new())).await
}

pub(crate) async fn open(disk: &TestDisk) -> Journal {
    let journal = open_with(disk, small()).await.unwrap();
    journal.take().await.unwrap();
    journal
}

pub(crate) fn event(number: u64) -> Entry {
    Entry {
        id: format!("Ev{number}"),
        received_at: Timestamp::from_millis(T0),
        head: Bytes::from_static(b"{}"),
        body: Bytes::from(format!("{{\"event_id\":\"Ev{number}\",\"text\":\"é🦌\"}}")),
    }
}

/// The ids of what is kept after a position, in order, once nothing more comes.
pub(crate) async fn kept_after(journal: &Journal, position: u64) -> Vec<String> {
    let mut reader = journal.read_after(position);
    let mut ids = Vec::new();
    while let Some(kept) = bounded(reader.next(7, 1 << 20)).await.unwrap() {
        for kept in kept {
            assert_eq!(kept.entry.body, event(kept.entry.id[2..].parse().unwrap()).body);
            ids.push(kept.entry.id);
        }
    }
    ids
}

pub(crate) fn ids(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("Ev{number}")).collect()
}
