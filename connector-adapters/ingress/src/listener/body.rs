//! Reads a body, as long as it is worth it: within its size, its time, and at a minimum of speed.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use connector_sdk::Clock;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http_body::Body;

use super::{Answer, places::Places};

/// What a body may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyLimits {
    /// The largest body, in bytes; what says that it is larger is not taken at all. Default 1 MiB.
    pub max_body: usize,
    /// How long it may take. Default 10 s.
    pub timeout: Duration,
    /// Bytes a second that have to come, after the first five seconds. Default 1 KiB.
    pub min_rate: u32,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { max_body: 1 << 20, timeout: Duration::from_secs(10), min_rate: 1024 }
    }
}

/// Bytes of each body that are not counted.
const FREE: usize = 16 << 10;
/// How long a body may be slower than the minimum.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of a refused body that are read all the same, so that its sender reads the answer instead of writing into a
/// connection that is closed; and how long.
const LINGER: usize = 256 << 10;
const LINGER_TIME: Duration = Duration::from_secs(1);

impl BodyLimits {
    /// How long a body may have taken of which so many bytes are there.
    fn allowed(&self, bytes: usize) -> Duration {
        let rate = u64::from(self.min_rate.max(1));
        let earned = Duration::from_millis((bytes as u64).saturating_mul(1000) / rate);
        GRACE.saturating_add(earned).min(self.timeout)
    }
}

/// Bytes of bodies in memory, of all connections together, but for the first 16 KiB of each. A clone is the same account.
#[derive(Debug, Clone)]
pub struct Flight {
    used: Arc<AtomicUsize>,
    most: usize,
    /// Who can send somebody else away that holds bytes, and for whom.
    places: Option<(Arc<Places>, u64)>,
    /// The account that this one is a part of.
    whole: Option<Arc<Flight>>,
}

impl Flight {
    /// So many bytes at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { used: Arc::default(), most, places: None, whole: None }
    }

    /// A part of this account, for those who may have so many of its bytes and no more.
    #[must_use]
    pub fn part(&self, most: usize) -> Self {
        Self { whole: Some(Arc::new(self.clone())), ..Self::new(most) }
    }

    /// The same account for the connection in this place: for its byte too many the body has to go that takes longest, so
    /// that those who send slowly cannot hold all of them.
    pub(super) fn at(&self, places: Arc<Places>, place: u64) -> Self {
        Self { places: Some((places, place)), ..self.clone() }
    }

    fn hold(&self) -> Held {
        Held { flight: self.clone(), bytes: 0 }
    }

    /// Bytes in memory now, beyond the first 16 KiB of each body.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// Bytes of one body; given back when dropped.
#[derive(Debug)]
pub struct Held {
    flight: Flight,
    bytes: usize,
}

impl Held {
    /// Takes so many more; false: there are too many. The first of a body are free, which no more than the connections
    /// bounds: those who hold all the rest do not stop a small one.
    fn take(&mut self, bytes: usize) -> bool {
        let before = self.bytes.max(FREE);
        self.bytes += bytes;
        match self.bytes.saturating_sub(before) {
            0 => true,
            counted => self.flight.add(counted),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.flight.give_back(self.bytes.saturating_sub(FREE));
    }
}

impl Flight {
    fn add(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        // In the whole account too, also where it is one too many: both are given back.
        let is_whole = self.whole.as_ref().is_none_or(|whole| whole.add(bytes));
        let has_room = is_whole && before.saturating_add(bytes) <= self.most;
        has_room || self.places.as_ref().is_some_and(|(places, place)| places.evict_reading(*place))
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }
}

/// Reads a whole body. It counts as in memory until what comes with it is dropped, which is when it was answered.
///
/// # Errors
/// What to answer instead: 400 when it breaks off, 408 when it is too slow, 413 when it is too large, 503 when there are
/// too many in memory. The connection is to end with it.
pub async fn read_body<B>(
    mut body: Pin<&mut B>,
    limits: &BodyLimits,
    flight: &Flight,
    clock: &dyn Clock,
) -> Result<(Bytes, Held), Answer>
where
    B: Body,
{
    if body.size_hint().lower() > limits.max_body as u64 {
        return Err(too_large());
    }
    let mut held = flight.hold();
    let mut read = Bytes::new();
    let mut more = BytesMut::new();
    let mut waiting: Option<(Duration, BoxFuture<'static, ()>)> = None;
    loop {
        let have = read.len() + more.len();
        let frame = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending => loop {
                // A body that is there with its head costs no timer.
                let now = clock.monotonic();
                let (since, sleep) = waiting.get_or_insert_with(|| (now, clock.sleep(limits.allowed(have))));
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let left = limits.allowed(have).saturating_sub(now.saturating_sub(*since));
                if left.is_zero() {
                    return Poll::Ready(None);
                }
                *sleep = clock.sleep(left);
            },
        });
        let Some(frame) = frame.await else {
            return Err(Answer::refused(StatusCode::REQUEST_TIMEOUT, "the body takes too long").closing());
        };
        let mut data = match frame {
            None => break,
            Some(Err(_)) => {
                return Err(Answer::refused(StatusCode::BAD_REQUEST, "the body breaks off").closing());
            }
            // Trailers say nothing here.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(_) => continue,
            },
        };
        let length = data.remaining();
        if have + length > limits.max_body {
            return Err(too_large());
        }
        if !held.take(length) {
            return Err(Answer::later("there are too many requests now", RETRY_AFTER).closing());
        }
        let data = data.copy_to_bytes(length);
        if have == 0 {
            read = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&read);
                read = Bytes::new();
            }
            more.extend_from_slice(&data);
        }
    }
    Ok((if more.is_empty() { read } else { more.freeze() }, held))
}

/// After how many seconds who came at a bad time may try again.
const RETRY_AFTER: u32 = 5;

/// Reads on for a moment, without keeping anything. True: to the end.
pub(super) async fn linger<B: Body>(mut body: Pin<&mut B>, clock: &dyn Clock) -> bool {
    if body.size_hint().lower() > LINGER as u64 {
        return false;
    }
    let mut read = 0;
    let mut sleep = None;
    poll_fn(|cx| {
        loop {
            match body.as_mut().poll_frame(cx) {
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Ready(Some(Ok(frame))) => {
                    read += frame.data_ref().map_or(0, |data| data.remaining());
                    if read > LINGER {
                        return Poll::Ready(false);
                    }
                }
                Poll::Pending => {
                    let sleep = sleep.get_or_insert_with(|| clock.sleep(LINGER_TIME));
                    return sleep.as_mut().poll(cx).map(|()| false);
                }
            }
        }
    })
    .await
}

fn too_large() -> Answer {
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").closing()
}
