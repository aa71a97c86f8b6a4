//! A receiver for senders under test.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    response::Response,
};
use bytes::Bytes;
use connector_sdk::{Clock, Timestamp};
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use tokio::task::JoinHandle;

use super::{Kind, proof::prove};
use crate::fault::{Connection, Fault, Faults, Listener, Open, Seen};

/// The largest body that is taken, in bytes.
const MAX_BODY: usize = 64 << 20;

/// One request, as it came.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it had come, by the receiver's clock.
    pub at: Timestamp,
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The id of the message, where it is proved; otherwise why it is not.
    pub proof: Result<String, String>,
    /// What was answered; none where no answer was begun: a stall, a reset.
    pub status: Option<u16>,
}

#[derive(Debug, Default)]
struct Book {
    secrets: Vec<String>,
    attempts: Vec<Attempt>,
    endless: u64,
}

struct Shared {
    kind: Kind,
    clock: Arc<dyn Clock>,
    faults: Faults,
    book: Mutex<Book>,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver on loopback that proves what it is sent, apart from all code under test. It answers 200 to what is proved
/// and 401 to what is not; what its [`faults`](Self::faults) do comes in the place of that answer, or befalls it.
///
/// A message counts as [taken](Self::taken) where it was answered 2xx, also if the answer then was lost.
/// Dropping it closes its connections.
pub struct FakeReceiver {
    url: String,
    shared: Arc<Shared>,
    open: Arc<Open>,
    task: JoinHandle<()>,
}

impl FakeReceiver {
    /// Takes what is signed with this secret: for v1a it has to be the private key, `whsk_…`.
    ///
    /// # Errors
    /// What the operating system says of listening on loopback.
    pub async fn start(kind: Kind, secret: impl Into<String>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = Listener::bind(0).await?;
        let url = format!("http://{}/hook", listener.address()?);
        let open = listener.open_connections();
        let book = Book { secrets: vec![secret.into()], ..Book::default() };
        let shared = Arc::new(Shared { kind, clock, faults: Faults::default(), book: Mutex::new(book) });
        let app = Router::new()
            .fallback(take)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Connection>();
        let task = tokio::spawn(async move {
            // Serving ends only with the task: accept errors are retried inside.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, shared, open, task })
    }

    /// Where it is: `http://127.0.0.1:PORT/hook`. Any path will do.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What goes wrong: `faults().on("").times(3).then(Fault::status(500))`, a 429 with `Retry-After`
    /// ([`Fault::retry_after`]), a 410, a redirect (`Fault::status(307).with_header("Location", …)`), a reset after the
    /// headers ([`Fault::ResetAfter`]), a slow body, or no answer at all.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Answers the next so many requests 200, and then a body without end, as fast as it is read.
    pub fn answer_without_end(&self, times: u64) {
        self.shared.book().endless = times;
    }

    /// Takes what one of these has signed from now on.
    pub fn change_secrets(&self, secrets: &[&str]) {
        self.shared.book().secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    }

    /// All requests so far, in the order in which they had come.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.shared.book().attempts.clone()
    }

    /// How many requests have come.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.book().attempts.len()
    }

    /// The ids of the messages that were proved and answered 2xx, each once, in the order of their first time.
    #[must_use]
    pub fn taken(&self) -> Vec<String> {
        let book = self.shared.book();
        let mut ids: Vec<String> = Vec::new();
        for attempt in &book.attempts {
            if let (Ok(id), Some(200..300)) = (&attempt.proof, attempt.status)
                && !ids.contains(id)
            {
                ids.push(id.clone());
            }
        }
        ids
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    // Not empty: a fault may cut it.
    let mut answer = Response::new(Body::from("taken\n"));
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return answer;
    };
    let at = shared.clock.now();
    let (place, endless) = {
        let mut book = shared.book();
        let proof = prove(shared.kind, &book.secrets, &head.headers, &body, at.as_millis() / 1000);
        if proof.is_err() {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
        let path = head.uri.path().to_owned();
        book.attempts.push(Attempt { at, path, headers: head.headers, body, proof, status: None });
        let endless = book.endless > 0;
        book.endless = book.endless.saturating_sub(1);
        (book.attempts.len() - 1, endless)
    };
    if endless {
        *answer.status_mut() = StatusCode::OK;
        *answer.body_mut() =
            Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 16384]))));
        return shared.answered(place, answer);
    }
    let (method, path) = (head.method.as_str(), head.uri.path());
    let Some(fault) = shared.faults.decide(&Seen { method, path, query: "" }) else {
        return shared.answered(place, answer);
    };
    if fault == Fault::Unauthorized {
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        return shared.answered(place, answer);
    }
    // A stall and a reset before the answer never come back from here.
    let answer = fault.instead(&connection).await.unwrap_or(answer);
    let answer = shared.answered(place, fault.upon_content(answer).await);
    fault.upon_transport(answer, &connection).await
}

impl Shared {
    /// Notes what is answered.
    fn answered(&self, place: usize, answer: Response) -> Response {
        if let Some(attempt) = self.book().attempts.get_mut(place) {
            attempt.status = Some(answer.status().as_u16());
        }
        answer
    }
}

impl Drop for FakeReceiver {
    fn drop(&mut self) {
        self.task.abort();
        self.open.close_all();
    }
}

impl fmt::Debug for FakeReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeReceiver").field("url", &self.url).finish_non_exhaustive()
    }
}
