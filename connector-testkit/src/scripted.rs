//! A source that does exactly what a test says: for testing hosts, sinks and the testkit itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Partition,
    PartitionId, Plan, Read, ReadRequest, Result, State, StreamId, StreamSelection, StreamSpec, StreamState,
    record::BatchBuilder,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

/// A source whose streams, partitions and misbehaviour are set by a test. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

/// A call of a connector that is no read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Discover::discover`].
    Discover,
    /// [`Read::partitions`].
    Partitions,
    /// [`Read::acknowledge`].
    Acknowledge,
}

#[derive(Debug, Default)]
struct Script {
    blocked: Option<Call>,
    streams: BTreeMap<StreamId, (StreamSpec, BTreeMap<PartitionId, Behaviour>)>,
    acknowledged: Vec<(StreamId, PartitionId, u64)>,
    pages_read: u64,
}

/// How a partition behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// The records there are: keys, in order. Record `n` is `{"id":n,"text":"record n"}`.
    pub records: std::ops::Range<u64>,
    /// Records in a page.
    pub page: u64,
    /// A state after every page; otherwise one at the end, as for an unordered source.
    pub state_every_page: bool,
    /// Fails once after this many pages of a read.
    pub fail_after: Option<u64>,
    /// Panics once after this many pages of a read.
    pub panic_after: Option<u64>,
    /// Waits for ever after this many pages of a read.
    pub stall_after: Option<u64>,
    /// May not be read.
    pub forbidden: bool,
    /// Says in its states that it sent one record less.
    pub miscounts: bool,
    /// Ends without the last state.
    pub forgets_last_state: bool,
    /// Forgets at the source what was acknowledged, as a queue does.
    pub prunes: bool,
    /// Bytes of padding in each record.
    pub padding: usize,
}

impl Behaviour {
    /// So many records in pages of ten, with a state after each.
    #[must_use]
    pub fn of(records: u64) -> Self {
        Self {
            records: 0..records,
            page: 10,
            state_every_page: true,
            fail_after: None,
            panic_after: None,
            stall_after: None,
            forbidden: false,
            miscounts: false,
            forgets_last_state: false,
            prunes: false,
            padding: 0,
        }
    }
}

impl Scripted {
    /// Adds a partition to a stream, or replaces it.
    pub fn set(&self, stream: &str, partition: &str, behaviour: Behaviour) {
        let mut script = self.lock();
        let schema = serde_json::json!({
            "type": "object",
            "properties": { "id": {"type": "integer"}, "text": {"type": "string"} }
        });
        let spec = StreamSpec::new(stream, schema).with_primary_key(["id"]).with_cursor("id");
        let entry = script.streams.entry(stream.into()).or_insert_with(|| (spec, BTreeMap::new()));
        entry.1.insert(partition.into(), behaviour);
    }

    /// Changes what the catalog says of a stream.
    pub fn set_spec(&self, spec: StreamSpec) {
        if let Some(entry) = self.lock().streams.get_mut(&spec.name) {
            entry.0 = spec;
        }
    }

    /// Changes how a partition behaves.
    pub fn change(&self, stream: &str, partition: &str, change: impl FnOnce(&mut Behaviour)) {
        let mut script = self.lock();
        let found = script.streams.get_mut(stream).and_then(|(_, partitions)| partitions.get_mut(partition));
        if let Some(behaviour) = found {
            change(behaviour);
        }
    }

    /// Lets this call wait for ever from now on; none: lets all of them answer.
    pub fn block(&self, call: Option<Call>) {
        self.lock().blocked = call;
    }

    async fn unless_blocked(&self, call: Call) {
        let blocked = self.lock().blocked == Some(call);
        if blocked {
            std::future::pending().await
        }
    }

    /// What was acknowledged, in order: stream, partition, and up to which record.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<(StreamId, PartitionId, u64)> {
        self.lock().acknowledged.clone()
    }

    /// How many pages were read in all.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.lock().pages_read
    }

    /// The next message of a read that stands at `at` and has sent `pages` pages; none at the end.
    fn step(&self, request: &ReadRequest, at: &mut Position) -> Step {
        let mut script = self.lock();
        let id = &request.partition.id;
        let found = script.streams.get_mut(&request.stream.spec.name).and_then(|(_, all)| all.get_mut(id));
        let Some(partition) = found else { return Step::End };
        if partition.forbidden {
            return Step::Send(Ok(Message::Skip(Error::permanent("read", "not a member"))));
        }
        if at.owes_state {
            at.owes_state = false;
            let records = at.unreported - u64::from(partition.miscounts);
            at.unreported = 0;
            let at_end = at.next >= partition.records.end;
            let state = State::encode(1, &at.next).map(|state| state.covering(records));
            return Step::Send(
                state.map(|state| Message::State(if at_end { state.completing() } else { state })),
            );
        }
        if strikes(&mut partition.panic_after, at.pages) {
            return Step::Panic;
        }
        if strikes(&mut partition.stall_after, at.pages) {
            return Step::Stall;
        }
        if strikes(&mut partition.fail_after, at.pages) {
            return Step::Send(Err(Error::transient("read", "the scripted failure")));
        }
        let from = at.next.max(partition.records.start);
        let to = (from + partition.page).min(partition.records.end);
        if from >= to {
            let ends_with_state = at.unreported > 0 && !partition.forgets_last_state;
            at.owes_state = ends_with_state;
            drop(script);
            return if ends_with_state { self.step(request, at) } else { Step::End };
        }
        let mut batch = BatchBuilder::new(request.stream.spec.name.clone());
        for id in from..to {
            let text = format!("record {id}{}", "x".repeat(partition.padding));
            let record = format!("{{\"id\":{id},\"text\":\"{text}\"}}");
            batch.upsert(
                format!("{{\"id\":{id}}}").as_bytes(),
                record.as_bytes(),
                Some(id.to_string().as_bytes()),
            );
        }
        at.next = to;
        at.pages += 1;
        at.unreported += to - from;
        at.owes_state =
            partition.state_every_page && !(partition.forgets_last_state && to == partition.records.end);
        script.pages_read += 1;
        Step::Send(Ok(Message::Batch(batch.build())))
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Step {
    Send(Result<Message>),
    Stall,
    Panic,
    End,
}

#[derive(Default)]
struct Position {
    next: u64,
    pages: u64,
    unreported: u64,
    owes_state: bool,
    failed: bool,
}

fn strikes(after: &mut Option<u64>, pages: u64) -> bool {
    let now = *after == Some(pages);
    if now {
        *after = None;
    }
    now
}

#[async_trait]
impl Authenticate for Scripted {
    async fn authenticate(&self, _cx: &Context) -> Result<Identity> {
        Ok(Identity::new("scripted"))
    }
}

#[async_trait]
impl Discover for Scripted {
    async fn discover(&self, _cx: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        self.unless_blocked(Call::Discover).await;
        let script = self.lock();
        let wanted = |name: &StreamId| names.is_none_or(|names| names.contains(name));
        let specs = script.streams.iter().filter(|(name, _)| wanted(name)).map(|(_, (spec, _))| spec.clone());
        Ok(Catalog::new(specs.collect()))
    }
}

#[async_trait]
impl Read for Scripted {
    async fn partitions(
        &self,
        _cx: &Context,
        stream: &StreamSelection,
        _state: &StreamState,
    ) -> Result<Plan> {
        self.unless_blocked(Call::Partitions).await;
        let script = self.lock();
        let ids = script.streams.get(&stream.spec.name).map(|(_, partitions)| partitions.keys().cloned());
        Ok(Plan::read(ids.into_iter().flatten().map(Partition::new)))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let source = self.clone();
        let position = match request.state.as_ref().map(|state| state.decode::<u64>(1)).transpose() {
            Ok(next) => Position { next: next.unwrap_or(0), ..Position::default() },
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        stream::unfold((source, request, position), |(source, request, mut position)| async move {
            if position.failed {
                return None;
            }
            match source.step(&request, &mut position) {
                Step::Send(message) => {
                    position.failed = message.is_err() || matches!(message, Ok(Message::Skip(_)));
                    Some((message, (source, request, position)))
                }
                Step::Stall => std::future::pending().await,
                #[expect(clippy::panic, reason = "a test asks for a connector that panics")]
                Step::Panic => panic!("the scripted panic"),
                Step::End => None,
            }
        })
        .boxed()
    }

    async fn acknowledge(&self, _cx: &Context, done: &Acknowledged) -> Result<()> {
        self.unless_blocked(Call::Acknowledge).await;
        let up_to: u64 = done.state.decode(1)?;
        let mut script = self.lock();
        script.acknowledged.push((done.stream.clone(), done.partition.clone(), up_to));
        let found = script.streams.get_mut(&done.stream).and_then(|(_, all)| all.get_mut(&done.partition));
        if let Some(partition) = found.filter(|partition| partition.prunes) {
            partition.records.start = partition.records.start.max(up_to);
        }
        Ok(())
    }
}

impl Connector for Scripted {}
