//! Reads a body to its end: complete, within the caps, never silent for too long.

use std::{future::poll_fn, pin::pin, task::Poll};

use ::http::{HeaderMap, Method, StatusCode, header, response::Parts};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use url::Url;

use super::{
    Limits, at,
    inflate::{Damage, Inflate},
};
use crate::{
    Class, Counters, Delivery, Error, Result,
    http::{Call, request::Glance, timer::Timer},
};

/// What reads one body, and says what is wrong with it. The vendor has answered in each case.
pub(super) struct Reader<'a> {
    pub(super) call: &'a Call,
    pub(super) url: &'a Url,
    pub(super) limits: Limits,
}

impl Reader<'_> {
    /// Reads the body of an answer with this head.
    ///
    /// # Errors
    /// Transient when it breaks off, falls silent or is damaged; Permanent when it is too large or encoded
    /// in a way that we did not ask for.
    pub(super) async fn read(&self, body: reqwest::Body, head: &Parts) -> Result<Bytes> {
        let announced = self.announced(head);
        if announced.is_some_and(|length| length > self.limits.max_body) {
            return Err(self.too_large("as sent", "max_body", self.limits.max_body));
        }
        let mut kept = Kept::new(&head.headers, announced, self.limits).map_err(|coding| {
            self.permanent(format!("the body is encoded as `{coding}`, which was not asked for"))
        })?;
        let clock = self.call.context().clock();
        let mut body = pin!(body);
        let mut silence = Timer::new(clock.monotonic().saturating_add(self.limits.idle));
        let mut received = 0_u64;
        loop {
            let frame = poll_fn(|task| match body.as_mut().poll_frame(task) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => silence.poll(&**clock, task).map(Err),
            });
            let chunk = match frame.await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(error))) => {
                    let message = format!("the body broke off after {received} bytes");
                    return Err(self.truncated(message).with_source(error.without_url()));
                }
                Err(()) => return Err(self.silent(received)),
            };
            silence.postpone(clock.monotonic().saturating_add(self.limits.idle));
            received += self.count(&chunk);
            if received > self.limits.max_body {
                return Err(self.too_large("as sent", "max_body", self.limits.max_body));
            }
            kept.push(chunk).map_err(|damage| self.damaged(damage))?;
        }
        if announced.is_some_and(|length| length != received) {
            return Err(self.truncated(format!("the body ended after {received} bytes, not as announced")));
        }
        kept.finish().map_err(|damage| self.damaged(damage))
    }

    /// What comes of a body that nothing hangs on.
    pub(super) async fn glance(&self, body: reqwest::Body, glance: Glance) -> Bytes {
        let clock = self.call.context().clock();
        let mut body = pin!(body);
        let mut end = Timer::new(glance.until);
        let mut seen = BytesMut::new();
        while seen.len() < glance.max_bytes {
            let frame = poll_fn(|task| match end.poll(&**clock, task) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => body.as_mut().poll_frame(task),
            });
            let Some(Ok(frame)) = frame.await else { break };
            let chunk = frame.into_data().unwrap_or_default();
            self.count(&chunk);
            let room = glance.max_bytes - seen.len();
            seen.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        }
        seen.freeze()
    }

    /// The length that the head promises, of a body that there is.
    fn announced(&self, head: &Parts) -> Option<u64> {
        let bodiless =
            self.call.request().http_method() == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        let length = head.headers.get(header::CONTENT_LENGTH).filter(|_| !bodiless)?;
        length.to_str().ok()?.parse().ok()
    }

    fn count(&self, chunk: &Bytes) -> u64 {
        let length = chunk.len() as u64;
        self.call.counters().received_bytes.add(length);
        Counters::add(&self.call.context().counters().received_bytes, length);
        length
    }

    fn damaged(&self, damage: Damage) -> Error {
        match damage {
            Damage::TooLarge => {
                self.too_large("decompressed", "max_decompressed_body", self.limits.max_decompressed_body)
            }
            Damage::Broken => self.truncated("the compressed body is damaged or cut off".to_owned()),
        }
    }

    fn too_large(&self, what: &str, setting: &'static str, cap: u64) -> Error {
        let advice = format!("ask for less at once, or raise `resilience.{setting}`");
        self.permanent(format!("the body is larger than {cap} bytes {what}: {advice}"))
            .with_context(setting, cap)
    }

    fn truncated(&self, message: String) -> Error {
        self.call.counters().truncated.increment();
        self.transient(message)
    }

    fn silent(&self, received: u64) -> Error {
        self.call.counters().timeouts.increment();
        self.transient(format!("the body fell silent for {:?} after {received} bytes", self.limits.idle))
    }

    fn transient(&self, message: String) -> Error {
        at(
            Error::transient(self.call.request().operation(), message).with_delivery(Delivery::Answered),
            self.url,
        )
    }

    /// Asking again would bring the same. For a write it says what became of it, and nobody may read it.
    fn permanent(&self, message: String) -> Error {
        let request = self.call.request();
        let (class, delivery) = if request.is_repeatable() {
            (Class::Permanent, Delivery::Answered)
        } else {
            (Class::Ambiguous, Delivery::Unknown)
        };
        at(Error::new(class, request.operation(), message).with_delivery(delivery), self.url)
    }
}

/// The body so far.
enum Kept {
    /// One piece, which is not copied if it stays the only one, and then all of them.
    Plain {
        first: Bytes,
        all: BytesMut,
        expected: usize,
    },
    /// Nothing yet of a compressed body: an empty one is no gzip, and is right.
    Unopened {
        cap: u64,
        expected: usize,
    },
    Gzip(Box<Inflate>),
}

impl Kept {
    fn new(headers: &HeaderMap, announced: Option<u64>, limits: Limits) -> Result<Self, String> {
        // What a vendor announces it may not send: memory is taken for it only up to a point.
        const TRUSTED: u64 = 8 << 20;
        let expected = usize::try_from(announced.unwrap_or(0).min(TRUSTED)).unwrap_or(0);
        let encoding =
            headers.get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?")).trim();
        match encoding.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Plain { first: Bytes::new(), all: BytesMut::new(), expected }),
            // JSON shrinks to a tenth and less.
            "gzip" | "x-gzip" => {
                Ok(Self::Unopened { cap: limits.max_decompressed_body, expected: expected.saturating_mul(8) })
            }
            _ => Err(encoding.chars().take(40).collect()),
        }
    }

    fn push(&mut self, chunk: Bytes) -> Result<(), Damage> {
        if chunk.is_empty() {
            return Ok(());
        }
        if let Self::Unopened { cap, expected } = *self {
            *self = Self::Gzip(Box::new(Inflate::new(cap, expected)));
        }
        match self {
            Self::Gzip(inflate) => return inflate.push(&chunk),
            Self::Plain { first, all, .. } if first.is_empty() && all.is_empty() => *first = chunk,
            Self::Plain { first, all, expected } => {
                if !first.is_empty() {
                    all.reserve((*expected).max(first.len() + chunk.len()));
                    all.extend_from_slice(&std::mem::take(first));
                }
                all.extend_from_slice(&chunk);
            }
            Self::Unopened { .. } => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<Bytes, Damage> {
        match self {
            Self::Plain { first, all, .. } if all.is_empty() => Ok(first),
            Self::Plain { all, .. } => Ok(all.freeze()),
            Self::Unopened { .. } => Ok(Bytes::new()),
            Self::Gzip(inflate) => inflate.finish().map(Bytes::from),
        }
    }
}
