//! A host in little: keeps states, reads what is planned, makes durable what a state covers.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use connector_sdk::{
    Class, Connector, Context, Error, Factory, Message, Network, Operation, PartitionId, ReadRequest, State,
    StreamId, StreamSelection, StreamState, SyncMode, Timestamp, resilience::Resilience,
    state::PartitionState,
};
use connector_testkit::{
    clock::{FastClock, ManualClock},
    slack::{Builder, ChannelKind, FakeWorkspace},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json, value::RawValue};

/// The workspace's clock when a test begins: 2027-01-15T08:00:00Z.
pub(crate) const T0: i64 = 1_800_000_000_000;
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Runs a test under a deadline, on a runtime of its own.
#[allow(clippy::disallowed_methods, reason = "the deadline of a test is real time")]
pub(crate) fn within<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let test = Box::pin(test);
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), test).await.expect("in time") })
}

/// A workspace whose clock stands at [`T0`] until it is moved.
pub(crate) async fn start(builder: Builder) -> FakeWorkspace {
    let clock = ManualClock::at(Timestamp::from_millis(T0));
    builder.clock(clock.shared()).start().await.expect("start")
}

/// Two public channels and nothing else to distract.
pub(crate) fn small() -> Builder {
    FakeWorkspace::builder().channels(2).private_channels(0).direct(0, 0).users(8)
}

/// A configuration for that workspace, with small pages.
pub(crate) fn config(ws: &FakeWorkspace) -> Value {
    json!({
        "base_url": format!("{}/api", ws.url()),
        "auth": { "bot_token": { "token": ws.bot_token() } },
        "page_size": 20,
    })
}

pub(crate) fn with(mut config: Value, name: &str, value: Value) -> Value {
    config[name] = value;
    config
}

/// The context of a connection that may reach the fake. Waits are quick, and the pace is lifted.
pub(crate) fn context() -> Context {
    let mut resilience = Resilience::default();
    resilience.base_delay = Duration::from_millis(1);
    resilience.paced = false;
    // By the fast clock an attempt takes minutes.
    resilience.attempt_timeout = Duration::from_secs(1_200);
    resilience.idle_timeout = Duration::from_secs(1_200);
    resilience.deadline = Duration::from_secs(60_000);
    Context::builder("acme", "acme-chat")
        .network(Network::loopback())
        .resilience(resilience)
        .clock(FastClock::shared())
        .seed(7)
        .build()
}

pub(crate) fn factory() -> Arc<dyn Factory> {
    Arc::new(connector_slack::web())
}

pub(crate) fn connect(config: &Value, cx: &Context) -> Result<Arc<dyn Connector>, Error> {
    factory().connect(&RawValue::from_string(config.to_string()).expect("json"), cx)
}

/// A record that became durable.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) partition: PartitionId,
    pub(crate) generation: u64,
    pub(crate) operation: Operation,
    pub(crate) key: Value,
    pub(crate) record: Value,
    /// As it came.
    pub(crate) text: String,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Records that became durable in it.
    pub(crate) rows: Vec<Row>,
    pub(crate) messages: usize,
    pub(crate) skipped: Vec<(PartitionId, Error)>,
    pub(crate) errors: Vec<Error>,
    pub(crate) crashed: bool,
}

impl Outcome {
    pub(crate) fn clean(self) -> Self {
        assert!(self.errors.is_empty() && self.skipped.is_empty(), "{:?} {:?}", self.errors, self.skipped);
        assert!(!self.crashed);
        self
    }
}

/// The host of one stream.
pub(crate) struct Host {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) cx: Context,
    pub(crate) stream: StreamSelection,
    pub(crate) state: StreamState,
    pub(crate) bronze: Vec<Row>,
}

impl Host {
    /// Connects and discovers the stream.
    pub(crate) async fn new(config: &Value, name: &str) -> Self {
        let cx = context();
        let connector = connect(config, &cx).expect("connect");
        let catalog = connector.discover(&cx, Some(&[StreamId::from(name)])).await.expect("discover");
        let stream = StreamSelection::new(Arc::new(catalog.stream(name).expect("described").clone()));
        Self { connector, cx, stream, state: StreamState::default(), bronze: Vec::new() }
    }

    pub(crate) fn full(mut self) -> Self {
        self.stream = self.stream.with_mode(SyncMode::Full);
        self
    }

    /// As a new process would find things: another connector, the same states.
    pub(crate) fn restart(&mut self, config: &Value) {
        self.cx = context();
        self.connector = connect(config, &self.cx).expect("connect");
    }

    pub(crate) async fn run(&mut self) -> Outcome {
        self.run_until(usize::MAX).await
    }

    /// Runs and dies before message number `messages` is handled.
    pub(crate) async fn run_until(&mut self, messages: usize) -> Outcome {
        let mut outcome = Outcome::default();
        let plan = match self.connector.partitions(&self.cx, &self.stream, &self.state).await {
            Ok(plan) => plan,
            Err(error) => {
                outcome.errors.push(error);
                return outcome;
            }
        };
        assert!(!plan.again && plan.state.is_none() && plan.folded.is_empty());
        let known = &self.state.partitions;
        let is_done = |id| {
            let known = known.get(id).and_then(|known: &PartitionState| known.state.as_ref());
            known.is_some_and(State::is_complete)
        };
        let is_anew = known.is_empty() || plan.partitions.iter().all(|partition| is_done(&partition.id));
        if self.stream.mode == SyncMode::Full && is_anew {
            self.state.generation += 1;
            self.state.partitions.values_mut().for_each(|partition| partition.state = None);
        }
        let is_full = self.stream.mode == SyncMode::Full;
        let states = &self.state.partitions;
        let is_left = |id: &PartitionId| {
            !is_full || !states.get(id).and_then(|known| known.state.as_ref()).is_some_and(State::is_complete)
        };
        let left = plan.partitions.into_iter().filter(|partition| is_left(&partition.id)).collect();
        for skipped in plan.skipped {
            outcome.skipped.push((skipped.partition, Error::clone(&skipped.error)));
        }
        self.read(left, messages, &mut outcome).await;
        outcome
    }

    async fn read(
        &mut self,
        partitions: Vec<connector_sdk::Partition>,
        messages: usize,
        outcome: &mut Outcome,
    ) {
        let reads = partitions.into_iter().map(|partition| {
            let id = partition.id.clone();
            let known = self.state.partitions.get(&id);
            let request = ReadRequest::new(self.cx.clone(), self.stream.clone(), partition)
                .with_state(known.and_then(|known| known.state.clone()))
                .with_generation(self.state.generation);
            self.connector.read(request).map(move |message| (id.clone(), message)).boxed()
        });
        let mut reads = stream::select_all(reads);
        let mut uncovered: BTreeMap<PartitionId, Vec<Row>> = BTreeMap::new();
        while let Some((id, message)) = reads.next().await {
            outcome.messages += 1;
            if outcome.messages > messages {
                outcome.crashed = true;
                return;
            }
            match message {
                Ok(Message::Batch(batch)) => {
                    assert!(!batch.is_empty());
                    let generation = self.state.generation;
                    let rows = uncovered.entry(id.clone()).or_default();
                    rows.extend(batch.iter().map(|record| row(&id, generation, &record)));
                }
                Ok(Message::State(state)) => {
                    let rows = uncovered.remove(&id).unwrap_or_default();
                    assert_eq!(state.records(), rows.len() as u64, "the state counts what it covers");
                    outcome.rows.extend(rows.iter().cloned());
                    self.bronze.extend(rows);
                    // As it would come back from a registry.
                    let text = serde_json::to_string(&state).expect("json");
                    let state: State = serde_json::from_str(&text).expect("a state");
                    let known = PartitionState { sequence: 1, epoch: 0, state: Some(state) };
                    self.state.partitions.insert(id.clone(), known);
                }
                Ok(Message::Skip(error)) => outcome.skipped.push((id, error)),
                Ok(Message::Schema(_) | Message::Estimate(_)) => panic!("this connector says neither"),
                Err(error) => {
                    assert_ne!(error.class(), Class::Bug, "{error:?}");
                    outcome.errors.push(error);
                }
            }
        }
        if outcome.errors.is_empty() && outcome.skipped.is_empty() {
            assert!(uncovered.is_empty(), "records that no state covers");
        }
    }

    /// The last version of every record, by key.
    pub(crate) fn latest(&self) -> BTreeMap<String, Value> {
        self.bronze.iter().map(|row| (name(&row.key, &row.record), row.record.clone())).collect()
    }

    /// Bronze holds all messages of all public channels, and nothing twice.
    pub(crate) fn assert_holds_messages(&self, ws: &FakeWorkspace) {
        self.assert_is(&all(ws, |ws, channel| ws.truth(channel)));
    }

    /// Bronze holds all replies of all public channels, and nothing twice.
    pub(crate) fn assert_holds_replies(&self, ws: &FakeWorkspace) {
        self.assert_is(&all(ws, replies));
    }

    pub(crate) fn assert_is(&self, truth: &BTreeMap<String, Value>) {
        let latest = self.latest();
        let missing: Vec<_> = truth.keys().filter(|key| !latest.contains_key(*key)).collect();
        assert!(missing.is_empty(), "missing {missing:?}");
        for (key, record) in truth {
            assert_eq!(&latest[key], record, "{key}");
        }
        self.assert_nothing_twice();
    }

    pub(crate) fn assert_nothing_twice(&self) {
        let mut seen = BTreeSet::new();
        for row in &self.bronze {
            let generation = row.generation * u64::from(self.stream.mode == SyncMode::Full);
            assert!(seen.insert((generation, row.key.to_string(), &row.text)), "{} came twice", row.key);
        }
    }
}

pub(crate) fn replies(ws: &FakeWorkspace, channel: &str) -> Vec<Value> {
    ws.threads(channel).iter().flat_map(|thread| ws.replies_truth(channel, thread)).collect()
}

fn all(ws: &FakeWorkspace, of: impl Fn(&FakeWorkspace, &str) -> Vec<Value>) -> BTreeMap<String, Value> {
    let channels = ws.channels(ChannelKind::Public);
    let rows = channels.iter().flat_map(|channel| of(ws, channel).into_iter().map(move |row| (channel, row)));
    rows.map(|(channel, row)| (name(&json!({ "channel": channel, "ts": row["ts"] }), &row), row)).collect()
}

/// A record's key, with its thread.
fn name(key: &Value, record: &Value) -> String {
    match record.get("thread_ts").filter(|thread| **thread != record["ts"]) {
        Some(thread) => format!("{key} in {thread}"),
        None => key.to_string(),
    }
}

fn row(partition: &PartitionId, generation: u64, record: &connector_sdk::record::RecordView<'_>) -> Row {
    let text = String::from_utf8(record.record.expect("a body").to_vec()).expect("utf-8");
    Row {
        partition: partition.clone(),
        generation,
        operation: record.operation,
        key: serde_json::from_slice(record.key.expect("a key")).expect("json"),
        record: serde_json::from_str(&text).expect("json"),
        text,
    }
}
