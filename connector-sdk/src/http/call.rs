//! What travels through the layers: a request, whose call it is, and what the layers know of it so far.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use ::http::HeaderMap;
use url::Url;

use super::Request;
use crate::{Context, Delivery, Result};

/// One operation on its way through the stack. A clone is the same operation: retries share it.
#[derive(Debug, Clone)]
pub struct Call {
    shared: Arc<Shared>,
    ends_at: Option<Duration>,
    outgoing: Option<Outgoing>,
}

#[derive(Debug)]
struct Shared {
    cx: Context,
    request: Request,
    attempts: AtomicU32,
    sending: AtomicBool,
    answering: AtomicBool,
    /// The worst delivery of the attempts that ended, as a number.
    settled: AtomicU8,
}

/// Where an attempt goes, and the headers that layers add to those of the request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Outgoing {
    /// The resolved URL.
    pub url: Url,
    /// Credentials.
    pub headers: HeaderMap,
}

impl Outgoing {
    /// There, with no headers yet.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, headers: HeaderMap::new() }
    }
}

/// Shows the URL without its query, and no headers.
impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&super::request::without_query(&self.url))
    }
}

impl Call {
    /// A new operation.
    #[must_use]
    pub fn new(cx: Context, request: Request) -> Self {
        Self {
            shared: Arc::new(Shared {
                cx,
                request,
                attempts: AtomicU32::new(0),
                sending: AtomicBool::new(true),
                answering: AtomicBool::new(false),
                settled: AtomicU8::new(0),
            }),
            ends_at: None,
            outgoing: None,
        }
    }

    /// Whose call it is.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.shared.cx
    }

    /// What is asked.
    pub fn request(&self) -> &Request {
        &self.shared.request
    }

    /// The reading of the monotonic clock at which the operation has to be done; set by the deadline.
    #[must_use]
    pub fn ends_at(&self) -> Option<Duration> {
        self.ends_at
    }

    /// The time that is left; none: as long as it takes.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.ends_at.map(|end| end.saturating_sub(self.context().clock().monotonic()))
    }

    pub(super) fn ending_at(mut self, end: Duration) -> Self {
        self.ends_at = Some(self.ends_at.map_or(end, |earlier| earlier.min(end)));
        self
    }

    /// The same operation for a layer that only watches it: a clone that copies no address.
    pub(super) fn watched(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), ends_at: self.ends_at, outgoing: None }
    }

    /// Where this attempt goes, once that is known; set by the auth layer.
    #[must_use]
    pub fn outgoing(&self) -> Option<&Outgoing> {
        self.outgoing.as_ref()
    }

    pub(super) fn going_to(mut self, outgoing: Outgoing) -> Self {
        self.outgoing = Some(outgoing);
        self
    }

    /// The URL of this attempt: what the auth layer resolved, or the request's own.
    pub(super) fn url(&self) -> Result<Url> {
        self.outgoing.as_ref().map_or_else(|| self.request().url(None), |outgoing| Ok(outgoing.url.clone()))
    }

    /// How often it has been tried.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.shared.attempts.load(Ordering::Relaxed)
    }

    /// An attempt begins.
    pub(super) fn attempting(&self) {
        self.shared.attempts.fetch_add(1, Ordering::Relaxed);
        self.shared.answering.store(false, Ordering::Relaxed);
    }

    /// The answer has begun: from here on the body's limits apply, not the attempt's.
    pub(super) fn answering(&self) {
        self.shared.answering.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_answering(&self) -> bool {
        self.shared.answering.load(Ordering::Relaxed)
    }

    /// The layer that says so holds the operation back: it waits, or fetches a token. Nothing is on
    /// the wire until it [passes on](Self::passing_on).
    pub fn holding(&self) {
        self.shared.sending.store(false, Ordering::Relaxed);
    }

    /// The layers below have it, and may have sent it. So it is taken to be from the start, that a
    /// layer used alone never claims that a write was not sent.
    pub fn passing_on(&self) {
        self.shared.sending.store(true, Ordering::Relaxed);
    }

    /// An attempt has ended, with this effect.
    pub(super) fn settle(&self, delivery: Delivery) {
        let number = match delivery {
            Delivery::NotSent => 0,
            Delivery::Answered => 1,
            Delivery::Unknown => 2,
        };
        self.shared.settled.fetch_max(number, Ordering::Relaxed);
        self.holding();
    }

    /// The worst that may be true of all attempts so far: has the vendor acted on one?
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        match self.shared.settled.load(Ordering::Relaxed) {
            _ if self.shared.sending.load(Ordering::Relaxed) => Delivery::Unknown,
            0 => Delivery::NotSent,
            1 => Delivery::Answered,
            _ => Delivery::Unknown,
        }
    }
}
