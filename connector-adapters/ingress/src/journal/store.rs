//! The journal on the disk, for one thread: opened, repaired, written to, synced, cut from the front.

use std::{
    collections::HashSet,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{
    JournalError, Limits,
    damage::{self, Verdict},
    disk::{Disk, DiskFile},
    entry::{Entry, Place},
    janitor::Janitor,
    remembered::{self, Remembered, Seen},
    segment::{self, HEADER, Segment, UNFINISHED},
};

/// The segments that are there, oldest first; shared with those who read.
#[derive(Debug, Clone, Default)]
pub(super) struct Segments(Arc<Mutex<Vec<Segment>>>);

impl Segments {
    pub(super) fn get(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The segment that holds this position; or the first one, where it is gone already.
    pub(super) fn holding(&self, position: u64) -> Option<Segment> {
        self.get().iter().find(|segment| position < segment.next()).copied()
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is durable, at this position.
    Kept(u64),
    /// It has come before, and is durable since then.
    Known,
}

/// The journal on the disk.
pub(super) struct Store {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    limits: Limits,
    /// Tells this journal from another one in the same folder.
    id: u64,
    segments: Segments,
    active: Box<dyn DiskFile>,
    remembered: Remembered,
    /// Bytes after the active segment's last durable frame are of a write that failed.
    is_torn: bool,
    /// A sync has failed: what the file holds is known to nobody any more.
    failed: Option<String>,
    /// Up to here the reader has what it wants.
    acknowledged: u64,
    /// The files of ids that there were on opening.
    ids: Vec<u64>,
    lock: Arc<Mutex<Box<dyn Send>>>,
}

impl Store {
    /// Opens what is there, and repairs it. None: another process has it open.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        limits: Limits,
        new_id: u64,
    ) -> io::Result<Option<Self>> {
        disk.create_dirs(&folder)?;
        let Some(lock) = disk.lock(&folder.join("lock"))? else { return Ok(None) };
        let mut names = disk.list(&folder)?;
        for unfinished in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
            disk.remove(&folder.join(unfinished))?;
        }
        names.sort_unstable();
        let firsts: Vec<u64> = names.iter().filter_map(|name| segment::first_of(name)).collect();
        let mut ids: Vec<u64> = names.iter().filter_map(|name| remembered::first_of(name)).collect();
        let mut remembered = remembered::load(&*disk, &folder, &mut ids, limits.remember)?;
        let mut segments: Vec<Segment> = Vec::new();
        let mut id = None;
        for (index, first) in firsts.iter().copied().enumerate() {
            let mut bytes = Bytes::from(disk.read(&segment::path(&folder, first), 0, usize::MAX)?);
            let journal = segment::journal_of(&bytes, first)
                .filter(|journal| id.is_none_or(|id| id == *journal))
                .ok_or_else(|| damaged(first, "its header is damaged, or another journal's"))?;
            id = Some(journal);
            if segments.last().is_some_and(|before: &Segment| before.next() != first) {
                return Err(damaged(first, "the segment before it is missing, or damaged"));
            }
            let next = firsts.get(index + 1).copied();
            if segment::scan(&bytes, journal, first, |_| ()).torn > 0 {
                bytes = without_damage(&*disk, &folder, journal, first, next, bytes)?;
            }
            let found = segment::scan(&bytes, journal, first, |entry| {
                if !entry.id.is_empty() {
                    remembered.add(Seen::new(&entry.id, entry.received_at, journal));
                }
            });
            let is_last = next.is_none();
            if found.torn > 0 && is_last {
                tracing::warn!(
                    folder = %folder.display(), segment = first, bytes = found.torn, kept = found.segment.count,
                    "the end of the journal was torn off by a crash, and is cut; nothing of it was acknowledged"
                );
            }
            if is_last && found.segment.count > 0 {
                // Written again, because nobody knows what of it the last life has synced: what is read from a cache
                // may never have been written.
                let end = usize::try_from(found.segment.end).unwrap_or(usize::MAX);
                let frames = bytes.get(HEADER..end).unwrap_or_default();
                drop(segment::create(&*disk, &folder, journal, first, frames)?);
            }
            if found.segment.count > 0 {
                segments.push(found.segment);
            }
        }
        let id = id.unwrap_or(new_id);
        let first = segments.last().map_or_else(|| firsts.last().copied().unwrap_or(1), Segment::next);
        let active = segment::create(&*disk, &folder, id, first, &[])?;
        segments.push(Segment { first, count: 0, end: HEADER as u64 });
        let segments = Segments(Arc::new(Mutex::new(segments)));
        Ok(Some(Self {
            disk,
            folder,
            limits,
            id,
            segments,
            active,
            remembered,
            is_torn: false,
            failed: None,
            acknowledged: 0,
            ids,
            lock: Arc::new(Mutex::new(lock)),
        }))
    }

    /// Who gives up segments, beside the one who writes.
    pub(super) fn janitor(&self) -> Janitor {
        Janitor {
            disk: Arc::clone(&self.disk),
            folder: self.folder.clone(),
            remember: self.limits.remember,
            segments: self.segments(),
            journal: self.id,
            ids: self.ids.clone(),
            _lock: Arc::clone(&self.lock),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn segments(&self) -> Segments {
        self.segments.clone()
    }

    /// The last durable position; 0: none ever.
    pub(super) fn durable(&self) -> u64 {
        self.segments.get().last().map_or(0, |segment| segment.next() - 1)
    }

    /// Why nothing is taken any more.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Makes these durable with one write and one sync. What became of each is in their order.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Vec<Result<Appended, JournalError>> {
        let all = |error: &JournalError| entries.iter().map(|_| Err(error.clone())).collect();
        if let Some(why) = &self.failed {
            return all(&JournalError::Failed(why.clone()));
        }
        let free = self.disk.free(&self.folder).unwrap_or(u64::MAX);
        if self.is_torn && free < self.active().end {
            // It has to be written again for that.
            return all(&JournalError::Full);
        }
        if self.is_torn
            && let Err(error) = self.mend()
        {
            return all(&self.broke(&error));
        }
        let (mut frames, mut outcomes, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        let mut in_batch = HashSet::new();
        let mut next = self.durable() + 1;
        let size = self.size();
        let mut room = self.limits.max_size.saturating_sub(size).min(room_on(free, size));
        for entry in entries {
            let seen = Seen::new(&entry.id, entry.received_at, self.id);
            let length = entry.frame_len() as u64;
            let outcome = if !entry.fits() {
                Err(JournalError::TooLarge)
            } else if !entry.id.is_empty() && (in_batch.contains(&seen.id) || self.remembered.has(seen)) {
                Ok(Appended::Known)
            } else if length > room {
                Err(JournalError::Full)
            } else {
                room -= length;
                let place = Place { journal: self.id, position: next };
                entry.encode(place, frames.is_empty(), &mut frames);
                if !entry.id.is_empty() {
                    in_batch.insert(seen.id);
                    fresh.push(seen);
                }
                next += 1;
                Ok(Appended::Kept(next - 1))
            };
            outcomes.push(outcome);
        }
        if frames.is_empty() {
            return outcomes;
        }
        if let Err(error) = self.active.write_all(&frames) {
            self.is_torn = true;
            return all(&self.broke(&error));
        }
        if let Err(error) = self.active.sync() {
            return all(&self.fail(&error));
        }
        fresh.into_iter().for_each(|seen| self.remembered.add(seen));
        if let Some(active) = self.segments.get().last_mut() {
            active.count = next - active.first;
            active.end += frames.len() as u64;
        }
        if self.active().end >= self.limits.segment_size {
            self.rotate();
        }
        outcomes
    }

    /// The reader has what stands up to here. What of it is in the active segment is given up with that.
    pub(super) fn acknowledge(&mut self, position: u64) {
        self.acknowledged = self.acknowledged.max(position.min(self.durable()));
        let active = self.active();
        // What a write that failed has left behind it must not stand in a segment that another one follows.
        if active.count > 0
            && active.next() <= self.acknowledged + 1
            && active.end >= self.limits.worth_freeing()
            && (!self.is_torn || self.is_mended())
        {
            self.rotate();
        }
    }

    /// Whether something that was acknowledged is still there, which was not given up when it should have been.
    pub(super) fn is_behind(&self) -> bool {
        let segments = self.segments.get();
        let is_done = |segment: &Segment| segment.count > 0 && segment.next() <= self.acknowledged + 1;
        segments.first().is_some_and(is_done)
    }

    /// Mends what a write that failed has left; false: it cannot be mended now.
    fn is_mended(&mut self) -> bool {
        match self.mend() {
            Ok(()) => true,
            Err(error) => {
                self.broke(&error);
                false
            }
        }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    fn active(&self) -> Segment {
        self.segments.get().last().copied().unwrap_or(Segment { first: 1, count: 0, end: 0 })
    }

    fn size(&self) -> u64 {
        self.segments.get().iter().map(|segment| segment.end).sum()
    }

    /// Goes on in a new segment. Where there is no room for one, the old one grows on.
    fn rotate(&mut self) {
        let first = self.active().next();
        match segment::create(&*self.disk, &self.folder, self.id, first, &[]) {
            Ok(file) => {
                self.active = file;
                self.segments.get().push(Segment { first, count: 0, end: HEADER as u64 });
            }
            Err(error) if is_full(&error) => {
                tracing::warn!(%error, "no room for a new segment of the journal")
            }
            Err(error) => {
                self.fail(&error);
            }
        }
    }

    /// Writes the active segment again without the bytes of a write that failed, and goes on in a new one.
    fn mend(&mut self) -> io::Result<()> {
        let active = self.active();
        let length = usize::try_from(active.end).unwrap_or(usize::MAX);
        let bytes = self.disk.read(&active.path(&self.folder), 0, length)?;
        let frames = bytes.get(HEADER..).unwrap_or_default();
        self.active = segment::create(&*self.disk, &self.folder, self.id, active.first, frames)?;
        self.is_torn = false;
        Ok(())
    }

    /// A full disk may have room again; anything else is the end.
    fn broke(&mut self, error: &io::Error) -> JournalError {
        if is_full(error) {
            tracing::warn!(%error, "the disk of the journal is full");
            return JournalError::Full;
        }
        self.fail(error)
    }

    fn fail(&mut self, error: &io::Error) -> JournalError {
        let why = self.failed.get_or_insert_with(|| error.to_string()).clone();
        tracing::error!(error = why, folder = %self.folder.display(), "the journal has failed, and takes nothing any more");
        JournalError::Failed(why)
    }
}

/// Bytes that are left on the disk at most, whatever the journal's size.
const WAY_OUT: u64 = 128 << 20;

/// How many times its own size a journal leaves free: in Bronze it is about three times as large, and its ids stay.
const TIMES: u64 = 4;

/// How much more may be written, so that what is in the journal has room on the same disk to leave it; a commit of Bronze is
/// 64 MiB. A journal that fills the disk could never be emptied again.
fn room_on(free: u64, size: u64) -> u64 {
    // Each byte that is written is one less, and needs as many times itself.
    let careful = free.saturating_sub(size.saturating_mul(TIMES)) / (TIMES + 1);
    careful.max(free.saturating_sub(WAY_OUT))
}

/// Whether it may work again without anybody's doing.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// A segment that cannot be read to its end, without what damage has made of it: that is said, and kept beside it for a
/// person. One whose end was torn off is as it was.
fn without_damage(
    disk: &dyn Disk,
    folder: &Path,
    journal: u64,
    first: u64,
    next: Option<u64>,
    bytes: Bytes,
) -> io::Result<Bytes> {
    let found = segment::scan(&bytes, journal, first, |_| ());
    let verdict = damage::examine(&bytes, journal, found, next);
    if matches!(verdict, Verdict::Torn) {
        return Ok(bytes);
    }
    let aside = segment::path(folder, first).with_extension("segment.damaged");
    match disk.remove(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = disk.create(&aside)?;
    file.write_all(&bytes)?;
    file.sync()?;
    disk.sync_dir(folder)?;
    let (folder_shown, kept) = (folder.display(), aside.display());
    let Verdict::Damaged(frames, lost) = verdict else {
        tracing::error!(
            folder = %folder_shown, segment = first, %kept,
            "the end of the journal cannot be read, and perhaps was acknowledged: it is cut, and kept aside"
        );
        return Ok(bytes);
    };
    tracing::error!(
        folder = %folder_shown, segment = first, lost, %kept,
        "the journal was damaged: events that were acknowledged to their senders cannot be read; all others are kept"
    );
    drop(segment::create(disk, folder, journal, first, &frames)?);
    let header = bytes.slice(..HEADER.min(bytes.len()));
    Ok([&header[..], &frames].concat().into())
}

fn damaged(segment: u64, what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("segment {segment}: {what}"))
}
