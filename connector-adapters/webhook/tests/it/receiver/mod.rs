//! The receiver under the run engine, called over real sockets.

mod answers;
mod arriving;
mod configured;
mod conformance;
mod gate;
mod tls;
mod vendors;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use connector_host::{
    Registry,
    registry::MemoryRegistry,
    report::RunReport,
    run::{self, Job, Progress, RunOptions},
};
use connector_sdk::{Clock, Context, Factory, Network, Result, SystemClock};
use connector_testkit::memory::{MemorySink, Standing};
use connector_webhook::Gate;
use serde_json::{Value, json, value::RawValue};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What GitHub signs with here.
const SECRET: &str = "It's a Secret to Everybody";

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

/// A connection, and what becomes of it.
struct World {
    tenant: &'static str,
    name: &'static str,
    clock: Arc<dyn Clock>,
    folder: TempDir,
    sink: MemorySink,
    registry: Arc<dyn Registry>,
    http: reqwest::Client,
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

/// One endpoint of GitHub's, and what else is said.
fn github(more: Value) -> Value {
    let mut config = json!({
        "listen": "127.0.0.1:0", "journal": { "path": "journal" },
        "endpoints": [{ "path": "/in", "scheme": "github", "secrets": ["an older one", SECRET] }],
    });
    let Value::Object(more) = more else { panic!("fields") };
    more.into_iter().for_each(|(name, value)| config[name] = value);
    config
}

impl World {
    fn new() -> Self {
        Self::of("acme", "hooks", SystemClock::shared())
    }

    fn of(tenant: &'static str, name: &'static str, clock: Arc<dyn Clock>) -> Self {
        let registry = Arc::new(MemoryRegistry::new(Arc::clone(&clock)));
        let (folder, http) = (tempfile::tempdir().unwrap(), reqwest::Client::new());
        Self { tenant, name, clock, folder, sink: MemorySink::default(), registry, http }
    }

    fn context(&self, stop: &CancellationToken) -> Context {
        Context::builder(self.tenant, self.name)
            .network(Network::loopback())
            .clock(Arc::clone(&self.clock))
            .folder(self.folder.path())
            .stop(stop.clone())
            .seed(7)
            .run("r".into())
            .build()
    }

    /// Begins a run, as a process of its own would.
    fn run(&self, config: &Value) -> Running {
        self.start(&connector_webhook::receiver(), config).unwrap()
    }

    fn run_at(&self, gate: &Gate, config: &Value) -> Running {
        self.start(&connector_webhook::receiver_at(gate), config).unwrap()
    }

    fn start(&self, factory: &dyn Factory, config: &Value) -> Result<Running> {
        let stop = CancellationToken::new();
        let cx = self.context(&stop);
        let config = RawValue::from_string(config.to_string()).unwrap();
        let mut options = RunOptions::default();
        options.commit_interval = Duration::from_millis(50);
        let (told, addresses) = watch::channel(Vec::new());
        let job = Job {
            connector: factory.connect(&config, &cx)?,
            cx,
            manifest: factory.manifest().clone(),
            registry: Arc::clone(&self.registry),
            sink: Arc::new(self.sink.clone()),
            streams: None,
            options,
            progress: Arc::new(Told(told)),
        };
        Ok(Running { stop, addresses, task: tokio::spawn(run::run(job)) })
    }

    fn bronze(&self) -> Vec<Standing> {
        self.sink.records("events")
    }

    /// The records in Bronze, in order; what stands is numbered without a gap.
    #[track_caller]
    fn records(&self) -> Vec<Value> {
        let records = self.bronze();
        let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
        records.iter().map(|record| serde_json::from_str(&record.record).unwrap_or(Value::Null)).collect()
    }

    /// The ids in Bronze, in order.
    #[track_caller]
    fn ids(&self) -> Vec<String> {
        let id = |record: Value| record["id"].as_str().unwrap_or("none").to_owned();
        self.records().into_iter().map(id).collect()
    }

    /// Sends as GitHub does; answers the status.
    async fn push(&self, url: &str, id: &str, body: &[u8]) -> u16 {
        self.send(url, &[("X-GitHub-Delivery", id), ("X-Hub-Signature-256", &hub(SECRET, body))], body)
            .await
            .status()
            .as_u16()
    }

    async fn send(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> reqwest::Response {
        let request = self.http.post(url).body(body.to_vec());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        bounded(request.send()).await.unwrap()
    }
}

/// The tag of HMAC-SHA256, in hexadecimal.
fn mac(secret: &str, signed: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, signed).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// GitHub's signature.
fn hub(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", mac(secret, body))
}

impl Running {
    async fn address(&mut self) -> SocketAddr {
        let addresses = bounded(self.addresses.wait_for(|addresses| !addresses.is_empty())).await;
        addresses.unwrap()[0]
    }

    async fn url(&mut self, path: &str) -> String {
        format!("http://{}{path}", self.address().await)
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
