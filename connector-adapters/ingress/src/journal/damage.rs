//! Damage in the last segment. A crash tears off the end, of which nothing was acknowledged; damage takes what was.
//!
//! ```text
//! [a b c] [d e] [f g]     batches: each was synced before the next one was written
//! [a b c] [d ?] …         torn: nobody has heard of d and e, and the segment is cut there
//! [a ? c] [d e] [f g]     damaged: d could only be written when a, b and c were durable
//! ```
//!
//! So a batch that begins after the place that cannot be read tells damage from a torn end. What is whole on both sides
//! is kept, in its position; the lost ones leave a mark that stands for them, so that no state points elsewhere.

use bytes::Bytes;

use super::{
    entry::{FRAME, Frame, begins_batch, decode, encode_lost, frame_len},
    segment::{self, Found, HEADER},
};

/// Positions that may be lost at once: those of a batch, and some.
const MOST: u64 = 4096;
/// Bytes that are hashed at most in search of what is whole: who writes a body that looks like frames must not be able to
/// make an opening last for hours.
const BUDGET: u64 = 4 << 30;
/// Bytes of the smallest frame.
const SMALLEST: usize = FRAME + 14;

/// A segment as it is after the repair.
#[derive(Debug)]
pub(super) struct Repaired {
    /// Its frames, without the header.
    pub(super) frames: Vec<u8>,
    /// How many events were lost.
    pub(super) lost: u64,
}

/// Keeps what is whole of a segment that cannot be read from `found` on. None: its end was torn off, and that is all.
pub(super) fn repair(bytes: &Bytes, first: u64, mut found: Found) -> Option<Repaired> {
    let mut repaired = Repaired { frames: Vec::new(), lost: 0 };
    let (mut start, mut budget) = (HEADER, BUDGET);
    loop {
        let end = usize::try_from(found.segment.end).unwrap_or(usize::MAX);
        repaired.frames.extend_from_slice(bytes.get(start..end).unwrap_or_default());
        let next = found.segment.next();
        let Some(batch) = next_batch(bytes, end, next, &mut budget) else {
            return (repaired.lost > 0).then_some(repaired);
        };
        // Where its length is right still, the next event of the same batch follows.
        let (at, position) = follower(bytes, end, next).filter(|(at, _)| *at < batch.0).unwrap_or(batch);
        for lost in next..position {
            encode_lost(lost, &mut repaired.frames);
        }
        repaired.lost += position - next;
        start = at;
        found = segment::scan_from(bytes, first, at, position, |_| ());
    }
}

/// Where the event after a damaged one begins, if it is whole.
fn follower(bytes: &Bytes, from: usize, lost: u64) -> Option<(usize, u64)> {
    let at = from + frame_len(bytes, from)?;
    matches!(decode(bytes, at, lost + 1), Frame::Whole(..) | Frame::Lost(_)).then_some((at, lost + 1))
}

/// Where the next batch begins, and with which position.
fn next_batch(bytes: &[u8], from: usize, next: u64, budget: &mut u64) -> Option<(usize, u64)> {
    (from + SMALLEST..bytes.len().saturating_sub(SMALLEST - 1)).find_map(|at| {
        let between = ((at - from) / SMALLEST) as u64;
        let position = begins_batch(bytes, at, next + 1..next + 1 + between.min(MOST), budget)?;
        Some((at, position))
    })
}
