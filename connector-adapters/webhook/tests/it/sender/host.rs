//! Under the run engine: it delivers beside the reads, and Bronze has what became of each message.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use connector_host::{
    registry::MemoryRegistry,
    report::RunStatus,
    run::{self, Job, Quiet, RunOptions},
};
use connector_sdk::{Context, Factory as _, Network, SystemClock};
use connector_testkit::memory::MemorySink;
use serde_json::{json, value::RawValue};
use tokio_util::sync::CancellationToken;

use super::{
    endpoint::Reply,
    support::{World, bounded, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_delivers_until_it_is_stopped_and_the_journal_forgets_what_bronze_has() {
    let (endpoint, world) = World::start().await;
    let world = world.with("schedule", json!(["0s", "100ms"]));
    endpoint.then([Reply::status(500), Reply::status(404)]);
    let sink = MemorySink::default();
    let registry = Arc::new(MemoryRegistry::new(SystemClock::shared()));
    for round in 0..2 {
        let stop = CancellationToken::new();
        let cx = Context::builder("acme", "hooks")
            .network(Network::loopback())
            .folder(world.folder.path())
            .stop(stop.clone())
            .run(format!("r{round}").into())
            .build();
        let factory = connector_webhook::sender();
        let config = RawValue::from_string(world.config.to_string()).unwrap();
        let mut options = RunOptions::default();
        options.commit_interval = Duration::from_millis(30);
        let job = Job {
            connector: factory.connect(&config, &cx).unwrap(),
            cx,
            manifest: factory.manifest().clone(),
            registry: Arc::<MemoryRegistry>::clone(&registry),
            sink: Arc::new(sink.clone()),
            streams: None,
            options,
            progress: Arc::new(Quiet),
        };
        let task = tokio::spawn(run::run(job));
        for number in 0..10 {
            world.send(&format!("m{round}-{number}")).await;
        }
        until("Bronze has them", || sink.records("deliveries").len() == (round + 1) * 10).await;
        stop.cancel();
        let report = bounded(task).await.unwrap();
        assert_eq!(report.status, RunStatus::Stopped, "{report:?}");
    }
    let records = sink.records("deliveries");
    let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let keys: BTreeSet<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys.len(), 20);
    let dead = records.iter().filter(|record| record.record.contains(r#""status":"dead""#)).count();
    assert_eq!(dead, 1);
}
