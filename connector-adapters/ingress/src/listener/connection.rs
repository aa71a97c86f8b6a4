//! One connection, with its limits.

use std::{convert::Infallible, pin::pin, sync::Arc};

use bytes::Bytes;
use connector_sdk::{Clock, clock::timeout};
use http::{Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{Answer, ListenerConfig, Receive};

/// Bytes of a head, at most.
const MAX_HEAD: usize = 64 << 10;
/// Headers of a request, at most.
const MAX_HEADERS: usize = 100;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is to send the head of a request.
    Waiting,
    /// A request is in hand, which has limits of its own.
    Busy,
}

pub(super) struct Connection {
    pub(super) config: ListenerConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) receive: Arc<dyn Receive>,
    pub(super) stop: CancellationToken,
}

impl Connection {
    /// Serves it to its end, or to the end of our patience.
    pub(super) async fn serve(self, stream: TcpStream) {
        // Answers are small and awaited.
        let _ = stream.set_nodelay(true);
        let (phase, phases) = watch::channel(Phase::Waiting);
        let service = service_fn(|request| {
            phase.send_replace(Phase::Busy);
            let answer = self.answer(request);
            let phase = &phase;
            async move {
                let answer = answer.await;
                phase.send_replace(Phase::Waiting);
                Ok::<Response<Full<Bytes>>, Infallible>(answer.into_response())
            }
        });
        let mut http = http1::Builder::new();
        // The limits here are by the clock that we were given, which hyper does not know.
        http.header_read_timeout(None).max_buf_size(MAX_HEAD).max_headers(MAX_HEADERS);
        let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
        let mut is_stopping = false;
        let mut patience = pin!(self.patience(phases));
        loop {
            tokio::select! {
                biased;
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection has broken off");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !is_stopping => {
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

    /// Ends when a head has been waited for long enough.
    async fn patience(&self, mut phases: watch::Receiver<Phase>) {
        loop {
            let is_waiting = *phases.borrow_and_update() == Phase::Waiting;
            tokio::select! {
                changed = phases.changed() => if changed.is_err() { return },
                () = self.clock.sleep(self.config.header_timeout), if is_waiting => return,
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        if let Err(refused) = self.receive.admits(&head).and_then(|()| self.admits(&head)) {
            return refused.closing();
        }
        let read = Limited::new(body, self.config.max_body).collect();
        let body = match timeout(&*self.clock, self.config.body_timeout, read).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
            Ok(Err(_)) => return Answer::refused(StatusCode::BAD_REQUEST, "the body breaks off").closing(),
            Err(_) => {
                return Answer::refused(StatusCode::REQUEST_TIMEOUT, "the body takes too long").closing();
            }
        };
        self.receive.receive(head, body).await
    }

    /// What can be refused without reading the body.
    fn admits(&self, head: &Parts) -> Result<(), Answer> {
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length: Option<u64> = length.and_then(|text| text.parse().ok());
        if length.is_some_and(|length| length > self.config.max_body as u64) {
            return Err(too_large());
        }
        let encoding = head.headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            let why = "bodies are taken as they are, without an encoding";
            return Err(Answer::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        Ok(())
    }
}

fn too_large() -> Answer {
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").closing()
}
