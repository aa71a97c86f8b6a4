//! Where the crate goes: it is written beside, under another name, and takes its place when it is whole.

use std::{
    env,
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use connector_sdk::{Error, Result};
use tempfile::TempDir;

/// A folder in the making. Dropped before [`Folder::finish`], it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Folder {
    draft: TempDir,
    target: PathBuf,
    /// As the author wrote it.
    asked: PathBuf,
    /// Last, because it goes last: the draft is in it.
    parents: Parents,
}

/// The folders above the target that were missing, the outermost first.
#[derive(Debug)]
struct Parents(Vec<PathBuf>);

impl Folder {
    /// Begins a folder that is to be at `asked`: a path that is free, or a folder with nothing in it.
    ///
    /// # Errors
    /// Config when the path is taken, or is no name for a folder; Permanent when nothing can be written there.
    pub(super) fn begin(asked: &Path, package: &str) -> Result<Self> {
        let Some(name) = asked.file_name() else {
            return Err(refused(asked, "does not end in the name of a folder"));
        };
        check_free(asked)?;
        let above = asked.parent().filter(|above| *above != Path::new("")).unwrap_or(Path::new("."));
        let parents = Parents::make(above)?;
        // Symbolic links above it are the author's. From here on they are not looked at again.
        let above = fs::canonicalize(above).map_err(|error| unwritable(above, error))?;
        // Made anew or not at all: nobody else has put anything into it.
        let draft = tempfile::Builder::new().prefix(&format!(".{package}.new-")).tempdir_in(&above);
        let draft = draft.map_err(|error| unwritable(&above, error))?;
        Ok(Self { draft, target: above.join(name), asked: asked.to_owned(), parents })
    }

    /// Writes a file.
    ///
    /// # Errors
    /// Permanent when it cannot be written, or is there already.
    pub(super) fn put(&self, path: &str, text: &[u8]) -> Result<()> {
        let path = self.draft.path().join(path);
        let written = || {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            File::create_new(&path)?.write_all(text)
        };
        written().map_err(|error| unwritable(&path, error))
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// Config when something has come into being there meanwhile; Permanent when it cannot be renamed.
    pub(super) fn finish(mut self) -> Result<()> {
        if check_free(&self.target)? == Free::Empty {
            // Takes no folder with something in it, and no link.
            fs::remove_dir(&self.target).map_err(|error| unwritable(&self.asked, error))?;
        }
        fs::rename(self.draft.path(), &self.target).map_err(|error| unwritable(&self.asked, error))?;
        self.draft.disable_cleanup(true);
        self.parents.0.clear();
        Ok(())
    }
}

impl Parents {
    fn make(folder: &Path) -> Result<Self> {
        let is_missing = |folder: &&Path| **folder != *Path::new("") && !folder.exists();
        let mut missing: Vec<_> = folder.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        missing.reverse();
        let mut made = Self(Vec::new());
        for folder in missing {
            match fs::create_dir(&folder) {
                Ok(()) => made.0.push(folder),
                // Named twice (`a/../a`), or somebody else's: not ours to remove.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unwritable(&folder, error)),
            }
        }
        Ok(made)
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        while let Some(folder) = self.0.pop() {
            // One that somebody else uses by now is not empty, and stays.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// What is at a path where a folder can go.
#[derive(Debug, PartialEq, Eq)]
enum Free {
    Nothing,
    Empty,
}

/// Refuses a path that holds something: nothing is ever overwritten.
fn check_free(path: &Path) -> Result<Free> {
    let unreadable = |error| unwritable(path, error);
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Free::Nothing),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(refused(path, "is below something that is no folder"));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if found.is_symlink() {
        return Err(refused(path, "is a symbolic link"));
    }
    if !found.is_dir() {
        return Err(refused(path, "is no folder"));
    }
    if fs::read_dir(path).map_err(unreadable)?.next().is_some() {
        return Err(refused(path, "is not empty"));
    }
    // Another folder takes its place: the shell would go on in one that is gone.
    let here = env::current_dir().and_then(fs::canonicalize);
    if here.is_ok_and(|here| fs::canonicalize(path).is_ok_and(|path| here == path)) {
        return Err(refused(path, "is where you are"));
    }
    Ok(Free::Empty)
}

fn refused(path: &Path, what: &str) -> Error {
    let path = path.display();
    Error::config("new", format!("`{path}` {what}; nothing was written: give another `--path`"))
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::permanent("new", format!("`{}` cannot be written: {error}", path.display())).with_source(error)
}
