//! Sorted files of keys: length and bytes, one after the other.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use connector_sdk::crash;

/// Files that are merged at once; more are merged in several passes.
const FAN_IN: usize = 128;

/// Writes sorted keys to a new file, durably: under a temporary name first.
pub(super) fn write(path: &Path, keys: impl Iterator<Item = io::Result<Vec<u8>>>) -> io::Result<u64> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let temporary = path.with_extension("tmp");
    let mut out = BufWriter::with_capacity(256 << 10, File::create(&temporary)?);
    let mut count = 0;
    for key in keys {
        let key = key?;
        let length = u32::try_from(key.len()).map_err(|_| io::Error::other("a key of more than 4 GiB"))?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(&key)?;
        count += 1;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    crash::point("keys.written");
    std::fs::rename(&temporary, path)?;
    crash::point("keys.renamed");
    // Both the file's name and the folder's own have to survive.
    for folder in [Some(folder), folder.parent()].into_iter().flatten() {
        File::open(folder)?.sync_all()?;
    }
    crash::point("keys.synced");
    Ok(count)
}

/// Merges the files of a folder into one without repeats.
pub(super) fn merge_folder(folder: &Path, into: &Path) -> io::Result<()> {
    let mut files: Vec<PathBuf> = Vec::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "keys") {
                files.push(path);
            }
        }
    }
    let mut pass = 0;
    while files.len() > FAN_IN {
        let rest = files.split_off(FAN_IN);
        let between = folder.join(format!("pass-{pass:06}.keys"));
        pass += 1;
        write(&between, Merge::open(&files)?)?;
        for file in &files {
            std::fs::remove_file(file)?;
            crash::point("keys.part_removed");
        }
        files = rest;
        files.push(between);
    }
    write(into, Merge::open(&files)?).map(drop)
}

/// Reads one sorted file, or what two of them say.
#[derive(Debug)]
pub(in crate::run) struct KeyReader {
    before: BufReader<File>,
    now: BufReader<File>,
    head_now: Option<Vec<u8>>,
    seen: u64,
}

impl KeyReader {
    /// The keys of `before` that `now` does not have.
    pub(super) fn gone(before: &Path, now: &Path) -> io::Result<Self> {
        let mut now = BufReader::new(File::open(now)?);
        let head_now = read_key(&mut now)?;
        Ok(Self { before: BufReader::new(File::open(before)?), now, head_now, seen: 0 })
    }

    /// The next one, in order.
    pub(super) fn next_key(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(key) = read_key(&mut self.before)? {
            self.seen += 1;
            while self.head_now.as_ref().is_some_and(|head| *head < key) {
                self.head_now = read_key(&mut self.now)?;
            }
            if self.head_now.as_ref() != Some(&key) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Keys of `before` read so far.
    pub(super) fn seen_before(&self) -> u64 {
        self.seen
    }
}

fn read_key(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0u8; 4];
    match file.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut key = vec![0u8; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut key)?;
    Ok(Some(key))
}

/// Several sorted files as one, without repeats.
struct Merge {
    files: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    last: Option<Vec<u8>>,
}

impl Merge {
    fn open(paths: &[PathBuf]) -> io::Result<Self> {
        let mut files = Vec::with_capacity(paths.len());
        let mut heads = BinaryHeap::new();
        for (index, path) in paths.iter().enumerate() {
            let mut file = BufReader::new(File::open(path)?);
            if let Some(key) = read_key(&mut file)? {
                heads.push(Reverse((key, index)));
            }
            files.push(file);
        }
        Ok(Self { files, heads, last: None })
    }

    fn pull(&mut self) -> io::Result<Option<Vec<u8>>> {
        while let Some(Reverse((key, index))) = self.heads.pop() {
            if let Some(file) = self.files.get_mut(index)
                && let Some(next) = read_key(file)?
            {
                self.heads.push(Reverse((next, index)));
            }
            if self.last.as_ref() != Some(&key) {
                self.last = Some(key.clone());
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

impl Iterator for Merge {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pull().transpose()
    }
}
