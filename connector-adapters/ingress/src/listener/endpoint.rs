//! What is done with a request: verified, made durable, answered; in this order and no other.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use connector_sdk::{Clock, clock::timeout};
use http::{Method, StatusCode, request::Parts};

use super::{Answer, BodyLimits, Rate, encoding::Encoding};
use crate::{
    journal::{Entry, Journal, JournalError},
    scheme::{Keep, Proof, Refused, Scheme, Verified},
};

/// What stands behind a listener.
#[async_trait]
pub trait Receive: Send + Sync + fmt::Debug {
    /// Whether a request may go on, by its head alone, and what its body may cost then.
    ///
    /// # Errors
    /// What to answer instead.
    fn admits(&self, head: &Parts) -> Result<BodyLimits, Answer>;

    /// Answers a request that was admitted.
    async fn receive(&self, head: Parts, body: Bytes) -> Answer;

    /// How long body and answer may take together.
    fn longest(&self) -> Duration;
}

/// After how many seconds who was refused for now may try again.
const RETRY_AFTER: u32 = 5;
/// Refusals are told to people once in this time; each is one line of a log that a stranger can write.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// One address for one sender.
pub struct Endpoint {
    path: Option<String>,
    scheme: Arc<dyn Scheme>,
    keep: Keep,
    journal: Journal,
    clock: Arc<dyn Clock>,
    within: Duration,
    body: BodyLimits,
    takes_gzip: bool,
    /// Each of them is asked, the last one first.
    rates: Vec<Rate>,
    refused: Mutex<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    told_at: Option<Duration>,
}

impl Endpoint {
    /// Takes what the scheme proves into the journal, as `keep` says, and answers within the time: 200 when it is durable,
    /// otherwise 503. Any path will do; what proves a sender is its signature.
    #[must_use]
    pub fn new(
        scheme: Arc<dyn Scheme>,
        keep: Keep,
        journal: Journal,
        clock: Arc<dyn Clock>,
        within: Duration,
    ) -> Self {
        Self {
            path: None,
            scheme,
            keep,
            journal,
            clock,
            within,
            body: BodyLimits::default(),
            takes_gzip: false,
            rates: Vec::new(),
            refused: Mutex::default(),
        }
    }

    /// What a body may cost.
    #[must_use]
    pub fn with_body(mut self, limits: BodyLimits) -> Self {
        self.body = limits;
        self
    }

    /// Takes bodies that are compressed with gzip too. What was sent is proved, what it unfolds to is kept, and is no
    /// larger than a body may be.
    #[must_use]
    pub fn with_gzip(mut self, takes_gzip: bool) -> Self {
        self.takes_gzip = takes_gzip;
        self
    }

    /// Takes no more than this, 429 otherwise. Several hold together; the first one is asked first, and what it refuses uses
    /// nothing of the others up.
    #[must_use]
    pub fn with_rate(mut self, rate: Rate) -> Self {
        self.rates.push(rate);
        self
    }

    /// Only this path is known; others are answered 404.
    #[must_use]
    pub fn with_path(mut self, path: Option<String>) -> Self {
        self.path = path;
        self
    }

    fn refuse(&self, refused: &Refused) -> Answer {
        let mut sum = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        sum.count += 1;
        let now = self.clock.monotonic();
        if sum.told_at.is_none_or(|at| now.saturating_sub(at) >= TOLD_EVERY) {
            let (status, why, count) = (refused.status.as_u16(), refused.why, sum.count);
            tracing::warn!(status, why, count, "requests are refused");
            *sum = Refusals { count: 0, told_at: Some(now) };
        }
        Answer::refused(refused.status, refused.why)
    }

    async fn append(&self, entry: Entry) -> Answer {
        match timeout(&*self.clock, self.within, self.journal.append(entry)).await {
            Ok(Ok(_)) => Answer::ok(Bytes::new()),
            Ok(Err(JournalError::TooLarge)) => {
                Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, "the event is too large")
            }
            Ok(Err(JournalError::Busy)) => Answer::later("there are too many events now", RETRY_AFTER),
            Ok(Err(JournalError::Full)) => Answer::later("there is no room for events now", RETRY_AFTER),
            Ok(Err(JournalError::Closed)) => Answer::later("it is being stopped", RETRY_AFTER),
            Ok(Err(JournalError::Failed(_))) => Answer::later("events cannot be kept now", RETRY_AFTER),
            // It may become durable yet; then it is known when it comes again.
            Err(_) => Answer::later("keeping the event takes too long", RETRY_AFTER),
        }
    }
}

#[async_trait]
impl Receive for Endpoint {
    fn admits(&self, head: &Parts) -> Result<BodyLimits, Answer> {
        if self.path.as_deref().is_some_and(|path| path != head.uri.path()) {
            return Err(Answer::refused(StatusCode::NOT_FOUND, "there is nothing here"));
        }
        if head.method != Method::POST {
            return Err(Answer::refused(StatusCode::METHOD_NOT_ALLOWED, "only POST"));
        }
        Encoding::of(&head.headers, self.takes_gzip)?;
        Ok(self.body)
    }

    async fn receive(&self, head: Parts, body: Bytes) -> Answer {
        let now = self.clock.now();
        let proof = match self.scheme.verify(&head.headers, &body, now) {
            Err(refused) => return self.refuse(&refused),
            Ok(Proof { answer: Some(answer), .. }) => return Answer::ok(answer),
            Ok(proof) => proof,
        };
        let encoding = Encoding::of(&head.headers, self.takes_gzip);
        let body = match encoding.and_then(|encoding| encoding.undo(body, self.body.max_body)) {
            Ok(body) => body,
            Err(refused) => return refused,
        };
        if let Some(Err(seconds)) = self.rates.iter().map(Rate::take).find(Result::is_err) {
            return Answer::too_many(seconds);
        }
        match (self.keep)(&head, &body, proof) {
            Err(refused) => self.refuse(&refused),
            Ok(Verified { id, head }) => self.append(Entry { id, received_at: now, head, body }).await,
        }
    }

    fn longest(&self) -> Duration {
        self.body.timeout + self.within
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("path", &self.path)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}
