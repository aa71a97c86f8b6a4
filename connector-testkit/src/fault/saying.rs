//! Bytes that go on the wire in the place of what the server writes: no server sends them of its own will.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use tokio::io::AsyncWrite;
use tokio::time::Interval;

use super::Fault;

/// One answer, word for word.
#[derive(Debug)]
pub(super) struct Saying {
    /// Each after a wait.
    slow: VecDeque<Bytes>,
    /// All that is left, at once.
    rest: Bytes,
    every: Duration,
    ticks: Option<Interval>,
    /// The connection ends with it.
    pub(super) last: bool,
}

impl Saying {
    fn at_once(bytes: Vec<u8>) -> Self {
        Self { slow: VecDeque::new(), rest: bytes.into(), every: Duration::ZERO, ticks: None, last: false }
    }

    /// Says on. Ready when all is said.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            let piece = match self.slow.front_mut() {
                Some(piece) => {
                    let ticks = self.ticks.get_or_insert_with(|| {
                        let mut ticks = tokio::time::interval(self.every.max(Duration::from_millis(1)));
                        ticks.reset();
                        ticks
                    });
                    ready!(ticks.poll_tick(cx));
                    piece
                }
                None if self.rest.is_empty() => return Poll::Ready(Ok(())),
                None => &mut self.rest,
            };
            let written = ready!(Pin::new(&mut *to).poll_write(cx, piece))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let _ = piece.split_to(written);
            if self.slow.front().is_some_and(Bytes::is_empty) {
                self.slow.pop_front();
            }
        }
    }
}

/// The vendor's answer as this fault lets it out.
pub(super) fn of(fault: &Fault, head: &Parts, body: &Bytes) -> Saying {
    let length = i64::try_from(body.len()).unwrap_or(i64::MAX);
    let plain = || rendered(head, &format!("content-length: {length}"));
    match *fault {
        Fault::SlowHead { bytes, every } => {
            let head = Bytes::from(plain());
            let slow = head.chunks(bytes.max(1)).map(|piece| head.slice_ref(piece)).collect();
            Saying { slow, every, ..Saying::at_once(body.to_vec()) }
        }
        Fault::WrongLength { by } => {
            let announced = length.saturating_add(by).max(0);
            let head = rendered(head, &format!("content-length: {announced}"));
            Saying::at_once([&*head, &**body].concat())
        }
        Fault::BrokenChunk => {
            let half = body.get(..body.len() / 2).unwrap_or_default();
            let mut bytes = rendered(head, "transfer-encoding: chunked");
            bytes.extend_from_slice(format!("{:x}\r\n", half.len()).as_bytes());
            bytes.extend_from_slice(half);
            bytes.extend_from_slice(b"\r\nno length at all\r\n\r\n0\r\n\r\n");
            // Nothing that follows could be told from the chunk.
            Saying { last: true, ..Saying::at_once(bytes) }
        }
        Fault::Twice => {
            let one = [&*plain(), &**body].concat();
            Saying::at_once([&*one, &*one].concat())
        }
        _ => Saying::at_once([&*plain(), &**body].concat()),
    }
}

/// The head as it goes on the wire, with this line at its end.
fn rendered(head: &Parts, line: &str) -> Vec<u8> {
    let reason = head.status.canonical_reason().unwrap_or("Status");
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", head.status.as_u16()).into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(line.as_bytes());
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}
