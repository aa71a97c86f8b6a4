//! Reads what is durable, in order, and waits for more while more may come.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use connector_sdk::{Error, Result};
use tokio::sync::watch;

use super::{
    disk::Disk,
    entry::{Frame, Kept, Place, decode},
    segment::HEADER,
    store::Segments,
    writer::Standing,
};

/// Bytes that are read from the disk at once, at least.
const CHUNK: usize = 256 << 10;

/// Reads a journal. It holds one chunk of a segment in memory, and no file open in between.
#[derive(Debug)]
pub struct Reader {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folder: PathBuf,
    pub(super) segments: Segments,
    /// The journal's id.
    pub(super) journal: u64,
    pub(super) standing: watch::Receiver<Standing>,
    /// The next position to read.
    pub(super) next: u64,
    /// Where it stands: in the segment that begins there, at this byte.
    pub(super) place: Option<(u64, u64)>,
}

/// What was read at once: where the reader stands then, and the events.
type Read = (u64, (u64, u64), Vec<Kept>);

impl Reader {
    /// The next events, about as many as wished; none of them where damage has taken them. Waits for them; [`None`] when
    /// no more will come.
    ///
    /// # Errors
    /// Transient when the disk cannot be read, or the journal has failed and all before that was read; Permanent when
    /// what was durable is damaged.
    pub async fn next(&mut self, events: usize, bytes: usize) -> Result<Option<Vec<Kept>>> {
        let next = self.next;
        let is_there = |standing: &Standing| {
            standing.durable >= next || !standing.is_taking || standing.failed.is_some()
        };
        let waited = self.standing.wait_for(is_there).await.map(|standing| standing.clone());
        // An error: the writer is gone, and what is durable is all there is.
        let standing = waited.unwrap_or_else(|_| Standing::of_the_gone(&self.standing.borrow()));
        if standing.acknowledged >= self.next {
            // Whoever begins again after an acknowledgement must not find what happens to be there still.
            (self.next, self.place) = (standing.acknowledged + 1, None);
        }
        if standing.durable < self.next {
            return match standing.failed {
                Some(why) => Err(Error::transient("read journal", format!("the journal has failed: {why}"))),
                None => Ok(None),
            };
        }
        let wish = Wish {
            disk: Arc::clone(&self.disk),
            folder: self.folder.clone(),
            segments: self.segments.clone(),
            journal: self.journal,
            next: self.next,
            place: self.place,
            durable: standing.durable,
            events: events.max(1),
            bytes: bytes.max(1),
        };
        let read = tokio::task::spawn_blocking(move || wish.read());
        let (next, place, kept) = read
            .await
            .map_err(|error| Error::bug("read journal", "the reader has panicked").with_source(error))??;
        (self.next, self.place) = (next, Some(place));
        Ok(Some(kept))
    }
}

/// What a read is to bring.
struct Wish {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segments: Segments,
    journal: u64,
    next: u64,
    place: Option<(u64, u64)>,
    durable: u64,
    events: usize,
    bytes: usize,
}

impl Wish {
    fn read(mut self) -> Result<Read> {
        let lost = |what: &str, position: u64| {
            Error::permanent("read journal", what.to_owned()).with_context("position", position)
        };
        let Some(segment) = self.segments.holding(self.next) else {
            return Err(lost("the journal does not hold what it should", self.next));
        };
        if segment.first > self.next {
            // What the state names is gone, and was acknowledged before it went.
            self.next = segment.first;
        }
        let path = segment.path(&self.folder);
        let (mut position, mut at) = match self.place {
            Some((first, at)) if first == segment.first => (self.next, at),
            _ => (segment.first, HEADER as u64),
        };
        let last = self.durable.min(segment.next() - 1);
        let (mut kept, mut taken, mut chunk) = (Vec::new(), 0, CHUNK);
        while position <= last && kept.len() < self.events && taken < self.bytes {
            let bytes = Bytes::from(read(&*self.disk, &path, at, chunk)?);
            let (mut offset, before) = (0, position);
            while position <= last && kept.len() < self.events && taken < self.bytes {
                match decode(&bytes, offset, Place { journal: self.journal, position }) {
                    Frame::Whole(entry, length) => {
                        if position >= self.next {
                            taken += length;
                            kept.push(Kept { position, entry });
                        }
                        position += 1;
                        offset += length;
                    }
                    Frame::Lost(length) => {
                        position += 1;
                        offset += length;
                    }
                    Frame::Cut(needed) if bytes.len() == chunk => {
                        chunk = needed.max(CHUNK);
                        break;
                    }
                    _ => return Err(lost("an event of the journal is damaged", position)),
                }
            }
            at += offset as u64;
            if position == before && bytes.len() < chunk {
                return Err(lost("a segment of the journal is shorter than it was", position));
            }
        }
        Ok((position, (segment.first, at), kept))
    }
}

fn read(disk: &dyn Disk, path: &Path, at: u64, length: usize) -> Result<Vec<u8>> {
    let failed =
        |error: io::Error| Error::transient("read journal", "a segment cannot be read").with_source(error);
    disk.read(path, at, length).map_err(failed)
}
