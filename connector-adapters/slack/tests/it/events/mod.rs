//! `slack/events` under the run engine, with a registry and a Bronze in memory and a journal on the disk.

mod conformance;
mod http;
mod socket;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use connector_host::{
    Registry,
    registry::MemoryRegistry,
    report::RunReport,
    run::{self, Job, Progress, RunOptions},
};
use connector_sdk::{Clock, Context, Factory, Network, SystemClock};
use connector_testkit::{
    memory::{MemorySink, Standing},
    slack::{Builder, FakeWorkspace},
};
use serde_json::{Value, json, value::RawValue};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

#[expect(clippy::disallowed_methods, reason = "a test that hangs must end")]
async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        SystemClock::new().sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to this: {what}");
}

struct World {
    ws: FakeWorkspace,
    clock: Arc<dyn Clock>,
    folder: TempDir,
    sink: MemorySink,
    registry: Arc<dyn Registry>,
}

/// A run that is going on.
struct Running {
    stop: CancellationToken,
    addresses: watch::Receiver<Vec<SocketAddr>>,
    task: JoinHandle<RunReport>,
}

#[derive(Debug)]
struct Told(watch::Sender<Vec<SocketAddr>>);

impl Progress for Told {
    fn listening(&self, addresses: &[SocketAddr]) {
        self.0.send_replace(addresses.to_vec());
    }
}

impl World {
    async fn start() -> Self {
        Self::by(SystemClock::shared(), FakeWorkspace::builder()).await
    }

    async fn by(clock: Arc<dyn Clock>, builder: Builder) -> Self {
        let ws = builder.channels(1).messages(0).users(2).clock(Arc::clone(&clock)).start().await.unwrap();
        let registry = Arc::new(MemoryRegistry::new(Arc::clone(&clock)));
        let folder = tempfile::tempdir().unwrap();
        Self { ws, clock, folder, sink: MemorySink::default(), registry }
    }

    fn http(&self) -> Value {
        json!({
            "mode": "http", "listen": "127.0.0.1:0", "journal": { "path": "journal" },
            "signing_secrets": ["one that is being changed", self.ws.signing_secret()],
        })
    }

    fn socket(&self, connections: u8) -> Value {
        json!({
            "mode": "socket", "base_url": self.ws.base_url(), "app_token": self.ws.app_token(),
            "connections": connections, "journal": { "path": "journal" },
        })
    }

    /// Begins a run, as a process of its own would.
    fn run(&self, config: &Value) -> Running {
        let stop = CancellationToken::new();
        let cx = Context::builder("acme", "chat")
            .network(Network::loopback())
            .clock(Arc::clone(&self.clock))
            .folder(self.folder.path())
            .stop(stop.clone())
            .seed(7)
            .run("r".into())
            .build();
        let factory = connector_slack::events();
        let config = RawValue::from_string(config.to_string()).unwrap();
        let mut options = RunOptions::default();
        options.commit_interval = Duration::from_millis(50);
        let (told, addresses) = watch::channel(Vec::new());
        let job = Job {
            connector: factory.connect(&config, &cx).unwrap(),
            cx,
            manifest: factory.manifest().clone(),
            registry: Arc::clone(&self.registry),
            sink: Arc::new(self.sink.clone()),
            streams: None,
            options,
            progress: Arc::new(Told(told)),
        };
        Running { stop, addresses, task: tokio::spawn(run::run(job)) }
    }

    /// Begins a run by HTTP, and has the workspace send there.
    async fn listen(&self) -> Running {
        let mut running = self.run(&self.http());
        self.ws.events_to(running.url().await);
        running
    }

    fn bronze(&self) -> Vec<Standing> {
        self.sink.records("events")
    }

    /// The ids in Bronze, in order; what stands is numbered without a gap.
    #[track_caller]
    fn ids(&self) -> Vec<String> {
        let records = self.bronze();
        let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
        let id = |record: Standing| {
            let key: Value = serde_json::from_str(&record.key).unwrap();
            key["event_id"].as_str().unwrap().to_owned()
        };
        records.into_iter().map(id).collect()
    }

    /// Each of these ids stands once, and nothing else.
    #[track_caller]
    fn assert_once(&self, mut expected: Vec<String>) {
        let mut found = self.ids();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    /// Waits until the vendor knows of each that it was taken.
    async fn acknowledged(&self, ids: &[String]) {
        let all = || {
            let log = self.ws.deliveries();
            ids.iter().all(|id| log.iter().any(|sent| sent.event_id == *id && sent.acknowledged))
        };
        until("all are acknowledged", all).await;
    }
}

impl Running {
    async fn url(&mut self) -> String {
        let addresses = bounded(self.addresses.wait_for(|addresses| !addresses.is_empty())).await;
        format!("http://{}/slack/events", addresses.unwrap()[0])
    }

    /// Stops it, and waits for its end.
    async fn stop(self) -> RunReport {
        self.stop.cancel();
        self.end().await
    }

    async fn end(self) -> RunReport {
        bounded(self.task).await.unwrap()
    }
}

fn message(number: usize) -> Value {
    json!({ "type": "message", "channel": "C1", "user": "U1", "text": format!("é🦌 {number}"), "ts": "1.000001" })
}
