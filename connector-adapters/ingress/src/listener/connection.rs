//! One connection, with its limits.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use connector_sdk::Clock;
use http::{Request, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    Answer, ListenerConfig, Receive,
    body::{Flight, linger, read_body},
    places::{Place, Places},
};

/// Bytes of a head, at most.
const MAX_HEAD: usize = 64 << 10;
/// Headers of a request, at most.
const MAX_HEADERS: usize = 100;
/// After how many seconds who came at a bad time may try again.
const RETRY_AFTER: u32 = 5;

/// What all connections of a listener have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: ListenerConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) receive: Arc<dyn Receive>,
    pub(super) flight: Flight,
    pub(super) places: Arc<Places>,
}

impl Shared {
    /// Milliseconds by the clock.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }
}

pub(super) struct Connection {
    shared: Arc<Shared>,
    place: Place,
    flight: Flight,
    stop: CancellationToken,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, place: Place, stop: CancellationToken) -> Self {
        let flight = shared.flight.at(Arc::clone(&shared.places), place.id());
        Self { shared, place, flight, stop }
    }

    /// Serves it to its end, or to the end of our patience.
    pub(super) async fn serve(self, stream: TcpStream) {
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        // Who says nothing costs a task and no buffers.
        if !matches!(self.patiently(stream.peek(&mut [0])).await, Some(Ok(1))) {
            return;
        }
        let Some(tls) = &self.shared.config.tls else {
            return Box::pin(self.speak(stream)).await;
        };
        match self.patiently(Box::pin(tls.acceptor().accept(stream))).await {
            Some(Ok(stream)) => {
                self.place.waits(self.shared.now());
                Box::pin(self.speak(stream)).await;
            }
            Some(Err(error)) => tracing::debug!(%error, "a handshake has failed"),
            None => {}
        }
    }

    /// What comes of it before the stop, while the sender still has time to begin.
    async fn patiently<T>(&self, future: impl Future<Output = io::Result<T>>) -> Option<io::Result<T>> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.stop.cancelled() => None,
            () = self.patience() => None,
        }
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.answer(request));
        let mut http = http1::Builder::new();
        // The limits here are by the clock that we were given, which hyper does not know.
        http.header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS).half_close(false);
        let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut is_stopping = false;
        let mut patience = pin!(self.patience());
        let mut stopped = pin!(self.stop.cancelled());
        loop {
            tokio::select! {
                biased;
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection has broken off");
                    }
                    return;
                }
                () = stopped.as_mut(), if !is_stopping => {
                    is_stopping = true;
                    served.as_mut().graceful_shutdown();
                }
                () = patience.as_mut() => {
                    tracing::debug!("a connection that sends nothing is closed");
                    return;
                }
            }
        }
    }

    /// Ends when the sender was waited for long enough. One timer, however many requests there are.
    async fn patience(&self) {
        let limit = u64::try_from(self.shared.config.header_timeout.as_millis()).unwrap_or(u64::MAX);
        loop {
            let left = match self.place.waiting_since() {
                Some(since) => since.saturating_add(limit).saturating_sub(self.shared.now()),
                None => limit,
            };
            if left == 0 {
                return;
            }
            self.shared.clock.sleep(Duration::from_millis(left)).await;
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
        let answer = match self.place.begins(self.shared.now()) {
            true => self.take(request).await,
            false => crowded(),
        };
        self.place.waits(self.shared.now());
        Ok(answer.into_response())
    }

    async fn take(&self, request: Request<Incoming>) -> Answer {
        let Shared { clock, receive, .. } = &*self.shared;
        let (head, body) = request.into_parts();
        let mut body = pin!(body);
        let read = match receive.admits(&head) {
            Ok(limits) => read_body(body.as_mut(), &limits, &self.flight, &**clock).await,
            Err(refused) => Err(refused),
        };
        match read {
            Ok((body, held)) if self.place.is_complete(self.shared.now()) => {
                let answer = receive.receive(head, body).await;
                drop(held);
                answer
            }
            Ok(_) => crowded(),
            // Who waits to be asked for the body is not asked.
            Err(refused) if head.headers.contains_key(header::EXPECT) => refused.closing(),
            Err(refused) => match linger(body, &**clock).await {
                true => refused,
                false => refused.closing(),
            },
        }
    }
}

fn crowded() -> Answer {
    Answer::later("there are too many connections now", RETRY_AFTER).closing()
}
