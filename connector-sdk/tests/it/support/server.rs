//! A server on loopback that answers in raw bytes, as wrong as a test wants.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex},
};

use connector_sdk::http::Url;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use super::soon;

/// What the server does with one request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// These bytes; the connection stays open for another request.
    Keep(Vec<u8>),
    /// These bytes, and the end of the connection.
    Close(Vec<u8>),
    /// These bytes, and then nothing.
    Stall(Vec<u8>),
    /// The connection is reset.
    Reset,
    /// These bytes, and then those that the test sends, until it has no more.
    Fed(Vec<u8>, mpsc::UnboundedReceiver<Vec<u8>>),
}

/// A whole answer.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn ok(body: impl AsRef<[u8]>) -> Reply {
    Reply::Keep(answer("200 OK", "", body))
}

pub(crate) fn json(status: &str, body: &str) -> Reply {
    Reply::Keep(answer(status, "content-type: application/json\r\n", body))
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: Url,
    requests: Arc<Mutex<Vec<String>>>,
    arrivals: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers with these, in order, and then resets every connection.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_with(replies, |socket| async { Some(socket) }, "http").await
    }

    /// Puts a layer (TLS) around each connection.
    pub(crate) async fn start_with<S, F>(
        replies: impl IntoIterator<Item = Reply>,
        wrap: impl Fn(TcpStream) -> F + Send + Sync + 'static,
        scheme: &str,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Lingering,
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://127.0.0.1:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
        let replies = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let seen = Arc::clone(&requests);
        let wrap = Arc::new(wrap);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (replies, seen, arrived, wrap) =
                    (Arc::clone(&replies), Arc::clone(&seen), arrived.clone(), Arc::clone(&wrap));
                connections.spawn(async move {
                    let Some(mut socket) = wrap(socket).await else { return };
                    while let Some(request) = read_request(&mut socket).await {
                        seen.lock().unwrap().push(request);
                        let _ = arrived.send(());
                        // Who asks more than a test foresees shall fail, not wait.
                        let reply = replies.lock().unwrap().pop_front().unwrap_or(Reply::Reset);
                        if !serve(&mut socket, reply).await {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, requests, arrivals: tokio::sync::Mutex::new(arrivals), task }
    }

    /// The requests so far, as they came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits for one more request.
    pub(crate) async fn arrival(&self) {
        soon(async { self.arrivals.lock().await.recv().await }).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection that can be reset.
pub(crate) trait Lingering {
    fn reset_on_close(&self);
}

impl Lingering for TcpStream {
    fn reset_on_close(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Lingering for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

async fn serve<S: AsyncWrite + Unpin + Lingering>(socket: &mut S, reply: Reply) -> bool {
    match reply {
        Reply::Keep(bytes) => socket.write_all(&bytes).await.is_ok(),
        Reply::Close(bytes) => {
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
            false
        }
        Reply::Stall(bytes) => {
            let _ = socket.write_all(&bytes).await;
            pending().await
        }
        Reply::Reset => {
            socket.reset_on_close();
            false
        }
        Reply::Fed(bytes, mut more) => {
            let _ = socket.write_all(&bytes).await;
            while let Some(bytes) = more.recv().await {
                let _ = socket.write_all(&bytes).await;
            }
            false
        }
    }
}

async fn read_request<S: AsyncRead + Unpin>(socket: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
