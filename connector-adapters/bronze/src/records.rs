//! Reading back what is visible: for `connector records`, and for tests.

mod jsonl;
mod parquet;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use connector_sdk::{Error, Result};

use crate::{
    disk::{DirEntry, Disk},
    fault,
    layout::is_hidden,
};

/// Envelopes as lines of JSON, without line breaks. See [`crate::Bronze::records`].
///
/// An error says that a file, or the rest of it, cannot be read, and names it; the next item is the first
/// of the next file.
pub struct Records {
    disk: Arc<dyn Disk>,
    files: std::vec::IntoIter<PathBuf>,
    current: Option<Lines>,
    left: u64,
}

/// The lines of one file. Ends after an error.
type Lines = Box<dyn Iterator<Item = Result<String>> + Send>;

impl Records {
    pub(crate) fn new(disk: Arc<dyn Disk>, files: Vec<PathBuf>, limit: Option<u64>) -> Self {
        Self { disk, files: files.into_iter(), current: None, left: limit.unwrap_or(u64::MAX) }
    }

    fn open(&self, path: PathBuf) -> Result<Lines> {
        if path.extension().is_some_and(|extension| extension == "parquet") {
            Ok(Box::new(parquet::Rows::open(self.disk.clone(), path)?))
        } else {
            Ok(Box::new(jsonl::FileLines::new(self.disk.clone(), path)))
        }
    }
}

impl Iterator for Records {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        while self.left > 0 {
            match self.current.as_mut().and_then(Iterator::next) {
                Some(Ok(line)) => {
                    self.left -= 1;
                    return Some(Ok(line));
                }
                Some(Err(error)) => {
                    self.current = None;
                    return Some(Err(error));
                }
                None => {
                    let path = self.files.next()?;
                    match self.open(path) {
                        Ok(lines) => self.current = Some(lines),
                        Err(error) => return Some(Err(error)),
                    }
                }
            }
        }
        None
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("files", &self.files.len())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// Where the data of streams lies.
pub(crate) struct StreamFiles;

impl StreamFiles {
    /// The folders of a connection's streams, by name.
    pub(crate) fn folders(disk: &dyn Disk, connection: &Path) -> Result<Vec<PathBuf>> {
        let mut entries = list(disk, connection)?;
        entries.sort_unstable();
        Ok(entries
            .into_iter()
            .filter(|entry| entry.is_dir)
            .map(|entry| connection.join(entry.name))
            .collect())
    }

    /// The data files of a stream. By name, which begins with the number of the commit; so their order is
    /// right even where the clock went back and a later commit has an earlier day.
    pub(crate) fn list(disk: &dyn Disk, stream: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for day in list(disk, stream)?.into_iter().filter(|entry| entry.is_dir) {
            let dir = stream.join(&day.name);
            let data = list(disk, &dir)?.into_iter().filter(|file| !file.is_dir && is_data(&file.name));
            files.extend(data.map(|file| (file.name.clone(), dir.join(file.name))));
        }
        files.sort_unstable();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }
}

fn is_data(name: &str) -> bool {
    name.ends_with(".jsonl") || name.ends_with(".parquet")
}

/// What is in a folder and not hidden; nothing when it is not there.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<DirEntry>> {
    match disk.list(dir) {
        Ok(mut entries) => {
            entries.retain(|entry| !is_hidden(&entry.name));
            Ok(entries)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fault::disk("read bronze", dir, error)),
    }
}

/// A file that does not hold what its name says.
fn unreadable(path: &Path, what: impl fmt::Display) -> Error {
    Error::permanent("read bronze", format!("the file, or the rest of it, cannot be read: {what}"))
        .with_context("path", path.display())
}
