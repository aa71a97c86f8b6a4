//! Bytes in, responses out: the only part that reads what a server says, and that bounds it.
//!
//! ```text
//!  stream ──▶ buffer ──▶ Framer: where does a response end? ──▶ Response ──▶ tokens, when somebody asks
//!    └ idle limit, deadline    └ limits of line, literal, whole
//! ```

mod framer;
mod response;
mod token;

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use connector_sdk::{Clock, Counters, Delivery, Error, Result, clock::timeout, network::Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::framer::{Frame, Framer};
pub(crate) use self::{
    framer::Limits,
    response::{Condition, Kind, Response, Status},
    token::{Token, Unreadable, tokens},
};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Slower than that a server is taken for one that stalls.
const SLOWEST: u64 = 32 << 10;

/// A connection to a server, as responses.
pub(crate) struct Wire {
    stream: Stream,
    buffer: BytesMut,
    framer: Framer,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    /// The longest silence while something is expected.
    idle: Duration,
    /// The server has said more than it may.
    pub(crate) is_overrun: bool,
}

impl Wire {
    pub(crate) fn new(
        stream: Stream,
        limits: Limits,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        idle: Duration,
    ) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            framer: Framer::new(limits),
            clock,
            counters,
            idle,
            is_overrun: false,
        }
    }

    /// The next response. `until` is a reading of the monotonic clock; what is announced in bytes prolongs it, so that
    /// a large message has the time that a slow line takes for it.
    ///
    /// # Errors
    /// Transient when the server is silent, too slow or gone; Permanent when it says more than it may.
    pub(crate) async fn next(&mut self, until: Duration) -> Result<Response> {
        loop {
            let wanted = match self.framer.frame(&self.buffer) {
                Ok(Frame::Whole(length)) => return Ok(Response::new(self.buffer.split_to(length).freeze())),
                Ok(Frame::Part(prefix, length)) => return Ok(self.cut(prefix, length)),
                Ok(Frame::Partial(wanted)) => wanted,
                Err(too_large) => {
                    self.is_overrun = true;
                    let message = format!("the server's response is too large: {too_large}");
                    return Err(Error::permanent("read", message).with_delivery(Delivery::Answered));
                }
            };
            let until = until.saturating_add(Duration::from_secs(wanted as u64 / SLOWEST));
            self.fill(wanted, until).await?;
        }
    }

    /// A response that came in part, because the whole has no end in sight; the rest begins as this did.
    fn cut(&mut self, prefix: &'static [u8], length: usize) -> Response {
        let part = self.buffer.split_to(length).freeze();
        let mut rest = BytesMut::with_capacity(prefix.len() + self.buffer.len() + CHUNK);
        rest.extend_from_slice(prefix);
        rest.extend_from_slice(&self.buffer);
        self.buffer = rest;
        Response::new(part)
    }

    async fn fill(&mut self, wanted: usize, until: Duration) -> Result<()> {
        let left = until.saturating_sub(self.clock.monotonic());
        if left.is_zero() {
            return Err(late("the server takes too long"));
        }
        // What is announced need not come: the buffer grows with what has come.
        let room = wanted.clamp(CHUNK, self.buffer.len().max(CHUNK));
        self.buffer.reserve(room);
        let limit = self.idle.min(left);
        match timeout(&*self.clock, limit, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(lost("the server ended the connection")),
            Ok(Ok(count)) => {
                Counters::add(&self.counters.received_bytes, count as u64);
                Ok(())
            }
            Ok(Err(error)) => Err(lost("the connection was lost").with_source(error)),
            Err(_) if left < self.idle => Err(late("the server takes too long")),
            Err(_) => Err(late("the server is silent")),
        }
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// Transient when the server takes nothing, or is gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = timeout(&*self.clock, self.idle, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost("the connection was lost").with_source(error)),
            Err(_) => Err(late("the server takes nothing")),
        }
    }

    /// The connection itself, where nothing that came over it is left over.
    ///
    /// # Errors
    /// Permanent when something is left: it was sent before TLS began, by whoever stands in between.
    pub(crate) fn into_stream(self) -> Result<Stream> {
        if self.buffer.is_empty() {
            return Ok(self.stream);
        }
        let message =
            "the server, or somebody in between, sent more before TLS began: the connection is not used";
        Err(Error::permanent("connect", message).with_delivery(Delivery::Answered))
    }

    /// Waits for so long until the server says something by itself. What it says is read by [`next`](Self::next).
    ///
    /// # Errors
    /// Transient when the connection is gone.
    pub(crate) async fn listen(&mut self, limit: Duration) -> Result<bool> {
        if matches!(self.framer.frame(&self.buffer), Ok(Frame::Whole(_) | Frame::Part(..))) {
            return Ok(true);
        }
        self.buffer.reserve(CHUNK);
        match timeout(&*self.clock, limit, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(0)) => Err(lost("the server ended the connection")),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(error)) => Err(lost("the connection was lost").with_source(error)),
            Err(_) => Ok(false),
        }
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What is in the buffer is personal data.
        f.debug_struct("Wire").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

/// Reading changes nothing at the server, so that whatever was lost may be asked again.
fn lost(message: &'static str) -> Error {
    Error::transient("read", message).with_delivery(Delivery::Unknown)
}

fn late(message: &'static str) -> Error {
    Error::transient("read", message).with_delivery(Delivery::Unknown)
}

#[cfg(test)]
mod tests;
