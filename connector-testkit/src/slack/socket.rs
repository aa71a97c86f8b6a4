//! Socket Mode: temporary addresses, connections of WebSocket, envelopes that wait for their id (B6).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::events::{Carrier, PATIENCE};
use super::gate::Call;
use super::reply::{Outcome, Refusal, ok};
use super::workspace::{APP, FakeWorkspace, Workspace};

/// Connections of one app at the same time.
const MOST: usize = 10;
/// Between two pings of the server. The vendor's number is not recorded.
const PING: Duration = Duration::from_secs(10);
/// How long a connection lives on after it was told to go. The vendor's number is not recorded.
const FAREWELL: Duration = Duration::from_secs(10);

/// Why a connection is told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnect {
    /// It will be closed soon.
    Warning,
    /// Its server will be renewed.
    RefreshRequested,
    /// Socket Mode was switched off; no address is given out any more.
    LinkDisabled,
    /// There are too many.
    TooManyWebsockets,
}

impl Disconnect {
    fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::RefreshRequested => "refresh_requested",
            Self::LinkDisabled => "link_disabled",
            Self::TooManyWebsockets => "too_many_websockets",
        }
    }

    /// Whether the client has time to open another one before.
    fn lets_finish(self) -> bool {
        matches!(self, Self::Warning | Self::RefreshRequested)
    }
}

/// What a connection is told to do.
#[derive(Debug)]
enum Order {
    Say(String),
    Disconnect(Disconnect),
    /// Says nothing and hears nothing from now on, and stays open.
    Silence,
    /// Goes without a word.
    Drop,
}

#[derive(Debug)]
struct Open {
    orders: mpsc::UnboundedSender<Order>,
    /// It was told to go.
    leaving: bool,
    /// Those whose payload it carries.
    carrying: Vec<Arc<Notify>>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    tickets: HashSet<String>,
    open: BTreeMap<u64, Open>,
    /// The connection that had the last payload.
    turn: u64,
    /// Those who wait for an envelope.
    waiting: HashMap<String, Arc<Notify>>,
    /// Envelopes that came back, each with what came with it.
    acknowledged: HashMap<String, Value>,
    disabled: bool,
    front: Option<String>,
}

/// All connections of the workspace.
#[derive(Debug)]
pub(super) struct Sockets {
    url: String,
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Sockets {
    pub(super) fn new(url: String) -> Self {
        Self { url, inner: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection whose turn it is: any one, but where possible not `last`, nor one that was told to go.
    fn pick(&self, last: Option<u64>) -> Option<u64> {
        let mut inner = self.lock();
        let turn = inner.turn;
        let rank = |(id, open): &(&u64, &Open)| (open.leaving, Some(**id) == last, **id <= turn, **id);
        let id = *inner.open.iter().min_by_key(rank)?.0;
        inner.turn = id;
        Some(id)
    }

    /// Hands an envelope to a connection; `changed` is told when it comes back, and when the connection is gone.
    fn hand(&self, id: u64, envelope: &str, text: String, changed: &Arc<Notify>) {
        let mut inner = self.lock();
        inner.waiting.insert(envelope.to_owned(), Arc::clone(changed));
        if let Some(open) = inner.open.get_mut(&id) {
            open.carrying.push(Arc::clone(changed));
            // A connection that is ending does not hear it, and whoever waits sees it gone.
            let _ = open.orders.send(Order::Say(text));
        }
    }

    fn tell_all(&self, order: impl Fn() -> Order) {
        for open in self.lock().open.values() {
            let _ = open.orders.send(order());
        }
    }

    fn enter(&self) -> Option<(u64, usize, mpsc::UnboundedReceiver<Order>)> {
        let mut inner = self.lock();
        if inner.open.len() >= MOST {
            return None;
        }
        inner.next += 1;
        let (id, (orders, hears)) = (inner.next, mpsc::unbounded_channel());
        inner.open.insert(id, Open { orders, leaving: false, carrying: Vec::new() });
        let count = inner.open.len();
        drop(inner);
        self.changed.notify_waiters();
        Some((id, count, hears))
    }

    fn leave(&self, id: u64) {
        let gone = self.lock().open.remove(&id);
        for carrier in gone.into_iter().flat_map(|open| open.carrying) {
            carrier.notify_one();
        }
    }

    fn heard(&self, text: &str) {
        let Ok(said) = serde_json::from_str::<Value>(text) else { return };
        if let Some(id) = said["envelope_id"].as_str() {
            let mut inner = self.lock();
            inner.acknowledged.insert(id.to_owned(), said["payload"].clone());
            if let Some(waits) = inner.waiting.remove(id) {
                waits.notify_one();
            }
        }
    }

    /// Waits until a connection is open.
    async fn any(&self) {
        loop {
            // Made before the look, so that what happens in between wakes it.
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if !self.lock().open.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until one of these envelopes has come back, and says which; none where the connection is gone before.
    async fn back(&self, id: u64, envelopes: &[(String, usize)], changed: &Notify) -> Option<usize> {
        loop {
            {
                let inner = self.lock();
                let known = envelopes.iter().find(|(envelope, _)| inner.acknowledged.contains_key(envelope));
                if known.is_some() || !inner.open.contains_key(&id) {
                    return known.map(|(_, place)| *place);
                }
            }
            changed.notified().await;
        }
    }
}

/// apps.connections.open: an address with a ticket that is good for one connection.
pub(super) fn open(call: &Call<'_>) -> Outcome {
    let ticket = super::seed::id(&mut call.workspace.data().random, 'K');
    let sockets = &call.workspace.sockets;
    let mut inner = sockets.lock();
    if inner.disabled {
        // What the vendor answers while Socket Mode is off is not recorded.
        return Err(Refusal::new("access_denied"));
    }
    inner.tickets.insert(ticket.clone());
    let base = inner.front.as_ref().unwrap_or(&sockets.url);
    ok(json!({ "url": format!("{base}/link/?ticket={ticket}&app_id={APP}") }))
}

/// Takes connections until the workspace ends.
pub(super) async fn accept(
    listener: TcpListener,
    workspace: Weak<Workspace>,
    tasks: Weak<Mutex<JoinSet<()>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (Some(workspace), Some(tasks)) = (workspace.upgrade(), tasks.upgrade()) else { return };
        tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(serve(stream, workspace));
    }
}

async fn serve(stream: TcpStream, workspace: Arc<Workspace>) {
    #[allow(clippy::result_large_err, reason = "the shape of the library's callback")]
    let admit = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let query = request.uri().query().unwrap_or_default();
        let ticket = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
        let known = ticket.is_some_and(|(_, ticket)| workspace.sockets.lock().tickets.remove(&*ticket));
        if known {
            return Ok(response);
        }
        let mut refused = ErrorResponse::new(None);
        *refused.status_mut() = StatusCode::FORBIDDEN;
        Err(refused)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, admit).await else { return };
    match workspace.sockets.enter() {
        None => {
            let _ = socket.send(disconnect(Disconnect::TooManyWebsockets)).await;
            let _ = close(&workspace, &mut socket).await;
        }
        Some((id, count, orders)) => {
            // An error is the end of the connection, whatever it is.
            let _ = talk(&workspace, &mut socket, count, orders).await;
            workspace.sockets.leave(id);
        }
    }
}

/// One connection, from its hello to its end.
async fn talk(
    workspace: &Workspace,
    socket: &mut WebSocketStream<TcpStream>,
    count: usize,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    let hello = json!({
        "type": "hello", "num_connections": count, "connection_info": { "app_id": APP },
        "debug_info": { "host": "applink-1", "build_number": 1, "approximate_connection_time": 18060 },
    });
    socket.send(Message::text(hello.to_string())).await?;
    let mut ping = workspace.clock.sleep(PING);
    let mut farewell = None;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Say(text)) => socket.send(Message::text(text)).await?,
                Some(Order::Disconnect(reason)) => {
                    socket.send(disconnect(reason)).await?;
                    if !reason.lets_finish() {
                        return close(workspace, socket).await;
                    }
                    farewell = Some(workspace.clock.sleep(FAREWELL));
                }
                Some(Order::Silence) => {
                    while !matches!(orders.recv().await, Some(Order::Drop) | None) {}
                    return Ok(());
                }
                Some(Order::Drop) | None => return Ok(()),
            },
            said = socket.next() => match said {
                Some(Ok(Message::Text(text))) => workspace.sockets.heard(text.as_str()),
                // The library's answer to it leaves with the next look.
                Some(Ok(Message::Close(_))) => return socket.next().await.map_or(Ok(()), |last| last.map(drop)),
                Some(Err(_)) | None => return Ok(()),
                // A ping has its pong from the library.
                Some(Ok(_)) => {}
            },
            () = &mut ping => {
                socket.send(Message::Ping("Ping from applink-1".into())).await?;
                ping = workspace.clock.sleep(PING);
            }
            () = async { match &mut farewell { Some(time) => time.await, None => std::future::pending().await } } => {
                return close(workspace, socket).await;
            }
        }
    }
}

/// Closes, and waits for the client to agree, though not for ever.
async fn close(
    workspace: &Workspace,
    socket: &mut WebSocketStream<TcpStream>,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    socket.close(None).await?;
    tokio::select! {
        () = async { while let Some(Ok(_)) = socket.next().await {} } => {}
        () = workspace.clock.sleep(PATIENCE) => {}
    }
    Ok(())
}

fn disconnect(reason: Disconnect) -> Message {
    let text =
        json!({ "type": "disconnect", "reason": reason.name(), "debug_info": { "host": "applink-1" } });
    Message::text(text.to_string())
}

/// Carries one payload to any one of the connections; an event again, over another one where there is one, until its
/// envelope comes back. A lost connection is a reason to send again at once, and so is an answer that does not come in
/// three seconds: when the vendor does, and how often, is not recorded. Each attempt has an envelope of its own.
pub(super) async fn carry(workspace: Arc<Workspace>, kind: &'static str, payload: Value) {
    let id = payload["event_id"].as_str().unwrap_or_default().to_owned();
    let sockets = &workspace.sockets;
    let changed = Arc::new(Notify::new());
    let mut last = None;
    let mut envelopes: Vec<(String, usize)> = Vec::new();
    for attempt in 0.. {
        sockets.any().await;
        let Some(socket) = sockets.pick(last) else { continue };
        last = Some(socket);
        let place = workspace.sent(&id, Carrier::Socket(socket), attempt);
        let envelope = format!("{attempt:08x}-57d6-41bd-8e6c-{place:012x}");
        envelopes.push((envelope.clone(), place));
        let mut text = json!({
            "envelope_id": envelope, "type": kind, "payload": payload, "accepts_response_payload": kind != "events_api",
        });
        if kind == "events_api" {
            text["retry_attempt"] = json!(attempt);
            text["retry_reason"] = json!(if attempt == 0 { "" } else { "timeout" });
        }
        sockets.hand(socket, &envelope, text.to_string(), &changed);
        let came = tokio::select! {
            came = sockets.back(socket, &envelopes, &changed) => came,
            () = workspace.clock.sleep(PATIENCE) => None,
        };
        if let Some(place) = came {
            workspace.answered(place, None, true);
            return;
        }
        if kind != "events_api" {
            return;
        }
    }
}

impl FakeWorkspace {
    /// Connections of Socket Mode that are open, silent ones counted.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.workspace.sockets.lock().open.len()
    }

    /// Tells all connections to go. For [`Disconnect::Warning`] and [`Disconnect::RefreshRequested`] they live on for
    /// ten seconds by the workspace's clock, else they close at once.
    pub fn disconnect(&self, reason: Disconnect) {
        let sockets = &self.workspace.sockets;
        {
            let mut inner = sockets.lock();
            inner.disabled |= reason == Disconnect::LinkDisabled;
            inner.open.values_mut().for_each(|open| open.leaving = true);
        }
        sockets.tell_all(|| Order::Disconnect(reason));
    }

    /// Socket Mode is switched on again after [`Disconnect::LinkDisabled`].
    pub fn enable_sockets(&self) {
        self.workspace.sockets.lock().disabled = false;
    }

    /// All connections of now stay open and are dead: no ping, no pong, no payload, nothing is heard.
    pub fn go_silent(&self) {
        self.workspace.sockets.tell_all(|| Order::Silence);
    }

    /// All connections of now end without a word.
    pub fn drop_sockets(&self) {
        self.workspace.sockets.tell_all(|| Order::Drop);
    }

    /// What came back with an envelope of a kind that takes an answer, by the envelope's id.
    #[must_use]
    pub fn socket_answers(&self) -> Vec<(String, Value)> {
        let inner = self.workspace.sockets.lock();
        inner.acknowledged.iter().map(|(id, payload)| (id.clone(), payload.clone())).collect()
    }

    /// Where the connections of Socket Mode are taken: `ws://127.0.0.1:PORT`, for what stands in front.
    #[must_use]
    pub fn socket_url(&self) -> &str {
        &self.workspace.sockets.url
    }

    /// From now on apps.connections.open sends clients to this `ws://…`, without a slash at the end.
    pub fn sockets_stand_behind(&self, url: impl Into<String>) {
        self.workspace.sockets.lock().front = Some(url.into());
    }
}
