//! The ids that have come, for as long as a sender may send them again: beyond the life of the segments that held them.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use connector_sdk::Timestamp;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{disk::Disk, segment::UNFINISHED};

/// Ends the names of files with ids.
const SUFFIX: &str = ".ids";
/// Bytes of an id in a file: the time, and its hash.
const ROW: usize = 24;
/// So many files of ids are made into one.
pub(super) const MANY: usize = 16;

/// How long, and how many, ids are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    /// How long: at least as long as the sender may send an event again.
    pub time: Duration,
    /// How many at most; of more the oldest are forgotten. One takes about 60 bytes of memory.
    pub count: usize,
}

impl Default for Remember {
    /// Three days, a million ids.
    fn default() -> Self {
        Self { time: Duration::from_secs(3 * 86_400), count: 1_000_000 }
    }
}

/// An id that has come, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) id: u128,
}

impl Seen {
    pub(super) fn new(id: &str, at: Timestamp) -> Self {
        Self { at, id: xxh3_128(id.as_bytes()) }
    }
}

/// Ids by their hash, the oldest first to go.
#[derive(Debug)]
pub(super) struct Remembered {
    limits: Remember,
    known: HashMap<u128, Timestamp>,
    order: VecDeque<Seen>,
}

impl Remembered {
    pub(super) fn new(limits: Remember) -> Self {
        Self { limits, known: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether this id has come before, and not too long ago.
    pub(super) fn has(&self, seen: Seen) -> bool {
        self.known.get(&seen.id).is_some_and(|at| seen.at.saturating_since(*at) <= self.limits.time)
    }

    /// Remembers an id, and forgets what is too old or too much.
    pub(super) fn add(&mut self, seen: Seen) {
        if self.known.insert(seen.id, seen.at) == Some(seen.at) {
            // A crash has left it in a segment, and in a file of ids.
            return;
        }
        self.order.push_back(seen);
        while let Some(oldest) = self.order.front().copied() {
            let is_old = seen.at.saturating_since(oldest.at) > self.limits.time;
            if !is_old && self.order.len() <= self.limits.count {
                break;
            }
            self.order.pop_front();
            // One that came again since is as young as when it came last.
            if self.known.get(&oldest.id) == Some(&oldest.at) {
                self.known.remove(&oldest.id);
            }
        }
    }
}

/// The ids of these files that are still remembered, the oldest first.
///
/// # Errors
/// `InvalidData` when one is damaged; otherwise as the disk says.
fn gather(disk: &dyn Disk, folder: &Path, firsts: &[u64], limits: Remember) -> io::Result<Vec<Seen>> {
    let mut all = Vec::new();
    for first in firsts {
        let Some(ids) = parse(&disk.read(&path(folder, *first), 0, usize::MAX)?) else {
            let why = format!("{first}{SUFFIX}: the ids that it had are damaged");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        all.extend(ids);
    }
    // What was put together stands behind what a crash has left of its parts, and holds them too.
    all.sort_unstable_by_key(|seen| (seen.at, seen.id));
    all.dedup();
    let Some(newest) = all.last().copied() else { return Ok(all) };
    let old = all.partition_point(|seen| newest.at.saturating_since(seen.at) > limits.time);
    all.drain(..old.max(all.len().saturating_sub(limits.count)));
    Ok(all)
}

/// Reads these files.
///
/// # Errors
/// As [`gather`].
pub(super) fn load(
    disk: &dyn Disk,
    folder: &Path,
    firsts: &[u64],
    limits: Remember,
) -> io::Result<Remembered> {
    let mut remembered = Remembered::new(limits);
    gather(disk, folder, firsts, limits)?.into_iter().for_each(|seen| remembered.add(seen));
    Ok(remembered)
}

/// Makes one of these files, which is what is still remembered of them.
///
/// # Errors
/// As [`gather`].
pub(super) fn put_together(
    disk: &dyn Disk,
    folder: &Path,
    firsts: &mut Vec<u64>,
    limits: Remember,
) -> io::Result<()> {
    let Some(newest) = firsts.last().copied() else { return Ok(()) };
    let ids = gather(disk, folder, firsts, limits)?;
    write(disk, folder, newest, &ids)?;
    while let [oldest, _, ..] = firsts.as_slice() {
        match disk.remove(&path(folder, *oldest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => drop(firsts.remove(0)),
        }
    }
    Ok(())
}

/// Where the ids of the segment that began with this position lie.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// The first position that a name tells of; none: it holds no ids.
pub(super) fn first_of(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Writes ids down, durably, in place of what the file held.
pub(super) fn write(disk: &dyn Disk, folder: &Path, first: u64, ids: &[Seen]) -> io::Result<()> {
    let path = path(folder, first);
    let unfinished = path.with_extension(format!("ids{UNFINISHED}"));
    match disk.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = Vec::with_capacity(8 + ids.len() * ROW);
    for seen in ids {
        bytes.extend_from_slice(&seen.at.as_millis().to_le_bytes());
        bytes.extend_from_slice(&seen.id.to_le_bytes());
    }
    let hash = xxh3_64(&bytes);
    bytes.extend_from_slice(&hash.to_le_bytes());
    let mut file = disk.create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync()?;
    disk.rename(&unfinished, &path)?;
    disk.sync_dir(folder)
}

/// Reads them again; none when the file is not what was written.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<Seen>> {
    let (rows, hash) = bytes.split_last_chunk::<8>()?;
    if xxh3_64(rows) != u64::from_le_bytes(*hash) || !rows.len().is_multiple_of(ROW) {
        return None;
    }
    let row = |row: &[u8]| {
        let (at, id) = row.split_first_chunk::<8>()?;
        let at = Timestamp::from_millis(i64::from_le_bytes(*at));
        Some(Seen { at, id: u128::from_le_bytes(id.try_into().ok()?) })
    };
    rows.chunks_exact(ROW).map(row).collect()
}
