//! A segment: a file with a header, and frames after it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    disk::{Disk, DiskFile},
    entry::{Entry, Frame, Place, decode},
};

/// Ends the names of segments.
const SUFFIX: &str = ".segment";
/// Ends the names of files that are not whole yet.
pub(super) const UNFINISHED: &str = ".tmp";
/// What a segment begins with: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"cjrnl\0\0\x02";
/// Bytes of a header: magic, the journal's id, the first position, a hash of them.
pub(super) const HEADER: usize = 32;

/// A segment on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The position of its first event.
    pub(super) first: u64,
    /// How many events are durable in it.
    pub(super) count: u64,
    /// Where the last of them ends, in bytes.
    pub(super) end: u64,
}

impl Segment {
    /// The position after its last event.
    pub(super) fn next(&self) -> u64 {
        self.first + self.count
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        path(folder, self.first)
    }
}

/// Where the segment that begins with this position lies. Names sort as positions do.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}{SUFFIX}"))
}

/// The first position that a name tells of; none: it is no segment's.
pub(super) fn first_of(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Makes a segment with these frames in it. It is whole and durable before it has its name.
pub(super) fn create(
    disk: &dyn Disk,
    folder: &Path,
    journal: u64,
    first: u64,
    frames: &[u8],
) -> io::Result<Box<dyn DiskFile>> {
    let path = path(folder, first);
    let unfinished = path.with_extension(format!("segment{UNFINISHED}"));
    match disk.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = disk.create(&unfinished)?;
    file.write_all(&header(journal, first))?;
    file.write_all(frames)?;
    file.sync()?;
    disk.rename(&unfinished, &path)?;
    // The name is there, whatever this says: not to go on with it would leave a gap behind what is written elsewhere. So
    // this is never a full disk, which would be waited out.
    disk.sync_dir(folder).map_err(io::Error::other)?;
    Ok(file)
}

fn header(journal: u64, first: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut place = header.as_mut_slice();
    let mut put = |bytes: &[u8]| {
        // The places are as many as the header has bytes.
        let _ = place.write_all(bytes);
    };
    put(MAGIC);
    put(&journal.to_le_bytes());
    put(&first.to_le_bytes());
    let hash = xxh3_64(header.get(..24).unwrap_or_default());
    if let Some(place) = header.get_mut(24..) {
        place.copy_from_slice(&hash.to_le_bytes());
    }
    header
}

/// The journal that a segment belongs to; none: the header is no header, or that of another segment.
pub(super) fn journal_of(bytes: &[u8], first: u64) -> Option<u64> {
    let journal = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    (bytes.get(..HEADER)? == header(journal, first)).then_some(journal)
}

/// What was found in a segment.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) segment: Segment,
    /// Bytes after the last whole frame.
    pub(super) torn: u64,
}

/// Goes through a segment's frames, from the header to the first that is none.
pub(super) fn scan(bytes: &Bytes, journal: u64, first: u64, see: impl FnMut(&Entry)) -> Found {
    scan_from(bytes, first, HEADER, Place { journal, position: first }, see)
}

/// The same from this byte on, where the frame of this position is.
pub(super) fn scan_from(
    bytes: &Bytes,
    first: u64,
    mut at: usize,
    place: Place,
    mut see: impl FnMut(&Entry),
) -> Found {
    let mut segment = Segment { first, count: place.position - first, end: at as u64 };
    loop {
        at += match decode(bytes, at, Place { position: segment.next(), ..place }) {
            Frame::Whole(entry, length) => {
                see(&entry);
                length
            }
            Frame::Lost(length) => length,
            Frame::Cut(_) | Frame::Broken => break,
        };
        segment.count += 1;
        segment.end = at as u64;
    }
    Found { segment, torn: (bytes.len() as u64).saturating_sub(segment.end) }
}
