//! A loopback listener whose connections can be ended from inside a handler.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::saying::Saying;

/// How a connection goes down. The order matters: a later one overrides an earlier one.
const OPEN: u8 = 0;
const CLOSE_WHEN_FLUSHED: u8 = 1;
const RESET_WHEN_FLUSHED: u8 = 2;
const CLOSE_NOW: u8 = 3;
const RESET_NOW: u8 = 4;

/// A handle on one accepted connection, given to handlers as `ConnectInfo<Connection>`.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ending: AtomicU8,
    waker: AtomicWaker,
    saying: Mutex<Option<Saying>>,
}

impl Connection {
    /// Sends this in the place of what the server writes next, up to its next flush.
    pub(super) fn say(&self, saying: Saying) {
        *self.shared.saying.lock().unwrap_or_else(PoisonError::into_inner) = Some(saying);
    }

    fn end(&self, ending: u8) {
        self.shared.ending.fetch_max(ending, Ordering::AcqRel);
        self.shared.waker.wake();
    }

    /// Ends the connection with a RST at once.
    pub fn reset(&self) {
        self.end(RESET_NOW);
    }

    /// Ends the connection at once, as a process that dies would.
    pub fn close(&self) {
        self.end(CLOSE_NOW);
    }

    /// Ends the connection when what was written so far has left: with a RST, or in order.
    pub fn end_when_flushed(&self, reset: bool) {
        self.end(if reset { RESET_WHEN_FLUSHED } else { CLOSE_WHEN_FLUSHED });
    }
}

/// A TCP listener that knows its open connections, so that a server can be stopped with none left behind.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    open: Arc<Open>,
}

/// The open connections of one listener.
#[derive(Debug, Default)]
pub(crate) struct Open {
    connections: Mutex<Vec<Weak<Shared>>>,
    count: AtomicUsize,
    changed: Notify,
}

impl Open {
    /// Closes all of them at once.
    pub(crate) fn close_all(&self) {
        let connections =
            std::mem::take(&mut *self.connections.lock().unwrap_or_else(PoisonError::into_inner));
        for shared in connections.iter().filter_map(Weak::upgrade) {
            Connection { shared }.close();
        }
    }

    /// Comes back when none is left.
    pub(crate) async fn drained(&self) {
        loop {
            let changed = self.changed.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Listener {
    /// Binds 127.0.0.1 at this port, 0 for any free one.
    ///
    /// # Errors
    /// What the operating system says, for instance that the port is taken.
    pub async fn bind(port: u16) -> io::Result<Self> {
        let tcp = TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(Self { tcp, open: Arc::default() })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    pub(crate) fn open_connections(&self) -> Arc<Open> {
        Arc::clone(&self.open)
    }
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        let (tcp, address) = axum::serve::Listener::accept(&mut self.tcp).await;
        // Pages are written in few large pieces; waiting to fill a segment would only delay the last one.
        let _ = tcp.set_nodelay(true);
        let shared = Arc::new(Shared {
            ending: AtomicU8::new(OPEN),
            waker: AtomicWaker::new(),
            saying: Mutex::default(),
        });
        let mut connections = self.open.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(&shared));
        self.open.count.fetch_add(1, Ordering::AcqRel);
        let open = Arc::clone(&self.open);
        (Stream { tcp, connection: Connection { shared }, saying: None, open }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Connected<IncomingStream<'_, Listener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A TCP stream that ends when its [`Connection`] was told to.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    connection: Connection,
    /// What is said now. It begins with what the server writes, which is swallowed.
    saying: Option<Saying>,
    open: Arc<Open>,
}

impl Stream {
    /// Whether what the server writes now is swallowed.
    fn swallows(&mut self) -> bool {
        if self.saying.is_none() {
            self.saying = self.connection.shared.saying.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.saying.is_some()
    }

    /// Fails when the connection has to go down at this point; dropping the socket afterwards does it.
    fn check(&self, flushed: bool) -> io::Result<()> {
        let ending = self.connection.shared.ending.load(Ordering::Acquire);
        let due = ending >= CLOSE_NOW || (flushed && ending != OPEN);
        if !due {
            return Ok(());
        }
        if matches!(ending, RESET_NOW | RESET_WHEN_FLUSHED) {
            self.tcp.set_zero_linger()?;
        }
        Err(ErrorKind::ConnectionAborted.into())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.open.count.fetch_sub(1, Ordering::AcqRel);
        self.open.changed.notify_waiters();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The HTTP server reads while a handler runs (to notice a client that leaves), so this is where a
        // handler that ends its own connection is heard.
        self.connection.shared.waker.register(cx.waker());
        self.check(false)?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(false)?;
        if self.swallows() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(false)?;
        if self.swallows() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { saying, tcp, connection, .. } = &mut *self;
        if let Some(said) = saying {
            std::task::ready!(said.poll(cx, tcp))?;
            if said.last {
                connection.end_when_flushed(false);
            }
            *saying = None;
        }
        std::task::ready!(Pin::new(&mut self.tcp).poll_flush(cx))?;
        Poll::Ready(self.check(true))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
