//! The connector against the rules that every connector keeps, called over Socket Mode and by HTTP.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use connector_sdk::Factory;
use connector_testkit::{
    clock::FastClock,
    conformance::{Begin, Fixture, Row, World, untested},
    fault::{Faults, Matcher},
    slack::FakeWorkspace,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{bounded, message, until};

connector_testkit::conformance!(by_socket);

/// By requests to us.
mod http {
    connector_testkit::conformance!(super::by_http);
}

struct App {
    ws: FakeWorkspace,
    folder: TempDir,
    by_http: bool,
    page: usize,
    events: Mutex<Vec<Value>>,
}

async fn by_socket(world: World) -> App {
    start(world, false).await
}

async fn by_http(world: World) -> App {
    start(world, true).await
}

async fn start(world: World, by_http: bool) -> App {
    // The suite's context has a clock of its own, which shows the same time.
    let ws = FakeWorkspace::builder()
        .seed(world.seed)
        .channels(1)
        .clock(FastClock::shared())
        .start()
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let app = App { ws, folder, by_http, page: world.page, events: Mutex::default() };
    app.insert(world.rows).await;
    app
}

/// Rules that rest on being the one who asks; the suite says why for each.
const ASKED_ONLY: [&str; 12] =
    ["C-14", "C-25", "C-29", "C-30", "C-31", "C-35", "C-36", "C-37", "C-38", "C-41", "C-42", "C-43"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_is_known() {
    let by_socket: Begin = |world| Box::pin(async move { Box::new(by_socket(world).await) as _ });
    // Nothing was released yet.
    assert_not_tested(by_socket, &["C-44"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_by_http_is_known() {
    let by_http: Begin = |world| Box::pin(async move { Box::new(by_http(world).await) as _ });
    assert_not_tested(by_http, &["C-11", "C-12", "C-13", "C-44"]).await;
}

async fn assert_not_tested(begin: Begin, besides: &[&str]) {
    let found = untested(begin, 1).await.unwrap();
    let mut numbers: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    let mut expected = [&ASKED_ONLY[..], besides].concat();
    numbers.sort_unstable();
    expected.sort_unstable();
    assert_eq!(numbers, expected, "{found:?}");
}

#[async_trait]
impl Fixture for App {
    fn factory(&self) -> Arc<dyn Factory> {
        Arc::new(connector_slack::events())
    }

    fn config(&self) -> Value {
        let journal = json!({ "path": self.folder.path().join("journal") });
        match self.by_http {
            true => json!({
                "mode": "http", "listen": "127.0.0.1:0", "signing_secrets": [self.ws.signing_secret()], "journal": journal,
            }),
            false => json!({
                "mode": "socket", "base_url": self.ws.base_url(), "app_token": self.ws.app_token(), "connections": 2,
                "journal": journal,
            }),
        }
    }

    fn stream(&self) -> &str {
        "events"
    }

    fn page(&self) -> usize {
        self.page
    }

    fn rows(&self) -> Vec<Row> {
        let row = |event: &Value| {
            let Value::Object(fields) = event.clone() else { panic!("an event is an object") };
            Row { key: Map::from_iter([("event_id".to_owned(), event["event_id"].clone())]), fields }
        };
        self.events.lock().unwrap().iter().map(row).collect()
    }

    async fn insert(&self, count: usize) {
        let mut events = self.events.lock().unwrap();
        for _ in 0..count {
            let number = events.len();
            events.push(json!({
                "type": "event_callback", "event_id": format!("Ev{number:06}"), "team_id": "T1", "api_app_id": "A1",
                "event_time": 1_800_000_000 + number / 3, "event": message(number),
            }));
        }
    }

    /// What has happened has happened: a change is another event.
    async fn update(&self, count: usize) {
        self.insert(count).await;
    }

    async fn delete(&self, _: usize) {}

    fn requests(&self) -> u64 {
        self.ws.requests().len() as u64
    }

    fn faults(&self) -> &Faults {
        self.ws.faults()
    }

    fn pages(&self) -> Matcher {
        Matcher::path("/apps.connections.open")
    }

    fn whoami(&self) -> Matcher {
        Matcher::path("/apps.connections.open")
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.ws.app_token().to_owned(), self.ws.signing_secret()]
    }

    fn is_pushed(&self) -> bool {
        true
    }

    fn asks_nobody(&self) -> bool {
        self.by_http
    }

    fn is_partitioned(&self) -> bool {
        false
    }

    async fn deliver(&self, addresses: &[SocketAddr]) {
        if let Some(address) = addresses.first() {
            self.ws.events_to(format!("http://{address}/slack/events"));
        }
        let taken = |log: &[connector_testkit::slack::Delivery], event: &Value| {
            log.iter().any(|sent| event["event_id"] == *sent.event_id && sent.acknowledged)
        };
        let log = self.ws.deliveries();
        let mut waiting: Vec<Value> = self.events.lock().unwrap().clone();
        waiting.retain(|event| !taken(&log, event));
        // One by one, in the order in which they happened: the vendor promises none, and the suite wants one.
        for event in waiting {
            self.ws.push_wrapper(event.clone());
            bounded(until("it is taken", || taken(&self.ws.deliveries(), &event))).await;
        }
    }
}
