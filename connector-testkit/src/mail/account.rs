//! As whom a server runs: as whoever runs the test, and never as root, whose mail Dovecot does not touch.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// A user of this machine, and the group that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: String,
    pub(super) group: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// Who owns this folder, or nobody where root does.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let uid = fs::metadata(folder)?.uid();
        let is_wanted = |name: &str, id: u32| if uid == 0 { name == "nobody" } else { id == uid };
        let users = fs::read_to_string("/etc/passwd")?;
        let found = users.lines().filter_map(entry).find(|(name, uid, _)| is_wanted(name, *uid));
        let (user, uid, gid) =
            found.ok_or_else(|| io::Error::other("there is no user `nobody` in /etc/passwd"))?;
        let groups = fs::read_to_string("/etc/group")?;
        let group = groups.lines().filter_map(entry).find(|(_, id, _)| *id == gid);
        let (group, ..) = group.ok_or_else(|| io::Error::other("the user's group is not in /etc/group"))?;
        Ok(Self { user: user.to_owned(), group: group.to_owned(), uid, gid })
    }
}

/// Name and number of a line, and the number behind that, which a group does not have.
fn entry(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let (name, id) = (fields.next()?, fields.nth(1)?.parse().ok()?);
    Some((name, id, fields.next().and_then(|gid| gid.parse().ok()).unwrap_or_default()))
}

/// Whether this process is root.
pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The number of a user.
pub(super) fn user(name: &str) -> io::Result<u32> {
    numbered("/etc/passwd", name)
}

/// The number of a group.
pub(super) fn group(name: &str) -> io::Result<u32> {
    numbered("/etc/group", name)
}

fn numbered(file: &str, name: &str) -> io::Result<u32> {
    let text = fs::read_to_string(file)?;
    let found = text.lines().filter_map(entry).find(|(known, ..)| *known == name);
    found.map(|(_, id, _)| id).ok_or_else(|| io::Error::other(format!("{file} knows no `{name}`")))
}
