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
    Counters, Delivery, Error, Result,
    http::{Call, StackCounters, timer::Timer},
};

/// Reads the body of an answer with this head.
///
/// # Errors
/// Transient when it breaks off, falls silent or is damaged; Permanent when it is too large or encoded
/// in a way that we did not ask for. The vendor has answered in each case.
pub(super) async fn read(
    body: reqwest::Body,
    head: &Parts,
    call: &Call,
    url: &Url,
    limits: Limits,
    counters: &StackCounters,
) -> Result<Bytes> {
    let failed = |error: Error| at(error.with_delivery(Delivery::Answered), url);
    let operation = call.request().operation();
    let too_large = |what, name, cap| {
        failed(Error::permanent(
            operation,
            format!(
                "the body is larger than {cap} bytes {what}: ask for less at once, or raise `resilience.{name}`"
            ),
        ))
    };
    let as_sent = || too_large("as sent", "max_body", limits.max_body);
    let bodiless = call.request().http_method() == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
    let announced = if bodiless { None } else { announced(&head.headers) };
    if announced.is_some_and(|length| length > limits.max_body) {
        return Err(as_sent());
    }
    let mut kept = Kept::new(&head.headers, announced, limits).map_err(|encoding| {
        failed(Error::permanent(
            operation,
            format!("the body is encoded as `{encoding}`, which was not asked for"),
        ))
    })?;
    let kept_failed = |damage| match damage {
        Damage::TooLarge => too_large("decompressed", "max_decompressed_body", limits.max_decompressed_body),
        Damage::Broken => {
            counters.truncated.increment();
            failed(Error::transient(operation, "the compressed body is damaged or cut off"))
        }
    };

    let clock = call.context().clock();
    let mut body = pin!(body);
    let mut silence = Timer::new(clock.monotonic().saturating_add(limits.idle));
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
                counters.truncated.increment();
                let message = format!("the body broke off after {received} bytes");
                return Err(failed(Error::transient(operation, message)).with_source(error.without_url()));
            }
            Err(()) => {
                counters.timeouts.increment();
                let message = format!("the body fell silent for {:?} after {received} bytes", limits.idle);
                return Err(failed(Error::transient(operation, message)));
            }
        };
        silence.postpone(clock.monotonic().saturating_add(limits.idle));
        let length = chunk.len() as u64;
        received += length;
        counters.received_bytes.add(length);
        Counters::add(&call.context().counters().received_bytes, length);
        if received > limits.max_body {
            return Err(as_sent());
        }
        kept.push(chunk).map_err(kept_failed)?;
    }
    if announced.is_some_and(|length| length != received) {
        counters.truncated.increment();
        return Err(failed(Error::transient(
            operation,
            format!("the body ended after {received} bytes, fewer than announced"),
        )));
    }
    kept.finish().map_err(kept_failed)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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
