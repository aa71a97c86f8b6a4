//! Response bodies that do not behave.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Interval, MissedTickBehavior};

use super::Connection;

/// A body that stops after its first bytes and takes the connection down with it.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) head: Option<Bytes>,
    pub(super) connection: Connection,
    pub(super) reset: bool,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(head) = self.head.take().filter(|head| !head.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        // The server flushes what it holds when a body has nothing for it, and the stream ends there.
        self.connection.end_when_flushed(self.reset);
        Poll::Pending
    }
}

/// A body that comes a few bytes at a time.
#[derive(Debug)]
pub(super) struct Slow {
    rest: Bytes,
    bytes: usize,
    ticks: Interval,
}

impl Slow {
    pub(super) fn new(rest: Bytes, bytes: usize, every: Duration) -> Self {
        let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { rest, bytes: bytes.max(1), ticks }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        std::task::ready!(self.ticks.poll_tick(cx));
        let step = self.bytes.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(step)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
