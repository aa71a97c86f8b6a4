//! What a run tells of itself, and what it says once.

use std::time::Duration;

use connector_host::{
    report::RunStatus,
    run::{self, DriftPolicy, StreamChoice},
};
use connector_sdk::{Operation, StreamSpec, SyncMode};
use connector_testkit::scripted::Behaviour;

use super::{World, bounded, choice, until};

#[tokio::test]
async fn bytes_are_those_of_the_records_over_all_batches_and_streams() {
    let world = World::with(Behaviour::of(25));
    world.source.set("t", "p", Behaviour::of(15));
    let report = world.run().await;
    let of = |id: u64| format!("{{\"id\":{id},\"text\":\"record {id}\"}}").len() as u64;
    let (s, t): (u64, u64) = ((0..25).map(of).sum(), (0..15).map(of).sum());
    let told: Vec<u64> = report.streams.iter().map(|stream| stream.bytes).collect();
    assert_eq!((told, report.totals.bytes), (vec![s, t], s + t));
}

#[tokio::test]
async fn a_reset_is_said_once_however_many_runs_follow() {
    let world = World::with(Behaviour::of(20));
    world.run().await;
    let claim = world.registry.claim(&world.key(), "test", Duration::from_secs(30)).await.unwrap();
    world.registry.reset(&claim.lease).await.unwrap();
    world.registry.release(&claim.lease).await.unwrap();
    for records in [20, 30, 40] {
        world.source.change("s", "p", |partition| partition.records = 0..records);
        world.run().await;
        let resets = world.sink.records("s").iter().filter(|r| r.operation == Operation::Reset).count();
        assert_eq!(resets, 1, "with {records} records");
    }
}

#[tokio::test]
async fn a_partition_that_has_only_had_a_state_says_no_reset_where_there_was_none() {
    let world = World::with(Behaviour::of(0));
    world.run().await;
    world.source.change("s", "p", |partition| partition.records = 0..10);
    world.run().await;
    world.assert_complete("p", 10);
}

#[tokio::test]
async fn d_16_who_owns_a_stream_is_told_by_its_run_and_process() {
    let world = World::with(Behaviour { stall_after: Some(1), ..Behaviour::of(20) });
    let job = world.job();
    let running = tokio::spawn(run::run(job));
    bounded(until(|| world.source.pages_read() > 0)).await;
    let report = world.run().await;
    running.abort();
    let error = report.error.unwrap().to_string();
    let owner = format!("run r of process {}", std::process::id());
    assert!(error.contains(&owner), "{error}");
}

#[tokio::test]
async fn d_18_rows_that_were_discarded_before_a_failure_are_not_buried_twice() {
    let mut world = World::with(Behaviour { fail_after: Some(3), ..Behaviour::of(50) });
    world.source.change("s", "p", |partition| partition.state_every_page = false);
    // Another one's commit publishes what was buried by then.
    world.source.set("s", "q", Behaviour::of(30));
    let schema = serde_json::json!({ "type": "object", "properties": { "id": { "type": "integer" } } });
    world.source.set_spec(StreamSpec::new("s", schema).with_primary_key(["id"]).with_cursor("id"));
    world.streams = Some(vec![StreamChoice {
        on_drift: DriftPolicy::DiscardRow,
        mode: Some(SyncMode::Incremental),
        ..choice()
    }]);
    world.options.max_dead_letters = 1_000;
    world.run().await;
    assert_eq!(world.sink.dead_letters("s").len(), 30);
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    assert_eq!(world.sink.dead_letters("s").len(), 80);
}
