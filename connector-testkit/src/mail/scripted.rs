//! A server that does what no real one will: what it says, and when it falls silent, is written down beforehand.

use std::{
    borrow::Cow,
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

use crate::fault::Authority;

/// What a client says in one go is no longer than this, in bytes.
const LONGEST_HEARD: usize = 64 << 20;

/// What happens on one connection, in order. Lines end with CR LF, which is put after what is said by `say`.
///
/// ```
/// use connector_testkit::mail::Script;
/// let greylisted = Script::new()
///     .say("220 mx.example ESMTP")
///     .hear("EHLO").say("250-mx.example").say("250 PIPELINING")
///     .hear("MAIL FROM").say("250 ok")
///     .hear("RCPT TO").say("451 4.7.1 later")
///     .hear("QUIT").say("221 bye");
/// let imap = Script::new().say("* OK hello").hear_tagged("LOGIN").say("{tag} NO [UNAVAILABLE] not now");
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Say(Vec<u8>),
    Flood { what: Vec<u8>, times: u64 },
    Hear { begins: String, tagged: bool },
    HearUntil(Vec<u8>),
    StartTls,
    Stall,
    Reset,
}

impl Script {
    /// Nothing yet: it hangs up.
    pub fn new() -> Self {
        Self::default()
    }

    fn and(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }

    /// Says a line. `{tag}` in it is the tag that was heard last.
    pub fn say(self, line: &str) -> Self {
        self.and(Step::Say(format!("{line}\r\n").into_bytes()))
    }

    /// Says these bytes and nothing more; `{tag}` in them is the tag that was heard last.
    pub fn say_bytes(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.and(Step::Say(bytes.into()))
    }

    /// Says the same so many times, or until the client has gone.
    pub fn flood(self, bytes: impl Into<Vec<u8>>, times: u64) -> Self {
        self.and(Step::Flood { what: bytes.into(), times })
    }

    /// Hears a line that begins so, in whatever case; another ends the connection, and is kept as
    /// [wrong](ScriptedServer::wrong).
    pub fn hear(self, begins: &str) -> Self {
        self.and(Step::Hear { begins: begins.to_uppercase(), tagged: false })
    }

    /// Hears a tag, and a command that begins so.
    pub fn hear_tagged(self, begins: &str) -> Self {
        self.and(Step::Hear { begins: begins.to_uppercase(), tagged: true })
    }

    /// Hears everything up to and including this, such as `"\r\n.\r\n"`.
    pub fn hear_until(self, end: impl Into<Vec<u8>>) -> Self {
        self.and(Step::HearUntil(end.into()))
    }

    /// Speaks TLS from here on, as whoever has answered STARTTLS.
    pub fn start_tls(self) -> Self {
        self.and(Step::StartTls)
    }

    /// Says nothing more, and hears no more, until the client has gone.
    pub fn stall(self) -> Self {
        self.and(Step::Stall)
    }

    /// Ends the connection with a reset, as a machine does that has no such connection.
    pub fn reset(self) -> Self {
        self.and(Step::Reset)
    }
}

/// A server on loopback that follows a script for each connection. Dropping it ends them.
pub struct ScriptedServer {
    address: SocketAddr,
    authority: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    scripts: Vec<Script>,
    implicit_tls: bool,
    authority: Authority,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    heard: Vec<Vec<u8>>,
    wrong: Vec<String>,
}

impl ScriptedServer {
    /// A server in the clear. The first connection meets the first script, and so on; those beyond meet the last.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn start(scripts: impl IntoIterator<Item = Script>) -> io::Result<Self> {
        Self::with(scripts.into_iter().collect(), false).await
    }

    /// The same with TLS from the first byte. Its certificate is for `localhost`.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn start_tls(scripts: impl IntoIterator<Item = Script>) -> io::Result<Self> {
        Self::with(scripts.into_iter().collect(), true).await
    }

    async fn with(scripts: Vec<Script>, implicit_tls: bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, authority) = (listener.local_addr()?, Authority::new()?);
        let pem = authority.pem().to_owned();
        let shared = Arc::new(Shared { scripts, implicit_tls, authority, book: Mutex::default() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let index = {
                    let mut book = serving.book();
                    book.heard.push(Vec::new());
                    book.heard.len() - 1
                };
                let shared = Arc::clone(&serving);
                connections.spawn(async move { shared.meet(stream, index).await });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, authority: pem, shared, task })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority to trust, in PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// What each connection has said so far, the first first; what was said in TLS, too.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        self.shared.book().heard.iter().map(|heard| String::from_utf8_lossy(heard).into_owned()).collect()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.book().heard.len()
    }

    /// What was heard and not expected. A test that ends well has none.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        self.shared.book().wrong.clone()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn meet(&self, stream: TcpStream, index: usize) {
        let _ = stream.set_nodelay(true);
        let Some(script) = self.scripts.get(index).or(self.scripts.last()) else { return };
        let following = async {
            let mut peer = Peer { stream: Wire::Plain(stream), read: Vec::new(), tag: String::new() };
            let outcome = self.follow(&mut peer, script, index).await;
            let _ = match (outcome, peer.stream.tcp()) {
                (Ok(End::Reset), Some(tcp)) => tcp.set_zero_linger(),
                _ => peer.close().await,
            };
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "the last resort against a test that hangs is the wall's clock"
        )]
        let _ = tokio::time::timeout(crate::fault::TcpProxy::LONGEST, following).await;
    }

    async fn follow(&self, peer: &mut Peer, script: &Script, index: usize) -> io::Result<End> {
        if self.implicit_tls {
            peer.start_tls(&self.authority).await?;
        }
        for step in &script.0 {
            match step {
                Step::Say(bytes) => {
                    let bytes = with_tag(bytes, &peer.tag);
                    peer.stream.write_all(&bytes).await?;
                }
                Step::Flood { what, times } => {
                    for _ in 0..*times {
                        peer.stream.write_all(what).await?;
                    }
                }
                Step::Hear { begins, tagged } => {
                    let line = peer.hear(b"\n", |heard| self.note(index, heard)).await?;
                    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                    let command = match line.split_once(' ') {
                        Some((tag, command)) if *tagged => {
                            tag.clone_into(&mut peer.tag);
                            command
                        }
                        _ => &line,
                    };
                    if !command.to_uppercase().starts_with(begins) {
                        self.book().wrong.push(format!("`{line}` where `{begins}` was expected"));
                        return Ok(End::Script);
                    }
                }
                Step::HearUntil(end) => {
                    peer.hear(end, |heard| self.note(index, heard)).await?;
                }
                Step::StartTls => peer.start_tls(&self.authority).await?,
                Step::Stall => {
                    while peer.stream.read(&mut vec![0; 4_096]).await? > 0 {}
                    return Ok(End::Script);
                }
                Step::Reset => return Ok(End::Reset),
            }
        }
        Ok(End::Script)
    }

    fn note(&self, index: usize, heard: &[u8]) {
        self.book().heard[index].extend_from_slice(heard);
    }
}

enum End {
    Script,
    Reset,
}

fn with_tag<'a>(bytes: &'a [u8], tag: &str) -> Cow<'a, [u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains("{tag}") => Cow::Owned(text.replace("{tag}", tag).into_bytes()),
        _ => Cow::Borrowed(bytes),
    }
}

/// One client.
struct Peer {
    stream: Wire,
    /// What was read and not heard yet.
    read: Vec<u8>,
    tag: String,
}

impl Peer {
    /// Hears everything up to and including `end`.
    async fn hear(&mut self, end: &[u8], note: impl Fn(&[u8])) -> io::Result<Vec<u8>> {
        loop {
            let found = self.read.windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                let rest = self.read.split_off(at + end.len());
                let heard = std::mem::replace(&mut self.read, rest);
                note(&heard);
                return Ok(heard);
            }
            // Not within the future, which would be moved with it.
            let mut more = vec![0; 65_536];
            let read = self.stream.read(&mut more).await?;
            self.read.extend_from_slice(&more[..read]);
            if read == 0 || self.read.len() > LONGEST_HEARD {
                note(&self.read);
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn start_tls(&mut self, authority: &Authority) -> io::Result<()> {
        let acceptor = TlsAcceptor::from(authority.server(None)?);
        self.stream = match std::mem::replace(&mut self.stream, Wire::None) {
            Wire::Plain(stream) => Wire::Tls(Box::new(acceptor.accept(stream).await?)),
            _ => return Err(io::Error::other("TLS in TLS")),
        };
        Ok(())
    }

    /// Says goodbye, and waits for the client to do so: a connection that is closed with something unread in it is
    /// reset, and what was said last is lost.
    async fn close(&mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        while self.stream.read(&mut vec![0; 4_096]).await? > 0 {}
        Ok(())
    }
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    None,
}

impl Wire {
    fn both(&mut self) -> io::Result<&mut (dyn Both + Send)> {
        match self {
            Self::Plain(stream) => Ok(stream),
            Self::Tls(stream) => Ok(&mut **stream),
            Self::None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Tls(stream) => Some(stream.get_ref().0),
            Self::None => None,
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.both()?.read(buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.both()?;
        stream.write_all(bytes).await?;
        stream.flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.both()?.shutdown().await
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}
