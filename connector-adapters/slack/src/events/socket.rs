//! Socket Mode: one to ten connections that we open, over which the vendor tells (docs.slack.dev, "Using Socket Mode").
//!
//! | the vendor says, or does | what is done |
//! |---|---|
//! | an envelope | its `envelope_id` goes back when it is durable, also when it was known before |
//! | `disconnect`, `warning` or `refresh_requested` | a new connection is opened; the old one is read until it ends |
//! | `disconnect`, `link_disabled` | the run ends with class Config: Socket Mode was switched off, asking again is no use |
//! | `disconnect`, `too_many_websockets` | the next one is opened after a minute and more, which doubles |
//! | no frame for 30 s | a ping; no frame for another 15 s: the connection is dead, and given up |
//! | the connection ends | a new one, at once after a long life, else after a wait that doubles |
//! | no address, because it asks to wait or is down | again, after a wait that doubles; other refusals end the run |

mod connection;
mod pace;
mod ticket;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_ingress::Journal;
use connector_sdk::{Class, Context, Delivery, Error, Result, clock::timeout, contract::Listener};
use tokio::task::JoinSet;

use crate::api::Api;

use connection::{Connection, Left};
use pace::Pace;
pub(super) use ticket::Ticket;

/// How long a connection that was told to go is read at most: the vendor closes it before.
const FAREWELL: Duration = Duration::from_secs(120);

/// The connections of one app.
#[derive(Debug)]
pub(super) struct Sockets {
    shared: Shared,
    count: u8,
}

/// What each of them needs.
#[derive(Debug, Clone)]
struct Shared {
    api: Arc<Api>,
    journal: Journal,
    max_event: usize,
}

impl Sockets {
    pub(super) fn new(api: Arc<Api>, journal: Journal, count: u8, max_event: usize) -> Self {
        Self { shared: Shared { api, journal, max_event }, count }
    }
}

#[async_trait]
impl Listener for Sockets {
    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        let Self { shared, count } = *self;
        let stop = cx.stop().child_token();
        let mut places = JoinSet::new();
        for place in 0..count {
            places.spawn(keep_open(shared.clone(), cx.with_stop(stop.clone()), place));
        }
        let mut ended = Ok(());
        loop {
            tokio::select! {
                biased;
                done = places.join_next() => {
                    let Some(done) = done else { break };
                    let done = done.unwrap_or_else(|error| {
                        Err(Error::bug("socket", "a connection has panicked").with_source(error))
                    });
                    if done.is_err() {
                        stop.cancel();
                        ended = ended.and(done);
                    }
                }
                failed = shared.journal.failure(), if ended.is_ok() => {
                    stop.cancel();
                    ended = Err(failed);
                }
            }
        }
        super::connector::close(&shared.journal).await;
        ended
    }
}

/// Keeps one connection open until the stop.
async fn keep_open(shared: Shared, cx: Context, place: u8) -> Result<()> {
    let mut pace = Pace::new(&cx, place);
    let mut leaving = JoinSet::new();
    while !cx.is_stopping() {
        while leaving.try_join_next().is_some() {}
        let opened = tokio::select! {
            biased;
            () = cx.stop().cancelled() => break,
            opened = open(&shared, &cx, &mut pace) => opened?,
        };
        let Some(mut connection) = opened else { continue };
        let opened_at = cx.clock().monotonic();
        let left = connection.talk(&cx).await;
        let lived = cx.clock().monotonic().saturating_sub(opened_at);
        tracing::debug!(
            place,
            ?left,
            lived_seconds = lived.as_secs(),
            "a connection of Socket Mode has ended"
        );
        match left {
            Left::Stopped => break,
            Left::ToldToGo => {
                pace.replaced(lived);
                let cx = cx.clone();
                leaving.spawn(async move {
                    // What it still brings is taken, while the new one is opened.
                    let _ = timeout(&**cx.clock(), FAREWELL, connection.talk(&cx)).await;
                });
            }
            Left::Ended => pace.lost(lived),
            Left::Silent => {
                tracing::warn!(place, "a connection of Socket Mode was silent for too long, and is given up");
                pace.lost(lived);
            }
            Left::TooMany => {
                tracing::warn!(
                    place,
                    "the vendor says that the app has too many connections; the next one waits"
                );
                pace.too_many();
            }
            Left::SwitchedOff => return Err(switched_off()),
        }
    }
    while leaving.join_next().await.is_some() {}
    Ok(())
}

/// Opens the next connection, after the wait that is due. None: it did not work, and may later.
async fn open(shared: &Shared, cx: &Context, pace: &mut Pace) -> Result<Option<Connection>> {
    cx.clock().sleep(pace.wait()).await;
    let opened = match Ticket::get(&shared.api, cx).await {
        Ok(ticket) => Connection::open(cx, &ticket, shared.journal.clone(), shared.max_event).await,
        Err(error) => Err(error),
    };
    match opened {
        Ok(connection) => Ok(Some(connection)),
        Err(error) if may_pass(&error) => {
            tracing::warn!(%error, "no connection of Socket Mode yet");
            pace.failed(error.retry_after());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Whether it may work later. A server that does not take a ticket any more takes the next one.
fn may_pass(error: &Error) -> bool {
    let ticket = error.operation() == ticket::OPERATION;
    matches!(error.class(), Class::Transient | Class::RateLimited)
        || (!ticket && error.class() == Class::Permanent && error.delivery() == Delivery::Answered)
}

fn switched_off() -> Error {
    Error::config(
        "socket",
        "Socket Mode was switched off for this app: switch it on again, or use `mode: http`",
    )
    .with_delivery(Delivery::Answered)
    .with_context("code", "link_disabled")
}
