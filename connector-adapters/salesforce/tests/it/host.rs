//! A host in little: keeps states, reads what is planned, makes durable what a state covers.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use connector_sdk::{
    Acknowledged, Class, Clock, Connector, Context, Error, Factory, Message, Network, Operation, PartitionId,
    ReadRequest, State, StreamId, StreamSelection, StreamState, SyncMode, Timestamp, clock::SystemClock,
    contract::Estimate, resilience::Resilience, state::PartitionState,
};
use connector_testkit::salesforce::{Builder, FakeOrg};
use futures_util::{StreamExt, future::BoxFuture, stream};
use serde_json::{Value, json, value::RawValue};

/// The org's clock when a test begins: 2027-01-15T08:00:00Z.
pub(crate) const T0: i64 = 1_800_000_000_000;
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Runs a test under a deadline, on a runtime of its own.
#[allow(clippy::disallowed_methods, reason = "the deadline of a test is real time")]
pub(crate) fn within<F: Future>(test: F) -> F::Output {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let test = Box::pin(test);
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(120), test).await.expect("in time") })
}

/// An org whose clock stands at [`T0`] until it is moved.
pub(crate) async fn start(builder: Builder) -> FakeOrg {
    let org = builder.clock(|| T0).start().await.expect("start");
    org.set_clock(T0);
    org
}

/// A configuration for that org, with small pages.
pub(crate) fn config(org: &FakeOrg) -> Value {
    let known = org.credentials();
    json!({
        "instance_url": org.url(),
        "auth": { "client_credentials": { "client_id": known.client_id, "client_secret": known.client_secret } },
        "page_size": 200,
    })
}

/// Our clock: waits are real, and the time of day stands a week after [`T0`], so that an org is not ahead of
/// us by what a test moves it on.
#[derive(Debug)]
struct OurClock(Arc<dyn Clock>);

impl Clock for OurClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(T0) + MINUTE * 60 * 24 * 7
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

/// The context of a connection that may reach the fake.
pub(crate) fn context() -> Context {
    context_at(Arc::new(OurClock(SystemClock::shared())))
}

/// The same by another clock.
pub(crate) fn context_at(clock: Arc<dyn Clock>) -> Context {
    let mut resilience = Resilience::default();
    resilience.base_delay = Duration::from_millis(1);
    Context::builder("acme", "acme-crm")
        .network(Network::loopback())
        .resilience(resilience)
        .clock(clock)
        .seed(7)
        .build()
}

pub(crate) fn connect(config: &Value, cx: &Context) -> Result<Arc<dyn Connector>, Error> {
    connect_by("rest", config, cx)
}

/// The door of that name.
pub(crate) fn factory(door: &str) -> Arc<dyn Factory> {
    match door {
        "rest" => Arc::new(connector_salesforce::rest()),
        "bulk" => Arc::new(connector_salesforce::bulk()),
        "auto" => Arc::new(connector_salesforce::auto()),
        other => panic!("no door {other}"),
    }
}

pub(crate) fn connect_by(door: &str, config: &Value, cx: &Context) -> Result<Arc<dyn Connector>, Error> {
    factory(door).connect(&RawValue::from_string(config.to_string()).expect("json"), cx)
}

/// A record that became durable.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) partition: PartitionId,
    pub(crate) generation: u64,
    pub(crate) operation: Operation,
    pub(crate) id: String,
    pub(crate) source_timestamp: Option<i64>,
    pub(crate) record: Value,
}

/// What came of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Records that became durable in it.
    pub(crate) rows: Vec<Row>,
    pub(crate) states: usize,
    pub(crate) messages: usize,
    pub(crate) estimates: Vec<Estimate>,
    pub(crate) skipped: Vec<Error>,
    pub(crate) errors: Vec<Error>,
    /// What a host logs, and asks for again in its next run.
    pub(crate) unacknowledged: Vec<Error>,
    pub(crate) crashed: bool,
}

impl Outcome {
    /// The only error.
    pub(crate) fn error(&self) -> &Error {
        assert_eq!(self.errors.len(), 1, "{:?}", self.errors);
        &self.errors[0]
    }

    pub(crate) fn clean(self) -> Self {
        assert!(self.errors.is_empty() && self.skipped.is_empty(), "{:?} {:?}", self.errors, self.skipped);
        assert!(!self.crashed && self.unacknowledged.is_empty(), "{:?}", self.unacknowledged);
        self
    }

    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row.id.clone()).collect()
    }
}

/// The host of one stream.
pub(crate) struct Host {
    pub(crate) door: &'static str,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) cx: Context,
    pub(crate) stream: StreamSelection,
    pub(crate) state: StreamState,
    pub(crate) bronze: Vec<Row>,
}

impl Host {
    /// Connects and discovers the stream.
    pub(crate) async fn new(config: &Value, name: &str) -> Self {
        Self::by("rest", config, name).await
    }

    /// The same by the door of that name.
    pub(crate) async fn by(door: &'static str, config: &Value, name: &str) -> Self {
        let cx = context();
        let connector = connect_by(door, config, &cx).expect("connect");
        let stream = discover(&*connector, &cx, name).await;
        Self { door, connector, cx, stream, state: StreamState::default(), bronze: Vec::new() }
    }

    pub(crate) fn full(mut self) -> Self {
        self.stream = self.stream.with_mode(SyncMode::Full);
        self
    }

    /// As a new process would find things: another connector, the same states.
    pub(crate) fn restart(&mut self, config: &Value) {
        self.cx = context();
        self.connector = connect_by(self.door, config, &self.cx).expect("connect");
    }

    pub(crate) async fn run(&mut self) -> Outcome {
        self.run_until(usize::MAX).await
    }

    /// Runs and dies before message number `messages` is handled.
    pub(crate) async fn run_until(&mut self, messages: usize) -> Outcome {
        let mut outcome = Outcome::default();
        for _ in 0..10 {
            // As in a process of its own: no error of the plan leaves a trace.
            let plan = match self.connector.partitions(&self.cx, &self.stream, &self.state).await {
                Ok(plan) => plan,
                Err(error) => {
                    outcome.errors.push(error);
                    return outcome;
                }
            };
            self.fold(&plan);
            for skipped in plan.skipped {
                outcome.skipped.push(Arc::into_inner(skipped.error).expect("not shared"));
            }
            self.read(plan.partitions, messages, &mut outcome).await;
            if !plan.again || outcome.crashed || !outcome.errors.is_empty() {
                return outcome;
            }
        }
        panic!("it plans for ever");
    }

    /// What connector-host does before it reads.
    fn fold(&mut self, plan: &connector_sdk::Plan) {
        let partitions = &self.state.partitions;
        let anew = self.stream.mode == SyncMode::Full
            && plan.partitions.iter().all(|partition| {
                let known = partitions.get(&partition.id).and_then(|known| known.state.as_ref());
                known.is_none_or(State::is_complete)
            });
        if anew {
            self.state.generation += 1;
            self.state.partitions.values_mut().for_each(|partition| partition.state = None);
        }
        if let Some(state) = &plan.state {
            self.state.generation += 1;
            self.state.state = Some(state.clone());
        }
        for id in &plan.folded {
            assert!(self.state.partitions.remove(id).is_some(), "{id} was never read");
        }
    }

    /// Reads a partition that no plan has named, and says what went wrong.
    pub(crate) async fn read_partition(&mut self, partition: connector_sdk::Partition) -> Vec<Error> {
        let mut outcome = Outcome::default();
        self.read(vec![partition], usize::MAX, &mut outcome).await;
        outcome.errors.into_iter().chain(outcome.skipped).collect()
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
            let mut request = ReadRequest::new(self.cx.clone(), self.stream.clone(), partition)
                .with_state(known.and_then(|known| known.state.clone()))
                .with_stream_state(self.state.state.clone())
                .with_generation(self.state.generation);
            request.batch_records = 200;
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
                    outcome.states += 1;
                    outcome.rows.extend(rows.iter().cloned());
                    let known = self.state.partitions.get(&id).map_or(0, |known| known.sequence);
                    let sequence = known + rows.len() as u64;
                    self.bronze.extend(rows);
                    // As it would come back from a registry.
                    let text = serde_json::to_string(&state).expect("json");
                    let state: State = serde_json::from_str(&text).expect("a state");
                    let known = PartitionState { sequence, epoch: 0, state: Some(state.clone()) };
                    self.state.partitions.insert(id.clone(), known);
                    let stream = self.stream.spec.name.clone();
                    let done = Acknowledged { stream, partition: id, previous: None, state };
                    outcome.unacknowledged.extend(self.connector.acknowledge(&self.cx, &done).await.err());
                }
                Ok(Message::Estimate(estimate)) => outcome.estimates.push(estimate),
                Ok(Message::Schema(_)) => panic!("this connector finds no drift by itself"),
                Ok(Message::Skip(error)) => outcome.skipped.push(error),
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

    /// The last version of every row, by id.
    pub(crate) fn latest(&self) -> BTreeMap<String, Value> {
        self.bronze.iter().map(|row| (row.id.clone(), row.record.clone())).collect()
    }

    /// Bronze holds the truth, and nothing twice.
    pub(crate) fn assert_holds(&self, org: &FakeOrg) {
        let object = self.stream.spec.name.as_str();
        let truth = org.truth(object).expect("truth");
        let latest = self.latest();
        assert_eq!(latest.len(), truth.len(), "rows of {object}");
        for (id, record) in &truth {
            let record = match self.door {
                "rest" => record.clone(),
                // The same whichever way it came.
                "auto" => narrow(record),
                _ => utc(narrow(record)),
            };
            assert_eq!(latest.get(id), Some(&record), "{object} {id}");
        }
        self.assert_nothing_twice();
    }

    pub(crate) fn assert_nothing_twice(&self) {
        let mut seen = BTreeSet::new();
        for row in &self.bronze {
            let version = (
                row.generation * u64::from(self.stream.mode == SyncMode::Full),
                &row.id,
                row.record.to_string(),
            );
            assert!(seen.insert(version), "{} came twice", row.id);
        }
    }
}

/// A record as the Bulk API serves it: without its compound fields.
pub(crate) fn narrow(record: &Value) -> Value {
    let mut record = record.clone();
    record
        .as_object_mut()
        .expect("an object")
        .retain(|name, _| !name.ends_with("Address") && !matches!(name.as_str(), "Location__c"));
    record
}

/// REST writes `+0000` where a CSV has `Z`.
pub(crate) fn utc(mut record: Value) -> Value {
    for value in record.as_object_mut().expect("an object").values_mut() {
        if let Some(time) = value.as_str().and_then(|text| text.strip_suffix("+0000")) {
            *value = format!("{time}Z").into();
        }
    }
    record
}

/// The stream of that name.
pub(crate) async fn discover(connector: &dyn Connector, cx: &Context, name: &str) -> StreamSelection {
    let catalog = connector.discover(cx, Some(&[StreamId::from(name)])).await.expect("discover");
    StreamSelection::new(Arc::new(catalog.stream(name).expect("described").clone()))
}

fn row(partition: &PartitionId, generation: u64, record: &connector_sdk::record::RecordView<'_>) -> Row {
    // What is deleted for good has no body.
    let value = record.record.map_or(Value::Null, |body| {
        let mut value: Value = serde_json::from_slice(body).expect("json");
        // Rows of a CSV have none.
        value.as_object_mut().expect("an object").remove("attributes");
        value
    });
    let key: Value = serde_json::from_slice(record.key.unwrap_or(b"{}")).expect("json");
    Row {
        partition: partition.clone(),
        generation,
        operation: record.operation,
        id: key["Id"].as_str().unwrap_or_default().to_owned(),
        source_timestamp: record.source_timestamp,
        record: value,
    }
}
