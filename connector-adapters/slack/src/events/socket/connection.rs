//! One connection: read, made durable, acknowledged; watched, because half-open ones say nothing.

use std::{fmt, time::Duration};

use aws_lc_rs::{digest, rand};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use connector_ingress::{
    Journal,
    journal::{Appended, Entry, JournalError},
};
use connector_sdk::{
    Class, Clock, Context, Delivery, Error, Result,
    clock::timeout,
    http::{Duplex, HeaderMap, HeaderValue, upgrade},
};
use futures_util::{SinkExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::ticket::Ticket;
use crate::events::wrapper;

/// The operation of errors.
const OPERATION: &str = "socket";
/// How long a connection may say nothing before it is asked; the vendor pings more often.
const QUIET: Duration = Duration::from_secs(30);
/// How long it may then say nothing.
const GRACE: Duration = Duration::from_secs(15);
/// How long the first word may take.
const HELLO: Duration = Duration::from_secs(15);
/// How long a frame may take to be sent.
const SEND: Duration = Duration::from_secs(10);
/// How long those on their way may take when it is stopped.
const PARTING: Duration = Duration::from_secs(3);
/// Events of a connection that wait for the journal at once; the vendor waits when there are more.
const IN_HAND: usize = 256;

/// How a connection was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// We were asked to stop.
    Stopped,
    /// It will end soon; until then it goes on.
    ToldToGo,
    /// It has ended.
    Ended,
    /// It says nothing any more.
    Silent,
    /// There are too many of them.
    TooMany,
    /// Socket Mode is off.
    SwitchedOff,
}

/// What the vendor says.
#[derive(Debug, Deserialize)]
struct Said<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    envelope_id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    reason: Option<String>,
    retry_attempt: Option<u64>,
    retry_reason: Option<String>,
}

type Kept = BoxFuture<'static, (String, Result<Appended, JournalError>)>;

/// A connection that is open.
pub(super) struct Connection {
    socket: WebSocketStream<Box<dyn Duplex>>,
    journal: Journal,
    /// The first word, until it is heard.
    first: Option<Message>,
    /// Events that are being made durable.
    in_hand: FuturesUnordered<Kept>,
    told_to_go: bool,
}

impl Connection {
    /// Opens it, and waits for its first word.
    ///
    /// # Errors
    /// As [`upgrade`]; Transient when it says nothing.
    pub(super) async fn open(
        cx: &Context,
        ticket: &Ticket,
        journal: Journal,
        max_event: usize,
    ) -> Result<Self> {
        let url = ticket.url(cx)?;
        let key = nonce()?;
        let mut headers = HeaderMap::new();
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
        headers.insert("sec-websocket-key", key.clone());
        let upgraded = upgrade(cx, OPERATION, &url, "websocket", headers).await?;
        if upgraded.headers.get("sec-websocket-accept").map(HeaderValue::as_bytes) != Some(&*accept(&key)) {
            let what = "the server has not understood that a WebSocket is wanted";
            return Err(Error::transient(OPERATION, what).with_delivery(Delivery::Answered));
        }
        // An envelope is its payload, and some words.
        let limit = max_event.saturating_add(64 << 10);
        let config = WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit));
        let mut socket = WebSocketStream::from_raw_socket(upgraded.stream, Role::Client, Some(config)).await;
        let first = timeout(&**cx.clock(), HELLO, socket.next()).await;
        let Ok(Some(Ok(first))) = first else {
            return Err(Error::transient(OPERATION, "a connection said nothing after it was opened"));
        };
        Ok(Self { socket, journal, first: Some(first), in_hand: FuturesUnordered::new(), told_to_go: false })
    }

    /// Takes what it brings, until it is to be left. One that was told to go can be heard on.
    pub(super) async fn talk(&mut self, cx: &Context) -> Left {
        let clock = cx.clock().clone();
        let (mut limit, mut asked) = (clock.sleep(QUIET), false);
        loop {
            let may_hear = self.in_hand.len() < IN_HAND;
            let heard = tokio::select! {
                biased;
                () = cx.stop().cancelled() => {
                    self.part(&*clock).await;
                    return Left::Stopped;
                }
                Some((envelope, outcome)) = self.in_hand.next() => {
                    if self.answer(&*clock, &envelope, outcome).await.is_err() {
                        return Left::Ended;
                    }
                    continue;
                }
                heard = next(&mut self.first, &mut self.socket), if may_hear => heard,
                () = &mut limit, if may_hear => {
                    if asked || self.send(&*clock, Message::Ping(Bytes::new())).await.is_err() {
                        return Left::Silent;
                    }
                    (limit, asked) = (clock.sleep(GRACE), true);
                    continue;
                }
            };
            (limit, asked) = (clock.sleep(QUIET), false);
            match heard {
                Some(Ok(Message::Text(text))) => {
                    if let Some(left) = self.hear(cx, text.as_str()).await {
                        return left;
                    }
                }
                Some(Ok(Message::Close(_))) | None => {
                    self.settle(&*clock).await;
                    return Left::Ended;
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "a connection of Socket Mode has broken off");
                    self.settle(&*clock).await;
                    return Left::Ended;
                }
                // A ping has its pong from the library.
                Some(Ok(_)) => {}
            }
        }
    }

    /// One message. Some: the connection is to be left.
    async fn hear(&mut self, cx: &Context, text: &str) -> Option<Left> {
        let Ok(said) = serde_json::from_str::<Said<'_>>(text) else {
            tracing::warn!(bytes = text.len(), "a message of Socket Mode is no JSON, and is passed over");
            return None;
        };
        match (said.kind.as_str(), said.envelope_id, said.payload) {
            ("disconnect", ..) => self.told(said.reason.as_deref().unwrap_or_default()),
            (_, Some(envelope), Some(payload)) => {
                if let Some(retry) = said.retry_attempt.filter(|retry| *retry > 0) {
                    let reason = said.retry_reason;
                    tracing::debug!(retry, reason, "the vendor sends an event again");
                }
                // What is no event (a click, a command) is kept by the name of its envelope.
                let id = match said.kind.as_str() {
                    "events_api" => wrapper::id_of(payload.get()),
                    kind => Some(format!("{kind}:{envelope}")),
                };
                let entry = Entry {
                    id: id.unwrap_or_default(),
                    received_at: cx.clock().now(),
                    head: Bytes::new(),
                    body: Bytes::copy_from_slice(payload.get().as_bytes()),
                };
                // In the order in which they came; that they are durable is waited for beside the next ones.
                let submitted = self.journal.submit(entry).await;
                self.in_hand.push(Box::pin(async move {
                    let outcome = match submitted {
                        Ok(submitted) => submitted.durable().await,
                        Err(error) => Err(error),
                    };
                    (envelope, outcome)
                }));
                None
            }
            ("hello", ..) => None,
            (kind, ..) => {
                tracing::debug!(kind, "a message of Socket Mode that nobody knows");
                None
            }
        }
    }

    fn told(&mut self, reason: &str) -> Option<Left> {
        match reason {
            "link_disabled" => Some(Left::SwitchedOff),
            "too_many_websockets" => Some(Left::TooMany),
            // `warning`, `refresh_requested`, and what nobody knows yet: it was said before it ends.
            _ if !std::mem::replace(&mut self.told_to_go, true) => Some(Left::ToldToGo),
            _ => None,
        }
    }

    /// Tells the vendor that an event was taken; of one that was not, nothing, and it comes again.
    async fn answer(
        &mut self,
        clock: &dyn Clock,
        envelope: &str,
        outcome: Result<Appended, JournalError>,
    ) -> Result<()> {
        match outcome {
            Ok(_) => self.send(clock, Message::text(json!({ "envelope_id": envelope }).to_string())).await,
            Err(error) => {
                tracing::warn!(%error, "an event is not taken; the vendor sends it again");
                Ok(())
            }
        }
    }

    async fn send(&mut self, clock: &dyn Clock, message: Message) -> Result<()> {
        match timeout(clock, SEND, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::transient(OPERATION, "it has broken off").with_source(error)),
            Err(elapsed) => Err(Error::new(Class::Transient, OPERATION, elapsed.to_string())),
        }
    }

    /// Waits until what is in hand is durable, and says so while anybody hears it.
    async fn settle(&mut self, clock: &dyn Clock) {
        let mut heard = true;
        while let Some((envelope, outcome)) = self.in_hand.next().await {
            heard = heard && self.answer(clock, &envelope, outcome).await.is_ok();
        }
    }

    async fn part(&mut self, clock: &dyn Clock) {
        let parting = async {
            self.settle(clock).await;
            self.socket.close(None).await
        };
        // Who does not part in time is left: what is not acknowledged comes again, and is known then.
        let _ = timeout(clock, PARTING, parting).await;
    }
}

async fn next(
    first: &mut Option<Message>,
    socket: &mut WebSocketStream<Box<dyn Duplex>>,
) -> Option<Result<Message, tokio_tungstenite::tungstenite::Error>> {
    match first.take() {
        Some(first) => Some(Ok(first)),
        None => socket.next().await,
    }
}

/// RFC 6455, 4.1: 16 bytes that nobody used before, in base64.
fn nonce() -> Result<HeaderValue> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Error::bug(OPERATION, "the system has no randomness"))?;
    HeaderValue::try_from(BASE64_STANDARD.encode(bytes))
        .map_err(|error| Error::bug(OPERATION, "base64 fits no header").with_source(error))
}

/// RFC 6455, 4.2.2: what a server answers that has understood.
fn accept(key: &HeaderValue) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key.as_bytes());
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(context.finish()).into_bytes()
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("in_hand", &self.in_hand.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, 1.3.
    #[test]
    fn a_server_that_has_understood_is_known_by_its_answer() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
