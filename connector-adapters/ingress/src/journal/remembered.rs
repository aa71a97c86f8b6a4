//! The ids that have come, for as long as a sender may send them again: beyond the life of the segments that held them.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use connector_sdk::Timestamp;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

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
    /// How many at most; of more the oldest are forgotten. One takes about 90 bytes of memory.
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
    /// An id of this journal. What stands before its first line break is the group that it belongs to.
    pub(super) fn new(id: &str, at: Timestamp, journal: u64) -> Self {
        let group = id.split_once('\n').map_or("", |(group, _)| group);
        // The journal's id is known to no sender: nobody can choose two ids that look the same.
        let group = xxh3_64_with_seed(group.as_bytes(), journal) >> 32;
        let id = xxh3_128_with_seed(id.as_bytes(), journal);
        Self { at, id: u128::from(group) << 96 | id >> 32 }
    }

    fn group(self) -> u128 {
        self.id >> 96
    }
}

/// Ids by their hash. Of too many the oldest go, of the group that has most: one sender cannot have those of another
/// forgotten.
///
/// How old an id is, is judged when it comes again, and by nothing else: a clock that is wrong for a moment makes nothing
/// be forgotten.
#[derive(Debug)]
pub(super) struct Remembered {
    limits: Remember,
    known: HashMap<u128, Timestamp>,
    order: HashMap<u128, VecDeque<Seen>>,
    total: usize,
    /// Ids that were forgotten before their time, since that was said.
    early: u64,
    said_at: Option<Timestamp>,
}

/// It is said once in this time that ids are forgotten too early.
const SAID_EVERY: Duration = Duration::from_secs(60);

impl Remembered {
    pub(super) fn new(limits: Remember) -> Self {
        let (known, order) = (HashMap::new(), HashMap::new());
        Self { limits, known, order, total: 0, early: 0, said_at: None }
    }

    /// Whether this id has come before, and not too long ago.
    pub(super) fn has(&self, seen: Seen) -> bool {
        self.known.get(&seen.id).is_some_and(|at| seen.at.saturating_since(*at) <= self.limits.time)
    }

    /// Remembers an id, and forgets what is too much.
    pub(super) fn add(&mut self, seen: Seen) {
        if self.known.insert(seen.id, seen.at) == Some(seen.at) {
            // A crash has left it in a segment, and in a file of ids.
            return;
        }
        self.order.entry(seen.group()).or_default().push_back(seen);
        self.total += 1;
        while self.total > self.limits.count.max(1) {
            self.forget(seen.at);
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let Some(most) = self.order.values_mut().max_by_key(|group| group.len()) else { return };
        let Some(oldest) = most.pop_front() else { return };
        self.total -= 1;
        // One that came again since is as young as when it came last.
        if self.known.get(&oldest.id) != Some(&oldest.at) {
            return;
        }
        self.known.remove(&oldest.id);
        if now.saturating_since(oldest.at) > self.limits.time {
            return;
        }
        self.early += 1;
        if self.said_at.is_none_or(|at| now.saturating_since(at) >= SAID_EVERY) {
            let (forgotten, count) = (self.early, self.limits.count);
            tracing::warn!(
                forgotten,
                count,
                "more events come than can be remembered for as long as they should be: one that comes again may be kept twice"
            );
            (self.early, self.said_at) = (0, Some(now));
        }
    }

    /// All that are remembered, the oldest first.
    fn all(&self) -> Vec<Seen> {
        let mut all: Vec<Seen> = self.order.values().flatten().copied().collect();
        all.sort_unstable_by_key(|seen| (seen.at, seen.id));
        all
    }
}

/// Reads these files. One that is damaged is laid aside, and said: what it knew may come twice, which is less than what
/// would be lost if nothing were taken.
///
/// # Errors
/// As the disk says.
pub(super) fn load(
    disk: &dyn Disk,
    folder: &Path,
    firsts: &mut Vec<u64>,
    limits: Remember,
) -> io::Result<Remembered> {
    let mut all = Vec::new();
    let mut damaged = Vec::new();
    for first in firsts.iter().copied() {
        let path = path(folder, first);
        match parse(&disk.read(&path, 0, usize::MAX)?) {
            Some(ids) => all.extend(ids),
            None => {
                let aside = path.with_extension("ids.damaged");
                disk.rename(&path, &aside)?;
                tracing::error!(file = %aside.display(), "ids of events that have come cannot be read any more: such an event may be kept twice");
                damaged.push(first);
            }
        }
    }
    firsts.retain(|first| !damaged.contains(first));
    // What was put together stands behind what a crash has left of its parts, and holds them too.
    all.sort_unstable_by_key(|seen| (seen.at, seen.id));
    all.dedup();
    let mut remembered = Remembered::new(limits);
    all.into_iter().for_each(|seen| remembered.add(seen));
    Ok(remembered)
}

/// Makes one of these files, which is what is still remembered of them.
///
/// # Errors
/// As [`load`].
pub(super) fn put_together(
    disk: &dyn Disk,
    folder: &Path,
    firsts: &mut Vec<u64>,
    limits: Remember,
) -> io::Result<()> {
    let ids = load(disk, folder, firsts, limits)?.all();
    let Some(newest) = firsts.last().copied() else { return Ok(()) };
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
