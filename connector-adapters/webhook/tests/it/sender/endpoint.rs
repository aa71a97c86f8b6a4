//! An endpoint that answers in raw bytes, as wrong as a test wants, and knows what it was sent.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use connector_ingress::scheme::{Scheme, SchemeConfig, SchemeName};
use connector_sdk::{Clock, Secret, SystemClock, Timestamp};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What it does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// This status, with these headers and this body.
    Status(u16, &'static str, String),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
    /// These bytes, then a byte now and then, for ever.
    Drip(Vec<u8>, Duration),
    /// These bytes, then as many as are taken, for ever.
    Endless(Vec<u8>),
    /// These bytes, then a reset.
    Reset(Vec<u8>),
    /// Nothing, for ever.
    Silent,
    /// This status, after so long.
    Slow(u16, Duration),
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, "", String::new())
    }
}

/// What it was sent.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the scheme says of it at this time of the test's clock.
    pub(crate) is_proved: bool,
    pub(crate) at: Timestamp,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn id(&self) -> String {
        self.header("webhook-id").to_owned()
    }
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    scheme: Arc<dyn Scheme>,
    replies: Mutex<VecDeque<Reply>>,
    otherwise: Mutex<Reply>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// The endpoint. It is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Endpoint {
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Self {
        Self::at("127.0.0.1:0", clock).await
    }

    pub(crate) async fn at(address: &str, clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let config = SchemeConfig::new(SchemeName::StandardWebhooks, vec![Secret::from(SECRET)]);
        let shared = Arc::new(Shared {
            clock,
            scheme: config.verifier().unwrap(),
            replies: Mutex::default(),
            otherwise: Mutex::new(Reply::status(204)),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
        });
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { shared.serve(socket).await });
            }
        });
        Self { address, shared, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks?token=canary-9f", self.address)
    }

    /// Does this with the next requests, and then what it does otherwise.
    pub(crate) fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.replies.lock().unwrap().extend(replies);
    }

    /// Does this with each request from now on.
    pub(crate) fn always(&self, reply: Reply) {
        self.shared.replies.lock().unwrap().clear();
        *self.shared.otherwise.lock().unwrap() = reply;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.received.lock().unwrap().len()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.received().iter().map(Received::id).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many requests were answered at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn serve(&self, mut socket: TcpStream) {
        while let Some(received) = self.read(&mut socket).await {
            let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_open.fetch_max(open, Ordering::SeqCst);
            let reply = self.replies.lock().unwrap().pop_front();
            let reply = reply.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
            self.received.lock().unwrap().push(received);
            let goes_on = self.answer(&mut socket, reply).await;
            self.open.fetch_sub(1, Ordering::SeqCst);
            if !goes_on {
                return;
            }
        }
    }

    async fn read(&self, socket: &mut TcpStream) -> Option<Received> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let pairs = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
        while bytes.len() < end + 4 + length {
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        let body = Bytes::copy_from_slice(&bytes[end + 4..]);
        let at = self.clock.now();
        let is_proved = self.scheme.verify(&headers, &body, at).is_ok();
        Some(Received { line, headers, body, is_proved, at })
    }

    /// Whether the connection may be used again.
    async fn answer(&self, socket: &mut TcpStream, reply: Reply) -> bool {
        let whole = |status: u16, headers: &str, body: &str| {
            format!("HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
                .into_bytes()
        };
        match reply {
            Reply::Status(204, headers, _) => {
                let head = format!("HTTP/1.1 204 Said\r\n{headers}\r\n");
                socket.write_all(head.as_bytes()).await.is_ok()
            }
            Reply::Status(status, headers, body) => {
                socket.write_all(&whole(status, headers, &body)).await.is_ok()
            }
            Reply::Raw(bytes) => {
                let _ = socket.write_all(&bytes).await;
                false
            }
            Reply::Drip(bytes, pause) => {
                let _ = socket.write_all(&bytes).await;
                while socket.write_all(b"x").await.is_ok() {
                    SystemClock::new().sleep(pause).await;
                }
                false
            }
            Reply::Endless(bytes) => {
                let _ = socket.write_all(&bytes).await;
                while socket.write_all(&[b'x'; 8192]).await.is_ok() {}
                false
            }
            Reply::Reset(bytes) => {
                let _ = socket.write_all(&bytes).await;
                // What was sent must be read before the reset takes it away.
                SystemClock::new().sleep(Duration::from_millis(30)).await;
                let _ = socket.set_zero_linger();
                false
            }
            Reply::Silent => {
                // Until the other side gives up.
                let _ = socket.read(&mut [0; 1]).await;
                false
            }
            Reply::Slow(status, wait) => {
                SystemClock::new().sleep(wait).await;
                socket.write_all(&whole(status, "", "")).await.is_ok()
            }
        }
    }
}
