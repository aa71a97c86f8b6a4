//! A source that calls us: its listener beside the reads, and which of the two ends first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector_host::{
    registry::MemoryRegistry,
    report::{RunReport, RunStatus},
    run::{self, Job, Quiet, RunOptions},
};
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Class, Connector, Context, Discover, Error, Identity, Manifest,
    Message, Partition, Plan, Read, ReadRequest, Result, State, StreamId, StreamSelection, StreamSpec,
    StreamState, SyncMode, contract::Listener, record::BatchBuilder,
};
use connector_testkit::{
    clock::ManualClock,
    memory::{Faults, MemorySink},
};
use futures_util::stream::BoxStream;
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::bounded;

/// How the listener ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    AtTheStop,
    AtOnceWith(Class),
    InAPanic,
    Never,
}

/// A source with a queue for a journal.
#[derive(Debug)]
struct Called {
    queue: Mutex<VecDeque<u64>>,
    /// Whether more may come, and a bell.
    taking: watch::Sender<(bool, u64)>,
    /// What happened, in order.
    log: Mutex<Vec<String>>,
    ends: Ends,
    cannot_listen: bool,
    reads_for_ever: bool,
}

impl Called {
    fn new(ends: Ends) -> Self {
        Self {
            queue: Mutex::default(),
            taking: watch::channel((false, 0)).0,
            log: Mutex::default(),
            ends,
            cannot_listen: false,
            reads_for_ever: false,
        }
    }

    fn take(&self, number: u64) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(number);
        self.taking.send_modify(|(_, bell)| *bell += 1);
    }

    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push(what.into());
    }
}

#[derive(Debug, Clone)]
struct Source(Arc<Called>);

#[async_trait::async_trait]
impl Authenticate for Source {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait::async_trait]
impl Discover for Source {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        let mut spec = StreamSpec::new("calls", json!({"type": "object"})).with_primary_key(["id"]);
        spec.modes = vec![SyncMode::Incremental];
        Ok(Catalog::new(vec![spec]))
    }
}

#[async_trait::async_trait]
impl Read for Source {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        self.0.note("planned");
        Ok(Plan::read([Partition::new("all")]))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let called = Arc::clone(&self.0);
        Box::pin(async_stream::try_stream! {
            let mut taking = called.taking.subscribe();
            loop {
                let is_taking = taking.borrow_and_update().0;
                let next = called.queue.lock().unwrap().pop_front();
                if let Some(number) = next {
                    let mut batch = BatchBuilder::new(request.stream.spec.name.clone());
                    let record = format!("{{\"id\":{number}}}");
                    batch.upsert(record.as_bytes(), record.as_bytes(), None);
                    yield Message::Batch(batch.build());
                    yield Message::State(State::encode(1, &number)?.covering(1));
                } else if is_taking || called.reads_for_ever {
                    taking.changed().await.map_err(|_| Error::bug("read", "gone"))?;
                } else {
                    called.note("read to the end");
                    return;
                }
            }
        })
    }

    async fn acknowledge(&self, _: &Context, done: &Acknowledged) -> Result<()> {
        self.0.note(format!("acknowledged {}", done.state.decode::<u64>(1)?));
        Ok(())
    }
}

#[async_trait::async_trait]
impl Connector for Source {
    async fn listen(&self, _: &Context) -> Result<Option<Box<dyn Listener>>> {
        if self.0.cannot_listen {
            return Err(Error::config("listen", "the address is taken"));
        }
        self.0.note("listening");
        self.0.taking.send_modify(|(is_taking, _)| *is_taking = true);
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait::async_trait]
impl Listener for Source {
    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        match self.0.ends {
            Ends::AtTheStop => cx.stop().cancelled().await,
            Ends::Never => std::future::pending().await,
            Ends::InAPanic => panic!("as planned"),
            Ends::AtOnceWith(_) => {}
        }
        // One that was in the middle of it.
        self.0.take(99);
        self.0.note("nobody is answered any more");
        self.0.taking.send_modify(|(is_taking, _)| *is_taking = false);
        match self.0.ends {
            Ends::AtOnceWith(class) => Err(Error::new(class, "listen", "switched off")),
            _ => Ok(()),
        }
    }
}

struct Running {
    called: Arc<Called>,
    clock: ManualClock,
    sink: MemorySink,
    stop: CancellationToken,
    task: JoinHandle<RunReport>,
}

fn start(called: Called, sink: MemorySink) -> Running {
    let clock = ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap());
    let stop = CancellationToken::new();
    let called = Arc::new(called);
    let cx =
        Context::builder("acme", "calls").clock(clock.shared()).stop(stop.clone()).run("r".into()).build();
    let mut options = RunOptions::default();
    options.commit_bytes = 1;
    let job = Job {
        cx,
        connector: Arc::new(Source(Arc::clone(&called))),
        manifest: Manifest::new("called", "test", "0.1.0"),
        registry: Arc::new(MemoryRegistry::new(clock.shared())),
        sink: Arc::new(sink.clone()),
        streams: None,
        options,
        progress: Arc::new(Quiet),
    };
    let task = tokio::spawn(run::run(job));
    Running { called, clock, sink, stop, task }
}

impl Running {
    async fn until_noted(&self, what: &str) {
        let noted = async {
            while !self.called.log.lock().unwrap().iter().any(|note| note == what) {
                tokio::task::yield_now().await;
            }
        };
        bounded(noted).await;
    }

    fn keys(&self) -> Vec<String> {
        self.sink.records("calls").into_iter().map(|record| record.key).collect()
    }
}

#[tokio::test]
async fn the_stop_reaches_the_listener_first_and_what_it_took_is_in_bronze() {
    let running = start(Called::new(Ends::AtTheStop), MemorySink::default());
    running.called.take(1);
    running.until_noted("acknowledged 1").await;
    running.called.take(2);
    running.stop.cancel();
    let report = bounded(running.task).await.unwrap();
    assert_eq!((report.status, report.totals.records), (RunStatus::Stopped, 3), "{:?}", report.error);
    assert_eq!(report.streams[0].status, RunStatus::Stopped);
    let log = running.called.log.lock().unwrap().clone();
    assert_eq!(log[..2], ["listening", "planned"], "who calls is served before the stream is claimed");
    let at =
        |what: &str| log.iter().position(|note| note == what).unwrap_or_else(|| panic!("no {what}: {log:?}"));
    assert!(at("nobody is answered any more") < at("read to the end"), "{log:?}");
    assert!(at("read to the end") < at("acknowledged 99"), "{log:?}");
}

#[tokio::test]
async fn a_listener_that_ends_ends_the_run_with_its_reason_and_nothing_it_took_is_lost() {
    for class in [Class::Config, Class::Auth, Class::Transient] {
        let running = start(Called::new(Ends::AtOnceWith(class)), MemorySink::default());
        running.called.take(1);
        let keys = [r#"{"id":1}"#, r#"{"id":99}"#];
        let sink = running.sink.clone();
        let report = bounded(running.task).await.unwrap();
        assert_eq!(report.status, RunStatus::Failed);
        assert_eq!(report.error.unwrap().class(), class);
        let found: Vec<String> = sink.records("calls").into_iter().map(|record| record.key).collect();
        assert_eq!(found, keys);
    }
}

#[tokio::test]
async fn a_listener_that_panics_is_a_bug_of_the_connector() {
    let running =
        start(Called { reads_for_ever: true, ..Called::new(Ends::InAPanic) }, MemorySink::default());
    running.until_noted("planned").await;
    let ended = async {
        while !running.task.is_finished() {
            tokio::task::yield_now().await;
            running.clock.advance(Duration::from_secs(1));
        }
    };
    bounded(ended).await;
    let report = bounded(running.task).await.unwrap();
    assert_eq!(report.error.unwrap().class(), Class::Bug);
}

#[tokio::test]
async fn when_nobody_reads_any_more_nobody_is_answered_any_more() {
    let sink = MemorySink::default();
    sink.set_faults(Faults { fail_commit_after: Some(0), ..Faults::default() });
    let running = start(Called::new(Ends::AtTheStop), sink);
    running.called.take(1);
    running.until_noted("nobody is answered any more").await;
    let report = bounded(running.task).await.unwrap();
    assert_eq!(report.status, RunStatus::Failed);
    assert!(!running.stop.is_cancelled(), "nobody has asked for it");
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_fails_the_run_before_a_stream_is_claimed() {
    let running =
        start(Called { cannot_listen: true, ..Called::new(Ends::AtTheStop) }, MemorySink::default());
    let report = bounded(running.task).await.unwrap();
    assert_eq!((report.status, report.streams.len()), (RunStatus::Failed, 0));
    assert_eq!(report.error.unwrap().class(), Class::Config);
    assert!(running.called.log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_source_that_is_quiet_for_days_is_not_given_up() {
    let running = start(Called::new(Ends::AtTheStop), MemorySink::default());
    running.until_noted("planned").await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
        running.clock.advance(Duration::from_secs(1_000));
    }
    running.called.take(1);
    running.until_noted("acknowledged 1").await;
    running.stop.cancel();
    assert_eq!(bounded(running.task).await.unwrap().status, RunStatus::Stopped);
}

#[tokio::test]
async fn who_does_not_end_after_the_stop_is_cut_off_by_the_clock() {
    for (ends, reads_for_ever) in [(Ends::AtTheStop, true), (Ends::Never, false)] {
        let running = start(Called { reads_for_ever, ..Called::new(ends) }, MemorySink::default());
        running.called.take(1);
        running.until_noted("acknowledged 1").await;
        running.stop.cancel();
        let mut waited = Duration::ZERO;
        let ended = async {
            while !running.task.is_finished() {
                tokio::task::yield_now().await;
                running.clock.advance(Duration::from_secs(1));
                waited += Duration::from_secs(1);
            }
        };
        bounded(ended).await;
        assert!(waited >= Duration::from_secs(120), "{ends:?}: {waited:?}");
        let keys = running.keys();
        let report = bounded(running.task).await.unwrap();
        assert_ne!(report.status, RunStatus::Succeeded, "{ends:?}");
        assert_eq!(keys[0], r#"{"id":1}"#);
    }
}
