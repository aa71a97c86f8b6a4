//! A disk in memory that fails as told and forgets what was not synced.
//!
//! Names and bytes live twice: as the processes see them, and as they would be found after a crash. A
//! change of names waits in a journal until its folder is synced; a rename goes through as a whole.
//!
//! ```
//! use std::{io::Write, path::Path};
//! use connector_bronze::{Disk, DiskFile};
//! use connector_testkit::disk::{Crash, MemoryDisk};
//! # fn main() -> std::io::Result<()> {
//! let disk = MemoryDisk::default();
//! disk.create_dirs(Path::new("/bronze"))?;
//! let mut file = disk.create(Path::new("/bronze/a"))?;
//! file.write_all(b"not synced")?;
//! disk.reboot(Crash::Lost);
//! assert!(disk.files().is_empty());
//! # Ok(())
//! # }
//! ```

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use connector_bronze::{DirEntry, Disk, DiskFile};

/// What a crash leaves of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Nothing: the power went.
    Lost,
    /// Everything, for now: the process was killed, and the machine goes on. What was not synced is not durable, and
    /// goes with the next power cut unless somebody syncs it.
    Kept,
    /// Some of the names and some of the bytes, by this seed.
    Some(u64),
}

/// What is to go wrong. Operations that change something are counted from 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// After this operation nothing works any more.
    pub crash_after: Option<u64>,
    /// This operation fails, once, with this kind of error, and does nothing.
    pub fail_at: Option<(u64, io::ErrorKind)>,
    /// The sync of this number, of a file or a folder, fails, once; what it was to make durable is not.
    pub fail_sync: Option<u64>,
    /// So many bytes fit.
    pub capacity: Option<usize>,
    /// A write takes at most so many bytes.
    pub write_at_most: Option<usize>,
    /// A write into a file below such a folder takes one byte less than it says.
    pub lie_in: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    /// A sync of it has failed: the system takes its bytes for clean from then on, and no later sync writes them.
    cursed: bool,
}

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
struct Change {
    gone: Option<PathBuf>,
    here: Option<(PathBuf, Node)>,
}

impl Change {
    fn touches(&self, dir: &Path) -> bool {
        let paths = [self.gone.as_deref(), self.here.as_ref().map(|(path, _)| path.as_path())];
        paths.into_iter().flatten().any(|path| path.parent() == Some(dir))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        if let Some(path) = &self.gone {
            names.remove(path);
        }
        if let Some((path, node)) = &self.here {
            names.insert(path.clone(), *node);
        }
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    names: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    journal: Vec<Change>,
    inodes: Vec<Inode>,
    operations: u64,
    syncs: u64,
    /// A handle of an earlier life does nothing.
    life: u64,
    crashed: bool,
    plan: Plan,
    trace: Vec<String>,
}

/// The disk. A clone is the same disk; [`MemoryDisk::fork`] makes another.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every operation wait until the answer is dropped.
    #[must_use]
    pub fn hold(&self) -> impl Drop + '_ {
        self.state()
    }

    /// Another disk with the same on it.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Sets what is to go wrong, and counts operations anew.
    pub fn plan(&self, plan: Plan) {
        let mut state = self.state();
        state.plan = plan;
        state.operations = 0;
        state.syncs = 0;
        state.trace.clear();
    }

    /// How many operations that change something were begun since the plan was made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What they were, for the message of a test that fails.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// From now on nothing works any more, until [`reboot`](Self::reboot).
    pub fn kill(&self) {
        self.state().crashed = true;
    }

    /// Whether it is down.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// What is found after a crash; the plan is forgotten.
    pub fn reboot(&self, crash: Crash) {
        let mut state = self.state();
        let State { names, durable, journal, inodes, .. } = &mut *state;
        let mut random = match crash {
            Crash::Some(seed) => seed | 1,
            _ => 1,
        };
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        if crash != Crash::Kept {
            for change in journal.drain(..) {
                if matches!(crash, Crash::Some(_)) && next() % 2 == 0 {
                    change.apply(durable);
                }
            }
            for inode in inodes {
                if matches!(crash, Crash::Some(_)) && !inode.cursed {
                    let unsynced = inode.bytes.len() - inode.durable.len();
                    let kept = inode.durable.len() + usize::try_from(next()).unwrap_or(0) % (unsynced + 1);
                    inode.durable = inode.bytes.get(..kept).unwrap_or_default().to_vec();
                }
                inode.bytes = inode.durable.clone();
            }
            *names = durable.clone();
        }
        state.crashed = false;
        state.life += 1;
        state.plan = Plan::default();
    }

    /// A file's text.
    ///
    /// # Errors
    /// As a file system says; `InvalidData` when it is no UTF-8.
    pub fn read_text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let bytes = self.read(path.as_ref(), 0, usize::MAX)?;
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Puts a file there, durably, as somebody else would.
    ///
    /// # Errors
    /// When the disk is down.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let path = path.as_ref();
        self.create_dirs(path.parent().unwrap_or(Path::new("/")))?;
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode { bytes: bytes.to_vec(), durable: bytes.to_vec(), cursed: false });
        state.names.insert(path.to_owned(), Node::File(inode));
        state.durable.insert(path.to_owned(), Node::File(inode));
        Ok(())
    }

    /// Takes everything below a folder away, durably, as somebody else would.
    pub fn take_away(&self, dir: impl AsRef<Path>) {
        let mut state = self.state();
        state.names.retain(|path, _| !path.starts_with(dir.as_ref()));
        state.durable.retain(|path, _| !path.starts_with(dir.as_ref()));
    }

    /// How many bytes were ever written into files that are, or were, here.
    #[must_use]
    pub fn used(&self) -> usize {
        self.state().used()
    }

    /// The files, by path.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let state = self.state();
        let files = state.names.iter().filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.to_string_lossy().into_owned()).collect()
    }
}

impl State {
    /// Counts an operation that changes something, and fails where the plan says so.
    fn begin(&mut self, what: impl FnOnce() -> String) -> io::Result<()> {
        self.alive()?;
        if self.plan.crash_after.is_some_and(|after| self.operations >= after) {
            self.crashed = true;
            return self.alive();
        }
        self.operations += 1;
        let operations = self.operations;
        self.trace.push(what());
        match self.plan.fail_at {
            Some((at, kind)) if at == operations => Err(io::Error::new(kind, "as planned")),
            _ => Ok(()),
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the machine is down")) } else { Ok(()) }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.journal.push(change);
    }

    fn sync(&mut self, dir: &Path) {
        let State { journal, durable, .. } = self;
        journal.retain(|change| {
            let touched = change.touches(dir);
            if touched {
                change.apply(durable);
            }
            !touched
        });
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn inode(&self, path: &Path) -> io::Result<&Inode> {
        self.inodes.get(self.file(path)?).ok_or_else(no_inode)
    }

    /// Counts a sync, and fails where the plan says so.
    fn begin_sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        match self.plan.fail_sync {
            Some(at) if at == self.syncs => Err(io::Error::other("the sync fails, as planned")),
            _ => Ok(()),
        }
    }

    fn free(&self, path: &Path) -> io::Result<()> {
        if self.names.contains_key(path) { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(()) }
    }

    fn used(&self) -> usize {
        self.inodes.iter().map(|inode| inode.bytes.len()).sum()
    }
}

impl Disk for MemoryDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let above: Vec<&Path> = dir.ancestors().collect();
        for dir in above.into_iter().rev() {
            if !state.names.contains_key(dir) {
                state.begin(|| format!("create_dir {}", dir.display()))?;
                state.change(Change { gone: None, here: Some((dir.to_owned(), Node::Dir)) });
            }
            // One that is there may not be durable: who made it has died before the sync.
            let Some(parent) = dir.parent() else { continue };
            state.begin(|| format!("sync_dir {}", parent.display()))?;
            state.begin_sync()?;
            state.sync(parent);
        }
        Ok(())
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(|| format!("create {}", file.display()))?;
        state.free(file)?;
        if file.parent().is_none_or(|dir| !state.names.contains_key(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(Change { gone: None, here: Some((file.to_owned(), Node::File(inode))) });
        Ok(Box::new(MemoryFile { disk: self.clone(), inode, life: state.life, path: file.to_owned() }))
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(|| format!("link {} {}", file.display(), name.display()))?;
        let inode = state.file(file)?;
        state.free(name)?;
        state.change(Change { gone: None, here: Some((name.to_owned(), Node::File(inode))) });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(|| format!("rename {} {}", from.display(), to.display()))?;
        let inode = state.file(from)?;
        state.change(Change { gone: Some(from.to_owned()), here: Some((to.to_owned(), Node::File(inode))) });
        Ok(())
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(|| format!("remove {}", file.display()))?;
        state.file(file)?;
        state.change(Change { gone: Some(file.to_owned()), here: None });
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state();
        state.alive()?;
        if state.names.get(dir) != Some(&Node::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Node)| DirEntry {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            is_dir: *node == Node::Dir,
        };
        Ok(inside.map(entry).collect())
    }

    fn size(&self, file: &Path) -> io::Result<u64> {
        let state = self.state();
        state.alive()?;
        state.inode(file).map(|inode| inode.bytes.len() as u64)
    }

    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let state = self.state();
        state.alive()?;
        let bytes = &state.inode(file)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes.get(start..end).unwrap_or_default().to_vec())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(|| format!("sync_dir {}", dir.display()))?;
        state.begin_sync()?;
        state.sync(dir);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
    life: u64,
    path: PathBuf,
}

impl MemoryFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life == self.life { Ok(state) } else { Err(io::Error::other("a handle of an earlier life")) }
    }
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state()?;
        state.begin(|| format!("write {} {}", self.path.display(), bytes.len()))?;
        let used = state.used();
        let room = state.plan.capacity.map_or(usize::MAX, |capacity| capacity.saturating_sub(used));
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(room).min(state.plan.write_at_most.unwrap_or(usize::MAX));
        let lies =
            state.plan.lie_in.is_some_and(|dir| self.path.parent().is_some_and(|path| path.ends_with(dir)));
        let inode = state.inodes.get_mut(self.inode).ok_or_else(no_inode)?;
        let stored = if lies { taken.saturating_sub(1) } else { taken };
        inode.bytes.extend_from_slice(bytes.get(..stored).unwrap_or_default());
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        state.begin(|| format!("sync {}", self.path.display()))?;
        let synced = state.begin_sync();
        let inode = state.inodes.get_mut(self.inode).ok_or_else(no_inode)?;
        inode.cursed |= synced.is_err();
        if !inode.cursed {
            inode.durable = inode.bytes.clone();
        }
        synced?;
        Ok(())
    }
}

fn no_inode() -> io::Error {
    io::Error::other("the disk has lost a file")
}
