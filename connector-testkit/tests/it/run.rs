//! The run engine against a scripted source, a sink in memory and a registry in memory.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use connector_host::{
    Registry,
    registry::{MemoryRegistry, StreamKey},
    report::{RunReport, RunStatus},
    run::{self, DriftPolicy, Job, Quiet, RunOptions, StreamChoice},
};
use connector_sdk::{Class, Context, Manifest, StreamSpec, StreamState};
use connector_testkit::{
    clock::ManualClock,
    memory::{Faults, MemorySink},
    scripted::{Behaviour, Scripted},
};

mod blocking;
mod full;
mod listening;
mod prompt;
mod told;

struct World {
    source: Scripted,
    sink: MemorySink,
    registry: Arc<dyn Registry>,
    clock: ManualClock,
    options: RunOptions,
    streams: Option<Vec<StreamChoice>>,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::at("2026-01-31T12:00:00Z".parse().unwrap());
        Self {
            source: Scripted::default(),
            sink: MemorySink::default(),
            registry: Arc::new(MemoryRegistry::new(clock.shared())),
            clock,
            options: RunOptions::default(),
            streams: None,
        }
    }

    /// One stream `s` with one partition `p`.
    fn with(behaviour: Behaviour) -> Self {
        let world = Self::new();
        world.source.set("s", "p", behaviour);
        world
    }

    fn job(&self) -> Job {
        let cx = Context::builder("acme", "crm").clock(self.clock.shared()).run("r".into()).build();
        Job {
            cx,
            connector: Arc::new(self.source.clone()),
            manifest: Manifest::new("scripted", "test", "0.1.0"),
            registry: self.registry.clone(),
            sink: Arc::new(self.sink.clone()),
            streams: self.streams.clone(),
            options: self.options.clone(),
            progress: Arc::new(Quiet),
        }
    }

    async fn run(&self) -> RunReport {
        bounded(run::run(self.job())).await
    }

    async fn state(&self) -> StreamState {
        self.registry.load(&"acme".into(), &"crm".into(), &"s".into()).await.unwrap()
    }

    fn key(&self) -> StreamKey {
        StreamKey { tenant: "acme".into(), connection: "crm".into(), stream: "s".into() }
    }

    /// Every record of `0..n` stands exactly once, and the numbers have no gap.
    #[track_caller]
    fn assert_complete(&self, partition: &str, n: u64) {
        let mine = |stream: &str| -> Vec<_> {
            self.sink.records(stream).into_iter().filter(|r| r.partition.as_str() == partition).collect()
        };
        let records = mine("s");
        let keys: BTreeSet<String> = records.iter().map(|record| record.key.clone()).collect();
        let expected: BTreeSet<String> = (0..n).map(|id| format!("{{\"id\":{id}}}")).collect();
        assert_eq!(keys, expected);
        assert_eq!(records.len() as u64, n, "a record stands twice");
        let numbers: Vec<u64> = records.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, (1..=n).collect::<Vec<_>>());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that hangs must end")]
async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("the run hangs")
}

#[tokio::test]
async fn a_stream_arrives_whole_and_is_acknowledged() {
    let world = World::with(Behaviour::of(95));
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Succeeded, "{:?}", report.error);
    assert_eq!(report.totals.records, 95);
    world.assert_complete("p", 95);
    assert_eq!(world.source.acknowledged().last().unwrap().2, 95);
    let again = world.run().await;
    assert_eq!((again.status, again.totals.records), (RunStatus::Succeeded, 0));
}

#[tokio::test]
async fn d_01_nothing_is_checkpointed_or_acknowledged_before_it_is_durable() {
    let world = World::with(Behaviour::of(30));
    world.sink.set_faults(Faults { fail_commit_after: Some(0), ..Faults::default() });
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(world.state().await, StreamState::default());
    assert!(world.source.acknowledged().is_empty());
    world.run().await;
    world.assert_complete("p", 30);
}

#[tokio::test]
async fn d_02_a_source_that_forgets_what_was_acknowledged_loses_nothing_wherever_a_commit_fails() {
    for published in [false, true] {
        for after in 0..12 {
            let mut world = World::with(Behaviour { prunes: true, ..Behaviour::of(100) });
            world.options.commit_bytes = 1;
            world.sink.set_faults(Faults {
                fail_commit_after: (!published).then_some(after),
                lose_commit_answer_after: published.then_some(after),
                ..Faults::default()
            });
            world.run().await;
            let report = world.run().await;
            assert_eq!(report.status, RunStatus::Succeeded, "{:?}", report.error);
            world.assert_complete("p", 100);
        }
    }
}

#[tokio::test]
async fn d_03_a_failed_partition_stays_where_it_is_and_the_others_finish() {
    let world = World::with(Behaviour::of(50));
    world.source.set("s", "q", Behaviour { fail_after: Some(2), ..Behaviour::of(50) });
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Incomplete);
    assert_eq!(report.streams[0].failed[0].partition.as_str(), "q");
    world.assert_complete("p", 50);
    world.assert_complete("q", 20);
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    world.assert_complete("q", 50);
}

#[tokio::test]
async fn d_04_after_an_error_no_state_is_written_for_what_came_before_it() {
    let world = World::with(Behaviour { state_every_page: false, fail_after: Some(3), ..Behaviour::of(50) });
    assert_eq!(world.run().await.status, RunStatus::Failed);
    assert!(world.state().await.partitions.is_empty());
    assert!(world.sink.records("s").is_empty());
    world.run().await;
    world.assert_complete("p", 50);
}

#[tokio::test]
async fn d_05_a_state_that_covers_another_number_of_records_fails_the_partition() {
    let world = World::with(Behaviour { miscounts: true, ..Behaviour::of(20) });
    let report = world.run().await;
    assert_eq!(report.error.unwrap().class(), Class::Bug);
    assert!(world.sink.records("s").is_empty());
}

#[tokio::test]
async fn records_that_no_state_covers_are_not_kept_and_said() {
    let world = World::with(Behaviour { forgets_last_state: true, ..Behaviour::of(25) });
    let report = world.run().await;
    assert_eq!(report.error.unwrap().class(), Class::Bug);
    world.assert_complete("p", 20);
}

#[tokio::test]
async fn d_10_an_unordered_partition_larger_than_memory_is_published_whole_or_not_at_all() {
    let mut world = World::with(Behaviour {
        state_every_page: false,
        padding: 4_000,
        fail_after: Some(99),
        ..Behaviour::of(1_000)
    });
    world.options.look_ahead = 256 << 10;
    assert_eq!(world.run().await.status, RunStatus::Failed);
    assert!(world.sink.records("s").is_empty(), "what was spilled must not be published");
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    world.assert_complete("p", 1_000);
}

#[tokio::test]
async fn pages_that_are_covered_one_by_one_gather_in_one_commit_however_large_they_are() {
    let mut world = World::with(Behaviour { padding: 20_000, ..Behaviour::of(200) });
    world.options.look_ahead = 256 << 10;
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    world.assert_complete("p", 200);
    assert_eq!(world.sink.commits("s"), 1, "few large files, not one for each page");
}

#[tokio::test]
async fn many_unordered_partitions_do_not_starve_each_other_of_memory() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        world.source.set(
            "s",
            name,
            Behaviour { state_every_page: false, padding: 2_000, ..Behaviour::of(300) },
        );
    }
    world.options.look_ahead = 128 << 10;
    world.options.partitions = 8;
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    for name in ["a", "h"] {
        world.assert_complete(name, 300);
    }
}

#[tokio::test]
async fn d_17_a_stop_does_not_hide_that_a_partition_failed_and_starts_no_other_stream() {
    let mut world = World::with(Behaviour { stall_after: Some(1), ..Behaviour::of(100) });
    world.source.set("s", "q", Behaviour { fail_after: Some(0), ..Behaviour::of(100) });
    world.source.set("t", "p", Behaviour::of(10));
    world.options.streams = 1;
    let job = world.job();
    let stop = job.cx.stop().clone();
    let running = tokio::spawn(run::run(job));
    until(|| world.source.pages_read() == 1).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    let report = bounded(running).await.unwrap();
    assert_eq!(report.streams[0].status, RunStatus::Incomplete);
    assert_eq!(report.streams[1].status, RunStatus::Stopped);
    assert_eq!(report.status, RunStatus::Incomplete);
    assert!(world.sink.records("t").is_empty());
}

#[tokio::test]
async fn d_19_a_partition_that_fails_does_not_bury_its_records_twice() {
    let mut world = World::with(Behaviour { padding: 500, page: 1, fail_after: Some(3), ..Behaviour::of(5) });
    world.source.change("s", "p", |partition| partition.state_every_page = false);
    world.options.max_record = 400;
    world.run().await;
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    assert_eq!(world.sink.dead_letters("s").len(), 5);
}

#[tokio::test]
async fn case_26_after_a_refused_batch_the_engine_asks_for_no_commit() {
    let mut world = World::with(Behaviour::of(50));
    world.options.commit_bytes = 1;
    world.sink.set_faults(Faults { fail_emit_after: Some(1), ..Faults::default() });
    assert_eq!(world.run().await.status, RunStatus::Incomplete);
    assert_eq!(world.sink.commits_asked("s"), 1, "of the page before");
    world.assert_complete("p", 10);
    assert_eq!(world.state().await.partitions["p"].sequence, 10);
    world.run().await;
    world.assert_complete("p", 50);
}

#[tokio::test]
async fn an_acknowledgement_is_repeated_after_a_clean_end_too() {
    let world = World::with(Behaviour::of(20));
    world.run().await;
    let before = world.source.acknowledged().len();
    world.run().await;
    assert_eq!(world.source.acknowledged()[before..], [("s".into(), "p".into(), 20)]);
}

#[tokio::test]
async fn reading_one_after_the_other_and_all_at_once_gives_the_same() {
    let mut results = Vec::new();
    for at_once in [1, 7] {
        let mut world = World::new();
        for partition in 0..7 {
            world.source.set("s", &format!("p{partition}"), Behaviour::of(30 + partition));
        }
        world.options.partitions = at_once;
        world.run().await;
        let mut records = world.sink.records("s");
        records.sort_by(|a, b| (&a.partition, a.sequence).cmp(&(&b.partition, b.sequence)));
        results.push(records);
    }
    assert_eq!(results[0], results[1]);
}

#[tokio::test]
async fn d_16_a_second_run_is_told_who_holds_the_stream() {
    let world = World::with(Behaviour::of(10));
    let claim =
        world.registry.claim(&world.key(), "run 7 of process 9", Duration::from_secs(30)).await.unwrap();
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Failed);
    let error = report.error.unwrap().to_string();
    assert!(error.contains("run 7 of process 9") && error.contains("expires_at"), "{error}");
    world.registry.release(&claim.lease).await.unwrap();
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn d_16_a_run_whose_lease_was_taken_stops_and_publishes_nothing() {
    let world = World::with(Behaviour { stall_after: Some(2), ..Behaviour::of(50) });
    let job = world.job();
    let running = tokio::spawn(run::run(job));
    until(|| world.source.pages_read() == 2).await;
    // It is paused: its lease expires, somebody else claims, works and releases.
    world.clock.advance(Duration::from_secs(31));
    let claim = world.registry.claim(&world.key(), "the other", Duration::from_secs(30)).await.unwrap();
    world.registry.release(&claim.lease).await.unwrap();
    let mut left = 1_000;
    while !running.is_finished() && left > 0 {
        world.clock.advance(Duration::from_secs(10));
        tokio::task::yield_now().await;
        left -= 1;
    }
    let report = bounded(running).await.unwrap();
    assert_eq!(report.status, RunStatus::Failed);
    assert!(report.error.unwrap().to_string().contains("taken over"));
}

#[tokio::test]
async fn d_17_a_stop_commits_what_was_read_and_releases() {
    let world = World::with(Behaviour { stall_after: Some(3), ..Behaviour::of(100) });
    let job = world.job();
    let stop = job.cx.stop().clone();
    let running = tokio::spawn(run::run(job));
    until(|| world.source.pages_read() == 3).await;
    stop.cancel();
    let report = bounded(running).await.unwrap();
    assert_eq!(report.status, RunStatus::Stopped);
    world.assert_complete("p", 30);
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    world.assert_complete("p", 100);
}

#[tokio::test]
async fn d_18_a_new_field_is_reported_and_a_frozen_stream_fails() {
    let mut world = World::with(Behaviour::of(10));
    world.run().await;
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "id": {"type": "integer"}, "text": {"type": "string"}, "more": {"type": "string"} }
    });
    world.source.set_spec(StreamSpec::new("s", schema).with_primary_key(["id"]).with_cursor("id"));
    world.source.change("s", "p", |partition| partition.records = 0..20);
    world.streams = Some(vec![StreamChoice { on_drift: DriftPolicy::Freeze, ..choice() }]);
    let frozen = world.run().await;
    assert_eq!(frozen.error.unwrap().class(), Class::Schema);
    world.assert_complete("p", 10);
    world.streams = None;
    let evolved = world.run().await;
    let drift = &evolved.streams[0].drift[0];
    assert_eq!(
        (drift.field.as_str(), drift.change.as_str(), drift.policy.as_str()),
        ("more", "added", "evolve")
    );
    world.assert_complete("p", 20);
    assert!(!world.registry.alerts(&"acme".into(), &"crm".into(), 10).await.unwrap().is_empty());
    assert!(world.run().await.streams[0].drift.is_empty(), "known by now");
}

#[tokio::test]
async fn d_19_a_record_that_is_too_large_goes_to_the_dead_letters_and_takes_no_number() {
    let mut world = World::with(Behaviour { padding: 500, page: 1, ..Behaviour::of(5) });
    world.source.set("s", "small", Behaviour::of(5));
    world.options.max_record = 400;
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(report.totals.dead_letters, 5);
    assert_eq!(world.sink.dead_letters("s").len(), 5);
    world.assert_complete("small", 5);
    world.assert_complete("p", 0);
}

#[tokio::test]
async fn d_19_too_many_dead_letters_stop_the_stream() {
    let mut world = World::with(Behaviour { padding: 500, page: 1, ..Behaviour::of(50) });
    (world.options.max_record, world.options.max_dead_letters) = (400, 10);
    let report = world.run().await;
    assert_eq!(report.error.unwrap().class(), Class::Schema);
}

#[tokio::test]
async fn d_21_a_full_disk_fails_the_run_and_the_next_one_recovers() {
    for after in 0..6 {
        let world = World::with(Behaviour::of(50));
        world.sink.set_faults(Faults { fail_emit_after: Some(after), ..Faults::default() });
        world.run().await;
        assert_eq!(world.run().await.status, RunStatus::Succeeded);
        world.assert_complete("p", 50);
    }
}

#[tokio::test]
async fn a_connector_that_panics_fails_its_partition_and_nothing_else() {
    let world = World::with(Behaviour { panic_after: Some(2), ..Behaviour::of(50) });
    world.source.set("s", "q", Behaviour::of(50));
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Incomplete);
    assert_eq!(report.error.unwrap().class(), Class::Bug);
    world.assert_complete("q", 50);
    world.run().await;
    world.assert_complete("p", 50);
}

#[tokio::test]
async fn a_connector_that_sends_nothing_for_too_long_is_given_up() {
    let world = World::with(Behaviour { stall_after: Some(2), ..Behaviour::of(50) });
    let running = tokio::spawn(run::run(world.job()));
    until(|| world.source.pages_read() == 2).await;
    let mut left = 10_000;
    while !running.is_finished() && left > 0 {
        world.clock.advance(Duration::from_secs(5));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        left -= 1;
    }
    let report = bounded(running).await.unwrap();
    assert_eq!(report.error.unwrap().class(), Class::Transient);
    world.assert_complete("p", 20);
}

#[tokio::test]
async fn a_forbidden_partition_is_skipped_and_named() {
    let world = World::with(Behaviour::of(10));
    world.source.set("s", "secret", Behaviour { forbidden: true, ..Behaviour::of(10) });
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(report.streams[0].skipped[0].partition.as_str(), "secret");
}

#[tokio::test]
async fn an_unknown_stream_is_named() {
    let mut world = World::with(Behaviour::of(1));
    world.streams = Some(vec![StreamChoice { name: "nope".into(), ..choice() }]);
    let error = world.run().await.error.unwrap();
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("`nope`"));
}

#[tokio::test]
async fn an_acknowledgement_that_was_lost_is_repeated_after_a_crash() {
    let world = World::with(Behaviour::of(20));
    world.run().await;
    let before = world.source.acknowledged().len();
    // A run that claimed and died without releasing.
    world.registry.claim(&world.key(), "dead", Duration::from_secs(30)).await.unwrap();
    world.clock.advance(Duration::from_secs(31));
    world.run().await;
    assert_eq!(world.source.acknowledged()[before..], [("s".into(), "p".into(), 20)]);
}

fn choice() -> StreamChoice {
    StreamChoice { name: "s".into(), mode: None, fields: None, since: None, on_drift: DriftPolicy::Evolve }
}

async fn until(done: impl Fn() -> bool) {
    bounded(async {
        while !done() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_run_ends_when_what_it_has_begun_in_the_background_has_however_it_ends() {
    let (failing, stopping) = (Behaviour { forbidden: true, ..Behaviour::of(10) }, Behaviour::of(10));
    for (behaviour, stops) in [(Behaviour::of(10), false), (failing, false), (stopping, true)] {
        let world = World::with(behaviour);
        let job = world.job();
        if stops {
            job.cx.stop().cancel();
        }
        let exchange = job.cx.background().spawn(async {
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
            }
        });
        bounded(run::run(job)).await;
        assert!(exchange.peek().is_some(), "it was left half done; stopped: {stops}");
    }
}
