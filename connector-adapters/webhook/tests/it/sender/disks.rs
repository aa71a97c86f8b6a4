//! The testkit's failing disk behind the outbox: whatever fails whenever, nothing that was accepted is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use connector_bronze::Disk as _;
use connector_ingress::journal::{Disk, DiskFile};
use connector_sdk::contract::ActionStatus;
use connector_testkit::disk::{Crash, MemoryDisk, Plan};
use serde_json::{Value, json};

use super::{
    endpoint::{Endpoint, Reply},
    support::{Process, World, moment},
};

/// The testkit's disk behind the outbox's seam, with locks that end with their holder.
#[derive(Debug, Clone)]
pub(crate) struct TestDisk {
    memory: MemoryDisk,
    locked: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Bytes that it says are free.
    free: Arc<AtomicU64>,
}

impl TestDisk {
    pub(crate) fn shared(memory: &MemoryDisk) -> Arc<dyn Disk> {
        Self::with_room(memory, Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// One that says that so many bytes are free.
    pub(crate) fn with_room(memory: &MemoryDisk, free: Arc<AtomicU64>) -> Arc<dyn Disk> {
        Arc::new(Self { memory: memory.clone(), locked: Arc::default(), free })
    }
}

struct Held(Arc<Mutex<BTreeSet<PathBuf>>>, PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

struct TestFile(Box<dyn connector_bronze::DiskFile>);

impl Write for TestFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl DiskFile for TestFile {
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

impl Disk for TestDisk {
    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.memory.create_dirs(dir)
    }
    fn lock(&self, file: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let is_free = self.locked.lock().unwrap().insert(file.to_owned());
        Ok(is_free.then(|| Box::new(Held(Arc::clone(&self.locked), file.to_owned())) as Box<dyn Send>))
    }
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(TestFile(self.memory.create(file)?)))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }
    fn remove(&self, file: &Path) -> io::Result<()> {
        self.memory.remove(file)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.memory.list(dir)?.into_iter().map(|entry| entry.name).collect())
    }
    fn read(&self, file: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.memory.read(file, offset, length)
    }
    fn free(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free.load(Ordering::SeqCst))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.memory.sync_dir(dir)
    }
}

/// What is known of a life on a disk that fails.
#[derive(Default)]
struct Known {
    accepted: BTreeSet<String>,
}

/// Puts some in, delivers some, puts more in, one of which is refused for good and taken back; as far as the disk goes.
async fn live(endpoint: &Endpoint, world: &World, known: &mut Known) {
    let put = async |process: &Process, known: &mut Known, id: &str| {
        let sent = process.act("send", json!({ "id": id, "payload": { "n": id } })).await;
        if sent.is_ok_and(|outcome| outcome.status == ActionStatus::Accepted) {
            known.accepted.insert(id.to_owned());
        }
    };
    let process = world.sender();
    put(&process, known, "a").await;
    put(&process, known, "b").await;
    endpoint.always(Reply::status(204));
    endpoint.then([Reply::status(500), Reply::status(404)]);
    let Ok(running) = process.try_run().await else { return };
    for _ in 0..40 {
        if endpoint.count() >= 3 || running.is_over() {
            break;
        }
        moment(5).await;
    }
    put(&running.process, known, "c").await;
    if let Ok(shown) = running.process.act("outbox", json!({})).await {
        for letter in shown.output["dead_letters"].as_array().unwrap() {
            let _ = running.process.act("replay", json!({ "id": letter["id"] })).await;
        }
    }
    moment(20).await;
    let _ = running.stop().await;
}

/// Delivers all that is there, on a disk that works.
async fn settle(endpoint: &Endpoint, world: &World) {
    endpoint.always(Reply::status(204));
    let running = world.run().await;
    running.drained().await;
    let shown = running.process.act("outbox", json!({})).await.unwrap().output;
    for letter in shown["dead_letters"].as_array().unwrap() {
        running.process.act("replay", json!({ "id": letter["id"] })).await.unwrap();
    }
    running.drained().await;
    running.stop().await.unwrap();
}

async fn fresh() -> (Endpoint, World, MemoryDisk) {
    let (endpoint, world) = World::start().await;
    let mut world =
        world.with("schedule", json!(["0s", "100ms", "100ms", "100ms"])).with("ordered", json!(true));
    let memory = MemoryDisk::default();
    world.disk = Some(TestDisk::shared(&memory));
    (endpoint, world, memory)
}

/// What was accepted arrived, under one body each; and what became of it is told.
fn judge(what: &str, endpoint: &Endpoint, known: &Known, told: &[Value]) {
    let mut bodies: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for received in endpoint.received() {
        assert!(received.is_proved, "{what}");
        bodies.entry(received.id()).or_default().insert(received.body.to_vec());
    }
    for id in &known.accepted {
        assert!(bodies.contains_key(id), "{what}: {id} is lost");
        let delivered =
            told.iter().filter(|told| told["id"] == **id && told["status"] == "delivered").count();
        assert_eq!(delivered, 1, "{what}: {id} is told {delivered} times: {told:?}");
    }
    for (id, bodies) in bodies {
        assert_eq!(bodies.len(), 1, "{what}: {id}");
    }
}

/// Lives a life on a disk that does this, and then settles.
async fn survive(what: String, plan: Plan, crash: Option<Crash>) {
    let (endpoint, world, memory) = fresh().await;
    let mut known = Known::default();
    memory.plan(plan);
    live(&endpoint, &world, &mut known).await;
    let trace = memory.trace();
    let at = plan.crash_after.or(plan.fail_at.map(|(at, _)| at - 1)).unwrap_or(0);
    let what = format!("{what} ({:?})", trace.get(usize::try_from(at).unwrap()));
    memory.plan(Plan::default());
    if let Some(crash) = crash {
        memory.kill();
        memory.reboot(crash);
    }
    settle(&endpoint, &world).await;
    judge(&what, &endpoint, &known, &world.deliveries().await);
}

/// Many lives side by side: most of each is waiting.
async fn survive_all(lives: impl IntoIterator<Item = (String, Plan, Option<Crash>)>) {
    let mut tasks = tokio::task::JoinSet::new();
    for (what, plan, crash) in lives {
        if tasks.len() >= 12 {
            tasks.join_next().await.unwrap().unwrap();
        }
        tasks.spawn(survive(what, plan, crash));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// How many operations a life on a disk that works has.
async fn operations() -> u64 {
    let (endpoint, world, memory) = fresh().await;
    let mut known = Known::default();
    live(&endpoint, &world, &mut known).await;
    let operations = memory.operations();
    assert!(operations > 60 && known.accepted.len() == 3, "{operations}");
    operations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_after_any_operation_of_the_disk_loses_no_message_that_was_accepted() {
    let operations = operations().await;
    let crashes = [Crash::Lost, Crash::Kept, Crash::Some(3)].into_iter().enumerate();
    let lives = crashes.flat_map(|(index, crash)| {
        let plan = |after| Plan { crash_after: Some(after), ..Plan::default() };
        let life = move |after| (format!("{crash:?} after {after}"), plan(after), Some(crash));
        (index as u64..operations).step_by(3).map(life)
    });
    survive_all(lives).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_operation_that_fails_loses_no_message_that_was_accepted() {
    let operations = operations().await;
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other].into_iter().enumerate();
    let lives = kinds.flat_map(|(index, kind)| {
        let plan = move |at| Plan { fail_at: Some((at, kind)), ..Plan::default() };
        let life = move |at| (format!("{kind:?} at {at}"), plan(at), None);
        (1 + index as u64..=operations).step_by(2).map(life)
    });
    survive_all(lives).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sync_that_fails_loses_no_message_that_was_accepted_also_when_the_power_goes() {
    let plan = |at| Plan { fail_sync: Some(at), ..Plan::default() };
    survive_all((1..=70).map(|at| (format!("sync {at}"), plan(at), Some(Crash::Lost)))).await;
}
