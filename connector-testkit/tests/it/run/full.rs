//! Full reads, resets, and states of another version.

use std::time::Duration;

use connector_host::{report::RunStatus, run::StreamChoice};
use connector_sdk::{Class, Operation, State, SyncMode, contract::Commit, record::Tally};
use connector_testkit::scripted::Behaviour;

use super::{World, choice};

#[tokio::test]
async fn d_14_a_full_read_resumes_in_the_middle_and_counts_generations() {
    let mut world = World::with(Behaviour { fail_after: Some(5), ..Behaviour::of(100) });
    let full = StreamChoice { mode: Some(SyncMode::Full), ..choice() };
    world.streams = Some(vec![full]);
    assert_eq!(world.run().await.status, RunStatus::Incomplete);
    let before = world.source.pages_read();
    assert_eq!(world.run().await.status, RunStatus::Succeeded);
    assert_eq!(world.source.pages_read() - before, 5, "pages before the state are not read again");
    world.assert_complete("p", 100);
    assert_eq!(world.state().await.generation, 1);
}

#[tokio::test]
async fn d_14_what_a_full_read_lacks_is_concluded_to_be_deleted_up_to_a_cap() {
    let work = tempfile::tempdir().unwrap();
    let mut world = World::with(Behaviour::of(100));
    world.streams = Some(vec![StreamChoice { mode: Some(SyncMode::Full), ..choice() }]);
    world.options.work = Some(work.path().to_owned());
    assert_eq!(world.run().await.streams[0].deletes, 0);
    // The first ten are gone; the run is interrupted on the way.
    world.source.change("s", "p", |partition| (partition.records, partition.fail_after) = (10..100, Some(4)));
    assert_eq!(world.run().await.status, RunStatus::Incomplete);
    let report = world.run().await;
    assert_eq!((report.status, report.streams[0].deletes), (RunStatus::Succeeded, 10), "{:?}", report.error);
    let deleted: Vec<_> =
        world.sink.records("s").into_iter().filter(|record| record.operation == Operation::Delete).collect();
    assert_eq!(deleted.len(), 10);
    assert_eq!(deleted[0].key, "{\"id\":0}");
    // Now more than a fifth is gone: nobody said so, so nothing is concluded.
    world.source.change("s", "p", |partition| partition.records = 50..100);
    let report = world.run().await;
    assert_eq!(report.error.unwrap().operation(), "conclude deletes");
    world.options.delete_cap = 1.0;
    assert_eq!(world.run().await.streams[0].deletes, 40);
}

#[tokio::test]
async fn d_14_a_mode_that_came_in_between_or_a_reset_begins_a_new_full_read_and_deletes_nothing() {
    let work = tempfile::tempdir().unwrap();
    let mut world = World::with(Behaviour::of(100));
    world.options.work = Some(work.path().to_owned());
    let modes = [SyncMode::Full, SyncMode::Incremental, SyncMode::Full, SyncMode::Full];
    for mode in modes {
        world.streams = Some(vec![StreamChoice { mode: Some(mode), ..choice() }]);
        let report = world.run().await;
        assert_eq!(
            (report.status, report.streams[0].deletes),
            (RunStatus::Succeeded, 0),
            "{:?}",
            report.error
        );
    }
    let claim = world.registry.claim(&world.key(), "test", Duration::from_secs(30)).await.unwrap();
    world.registry.reset(&claim.lease).await.unwrap();
    world.registry.release(&claim.lease).await.unwrap();
    // Seen by the read after the reset, gone before the next one.
    world.source.change("s", "p", |partition| partition.records = 0..105);
    assert_eq!(world.run().await.streams[0].deletes, 0);
    world.source.change("s", "p", |partition| partition.records = 0..100);
    assert_eq!(world.run().await.streams[0].deletes, 5);
}

#[tokio::test]
async fn d_14_what_was_skipped_was_not_seen_and_is_not_concluded_to_be_deleted() {
    let work = tempfile::tempdir().unwrap();
    let mut world = World::with(Behaviour::of(50));
    world.source.set("s", "q", Behaviour { records: 100..110, ..Behaviour::of(0) });
    world.streams = Some(vec![StreamChoice { mode: Some(SyncMode::Full), ..choice() }]);
    world.options.work = Some(work.path().to_owned());
    world.run().await;
    world.source.change("s", "q", |partition| partition.forbidden = true);
    // However often: each run reads anew what can be read.
    for _ in 0..3 {
        let before = world.source.pages_read();
        let report = world.run().await;
        assert_eq!((report.status, report.streams[0].deletes), (RunStatus::Succeeded, 0));
        assert_eq!((world.source.pages_read() - before, report.totals.records), (5, 50));
    }
    // What was seen whole at last is compared with what was seen whole before.
    world.source.change("s", "q", |partition| partition.forbidden = false);
    world.source.change("s", "p", |partition| partition.records = 1..50);
    assert_eq!(world.run().await.streams[0].deletes, 1);
}

#[tokio::test]
async fn d_15_a_state_of_a_newer_version_is_an_error_and_nothing_is_read() {
    let world = World::with(Behaviour::of(10));
    let claim = world.registry.claim(&world.key(), "test", Duration::from_secs(30)).await.unwrap();
    let state = State::encode(2, &7u64).unwrap();
    let commit = Commit {
        partition: "p".into(),
        epoch: 0,
        generation: 0,
        sequence: 7,
        tally: Tally::default(),
        state,
    };
    world.registry.checkpoint(&claim.lease, &[commit]).await.unwrap();
    world.registry.release(&claim.lease).await.unwrap();
    let report = world.run().await;
    assert_eq!(report.error.unwrap().class(), Class::Config);
    assert!(world.sink.records("s").is_empty());
}

#[tokio::test]
async fn a_reset_reads_everything_again_in_a_new_epoch_and_says_reset_first() {
    let world = World::with(Behaviour::of(20));
    world.run().await;
    let claim = world.registry.claim(&world.key(), "test", Duration::from_secs(30)).await.unwrap();
    world.registry.reset(&claim.lease).await.unwrap();
    world.registry.release(&claim.lease).await.unwrap();
    let report = world.run().await;
    assert_eq!(report.status, RunStatus::Succeeded, "{:?}", report.error);
    let records = world.sink.records("s");
    let after: Vec<_> = records.iter().filter(|record| record.epoch == 1).collect();
    assert_eq!(after[0].operation, Operation::Reset);
    assert_eq!(after[0].sequence, 21, "the numbers go on");
    assert_eq!(after.len(), 21);
    assert_eq!(world.run().await.totals.records, 0);
}

#[tokio::test]
async fn a_partition_with_the_hosts_own_name_is_refused_before_anything_is_read() {
    let world = World::with(Behaviour::of(10));
    world.source.set("s", "_concluded_deletes", Behaviour::of(10));
    let error = world.run().await.error.unwrap();
    assert_eq!(error.class(), Class::Bug);
    assert!(error.to_string().contains("host's own"), "{error}");
    assert!(world.sink.records("s").is_empty() && world.source.pages_read() == 0);
}
