//! Socket Mode: hello, envelopes, goodbyes, and what a dead connection looks like.

use std::time::Duration;

use connector_testkit::slack::{Carrier, Disconnect, FakeWorkspace};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::{Client, builder, within};

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(ws: &FakeWorkspace) -> Self {
        let opened = Client::new(ws).with(ws.app_token()).form("apps.connections.open", &[]).await.body;
        Self::at(opened["url"].as_str().expect("an address")).await.expect("a connection")
    }

    async fn at(url: &str) -> Option<Self> {
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).expect("an address");
        let stream = TcpStream::connect(address).await.expect("a connection");
        tokio_tungstenite::client_async(url, stream).await.ok().map(|(socket, _)| Self(socket))
    }

    /// The next message, pings left out; none at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(text.as_str()).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return None,
            }
        }
    }

    async fn acknowledge(&mut self, envelope: &Value) {
        let text = json!({ "envelope_id": envelope["envelope_id"] }).to_string();
        self.0.send(Message::text(text)).await.unwrap();
    }
}

async fn acknowledged(ws: &FakeWorkspace, count: usize) {
    while ws.deliveries().iter().filter(|sent| sent.acknowledged).count() < count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_socket_says_hello_and_carries_events_until_they_are_acknowledged() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        let mut socket = Socket::open(&ws).await;
        let hello = socket.next().await.unwrap();
        assert_eq!((hello["type"].as_str(), &hello["num_connections"]), (Some("hello"), &1.into()));
        assert_eq!(hello["debug_info"]["approximate_connection_time"], 18_060);
        let id = ws.push_event(json!({ "type": "message", "text": "hi" }));
        let first = socket.next().await.unwrap();
        assert_eq!(
            (first["type"].as_str(), &first["payload"]["event_id"]),
            (Some("events_api"), &id.as_str().into())
        );
        assert_eq!((&first["accepts_response_payload"], &first["retry_attempt"]), (&false.into(), &0.into()));
        // Not within three seconds: once more, in another envelope.
        while ws.deliveries().len() < 2 {
            clock.advance(Duration::from_secs(3));
            tokio::task::yield_now().await;
        }
        let second = socket.next().await.unwrap();
        assert_eq!((&second["payload"], &second["retry_attempt"]), (&first["payload"], &1.into()));
        assert_ne!(second["envelope_id"], first["envelope_id"]);
        socket.acknowledge(&second).await;
        acknowledged(&ws, 1).await;
        assert_eq!(ws.sockets(), 1);
        ws.shutdown().await;
    });
}

#[test]
fn what_a_lost_connection_carried_comes_again_on_another() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let (mut one, mut two) = (Socket::open(&ws).await, Socket::open(&ws).await);
        one.next().await.unwrap();
        assert_eq!(two.next().await.unwrap()["num_connections"], 2);
        let id = ws.push_event(json!({ "type": "message" }));
        let (first, one_had_it) = tokio::select! {
            first = one.next() => (first, true),
            first = two.next() => (first, false),
        };
        assert_eq!(first.unwrap()["payload"]["event_id"], id);
        let (mut lost, mut other) = if one_had_it { (one, two) } else { (two, one) };
        lost.0.close(None).await.unwrap();
        let again = other.next().await.unwrap();
        assert_eq!(
            (&again["payload"]["event_id"], &again["retry_attempt"]),
            (&id.as_str().into(), &1.into())
        );
        other.acknowledge(&again).await;
        acknowledged(&ws, 1).await;
        let carriers: Vec<Carrier> = ws.deliveries().iter().map(|sent| sent.carrier).collect();
        assert_ne!(carriers[0], carriers[1]);
        ws.shutdown().await;
    });
}

#[test]
fn an_event_waits_for_the_first_connection_and_a_ticket_is_good_once() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let id = ws.push_event(json!({ "type": "message" }));
        let opened = Client::new(&ws).with(ws.app_token()).form("apps.connections.open", &[]).await.body;
        let url = opened["url"].as_str().unwrap();
        let mut socket = Socket::at(url).await.unwrap();
        assert!(Socket::at(url).await.is_none());
        socket.next().await.unwrap();
        assert_eq!(socket.next().await.unwrap()["payload"]["event_id"], id);
        ws.shutdown().await;
    });
}

#[test]
fn the_eleventh_connection_is_too_many() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let mut sockets = Vec::new();
        for _ in 0..10 {
            let mut socket = Socket::open(&ws).await;
            socket.next().await.unwrap();
            sockets.push(socket);
        }
        let mut eleventh = Socket::open(&ws).await;
        assert_eq!(eleventh.next().await.unwrap()["reason"], "too_many_websockets");
        assert!(eleventh.next().await.is_none());
        assert_eq!(ws.sockets(), 10);
        ws.shutdown().await;
    });
}

#[test]
fn a_connection_that_is_told_to_go_lives_on_for_a_while() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        let mut old = Socket::open(&ws).await;
        old.next().await.unwrap();
        ws.disconnect(Disconnect::RefreshRequested);
        let told = old.next().await.unwrap();
        assert_eq!(
            (told["type"].as_str(), told["reason"].as_str()),
            (Some("disconnect"), Some("refresh_requested"))
        );
        let mut new = Socket::open(&ws).await;
        new.next().await.unwrap();
        assert_eq!(ws.sockets(), 2);
        // The new one has the payloads from now on.
        let id = ws.push_event(json!({ "type": "message" }));
        let envelope = new.next().await.unwrap();
        assert_eq!(envelope["payload"]["event_id"], id);
        new.acknowledge(&envelope).await;
        acknowledged(&ws, 1).await;
        while ws.sockets() > 1 {
            clock.advance(Duration::from_secs(10));
            tokio::task::yield_now().await;
        }
        assert!(old.next().await.is_none());
        ws.disconnect(Disconnect::LinkDisabled);
        assert_eq!(new.next().await.unwrap()["reason"], "link_disabled");
        assert!(new.next().await.is_none());
        let refused = Client::new(&ws).with(ws.app_token()).form("apps.connections.open", &[]).await;
        assert_eq!(refused.error(), "access_denied");
        ws.shutdown().await;
    });
}

#[test]
fn a_silent_connection_answers_no_ping_and_what_it_should_carry_goes_elsewhere() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        let mut dead = Socket::open(&ws).await;
        dead.next().await.unwrap();
        // Alive it pings by itself, and has a pong for ours.
        clock.advance(Duration::from_secs(10));
        assert!(matches!(dead.0.next().await, Some(Ok(Message::Ping(_)))));
        dead.0.send(Message::Ping("are you there".into())).await.unwrap();
        assert!(matches!(dead.0.next().await, Some(Ok(Message::Pong(_)))));
        ws.go_silent();
        let id = ws.push_event(json!({ "type": "message" }));
        while ws.deliveries().is_empty() {
            tokio::task::yield_now().await;
        }
        let mut alive = Socket::open(&ws).await;
        alive.next().await.unwrap();
        while ws.deliveries().len() < 2 {
            clock.advance(Duration::from_secs(3));
            tokio::task::yield_now().await;
        }
        assert_eq!(alive.next().await.unwrap()["payload"]["event_id"], id);
        assert_eq!(ws.sockets(), 2);
        ws.drop_sockets();
        // What was on its way still comes, then the end.
        while alive.next().await.is_some() {}
        assert!(dead.next().await.is_none());
        ws.shutdown().await;
    });
}
