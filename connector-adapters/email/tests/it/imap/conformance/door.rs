//! A door before a mail server, at which things go wrong as a script says.
//!
//! The script is that of HTTP vendors; what it says is done as a mail server does it: 429 is `NO [THROTTLED]`, a status of
//! 5xx is `NO [UNAVAILABLE]`, an answer that is none is untagged data that nobody knows, a body that ends early is a
//! connection that does.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connector_testkit::fault::{Fault, Faults, Seen};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    task::{JoinHandle, JoinSet},
};

/// Commands that are about the session, and not about what is read.
const OF_THE_SESSION: [&str; 4] = ["CAPABILITY", "ID", "ENABLE", "LOGOUT"];

/// The door. What goes through it ends with it.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) faults: Faults,
    commands: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Door {
    pub(crate) async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, faults) = (listener.local_addr()?, Faults::default());
        let commands = Arc::new(AtomicU64::new(0));
        let (script, count) = (faults.clone(), Arc::clone(&commands));
        let task = tokio::spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (script, count) = (script.clone(), Arc::clone(&count));
                passing.spawn(async move {
                    let _ = pass(client, server, &script, &count).await;
                });
            }
        });
        Ok(Self { address, faults, commands, task })
    }

    pub(crate) fn commands(&self) -> u64 {
        self.commands.load(Ordering::SeqCst)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One command at a time: what comes back for it is awaited, so that it is known whose it is.
async fn pass(client: TcpStream, server: SocketAddr, faults: &Faults, count: &AtomicU64) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let (mut from_client, mut from_server) = (BufReader::new(from_client), BufReader::new(from_server));
    let mut line = Vec::new();
    from_server.read_until(b'\n', &mut line).await?;
    to_client.write_all(&line).await?;
    loop {
        line.clear();
        if from_client.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let (tag, command) = text.split_once(' ').unwrap_or((text.trim_end(), ""));
        let name = command.split_ascii_whitespace().next().unwrap_or_default().to_uppercase();
        if !OF_THE_SESSION.contains(&name.as_str()) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let path = if command.contains("BODY.PEEK[]") {
            "/bodies".to_owned()
        } else if name == "AUTHENTICATE" || name == "LOGIN" {
            "/sign-in".to_owned()
        } else if command.contains("(UID FLAGS)") || command.contains("(UID FLAGS MODSEQ)") {
            "/flags".to_owned()
        } else if command.contains("(UID FLAGS") {
            "/metadata".to_owned()
        } else {
            format!("/{}", name.to_lowercase())
        };
        let fault = faults.decide(&Seen { method: &name, path: &path, query: command });
        let mut way = Way { to_client: &mut to_client, left: usize::MAX, step: None };
        match fault {
            None => {}
            Some(Fault::Stall) => return from_client.read_to_end(&mut Vec::new()).await.map(drop),
            Some(Fault::ResetBefore) => return Ok(()),
            Some(Fault::ResetAfter { bytes } | Fault::TruncatedBody { after: bytes, .. }) => way.left = bytes,
            Some(Fault::SlowBody { bytes, every }) => way.step = Some((bytes, every)),
            Some(Fault::EmptyBody) => {
                way.say(&format!("{tag} OK nothing\r\n")).await?;
                continue;
            }
            Some(Fault::MalformedJson) => {
                way.say(&format!("* 1 FETCH (UID 1 BODY[] (\r\n{tag} OK half\r\n")).await?;
                continue;
            }
            Some(Fault::Unauthorized) => {
                way.say(&format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n")).await?;
                continue;
            }
            Some(Fault::Status { status: 200, body, .. }) => {
                way.say(&format!("* {body}\r\n{tag} OK done\r\n")).await?;
                continue;
            }
            Some(Fault::Status { status, headers, .. }) => {
                let is_put_off = status == 429 || headers.iter().any(|(name, _)| name == "Retry-After");
                let said = match status {
                    _ if is_put_off => "NO [THROTTLED] slow down",
                    500.. => "NO [UNAVAILABLE] not now",
                    _ => "BAD what is that?",
                };
                way.say(&format!("{tag} {said}\r\n")).await?;
                continue;
            }
            Some(other) => panic!("{other:?} at a mail server"),
        }
        to_server.write_all(&line).await?;
        if !answer(&mut from_server, &mut from_client, &mut to_server, &mut way, tag).await? {
            return Ok(());
        }
    }
}

/// Hands out what the server says until the command is done. False: the connection ends here.
async fn answer(
    from_server: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
    from_client: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
    to_server: &mut OwnedWriteHalf,
    way: &mut Way<'_>,
    tag: &str,
) -> io::Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if from_server.read_until(b'\n', &mut line).await? == 0 {
            return Ok(false);
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let literal = text.trim_end().strip_suffix('}').and_then(|text| text.rsplit_once('{'));
        if let Some(size) = literal.and_then(|(_, size)| size.parse::<usize>().ok()) {
            let start = line.len();
            line.resize(start + size, 0);
            from_server.read_exact(&mut line[start..]).await?;
        }
        if !way.pass(&line).await? {
            return Ok(false);
        }
        if text.starts_with(&format!("{tag} ")) {
            return Ok(true);
        }
        if text.starts_with('+') {
            line.clear();
            if from_client.read_until(b'\n', &mut line).await? == 0 {
                return Ok(false);
            }
            to_server.write_all(&line).await?;
        }
    }
}

/// The way back to the client.
struct Way<'a> {
    to_client: &'a mut OwnedWriteHalf,
    /// Bytes that still pass.
    left: usize,
    step: Option<(usize, Duration)>,
}

impl Way<'_> {
    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.to_client.write_all(text.as_bytes()).await
    }

    /// False: nothing passes any more.
    #[allow(clippy::disallowed_methods, reason = "a slow server is slow by the wall's clock")]
    async fn pass(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let some = &bytes[..bytes.len().min(self.left)];
        self.left -= some.len();
        match self.step {
            None => self.to_client.write_all(some).await?,
            Some((size, every)) => {
                for part in some.chunks(size.max(1)) {
                    self.to_client.write_all(part).await?;
                    tokio::time::sleep(every).await;
                }
            }
        }
        Ok(self.left > 0)
    }
}
