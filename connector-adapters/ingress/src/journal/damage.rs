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
    entry::{FRAME, Frame, Place, begins_batch, decode, encode_lost, frame_len},
    segment::{self, Found, HEADER},
};

/// Positions that may be lost at once: those of a batch, and some.
const MOST: u64 = 4096;
/// Bytes that are hashed at most in search of what is whole: who writes a body that looks like frames must not be able to
/// make an opening last for hours.
const BUDGET: u64 = 4 << 30;
/// Bytes of the smallest frame.
const SMALLEST: usize = FRAME + 14;

/// What is made of a segment that cannot be read to its end.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Its end was torn off, and that is all.
    Torn,
    /// Nobody can say: there is too much in it that looks like a batch and is none.
    Unsure,
    /// It was damaged. These are its frames without that, without the header, and how many events were lost.
    Damaged(Vec<u8>, u64),
}

/// Looks into a segment that cannot be read from `found` on. `end`: the position after its last event, where a next
/// segment says that.
pub(super) fn examine(bytes: &Bytes, journal: u64, mut found: Found, end: Option<u64>) -> Verdict {
    let first = found.segment.first;
    let (mut frames, mut lost) = (Vec::new(), 0);
    let (mut start, mut budget) = (HEADER, BUDGET);
    loop {
        let broken = usize::try_from(found.segment.end).unwrap_or(usize::MAX);
        frames.extend_from_slice(bytes.get(start..broken).unwrap_or_default());
        let next = Place { journal, position: found.segment.next() };
        if end.is_some_and(|end| next.position >= end) {
            // What is behind it was never said to be durable.
            break;
        }
        let Some(batch) = next_batch(bytes, broken, next, &mut budget) else {
            if budget == 0 {
                return Verdict::Unsure;
            }
            for missing in next.position..end.unwrap_or(next.position) {
                encode_lost(Place { position: missing, ..next }, &mut frames);
                lost += 1;
            }
            break;
        };
        // Where its length is right still, the next event of the same batch follows.
        let (at, position) = follower(bytes, broken, next).filter(|(at, _)| *at < batch.0).unwrap_or(batch);
        for missing in next.position..position {
            encode_lost(Place { position: missing, ..next }, &mut frames);
        }
        lost += position - next.position;
        start = at;
        found = segment::scan_from(bytes, first, at, Place { position, ..next }, |_| ());
    }
    match lost {
        0 => Verdict::Torn,
        lost => Verdict::Damaged(frames, lost),
    }
}

/// Where the event after a damaged one begins, if it is whole.
fn follower(bytes: &Bytes, from: usize, lost: Place) -> Option<(usize, u64)> {
    let (at, place) = (from + frame_len(bytes, from)?, lost.after(1));
    matches!(decode(bytes, at, place), Frame::Whole(..) | Frame::Lost(_)).then_some((at, place.position))
}

/// Where the next batch begins, and with which position.
fn next_batch(bytes: &[u8], from: usize, next: Place, budget: &mut u64) -> Option<(usize, u64)> {
    (from + SMALLEST..bytes.len().saturating_sub(SMALLEST - 1)).find_map(|at| {
        let between = ((at - from) / SMALLEST) as u64;
        let positions = next.position + 1..next.position + 1 + between.min(MOST);
        let position = begins_batch(bytes, at, next.journal, positions, budget)?;
        Some((at, position))
    })
}
