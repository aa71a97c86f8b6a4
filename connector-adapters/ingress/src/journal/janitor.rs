//! Gives up segments that nobody needs any more, beside the thread that writes: nobody who waits for a sync waits for it.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    disk::Disk,
    remembered::{self, MANY, Remember, Seen},
    segment,
    store::Segments,
};

/// Give up what stands up to this position, and say so.
pub(super) type Job = (u64, oneshot::Sender<Result<(), String>>);

/// The one who removes.
pub(super) struct Janitor {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folder: PathBuf,
    pub(super) remember: Remember,
    pub(super) segments: Segments,
    /// The journal's id.
    pub(super) journal: u64,
    /// The files of ids, oldest first.
    pub(super) ids: Vec<u64>,
    /// Nobody else may have the journal open before this is done.
    pub(super) _lock: Arc<Mutex<Box<dyn Send>>>,
}

impl Janitor {
    /// Starts its thread, which ends when nobody gives it jobs any more.
    ///
    /// # Errors
    /// When the system has no thread.
    pub(super) fn start(mut self) -> io::Result<mpsc::Sender<Job>> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || {
            for (position, answer) in queue {
                let done = self.give_up(position).map_err(|error| error.to_string());
                let _ = answer.send(done);
            }
        };
        thread::Builder::new().name("journal-janitor".to_owned()).spawn(work)?;
        Ok(jobs)
    }

    /// Segments that hold nothing after the position go, their ids stay. Never the active one.
    fn give_up(&mut self, position: u64) -> io::Result<()> {
        loop {
            let oldest = {
                let segments = self.segments.get();
                let oldest = segments.first().copied().filter(|_| segments.len() > 1);
                oldest.filter(|oldest| oldest.next() <= position + 1)
            };
            let Some(oldest) = oldest else { return Ok(()) };
            let path = oldest.path(&self.folder);
            let bytes = Bytes::from(self.disk.read(&path, 0, usize::MAX)?);
            let mut ids = Vec::new();
            let found = segment::scan(&bytes, self.journal, oldest.first, |entry| {
                if !entry.id.is_empty() {
                    ids.push(Seen::new(&entry.id, entry.received_at, self.journal));
                }
            });
            if found.segment.end < oldest.end {
                let segment = oldest.first;
                tracing::error!(
                    segment,
                    "a segment was damaged after it was read: after a restart, events of it may be kept twice"
                );
            }
            // First the ids: a crash in between leaves both, which is no harm.
            remembered::write(&*self.disk, &self.folder, oldest.first, &ids)?;
            if self.ids.last() != Some(&oldest.first) {
                self.ids.push(oldest.first);
            }
            self.disk.remove(&path)?;
            self.segments.get().remove(0);
            if self.ids.len() > MANY {
                remembered::put_together(&*self.disk, &self.folder, &mut self.ids, self.remember)?;
            }
        }
    }
}
