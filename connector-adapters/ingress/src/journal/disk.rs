//! The few file operations that a journal is made of, as a seam: a test puts a failing disk behind it.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// What a journal asks of a file system. The calls block; the journal makes them off the runtime's threads.
///
/// An implementation must keep this: `rename` is atomic, also through a crash; and what was synced is there after a
/// crash, a file's bytes by [`DiskFile::sync`], its name by [`Disk::sync_dir`] of its folder.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a folder and those above it, durably; no error when it is there.
    ///
    /// # Errors
    /// As the file system says.
    fn create_dirs(&self, dir: &Path) -> io::Result<()>;

    /// Keeps other processes out of what `file` stands for, until the answer is dropped. None: another one is in.
    ///
    /// # Errors
    /// As the file system says.
    fn lock(&self, file: &Path) -> io::Result<Option<Box<dyn Send>>>;

    /// Makes a file that must not be there yet.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; otherwise as the file system says.
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name; what had that name before is gone.
    ///
    /// # Errors
    /// As the file system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away.
    ///
    /// # Errors
    /// As the file system says.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// The names in a folder, in any order, without those that are no Unicode.
    ///
    /// # Errors
    /// As the file system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Reads `length` bytes from `offset` on; fewer where the file ends.
    ///
    /// # Errors
    /// As the file system says.
    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// How many bytes can still be written below a folder. The default does not know, and says that there is always room.
    ///
    /// # Errors
    /// As the file system says.
    fn free(&self, dir: &Path) -> io::Result<u64> {
        let _ = dir;
        Ok(u64::MAX)
    }

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

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        let above: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty()).collect();
        for dir in above.into_iter().rev() {
            if dir.is_dir() {
                continue;
            }
            match fs::create_dir(dir) {
                Err(_) if dir.is_dir() => {}
                made => made?,
            }
            self.sync_dir(dir.parent().unwrap_or(Path::new("")))?;
        }
        Ok(())
    }

    fn lock(&self, file: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(file)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(file)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        fs::remove_file(file)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn free(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
