//! The few file operations that Bronze is made of, as a seam: a test puts a failing disk behind it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// What Bronze asks of a file system.
///
/// The calls block; the sink makes them off the runtime's threads. An implementation must keep this:
/// - `create` and `link` fail with [`io::ErrorKind::AlreadyExists`] when the name is taken, also against
///   another process: the commit log rests on it.
/// - `rename` is atomic, also through a crash.
/// - What was synced is there after a crash: a file's bytes by [`DiskFile::sync`], its name by
///   [`Disk::sync_dir`] of its folder.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a folder and those above it, durably; no error when it is there. Those that are there are made durable too:
    /// who made them may have died before.
    ///
    /// # Errors
    /// As the file system says.
    fn create_dirs(&self, dir: &Path) -> io::Result<()>;

    /// Makes a file that must not be there yet.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; otherwise as the file system says.
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file a second name, which must be free.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; otherwise as the file system says.
    fn link(&self, file: &Path, name: &Path) -> io::Result<()>;

    /// Gives a file another name, in place of the one it has.
    ///
    /// # Errors
    /// `NotFound` when it is not there; otherwise as the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    ///
    /// # Errors
    /// `NotFound` when it is not there; otherwise as the file system says.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// What is in a folder, in any order, without the names that are no Unicode.
    ///
    /// # Errors
    /// `NotFound` when the folder is not there; otherwise as the file system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// A file's size in bytes.
    ///
    /// # Errors
    /// `NotFound` when it is not there; otherwise as the file system says.
    fn size(&self, file: &Path) -> io::Result<u64>;

    /// Reads `length` bytes from `offset` on; fewer where the file ends.
    ///
    /// # Errors
    /// `NotFound` when it is not there; otherwise as the file system says.
    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As the file system says. Nothing is known then of the names that changed.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file being written.
pub trait DiskFile: Write + Send {
    /// Makes its bytes durable.
    ///
    /// # Errors
    /// As the file system says. The file must not be used any more: a second sync would lie.
    fn sync(&mut self) -> io::Result<()>;
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_dir: bool,
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        let named = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty());
        let above: Vec<&Path> = named.collect();
        for dir in above.into_iter().rev() {
            let made = match fs::create_dir(dir) {
                Ok(()) => true,
                // Another stream, or another process, was faster; or a file is in the way.
                Err(_) if dir.is_dir() => false,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                Err(error) => return Err(error),
            };
            // One that is there may not be durable: who made it may have died before the sync. What lies above our
            // own folders may be closed to us, and is none of our making then.
            match self.sync_dir(dir.parent().unwrap_or(Path::new(""))) {
                Err(error) if !made && error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
        }
        Ok(())
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(file)?))
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        fs::hard_link(file, name)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A link to a folder counts as a folder: people put old Bronze on another disk.
            let is_dir = match entry.file_type()? {
                kind if kind.is_symlink() => entry.path().is_dir(),
                kind => kind.is_dir(),
            };
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir });
            }
        }
        Ok(entries)
    }

    fn size(&self, file: &Path) -> io::Result<u64> {
        Ok(fs::metadata(file)?.len())
    }

    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::with_capacity(length.min(1 << 20));
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    /// Elsewhere a folder cannot be opened for this; the journal of the file system has to do.
    #[cfg(not(unix))]
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A whole file.
pub(crate) fn read_all(disk: &dyn Disk, file: &Path) -> io::Result<Vec<u8>> {
    let size = usize::try_from(disk.size(file)?).map_err(io::Error::other)?;
    disk.read(file, 0, size)
}
