//! A sender, its outbox in a folder of its own, and who drives it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use connector_ingress::journal::Disk;
use connector_sdk::{
    Clock, Connector as _, Context, Discover as _, Message, Network, Partition, Read as _, ReadRequest,
    Result, StreamSelection, SystemClock, Timestamp,
    contract::{ActionOutcome, ActionRequest, ActionStatus},
    http::Resolve,
};
use connector_testkit::clock::ManualClock;
use connector_webhook::{Outside, Sender, SenderConfig};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, SECRET};

/// When the manual clock begins.
pub(crate) const T0: i64 = 1_800_000_000_000;

#[expect(clippy::disallowed_methods, reason = "a test that hangs must end")]
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it hangs")
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..8_000 {
        if is_so() {
            return;
        }
        moment(5).await;
    }
    panic!("it never came to this: {what}");
}

/// Real time, in which others may do what they should not.
pub(crate) async fn moment(millis: u64) {
    SystemClock::new().sleep(Duration::from_millis(millis)).await;
}

pub(crate) fn manual() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(T0))
}

/// Where a sender is, and what it is set up with.
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) folder: TempDir,
    pub(crate) config: Value,
    pub(crate) network: Network,
    pub(crate) resolver: Option<Arc<dyn Resolve>>,
    pub(crate) disk: Option<Arc<dyn Disk>>,
}

impl World {
    pub(crate) fn new(clock: Arc<dyn Clock>, url: &str) -> Self {
        let config =
            json!({ "url": url, "secrets": [SECRET], "outbox": { "path": "outbox" }, "jitter": 0.0 });
        let folder = tempfile::tempdir().unwrap();
        Self { clock, folder, config, network: Network::loopback(), resolver: None, disk: None }
    }

    /// An endpoint, and a sender to it by the machine's clock.
    pub(crate) async fn start() -> (Endpoint, Self) {
        Self::by(SystemClock::shared()).await
    }

    pub(crate) async fn by(clock: Arc<dyn Clock>) -> (Endpoint, Self) {
        let endpoint = Endpoint::start(Arc::clone(&clock)).await;
        let world = Self::new(clock, &endpoint.url());
        (endpoint, world)
    }

    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.folder.path().join("outbox")
    }

    fn context(&self, stop: &CancellationToken) -> Context {
        Context::builder("acme", "hooks")
            .network(self.network.clone())
            .clock(Arc::clone(&self.clock))
            .folder(self.folder.path())
            .stop(stop.clone())
            .seed(7)
            .build()
    }

    /// A sender, as a process of its own would make it.
    pub(crate) fn sender(&self) -> Process {
        self.try_sender().unwrap()
    }

    pub(crate) fn try_sender(&self) -> Result<Process> {
        let stop = CancellationToken::new();
        let cx = self.context(&stop);
        let config: SenderConfig = serde_json::from_value(self.config.clone()).unwrap();
        let mut outside = Outside::default();
        (outside.resolver, outside.disk) = (self.resolver.clone(), self.disk.clone());
        let lock = self.disk.is_none().then(|| self.outbox().join("deliveries/lock"));
        Ok(Process { sender: Arc::new(Sender::connect_by(&config, &cx, outside)?), cx, stop, lock })
    }

    /// Puts something in, as a process of its own does.
    pub(crate) async fn send(&self, id: &str) -> ActionOutcome {
        self.sender().send(id).await
    }

    /// Begins to deliver.
    pub(crate) async fn run(&self) -> Running {
        self.sender().run().await
    }

    /// How the outbox stands.
    pub(crate) async fn standing(&self) -> Value {
        self.sender().act("outbox", json!({})).await.unwrap().output
    }

    /// What became of messages, as the stream tells it: those whose end was told, from the first that is kept.
    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        let process = self.sender();
        let found = process.deliveries().await;
        process.leave().await;
        found
    }
}

/// A process that uses the connection.
pub(crate) struct Process {
    pub(crate) sender: Arc<Sender>,
    pub(crate) cx: Context,
    stop: CancellationToken,
    lock: Option<PathBuf>,
}

impl Process {
    /// Ends, and waits until its journal is free: who opens it anew waits by a clock that may stand still.
    async fn leave(self) {
        let Some(lock) = self.lock.clone() else { return };
        drop(self);
        until("the journal is let go of", || {
            std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_ok())
        })
        .await;
    }

    pub(crate) async fn act(&self, name: &str, input: Value) -> Result<ActionOutcome> {
        bounded(self.sender.act(&self.cx, ActionRequest::new(name, input))).await
    }

    pub(crate) async fn send(&self, id: &str) -> ActionOutcome {
        let outcome = self.act("send", json!({ "id": id, "payload": { "n": id } })).await.unwrap();
        assert_eq!(outcome.output["id"], id);
        outcome
    }

    pub(crate) async fn accepted(&self, ids: impl IntoIterator<Item = String>) {
        for id in ids {
            assert_eq!(self.send(&id).await.status, ActionStatus::Accepted);
        }
    }

    pub(crate) async fn try_run(self) -> Result<Running> {
        let listener = bounded(self.sender.listen(&self.cx)).await?.unwrap();
        let task = tokio::spawn(listener.serve(self.cx.clone()));
        Ok(Running { process: self, task })
    }

    pub(crate) async fn run(self) -> Running {
        self.try_run().await.unwrap()
    }

    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        let catalog = self.sender.discover(&self.cx, None).await.unwrap();
        let spec = Arc::new(catalog.streams[0].clone());
        let request =
            ReadRequest::new(self.cx.clone(), StreamSelection::new(spec), Partition::new("deliveries"));
        let mut messages = self.sender.read(request);
        let mut found = Vec::new();
        while let Some(message) = bounded(messages.next()).await {
            if let Message::Batch(batch) = message.unwrap() {
                let record = |record: &[u8]| serde_json::from_slice::<Value>(record).unwrap();
                found.extend(batch.iter().map(|view| record(view.record.unwrap())));
            }
        }
        found
    }
}

/// A process that delivers.
pub(crate) struct Running {
    pub(crate) process: Process,
    task: JoinHandle<Result<()>>,
}

impl Running {
    /// Asks it to stop, and waits for its end.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop.cancel();
        self.end().await
    }

    pub(crate) async fn end(self) -> Result<()> {
        let Self { process, task } = self;
        let ended = bounded(task).await.unwrap();
        process.leave().await;
        ended
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it as SIGKILL does, as far as that can be done to a task.
    pub(crate) async fn kill(self) {
        let Self { process, task } = self;
        task.abort();
        let _ = task.await;
        process.leave().await;
    }

    /// Waits until nothing waits any more.
    pub(crate) async fn drained(&self) {
        for _ in 0..4_000 {
            let standing = self.process.act("outbox", json!({})).await.unwrap().output;
            if standing["waiting"] == 0 {
                return;
            }
            moment(5).await;
        }
        panic!("it is never empty");
    }
}

/// Lets time pass by a clock that somebody has to move, and waits until who delivers has done what is due.
pub(crate) async fn pass(clock: &ManualClock, by: Duration) {
    clock.advance(by);
    idle(clock).await;
}

/// Waits until nobody does anything but wait for the next look at the folder.
pub(crate) async fn idle(clock: &ManualClock) {
    let mut calm = 0;
    for _ in 0..8_000 {
        calm = if clock.sleepers() == 1 { calm + 1 } else { 0 };
        if calm == 15 {
            return;
        }
        moment(2).await;
    }
    panic!("it never comes to rest");
}
