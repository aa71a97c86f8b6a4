//! A proxy on loopback before any TCP server, where connections go wrong as they were told to.
//!
//! It speaks no protocol. Faults are named by the number of the connection, counted from 1, and by bytes in one
//! direction, so they come out the same every time. Each connection ends after `TcpProxy::LONGEST` at the latest:
//! a test that waits for what never comes fails and does not hang.

mod certificate;
mod door;
mod line;
mod pump;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{Shutdown, SocketAddr},
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

pub(crate) use certificate::Authority;
pub use certificate::Flaw;
use door::Door;
pub use line::{Line, Way};
use pump::Ending;

/// One connection, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// Its number, counted from 1.
    pub number: u64,
    /// What it met.
    pub fault: Option<Line>,
    /// Bytes that came from the client, and those that came from the server. They need not have arrived.
    pub bytes: [u64; 2],
    /// It is over.
    pub ended: bool,
}

/// A proxy on loopback before any TCP server, where connections go wrong as they were told to. Dropping it ends them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// use connector_testkit::fault::{Line, TcpProxy, Way};
/// use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::{TcpListener, TcpStream}};
/// let server = TcpListener::bind("127.0.0.1:0").await?;
/// let proxy = TcpProxy::start(server.local_addr()?).await?;
/// proxy.on(1..=1, Line::Close { way: Way::Down, after: 6 });
/// let mut client = TcpStream::connect(proxy.address()).await?;
/// let (mut served, _) = server.accept().await?;
/// served.write_all(b"* OK IMAP4rev1 ready\r\n").await?;
/// let mut heard = String::new();
/// client.read_to_string(&mut heard).await?;
/// assert_eq!(heard, "* OK I");
/// # Ok(()) }
/// ```
pub struct TcpProxy {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    address: SocketAddr,
    upstream: SocketAddr,
    authority: Option<Authority>,
    book: Mutex<Book>,
    changed: Notify,
}

#[derive(Default)]
struct Book {
    /// The last that was made for a connection holds.
    rules: Vec<(Bound<u64>, Bound<u64>, Line)>,
    log: Vec<Passed>,
    open: usize,
    /// The clients of the open connections, by index: a second handle on each, to hang up on it.
    clients: BTreeMap<usize, std::net::TcpStream>,
}

impl Book {
    fn fault(&self, number: u64) -> Option<Line> {
        let rule = self.rules.iter().rev().find(|(from, to, _)| (*from, *to).contains(&number));
        rule.map(|(_, _, line)| line.clone())
    }

    fn next(&self) -> u64 {
        self.log.len() as u64 + 1
    }
}

impl TcpProxy {
    /// The longest that a connection lasts, by the wall's clock.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// A proxy before this server, on any free port of 127.0.0.1.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        Self::with(upstream, None).await
    }

    /// The same, which speaks TLS with its clients and plain TCP with the server. Its certificate is for `localhost`
    /// and of an authority of its own, see [`TcpProxy::authority_pem`].
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn start_tls(upstream: SocketAddr) -> io::Result<Self> {
        Self::with(upstream, Some(Authority::new()?)).await
    }

    async fn with(upstream: SocketAddr, authority: Option<Authority>) -> io::Result<Self> {
        let door = Door::new()?;
        let shared = Arc::new(Shared {
            address: door.address(),
            upstream,
            authority,
            book: Mutex::default(),
            changed: Notify::new(),
        });
        let task = tokio::spawn(Arc::clone(&shared).serve(door));
        Ok(Self { shared, task })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// The same as the URL of a web server: `http://127.0.0.1:PORT`, or `https://localhost:PORT` with TLS.
    #[must_use]
    pub fn url(&self) -> String {
        match self.shared.authority {
            None => format!("http://{}", self.shared.address),
            Some(_) => format!("https://localhost:{}", self.shared.address.port()),
        }
    }

    /// The certificate of the authority to trust, in PEM; none without TLS.
    #[must_use]
    pub fn authority_pem(&self) -> Option<&str> {
        self.shared.authority.as_ref().map(Authority::pem)
    }

    /// These connections, by their numbers, meet this. The last rule for a number holds.
    pub fn on(&self, connections: impl RangeBounds<u64>, fault: Line) {
        let (from, to) = (connections.start_bound().cloned(), connections.end_bound().cloned());
        self.shared.lock().rules.push((from, to, fault));
        self.shared.changed.notify_one();
    }

    /// The next so many connections meet this.
    pub fn next(&self, connections: u64, fault: Line) {
        let mut book = self.shared.lock();
        let next = book.next();
        let end = Bound::Excluded(next.saturating_add(connections));
        book.rules.push((Bound::Included(next), end, fault));
        drop(book);
        self.shared.changed.notify_one();
    }

    /// Ends all open connections, in order. When this comes back, whoever is at their other ends can see it.
    pub fn hang_up(&self) {
        for client in self.shared.lock().clients.values() {
            // One that has gone already is none the worse for it.
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// Takes all rules out: connections from now on are good ones.
    pub fn mend(&self) {
        self.shared.lock().rules.clear();
        self.shared.changed.notify_one();
    }

    /// The connections so far, oldest first. Those that were refused never came.
    #[must_use]
    pub fn log(&self) -> Vec<Passed> {
        self.shared.lock().log.clone()
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for TcpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { address, upstream, .. } = &*self.shared;
        f.debug_struct("TcpProxy")
            .field("address", address)
            .field("upstream", upstream)
            .finish_non_exhaustive()
    }
}

/// Who lets go of a place when a connection is over.
struct Place {
    shared: Arc<Shared>,
    index: usize,
}

impl Place {
    fn count(&self, way: usize, bytes: usize) {
        if let Some(passed) = self.shared.lock().log.get_mut(self.index) {
            passed.bytes[way] += bytes as u64;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.shared.lock();
        book.open -= 1;
        book.clients.remove(&self.index);
        if let Some(passed) = book.log.get_mut(self.index) {
            passed.ended = true;
        }
        drop(book);
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts for as long as it lives.
    async fn serve(self: Arc<Self>, mut door: Door) {
        let mut connections = JoinSet::new();
        loop {
            let (fault, open) = {
                let book = self.lock();
                (book.fault(book.next()), book.open)
            };
            let refused = matches!(fault, Some(Line::Refuse));
            // Whoever comes while all places are taken waits in the system's queue.
            let full = matches!(fault, Some(Line::Wait { connections }) if open >= connections);
            if door.set_open(!refused).is_err() {
                return;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(_) = connections.join_next() => {}
                client = door.accept(), if !refused && !full => {
                    // A client that has left already is none.
                    let Ok(client) = client else { continue };
                    // Nor is one that came in while the door was being closed.
                    let Some((index, fault, open)) = self.admit() else {
                        reset(&client);
                        continue;
                    };
                    let place = Place { shared: Arc::clone(&self), index };
                    let Ok(client) = self.listed(index, client) else { continue };
                    connections.spawn(meet(place, client, fault, open));
                }
            }
        }
    }

    /// Keeps a second handle on the client.
    fn listed(&self, index: usize, client: TcpStream) -> io::Result<TcpStream> {
        let client = client.into_std()?;
        self.lock().clients.insert(index, client.try_clone()?);
        TcpStream::from_std(client)
    }

    /// Counts a connection in. Answers its index, what it meets, and how many there were before it; none where it is
    /// to be refused.
    fn admit(&self) -> Option<(usize, Option<Line>, usize)> {
        let mut book = self.lock();
        let (number, index, open) = (book.next(), book.log.len(), book.open);
        let fault = book.fault(number);
        if matches!(fault, Some(Line::Refuse)) {
            return None;
        }
        book.log.push(Passed { number, fault: fault.clone(), bytes: [0, 0], ended: false });
        book.open += 1;
        Some((index, fault, open))
    }
}

/// One connection, from its first byte to its last.
async fn meet(place: Place, client: TcpStream, fault: Option<Line>, open: usize) {
    let _ = client.set_nodelay(true);
    #[allow(
        clippy::disallowed_methods,
        reason = "the last resort against a test that hangs is the wall's clock"
    )]
    let _ = tokio::time::timeout(TcpProxy::LONGEST, async {
        match (&place.shared.authority, &fault) {
            (_, Some(Line::TurnAway { connections })) if open >= *connections => reset(&client),
            (None, _) => carry(&place, client, fault.as_ref(), |client| client).await,
            (Some(authority), _) => {
                let flaw = if let Some(Line::Certificate(flaw)) = &fault { Some(*flaw) } else { None };
                let Ok(config) = authority.server(flaw) else { return };
                // A client that does not trust us ends the handshake, and all is said.
                if let Ok(client) = TlsAcceptor::from(config).accept(client).await {
                    carry(&place, client, fault.as_ref(), |client| client.get_ref().0).await;
                }
            }
        }
    })
    .await;
}

/// Carries bytes both ways until both are done, or the fault says it is enough.
async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    place: &Place,
    client: S,
    fault: Option<&Line>,
    tcp: impl Fn(&S) -> &TcpStream,
) {
    let Ok(mut server) = TcpStream::connect(place.shared.upstream).await else { return reset(tcp(&client)) };
    let _ = server.set_nodelay(true);
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = server.split();
    let up = pump::pump(&mut from_client, &mut to_server, Way::Up, fault, |bytes| place.count(0, bytes));
    let down = pump::pump(&mut from_server, &mut to_client, Way::Down, fault, |bytes| place.count(1, bytes));
    let ending = tokio::try_join!(up, down);
    let client = from_client.unsplit(to_client);
    match ending {
        Err(Ending::Reset) => reset(tcp(&client)),
        Err(Ending::Close) => close(client).await,
        Ok(_) => {}
    }
}

/// Says goodbye, and waits for the client to do so: a connection that is closed with something unread in it is
/// reset, and what was said last is lost.
async fn close(mut client: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = client.shutdown().await;
    while client.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
}

/// What makes the drop of a socket a RST.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}
