//! The connector against the rules that every connector keeps.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use connector_sdk::Factory;
use connector_testkit::{
    conformance::{Begin, Fixture, Row, World, untested},
    fault::{Faults, Matcher},
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{SECRET, bounded, hub};

connector_testkit::conformance!(as_github);

/// A sender as GitHub is one.
struct Sender {
    folder: TempDir,
    page: usize,
    http: reqwest::Client,
    faults: Faults,
    requests: AtomicU64,
    events: Mutex<Vec<(String, String, bool)>>,
}

async fn as_github(world: World) -> Sender {
    let sender = Sender {
        folder: tempfile::tempdir().unwrap(),
        page: world.page,
        http: reqwest::Client::new(),
        faults: Faults::default(),
        requests: AtomicU64::new(0),
        events: Mutex::default(),
    };
    sender.insert(world.rows).await;
    sender
}

/// Rules that rest on being the one who asks, or on a release; the suite says why for each.
const NOT_TESTED: [&str; 16] = [
    "C-11", "C-12", "C-13", "C-14", "C-25", "C-29", "C-30", "C-31", "C-35", "C-36", "C-37", "C-38", "C-41",
    "C-42", "C-43", "C-44",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_of_the_rules_is_not_tested_is_known() {
    let begin: Begin = |world| Box::pin(async move { Box::new(as_github(world).await) as _ });
    let found = untested(begin, 1).await.unwrap();
    let mut numbers: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, NOT_TESTED, "{found:?}");
}

#[async_trait]
impl Fixture for Sender {
    fn factory(&self) -> Arc<dyn Factory> {
        Arc::new(connector_webhook::receiver())
    }

    fn config(&self) -> Value {
        json!({
            "listen": "127.0.0.1:0", "journal": { "path": self.folder.path().join("journal") },
            "endpoints": [{ "path": "/in", "scheme": "github", "secrets": [SECRET] }],
        })
    }

    fn stream(&self) -> &str {
        "events"
    }

    fn page(&self) -> usize {
        self.page
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(id, body, _): &(String, String, bool)| {
            let body: Value = serde_json::from_str(body).unwrap();
            let fields = json!({ "id": id, "endpoint": "/in", "scheme": "github", "body": body });
            let key = json!({ "endpoint": "/in", "id": id });
            let object = |value: Value| match value {
                Value::Object(fields) => fields,
                _ => Map::new(),
            };
            Row { key: object(key), fields: object(fields) }
        };
        self.events.lock().unwrap().iter().map(row).collect()
    }

    async fn insert(&self, count: usize) {
        let mut events = self.events.lock().unwrap();
        for _ in 0..count {
            let number = events.len();
            let body = json!({ "action": "opened", "number": number, "text": "é🦌" }).to_string();
            events.push((format!("delivery-{number:06}"), body, false));
        }
    }

    /// What has happened has happened: a change is another event.
    async fn update(&self, count: usize) {
        self.insert(count).await;
    }

    async fn delete(&self, _: usize) {}

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn pages(&self) -> Matcher {
        Matcher::path("/none")
    }

    fn whoami(&self) -> Matcher {
        Matcher::path("/none")
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }

    fn is_pushed(&self) -> bool {
        true
    }

    fn asks_nobody(&self) -> bool {
        true
    }

    fn is_partitioned(&self) -> bool {
        false
    }

    async fn deliver(&self, addresses: &[SocketAddr]) {
        let Some(address) = addresses.first() else { return };
        let waiting: Vec<(usize, String, String)> = {
            let events = self.events.lock().unwrap();
            let new = events.iter().enumerate().filter(|(_, (_, _, taken))| !taken);
            new.map(|(index, (id, body, _))| (index, id.clone(), body.clone())).collect()
        };
        // One by one, in the order in which they happened.
        for (index, id, body) in waiting {
            let sent = self
                .http
                .post(format!("http://{address}/in"))
                .header("X-GitHub-Delivery", &id)
                .header("X-Hub-Signature-256", hub(SECRET, body.as_bytes()))
                .body(body);
            let taken = bounded(sent.send()).await.is_ok_and(|answer| answer.status().is_success());
            if !taken {
                return;
            }
            self.events.lock().unwrap()[index].2 = true;
        }
    }
}
