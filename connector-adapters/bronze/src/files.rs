//! Files beside the streams, named by their content: `_files/ab/abcd….`

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use connector_sdk::{Error, Result, contract::Files};

use crate::{Disk, fault};

/// The folder, in the connection's.
const FOLDER: &str = "_files";
const OPERATION: &str = "keep file";

/// Where the files of one connection are kept.
#[derive(Debug)]
pub(crate) struct BronzeFiles {
    disk: Arc<dyn Disk>,
    connection: PathBuf,
}

impl BronzeFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, connection: PathBuf) -> Self {
        Self { disk, connection }
    }
}

#[async_trait]
impl Files for BronzeFiles {
    async fn keep(&self, sha256: [u8; 32], bytes: Bytes) -> Result<String> {
        let name: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let relative = format!("{FOLDER}/{}/{name}", name.get(..2).unwrap_or_default());
        let (disk, path) = (Arc::clone(&self.disk), self.connection.join(&relative));
        let kept = tokio::task::spawn_blocking(move || {
            keep(&*disk, &path, &bytes).map_err(|error| fault::disk(OPERATION, &path, error))
        });
        kept.await.map_err(|error| Error::bug(OPERATION, "the writer broke down").with_source(error))??;
        Ok(relative)
    }
}

/// The file has its name only when it is whole and synced; two who write the same file at once do each other no harm.
fn keep(disk: &dyn Disk, path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Err(ErrorKind::InvalidFilename.into()) };
    match disk.size(path) {
        Ok(size) if size == bytes.len() as u64 => return disk.sync_dir(folder),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    disk.create_dirs(folder)?;
    let mut unfinished = path.to_owned();
    let mut made = None;
    // One of an earlier life may be in the way, or one that is being written beside us.
    for attempt in 0..16 {
        unfinished.set_extension(format!("{}-{attempt}.tmp", std::process::id()));
        match disk.create(&unfinished) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            file => {
                made = Some(file?);
                break;
            }
        }
    }
    let Some(mut file) = made else { return Err(ErrorKind::AlreadyExists.into()) };
    let written = file.write_all(bytes).and_then(|()| file.sync());
    drop(file);
    let kept = written.and_then(|()| disk.rename(&unfinished, path));
    if kept.is_err() {
        // What is left of it takes room; why it failed is the news.
        let _ = disk.remove(&unfinished);
    }
    kept?;
    disk.sync_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    #[tokio::test]
    async fn a_file_is_kept_once_under_the_name_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let files = BronzeFiles::new(Arc::new(RealDisk), folder.path().join("acme/crm"));
        let (one, other) = ([0xab; 32], [0xcd; 32]);
        let path = files.keep(one, Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(path, format!("_files/ab/{}", "ab".repeat(32)));
        let place = folder.path().join("acme/crm");
        assert_eq!(std::fs::read(place.join(&path)).unwrap(), b"hello");
        assert_eq!(files.keep(one, Bytes::from_static(b"hello")).await.unwrap(), path);
        let keep = || files.keep(other, Bytes::from_static(b""));
        let (a, b, c) = tokio::join!(keep(), keep(), keep());
        assert!(a.is_ok() && b.is_ok() && c.is_ok(), "{a:?} {b:?} {c:?}");
        let names = |dir: &str| std::fs::read_dir(place.join(dir)).unwrap().count();
        assert_eq!((names("_files/ab"), names("_files/cd")), (1, 1), "nothing unfinished is left");
    }

    #[tokio::test]
    async fn what_an_earlier_life_has_left_unfinished_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let files = BronzeFiles::new(Arc::new(RealDisk), folder.path().to_owned());
        let dir = folder.path().join("_files/ef");
        std::fs::create_dir_all(&dir).unwrap();
        let name = "ef".repeat(32);
        std::fs::write(dir.join(format!("{name}.{}-0.tmp", std::process::id())), b"he").unwrap();
        std::fs::write(dir.join(&name), b"cut").unwrap();
        files.keep([0xef; 32], Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(std::fs::read(dir.join(&name)).unwrap(), b"hello");
    }
}
