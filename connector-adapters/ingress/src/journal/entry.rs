//! What a journal keeps, and how it stands in a segment.

use std::ops::Range;

use bytes::Bytes;
use connector_sdk::Timestamp;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes before the payload: its length with two marks, and its hash.
pub(super) const FRAME: usize = 12;
/// Marks the length of a frame that begins a batch: what stands before it was synced before it was written.
const BEGINS: u32 = 1 << 31;
/// Marks the length of a frame that stands for an event which was lost to damage.
const LOST: u32 = 1 << 30;
/// Bytes of a payload that holds nothing: the time, two lengths.
const LEAST: usize = 14;
/// The largest payload, in bytes.
pub(super) const LARGEST: usize = 256 << 20;

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is told apart by; empty: by nothing, and it is kept each time it comes. At most 65,535 bytes.
    pub id: String,
    /// When it came.
    pub received_at: Timestamp,
    /// What the receiver wants to know of it beside its body, in a form of its own.
    pub head: Bytes,
    /// The body, unchanged.
    pub body: Bytes,
}

/// An event that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the journal, counted from 1.
    pub position: u64,
    /// The event.
    pub entry: Entry,
}

impl Entry {
    /// How many bytes it takes in a segment.
    pub(super) fn frame_len(&self) -> usize {
        FRAME + LEAST + self.id.len() + self.head.len() + self.body.len()
    }

    /// Whether it can be kept at all.
    pub(super) fn fits(&self) -> bool {
        self.frame_len() <= LARGEST && u16::try_from(self.id.len()).is_ok()
    }

    /// Appends its frame. The position is part of the hash, so that a frame in another's place is none.
    pub(super) fn encode(&self, place: Place, begins_batch: bool, out: &mut Vec<u8>) {
        self.encode_marked(place, if begins_batch { BEGINS } else { 0 }, out);
    }

    fn encode_marked(&self, place: Place, marks: u32, out: &mut Vec<u8>) {
        let start = out.len();
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        out.extend_from_slice(&(number(self.frame_len() - FRAME) | marks).to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.received_at.as_millis().to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.id.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&number(self.head.len()).to_le_bytes());
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&self.body);
        let hash = xxh3_64_with_seed(out.get(start + FRAME..).unwrap_or_default(), place.seed(marks));
        if let Some(place) = out.get_mut(start + 4..start + FRAME) {
            place.copy_from_slice(&hash.to_le_bytes());
        }
    }
}

/// Appends a frame that stands for an event which was lost.
pub(super) fn encode_lost(place: Place, out: &mut Vec<u8>) {
    let nothing = Entry {
        id: String::new(),
        received_at: Timestamp::from_millis(0),
        head: Bytes::new(),
        body: Bytes::new(),
    };
    nothing.encode_marked(place, LOST, out);
}

/// Where a frame is: in which journal, and at which position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The journal's id, which no sender knows: a body that looks like frames is none.
    pub(super) journal: u64,
    pub(super) position: u64,
}

impl Place {
    /// What the hash of a frame begins with. A mark is part of it too; positions are never that large.
    fn seed(self, marks: u32) -> u64 {
        self.journal ^ (self.position | u64::from(marks) << 32)
    }

    /// So many positions on.
    pub(super) fn after(self, count: u64) -> Self {
        Self { position: self.position + count, ..self }
    }
}

/// The position of the frame that begins a batch at `at`, if it is whole, and one of `positions`. Bytes that are hashed for
/// that are taken from `budget`; when it is used up, nothing is found any more.
pub(super) fn begins_batch(
    bytes: &[u8],
    at: usize,
    journal: u64,
    mut positions: Range<u64>,
    budget: &mut u64,
) -> Option<u64> {
    let (length, after) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let marked = u32::from_le_bytes(*length);
    let length = (marked & !BEGINS) as usize;
    if marked & BEGINS == 0 || !(LEAST..=LARGEST).contains(&length) {
        return None;
    }
    let (hash, after) = after.split_first_chunk::<8>()?;
    let (payload, hash) = (after.get(..length)?, u64::from_le_bytes(*hash));
    positions.find(|position| {
        let is_affordable = *budget > length as u64;
        *budget = budget.saturating_sub(length as u64);
        is_affordable
            && xxh3_64_with_seed(payload, Place { journal, position: *position }.seed(BEGINS)) == hash
    })
}

/// How long the frame at `at` says that it is.
pub(super) fn frame_len(bytes: &[u8], at: usize) -> Option<usize> {
    let (length, _) = bytes.get(at..)?.split_first_chunk::<4>()?;
    Some(FRAME + (u32::from_le_bytes(*length) & !(BEGINS | LOST)) as usize)
}

/// What stands at the beginning of some bytes of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// An event, which takes so many bytes.
    Whole(Entry, usize),
    /// In place of an event that was lost to damage; it takes so many bytes.
    Lost(usize),
    /// As much of a frame as there is: so many bytes would be needed to see all of it.
    Cut(usize),
    /// No frame.
    Broken,
}

/// Looks at the frame that begins at `at`.
pub(super) fn decode(bytes: &Bytes, at: usize, place: Place) -> Frame {
    let left = bytes.get(at..).unwrap_or_default();
    let Some((length, after)) = left.split_first_chunk::<4>() else { return Frame::Cut(FRAME) };
    let marked = u32::from_le_bytes(*length);
    let marks = marked & (BEGINS | LOST);
    let length = (marked & !marks) as usize;
    if !(LEAST..=LARGEST).contains(&length) {
        return Frame::Broken;
    }
    let Some((hash, after)) = after.split_first_chunk::<8>() else { return Frame::Cut(FRAME + length) };
    let Some(payload) = after.get(..length) else { return Frame::Cut(FRAME + length) };
    if xxh3_64_with_seed(payload, place.seed(marks)) != u64::from_le_bytes(*hash) {
        return Frame::Broken;
    }
    if marks & LOST != 0 {
        return Frame::Lost(FRAME + length);
    }
    let start = at + FRAME;
    match parts(bytes, start, start + length) {
        Some(entry) => Frame::Whole(entry, FRAME + length),
        None => Frame::Broken,
    }
}

fn parts(bytes: &Bytes, start: usize, end: usize) -> Option<Entry> {
    let payload = bytes.get(start..end)?;
    let (millis, rest) = payload.split_first_chunk::<8>()?;
    let (id_len, rest) = rest.split_first_chunk::<2>()?;
    let id_len = usize::from(u16::from_le_bytes(*id_len));
    let id = std::str::from_utf8(rest.get(..id_len)?).ok()?.to_owned();
    let (head_len, rest) = rest.get(id_len..)?.split_first_chunk::<4>()?;
    let head_len = u32::from_le_bytes(*head_len) as usize;
    rest.get(..head_len)?;
    let head = end - rest.len();
    Some(Entry {
        id,
        received_at: Timestamp::from_millis(i64::from_le_bytes(*millis)),
        head: bytes.slice(head..head + head_len),
        body: bytes.slice(head + head_len..end),
    })
}
