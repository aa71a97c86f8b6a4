//! A server that ends with whoever began it, also when that one is killed.
//!
//! A shell stands between: it begins the server, and waits for the end of its standard input, of which we hold the other
//! end. The system closes that end for us whatever becomes of this process. Then the server is ended by its number, what
//! it has begun by the group that it was begun in, and its folder is removed.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use connector_sdk::{Clock as _, clock::SystemClock};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};

use super::account::Account;

/// A server that has not begun to answer after so long is broken.
const PATIENCE: Duration = Duration::from_secs(20);

const GUARD: &str = r#"
folder=$1; shift
exec 3<&0 0</dev/null
"$@" 3<&- >>"$folder/out" 2>&1 &
server=$!
{ cat <&3 >/dev/null; [ -e "$folder/exited" ] || kill -TERM "$server" 2>/dev/null; } &
exec 3<&-
wait "$server"
echo "$?" >"$folder/exited"
wait
trap '' TERM
kill -TERM 0
rm -rf -- "$folder" 2>/dev/null || { sleep 1; rm -rf -- "$folder"; }
"#;

/// A server in a folder of its own. Dropping it ends the server and removes the folder, both a moment later.
#[derive(Debug)]
pub(super) struct Process {
    guard: Child,
    folder: PathBuf,
}

impl Process {
    /// Begins it in this folder.
    pub(super) fn begin(folder: PathBuf, command: &[&str], account: Option<&Account>) -> io::Result<Self> {
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "mail-server"]).arg(&folder).args(command).current_dir(&folder);
        if let Some(account) = account {
            guard.uid(account.uid).gid(account.gid);
        }
        // A group of its own: who stops the test from a terminal leaves the end to the guard.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { guard: guard.spawn()?, folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until the server greets at this address in its own name; false when it has ended, as when somebody else
    /// was quicker to take a port.
    pub(super) async fn greets(&self, address: SocketAddr, name: &str) -> io::Result<bool> {
        let clock = SystemClock::new();
        loop {
            if greeting(address).await.is_some_and(|greeting| greeting.contains(name)) {
                return Ok(true);
            }
            if self.folder.join("exited").exists() {
                return Ok(false);
            }
            if clock.monotonic() > PATIENCE {
                return Err(io::Error::other(format!("the server does not answer: {}", self.output())));
            }
            clock.sleep(Duration::from_millis(5)).await;
        }
    }

    /// What the server has printed, and what stands in its log.
    pub(super) fn output(&self) -> String {
        let read = |name| fs::read(self.folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("out"), read("log")].concat()).into_owned()
    }

    /// Ends the server, and waits until it has ended.
    pub(super) fn end(mut self) -> io::Result<()> {
        drop(self.guard.stdin.take());
        self.guard.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
    }
}

/// The first line that is said there.
async fn greeting(address: SocketAddr) -> Option<String> {
    let stream = TcpStream::connect(address).await.ok()?;
    let mut line = String::new();
    let reading = async { BufReader::new(stream).read_line(&mut line).await };
    connector_sdk::clock::timeout(&SystemClock::new(), Duration::from_secs(2), reading).await.ok()?.ok()?;
    Some(line)
}

/// A folder for a server, which others may enter: its sockets are in it.
pub(super) fn folder(prefix: &str) -> io::Result<PathBuf> {
    use fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    // The path of a socket has 108 bytes at most: that of the temporary folder may be long.
    let short = Path::new("/tmp");
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(Permissions::from_mode(0o755));
    let made = if short.is_dir() { builder.tempdir_in(short)? } else { builder.tempdir()? };
    Ok(made.keep())
}
