//! A sender with a vendor's ways.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connector_sdk::Clock;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Event, Kind, Pace, signing};
use crate::post::{self, Answered};

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Of the event.
    pub id: String,
    /// 0, then the number of the retry.
    pub attempt: u32,
    /// When it was sent, by the sender's clock, in milliseconds since 1970.
    pub at: i64,
    /// What was answered; none where no answer came in time.
    pub status: Option<u16>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Answered 2xx.
    Delivered,
    /// Not within the vendor's attempts.
    GivenUp,
    /// The vendor has ended the subscription, before or with this event.
    Unsubscribed,
}

#[derive(Debug)]
struct Book {
    secrets: Vec<String>,
    next: u64,
    subscribed: bool,
    log: Vec<Delivery>,
}

/// A sender of webhooks that signs as its vendor does and is as patient. Dropping it ends what it is about to send.
#[derive(Debug)]
pub struct FakeSender {
    inner: Arc<Inner>,
    tasks: Mutex<JoinSet<Fate>>,
}

#[derive(Debug)]
struct Inner {
    kind: Kind,
    pace: Pace,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FakeSender {
    /// A sender that signs with this secret, written as a configuration has it: [`Kind::secret`] is one.
    #[must_use]
    pub fn new(kind: Kind, secret: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self::with_pace(kind, secret, clock, Pace::of(kind))
    }

    /// The same, with a patience of a test's own.
    #[must_use]
    pub fn with_pace(kind: Kind, secret: impl Into<String>, clock: Arc<dyn Clock>, pace: Pace) -> Self {
        let book = Book { secrets: vec![secret.into()], next: 0, subscribed: true, log: Vec::new() };
        let inner = Inner { kind, pace, clock, book: Mutex::new(book) };
        Self { inner: Arc::new(inner), tasks: Mutex::default() }
    }

    /// Signs with these from now on. Standard Webhooks and Stripe sign with all of them, as while a secret is changed; the
    /// others with the first.
    pub fn change_secrets(&self, secrets: &[&str]) {
        self.inner.book().secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    }

    /// A new event around a payload, with an id of its own.
    #[must_use]
    pub fn event(&self, payload: Value) -> Event {
        let at = self.inner.clock.now().as_millis() / 1000;
        let number = {
            let mut book = self.inner.book();
            book.next += 1;
            book.next
        };
        Event::of(self.inner.kind, number, at, &payload)
    }

    /// The headers of a request with this event that is sent now: signed anew each time.
    #[must_use]
    pub fn headers(&self, event: &Event) -> Vec<(&'static str, String)> {
        self.inner.headers(event, 0, None)
    }

    /// Sends once, as the attempt with this number, and logs it; none where no answer came within the vendor's patience.
    pub async fn attempt(&self, url: &str, event: &Event, attempt: u32) -> Option<Answered> {
        self.inner.attempt(url, event, attempt, None).await.ok()
    }

    /// Sends until it is delivered or the vendor gives up.
    pub async fn deliver(&self, url: &str, event: &Event) -> Fate {
        self.inner.deliver(url, event).await
    }

    /// A new event, delivered beside the test. Answers its id.
    pub fn push(&self, url: impl Into<String>, payload: Value) -> String {
        let event = self.event(payload);
        let id = event.id.clone();
        self.push_event(url, event);
        id
    }

    /// Delivers an event beside the test: a new one, or one that was sent before, as by hand (GitHub's "Redeliver").
    pub fn push_event(&self, url: impl Into<String>, event: Event) {
        let (inner, url) = (Arc::clone(&self.inner), url.into());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move { inner.deliver(&url, &event).await });
    }

    /// Waits until all that was pushed is delivered or given up.
    pub async fn settled(&self) -> Vec<Fate> {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut fates = Vec::new();
        while let Some(fate) = tasks.join_next().await {
            fates.extend(fate);
        }
        fates
    }

    /// All attempts so far, in the order of their beginning.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.inner.book().log.clone()
    }

    /// Whether the vendor still sends.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.inner.book().subscribed
    }
}

impl Inner {
    fn headers(&self, event: &Event, attempt: u32, reason: Option<&str>) -> Vec<(&'static str, String)> {
        let seconds = self.clock.now().as_millis() / 1000;
        let secrets = self.book().secrets.clone();
        let mut headers = vec![("Content-Type", event.content_type.clone())];
        headers.extend(signing::sign(self.kind, &secrets, &event.id, seconds, &event.body));
        headers.extend(event.headers.iter().cloned());
        if let (Kind::Slack, Some(reason)) = (self.kind, reason) {
            headers.push(("X-Slack-Retry-Num", attempt.to_string()));
            headers.push(("X-Slack-Retry-Reason", reason.to_owned()));
        }
        headers
    }

    /// Sends once. What came instead of an answer is in Slack's words.
    async fn attempt(
        &self,
        url: &str,
        event: &Event,
        attempt: u32,
        reason: Option<&str>,
    ) -> Result<Answered, &'static str> {
        let headers = self.headers(event, attempt, reason);
        let place = {
            let mut book = self.book();
            let at = self.clock.now().as_millis();
            book.log.push(Delivery { id: event.id.clone(), attempt, at, status: None });
            book.log.len() - 1
        };
        let answered = tokio::select! {
            answered = post::send(url, &headers, &event.body) => answered.ok_or("connection_failed"),
            () = self.clock.sleep(self.pace.patience) => Err("http_timeout"),
        };
        if let (Ok(answered), Some(delivery)) = (&answered, self.book().log.get_mut(place)) {
            delivery.status = Some(answered.status);
        }
        answered
    }

    async fn deliver(&self, url: &str, event: &Event) -> Fate {
        let (mut reason, mut least) = (None, Duration::ZERO);
        for (attempt, wait) in (0..).zip(&self.pace.waits) {
            self.clock.sleep((*wait).max(least)).await;
            if !self.book().subscribed {
                return Fate::Unsubscribed;
            }
            reason = match self.attempt(url, event, attempt, reason).await {
                Ok(answered) if (200..300).contains(&answered.status) => return Fate::Delivered,
                Ok(answered) if answered.header("x-slack-no-retry") == Some("1") => return Fate::GivenUp,
                Ok(answered) if answered.status == 410 && self.pace.gives_up_for_good => {
                    self.book().subscribed = false;
                    return Fate::Unsubscribed;
                }
                Ok(answered) => {
                    let asked = answered.header("retry-after").and_then(|seconds| seconds.parse().ok());
                    let asked = asked.filter(|_| self.pace.heeds_retry_after);
                    least = Duration::from_secs(asked.unwrap_or_default());
                    Some("http_error")
                }
                Err(reason) => Some(reason),
            };
        }
        if self.pace.gives_up_for_good {
            self.book().subscribed = false;
            return Fate::Unsubscribed;
        }
        Fate::GivenUp
    }
}
