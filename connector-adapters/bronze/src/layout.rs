//! Folders and names: `<path>/<tenant>/<connection>/<stream>/…`.
//!
//! ```text
//! Contact/
//!     2026-01-31/0000000007-3-0.parquet     data: commit 7, made under fence 3, its file 0
//!     _dead_letters/0000000007-3.jsonl      dead letters of the same commit
//!     _commits/7.json                       the commit
//!     _commits/snapshot-120.json            what the commits up to 120 left standing
//!     _pending/0000000008-3-4.parquet.tmp   being written, or left over from a crash
//! ```
//!
//! A pending file is named by the commit that was next when it was made, by the fence and by a serial
//! number; so no two owners, and no two openings by one owner, ever write the same name.

use std::{
    fmt::{self, Write},
    path::{Path, PathBuf},
};

use connector_sdk::{ConnectionName, StreamId, TenantId};
use xxhash_rust::xxh3::xxh3_128;

/// Longer names are cut, and told apart by a hash: file systems take 255 bytes.
const MAX_COMPONENT: usize = 200;

/// A name as one component of a path: the same for the same name, different for different ones, portable,
/// and never `..`, hidden, or ours (a leading `_`).
pub(crate) fn component(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let reserved = is_reserved(name);
    for (index, byte) in name.bytes().enumerate() {
        let plain = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => !(reserved && index == 0),
            b'-' => true,
            b'_' => index > 0,
            b'.' => index > 0 && index + 1 < name.len() && name.get(index..) != Some(".tmp"),
            _ => false,
        };
        if plain {
            out.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    if out.is_empty() {
        out.push('%');
    }
    if out.len() > MAX_COMPONENT {
        out.truncate(MAX_COMPONENT - 34);
        let _ = write!(out, "%~{:032x}", xxh3_128(name.as_bytes()));
    }
    out
}

/// Names that are devices on Windows, with or without an extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered =
        |prefix| stem.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// A connection's folder.
pub(crate) fn connection_dir(root: &Path, tenant: &TenantId, connection: &ConnectionName) -> PathBuf {
    root.join(component(tenant.as_str())).join(component(connection.as_str()))
}

/// Whether a name in Bronze is not data: being written, hidden, or ours.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_']) || name.ends_with(".tmp")
}

/// A stream's folder.
#[derive(Debug, Clone)]
pub(crate) struct StreamDir {
    path: PathBuf,
    /// The folder's name below that of the connection.
    name: String,
}

impl StreamDir {
    pub(crate) fn new(connection: &Path, stream: &StreamId) -> Self {
        let name = component(stream.as_str());
        Self { path: connection.join(&name), name }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn commits(&self) -> PathBuf {
        self.path.join("_commits")
    }

    pub(crate) fn pending(&self) -> PathBuf {
        self.path.join("_pending")
    }

    /// A path that the log has: below this folder, with `/` between its parts.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        path.split('/').fold(self.path.clone(), |at, part| at.join(part))
    }

    /// The same for a receipt: below the connection's folder.
    pub(crate) fn receipt_path(&self, path: &str) -> String {
        format!("{}/{path}", self.name)
    }
}

/// What is in a file that a commit publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PendingName<'a> {
    /// The commit that was next when it was made.
    pub(crate) number: u64,
    pub(crate) fence: u64,
    pub(crate) serial: u64,
    pub(crate) extension: &'a str,
}

impl fmt::Display for PendingName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}-{}-{}.{}.tmp", self.number, self.fence, self.serial, self.extension)
    }
}

impl<'a> PendingName<'a> {
    /// None for a file that is not ours.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let (stem, extension) = name.strip_suffix(".tmp")?.split_once('.')?;
        let mut parts = stem.splitn(3, '-');
        let mut number =
            || parts.next().filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
        let parsed = Self { number: number()?, fence: number()?, serial: number()?, extension };
        (parsed.to_string() == name).then_some(parsed)
    }
}

/// Where file `index` of a commit comes to lie, below the stream's folder.
pub(crate) fn data_path(day: &str, number: u64, fence: u64, index: usize, extension: &str) -> String {
    format!("{day}/{number:010}-{fence}-{index}.{extension}")
}

/// Where the dead letters of a commit come to lie, below the stream's folder.
pub(crate) fn dead_letters_path(number: u64, fence: u64) -> String {
    format!("_dead_letters/{number:010}-{fence}.jsonl")
}

/// A name in `_commits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogName {
    /// `7.json`: commit 7.
    Entry(u64),
    /// `snapshot-120.json`: what the commits up to 120 left standing.
    Snapshot(u64),
    /// `.7.json.tmp-3`, `.snapshot-120.json.tmp-3`: being written under fence 3.
    Draft(u64),
}

impl LogName {
    /// None for a file that is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if let Some((draft, fence)) = name.strip_prefix('.').and_then(|rest| rest.split_once(".tmp-")) {
            return Self::parse(draft).and(canonical(fence)).map(Self::Draft);
        }
        let stem = name.strip_suffix(".json")?;
        match stem.strip_prefix("snapshot-") {
            Some(number) => canonical(number).map(Self::Snapshot),
            None => canonical(stem).map(Self::Entry),
        }
    }

    pub(crate) fn entry(number: u64) -> String {
        format!("{number}.json")
    }

    pub(crate) fn snapshot(number: u64) -> String {
        format!("snapshot-{number}.json")
    }

    pub(crate) fn draft(name: &str, fence: u64) -> String {
        format!(".{name}.tmp-{fence}")
    }
}

/// A number as we write it: digits, no sign, no leading zero.
fn canonical(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
