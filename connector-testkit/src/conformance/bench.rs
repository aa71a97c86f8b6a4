//! A connector under the run engine, over a registry and a Bronze in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use connector_host::{
    Registry,
    registry::MemoryRegistry,
    report::{RunReport, RunStatus},
    run::{self, Job, Progress, RunOptions, StreamChoice},
};
use connector_sdk::{
    Batch, Class, Clock, Connector, Context, Error, Message, Network, Operation, Partition, ReadRequest,
    State, StreamSelection, StreamSpec, StreamState, SyncMode, resilience::Resilience,
};
use futures_util::StreamExt;
use serde_json::{Map, Value, value::RawValue};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Begin, Failure, Fixture, Verdict, World, failure::ensure};
use crate::{
    clock::FastClock,
    memory::{MemorySink, Standing},
};

/// A connector under the run engine, with a registry and a Bronze in memory.
pub struct Bench {
    /// The vendor and the connector.
    pub fixture: Box<dyn Fixture>,
    /// The connector, connected.
    pub connector: Arc<dyn Connector>,
    /// What the host lends.
    pub cx: Context,
    /// Bronze.
    pub sink: MemorySink,
    /// How to run. Each state is committed by itself.
    pub options: RunOptions,
    /// How the stream is read; none: by its default.
    pub mode: Option<SyncMode>,
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
}

impl Bench {
    /// Begins a world and connects.
    ///
    /// # Errors
    /// [`Failure`] when the connector does not connect.
    pub async fn begin(begin: Begin, world: World) -> Result<Self, Failure> {
        Self::over(begin(world).await)
    }

    /// Connects to a world that has begun.
    ///
    /// # Errors
    /// [`Failure`] when the connector does not connect.
    pub fn over(fixture: Box<dyn Fixture>) -> Result<Self, Failure> {
        let clock = FastClock::shared();
        let cx = context(&clock);
        let connector = connect(&*fixture, &fixture.config(), &cx)
            .map_err(|error| Failure::new("the fixture's configuration connects", error.to_string()))?;
        let mut options = RunOptions::default();
        options.commit_bytes = 1;
        // By the fast clock, as in the context.
        (options.call, options.stall) = (Duration::from_secs(60_000), Duration::from_secs(600_000));
        Ok(Self {
            fixture,
            connector,
            cx,
            sink: MemorySink::default(),
            options,
            mode: None,
            registry: Arc::new(MemoryRegistry::new(Arc::clone(&clock))),
            clock,
        })
    }

    /// Connects anew, as another process does. What is durable stays.
    ///
    /// # Errors
    /// [`Failure`] when the connector does not connect.
    pub fn restart(&mut self) -> Verdict {
        self.cx = context(&self.clock);
        self.connector = connect(&*self.fixture, &self.fixture.config(), &self.cx)
            .map_err(|error| Failure::new("the connector connects again", error.to_string()))?;
        Ok(())
    }

    /// Whether its manifest claims it.
    #[must_use]
    pub fn claims(&self, capability: connector_sdk::manifest::Capability) -> bool {
        self.fixture.factory().manifest().claims(capability)
    }

    /// Runs the connection once.
    pub async fn run(&self) -> RunReport {
        self.run_streams(&[self.fixture.stream()]).await
    }

    /// Runs these streams of the connection once.
    pub async fn run_streams(&self, names: &[&str]) -> RunReport {
        let choice =
            |name: &&str| StreamChoice { name: (*name).into(), mode: self.mode, ..StreamChoice::default() };
        let calls = Calls::under(self.cx.stop());
        let job = Job {
            cx: self.cx.with_stop(calls.stop.clone()),
            connector: Arc::clone(&self.connector),
            manifest: self.fixture.factory().manifest().clone(),
            registry: Arc::clone(&self.registry),
            sink: Arc::new(self.sink.clone()),
            streams: Some(names.iter().map(choice).collect()),
            options: self.options.clone(),
            progress: Arc::new(calls.clone()),
        };
        if !self.fixture.is_pushed() {
            return run::run(job).await;
        }
        let mut run = Box::pin(run::run(job));
        let mut report = tokio::select! {
            report = &mut run => report,
            () = calls.deliver(&*self.fixture) => {
                calls.stop.cancel();
                run.await
            }
        };
        // All there was has come, and who calls has no other end.
        if report.status == RunStatus::Stopped {
            report.status = RunStatus::Succeeded;
        }
        report
    }

    /// Lets a source that calls us tell what has happened, so that a read without a host finds it.
    async fn hear(&self) -> Verdict {
        if !self.fixture.is_pushed() {
            return Ok(());
        }
        let failed = |error: Error| Failure::new("it listens", error.to_string());
        let calls = Calls::under(self.cx.stop());
        let listener = self.connector.listen(&self.cx).await.map_err(failed)?;
        let listener = listener.ok_or_else(|| Failure::new("a listener, as the rows are pushed", "none"))?;
        calls.listening(&listener.addresses());
        let mut served = listener.serve(self.cx.with_stop(calls.stop.clone()));
        tokio::select! {
            ended = &mut served => return ended.map_err(failed),
            () = calls.deliver(&*self.fixture) => calls.stop.cancel(),
        }
        served.await.map_err(failed)
    }

    /// Runs it, and fails the check unless the run succeeds.
    ///
    /// # Errors
    /// [`Failure`] with the errors of the run.
    pub async fn succeed(&self) -> Verdict {
        let report = self.run().await;
        ensure(report.status == RunStatus::Succeeded, "the run succeeds", || said(&report))
    }

    /// The records in Bronze, in the order they were published.
    #[must_use]
    pub fn bronze(&self) -> Vec<Standing> {
        self.sink.records(self.fixture.stream())
    }

    /// What the host keeps of the stream.
    ///
    /// # Errors
    /// [`Failure`] when the registry cannot be read.
    pub async fn state(&self) -> Result<StreamState, Failure> {
        let (tenant, connection) = (self.cx.tenant(), self.cx.connection());
        let state = self.registry.load(tenant, connection, &self.fixture.stream().into()).await;
        state.map_err(|error| Failure::new("the registry can be read", error.to_string()))
    }

    /// What the catalog says of the stream.
    ///
    /// # Errors
    /// [`Failure`] when it is not there.
    pub async fn spec(&self) -> Result<StreamSpec, Failure> {
        let catalog = self.connector.discover(&self.cx, None).await;
        let catalog = catalog.map_err(|error| Failure::new("discover answers", error.to_string()))?;
        let found = catalog.stream(self.fixture.stream()).cloned();
        found.ok_or_else(|| {
            Failure::new(format!("a stream `{}`", self.fixture.stream()), "the catalog lacks it")
        })
    }

    /// Fails the check unless Bronze shows exactly what the vendor has, each record numbered once.
    ///
    /// # Errors
    /// [`Failure`] with what is missing, what is too much, or what differs.
    pub fn complete(&self) -> Verdict {
        let standing = self.bronze();
        let mut numbers = BTreeSet::new();
        for record in &standing {
            let number = (record.partition.clone(), record.epoch, record.sequence);
            ensure(numbers.insert(number), "each number once in a partition and epoch", || {
                format!("{} twice in partition {}", record.sequence, record.partition)
            })?;
        }
        let mut now: BTreeMap<String, Option<Value>> = BTreeMap::new();
        for record in &standing {
            let alive = record.operation != Operation::Delete;
            let parsed = if alive { Some(parse(&record.record)?) } else { None };
            now.insert(canonical(&record.key)?, parsed);
        }
        let mut truth: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        for row in self.fixture.rows() {
            truth.insert(Value::Object(row.key).to_string(), row.fields);
        }
        for (key, fields) in &truth {
            let Some(Some(record)) = now.get(key) else {
                let rows = now.values().flatten().count();
                return Err(Failure::new(
                    format!("the row {key} of {}", truth.len()),
                    format!("none, of {rows}"),
                ));
            };
            for (name, value) in fields {
                ensure(record.get(name) == Some(value), format!("`{name}` of {key}: {value}"), || {
                    record.get(name).map_or("nothing".to_owned(), Value::to_string)
                })?;
            }
        }
        Ok(())
    }

    /// As [`complete`](Self::complete), and no row is there that the vendor does not have.
    ///
    /// # Errors
    /// [`Failure`] with what is too much.
    pub fn complete_and_no_more(&self) -> Verdict {
        self.complete()?;
        let truth: BTreeSet<String> =
            self.fixture.rows().into_iter().map(|row| Value::Object(row.key).to_string()).collect();
        let mut now = BTreeMap::new();
        for record in self.bronze() {
            now.insert(canonical(&record.key)?, record.operation != Operation::Delete);
        }
        let ghost = now.iter().find(|(key, alive)| **alive && !truth.contains(*key));
        ensure(ghost.is_none(), "only rows that the vendor has", || {
            format!("{:?}", ghost.map(|(key, _)| key))
        })
    }

    /// Fails the check when a key stands more than once in Bronze.
    ///
    /// # Errors
    /// [`Failure`] with the key.
    pub fn nothing_twice(&self) -> Verdict {
        let mut seen = BTreeSet::new();
        for record in self.bronze() {
            ensure(seen.insert(canonical(&record.key)?), "each row once", || {
                format!("{} twice", record.key)
            })?;
        }
        Ok(())
    }

    /// Reads the stream without a host, as its first plan says: for each partition what it said, in order.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be planned.
    pub async fn read(&self) -> Result<Vec<(Partition, Vec<Result<Message, Error>>)>, Failure> {
        let mut said = Vec::new();
        for request in self.opening().await? {
            said.push((request.partition.clone(), self.connector.read(request).collect().await));
        }
        Ok(said)
    }

    /// The plan of a first read: what asks for each of its partitions from the start.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be planned.
    pub async fn opening(&self) -> Result<Vec<ReadRequest>, Failure> {
        self.hear().await?;
        let selection = self.selection().await?;
        let plan = self.connector.partitions(&self.cx, &selection, &StreamState::default()).await;
        let plan = plan.map_err(|error| Failure::new("a plan", error.to_string()))?;
        let request = |partition| {
            ReadRequest::new(self.cx.clone(), selection.clone(), partition)
                .with_stream_state(plan.state.clone())
        };
        Ok(plan.partitions.into_iter().map(request).collect())
    }

    /// What asks for the first partition of that plan.
    ///
    /// # Errors
    /// [`Failure`] when there is none.
    pub async fn first(&self) -> Result<ReadRequest, Failure> {
        let first = self.opening().await?.into_iter().next();
        first.ok_or_else(|| Failure::new("a partition to read, where there are rows", "a plan without one"))
    }

    /// The stream as it is read by default, or in the bench's mode.
    ///
    /// # Errors
    /// [`Failure`] when it is not in the catalog.
    pub async fn selection(&self) -> Result<StreamSelection, Failure> {
        let selection = StreamSelection::new(Arc::new(self.spec().await?));
        Ok(match self.mode {
            Some(mode) => selection.with_mode(mode),
            None => selection,
        })
    }
}

/// What a source that calls us is told by a run, and tells it.
#[derive(Debug, Clone)]
struct Calls {
    addresses: watch::Sender<Option<Vec<SocketAddr>>>,
    stop: CancellationToken,
}

impl Calls {
    /// Ended by itself, or by this stop.
    fn under(stop: &CancellationToken) -> Self {
        Self { addresses: watch::channel(None).0, stop: stop.child_token() }
    }

    /// Waits until somebody listens, and lets the fixture send.
    async fn deliver(&self, fixture: &dyn Fixture) {
        let mut heard = self.addresses.subscribe();
        let addresses = heard.wait_for(Option::is_some).await.ok().and_then(|addresses| addresses.clone());
        fixture.deliver(&addresses.unwrap_or_default()).await;
    }
}

impl Progress for Calls {
    fn listening(&self, addresses: &[SocketAddr]) {
        self.addresses.send_replace(Some(addresses.to_vec()));
    }
}

/// The keys of a batch as texts, in order.
pub(super) fn keys_of(batch: &Batch) -> impl Iterator<Item = String> {
    batch.iter().map(|record| String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned())
}

/// The states among messages.
pub(super) fn states(messages: &[Result<Message, Error>]) -> Vec<State> {
    messages
        .iter()
        .filter_map(|message| match message {
            Ok(Message::State(state)) => Some(state.clone()),
            _ => None,
        })
        .collect()
}

fn context(clock: &Arc<dyn Clock>) -> Context {
    let mut resilience = Resilience::default();
    // By the fast clock: an attempt that takes a minute of the wall's is not too slow.
    resilience.attempt_timeout = Duration::from_secs(1200);
    resilience.idle_timeout = Duration::from_secs(1200);
    resilience.deadline = Duration::from_secs(60_000);
    Context::builder("acme", "conformance")
        .network(Network::loopback())
        .clock(Arc::clone(clock))
        .resilience(resilience)
        .seed(7)
        .run("run-1".into())
        .build()
}

/// Connects with this configuration.
pub(super) fn connect(
    fixture: &dyn Fixture,
    config: &Value,
    cx: &Context,
) -> Result<Arc<dyn Connector>, Error> {
    let raw = RawValue::from_string(config.to_string()).map_err(|error| {
        Error::new(Class::Bug, "connect", "the configuration is no JSON").with_source(error)
    })?;
    fixture.factory().connect(&raw, cx)
}

/// What a run says about why it did not succeed.
pub(super) fn said(report: &RunReport) -> String {
    let streams = report.streams.iter().flat_map(|stream| {
        stream
            .error
            .iter()
            .map(ToString::to_string)
            .chain(stream.failed.iter().map(|part| format!("{part:?}")))
    });
    let errors: Vec<_> = report.error.iter().map(ToString::to_string).chain(streams).collect();
    format!("{}: {}", report.status.as_str(), errors.join("; "))
}

pub(super) fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::new("a record that is JSON", format!("{error}: {text}")))
}

/// A key's JSON with its fields in order.
fn canonical(key: &str) -> Result<String, Failure> {
    parse(key).map(|key| key.to_string())
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("stream", &self.fixture.stream()).finish_non_exhaustive()
    }
}
