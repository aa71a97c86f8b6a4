//! One connection to a server: commands out, replies in, each wait with an end.
//!
//! RFC 5321, 4.5.3.2 has a server answer within minutes. The limits here are those of the connection's `resilience`,
//! and all of them end at the deadline of the operation:
//!
//! | wait | limit |
//! |---|---|
//! | connecting, TLS | `connect_timeout` |
//! | a reply, whole, from its command on | `attempt_timeout` |
//! | the reply after the final dot | 10 minutes (4.5.3.2.6): a shorter one makes mail arrive twice |
//! | each piece of a mail to be taken | `idle_timeout` |

use std::{fmt, future::Future, sync::Arc, time::Duration};

use connector_sdk::{
    Class, Clock, Delivery, Error, Result, clock::timeout, network::Stream, resilience::Resilience,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::reply::{Replies, Reply};

/// What a server has to answer the final dot.
const FINAL: Duration = Duration::from_secs(600);
/// A piece of a mail.
const PIECE: usize = 64 << 10;
/// What is read of replies at once.
const BUFFER: usize = 4_096;

/// When things have to be over.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    clock: Arc<dyn Clock>,
    /// When the operation ends, by the monotonic clock.
    until: Duration,
    reply: Duration,
    idle: Duration,
    /// With less time than that a mail is not begun: nobody would hear how it ends.
    enough: Duration,
}

impl Limits {
    /// From now on.
    pub(super) fn new(clock: &Arc<dyn Clock>, settings: &Resilience) -> Self {
        Self {
            clock: Arc::clone(clock),
            until: clock.monotonic() + settings.deadline,
            reply: settings.attempt_timeout,
            idle: settings.idle_timeout,
            enough: settings.attempt_timeout.min(settings.deadline / 4),
        }
    }

    /// What is left of the operation.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_sub(self.clock.monotonic())
    }

    /// Whether there is time for a mail and for the answer to it.
    pub(super) fn has_time(&self) -> bool {
        self.left() >= self.enough
    }

    /// Waits for something, at most so long and not beyond the end of the operation.
    ///
    /// # Errors
    /// Transient when it is not there in time.
    pub(super) async fn within<F: Future>(
        &self,
        operation: &'static str,
        limit: Duration,
        future: F,
    ) -> Result<F::Output> {
        let limit = limit.min(self.left());
        let late = |_| Error::transient(operation, format!("the server does not answer within {limit:?}"));
        timeout(&*self.clock, limit, future).await.map_err(late)
    }
}

/// A connection. What the server says is bounded, and never trusted.
pub(super) struct Wire {
    stream: Stream,
    replies: Replies,
    /// What is being read. Not within a future, which would be moved with it.
    buffer: Box<[u8]>,
    limits: Limits,
    /// Nothing can be said any more.
    is_over: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream, limits: Limits) -> Self {
        Self { stream, replies: Replies::default(), buffer: vec![0; BUFFER].into(), limits, is_over: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Nothing is said any more.
    pub(super) fn give_up(&mut self) {
        self.is_over = true;
    }

    /// Whether there is time for a mail and for the answer to it.
    pub(super) fn has_time(&self) -> bool {
        self.limits.has_time()
    }

    /// Whether the server has said something that it was not asked for, or half of it.
    pub(super) fn has_more(&self) -> bool {
        self.replies.has_more()
    }

    /// The stream itself, to go on in TLS.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Says a command, and hears its reply.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    pub(super) async fn ask(&mut self, operation: &'static str, command: &str) -> Result<Reply> {
        self.say(operation, format!("{command}\r\n").as_bytes()).await?;
        self.hear(operation).await
    }

    /// Says these bytes.
    ///
    /// # Errors
    /// Transient when they are not taken.
    pub(super) async fn say(&mut self, operation: &'static str, bytes: &[u8]) -> Result<()> {
        // Over for whoever is dropped in the middle, too.
        let was_over = std::mem::replace(&mut self.is_over, true);
        for piece in bytes.chunks(PIECE) {
            let writing = self.stream.write_all(piece);
            let limits = &self.limits;
            limits.within(operation, limits.idle, writing).await?.map_err(|error| lost(operation, error))?;
        }
        let flushing = self.stream.flush();
        self.limits
            .within(operation, self.limits.idle, flushing)
            .await?
            .map_err(|error| lost(operation, error))?;
        self.is_over = was_over;
        Ok(())
    }

    /// Hears a reply.
    ///
    /// # Errors
    /// Transient when none comes, or what comes is none.
    pub(super) async fn hear(&mut self, operation: &'static str) -> Result<Reply> {
        self.hear_within(operation, self.limits.reply).await
    }

    /// Hears the reply after the final dot.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    pub(super) async fn hear_final(&mut self, operation: &'static str) -> Result<Reply> {
        self.hear_within(operation, FINAL).await
    }

    async fn hear_within(&mut self, operation: &'static str, limit: Duration) -> Result<Reply> {
        let limits = self.limits.clone();
        let was_over = std::mem::replace(&mut self.is_over, true);
        let reply = limits.within(operation, limit, self.receive(operation)).await??;
        // After a 421 the server hangs up (RFC 5321, 3.8).
        self.is_over = was_over || reply.code == 421;
        Ok(reply)
    }

    async fn receive(&mut self, operation: &'static str) -> Result<Reply> {
        loop {
            match self.replies.next() {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(unreadable) => {
                    let error = Error::new(Class::Permanent, operation, "the server does not speak SMTP");
                    return Err(error
                        .with_delivery(Delivery::Answered)
                        .with_context("because", unreadable)
                        .with_context("to_mend", "is it the right port, and the right `tls`?"));
                }
            }
            let read = self.stream.read(&mut self.buffer).await.map_err(|error| lost(operation, error))?;
            if read == 0 {
                return Err(Error::transient(operation, "the server has hung up"));
            }
            self.replies.push(self.buffer.get(..read).unwrap_or_default());
        }
    }
}

fn lost(operation: &'static str, error: std::io::Error) -> Error {
    Error::transient(operation, format!("the connection is lost: {}", error.kind())).with_source(error)
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
