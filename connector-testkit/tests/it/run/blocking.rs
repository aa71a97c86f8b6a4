//! A connector that blocks in a call that is no read.

use connector_testkit::scripted::Call;

use super::*;

/// A run by a clock that goes on in steps, far beyond the limit of a call.
async fn run_past_the_limit(world: &World) -> RunReport {
    let running = tokio::spawn(run::run(world.job()));
    for _ in 0..1_000 {
        if running.is_finished() {
            break;
        }
        world.clock.advance(Duration::from_secs(5));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    bounded(running).await.unwrap()
}

#[tokio::test]
async fn case_47_a_connector_that_blocks_before_it_reads_is_given_up() {
    for (call, operation) in [(Call::Discover, "discover"), (Call::Partitions, "plan")] {
        let world = World::with(Behaviour::of(25));
        world.source.block(Some(call));
        let report = run_past_the_limit(&world).await;
        assert_eq!(report.status, RunStatus::Failed, "{call:?}");
        let error = report.error.unwrap();
        assert_eq!((error.class(), error.operation()), (Class::Transient, operation));
        // Nothing is held: the next run goes on at once.
        world.source.block(None);
        assert_eq!(world.run().await.status, RunStatus::Succeeded, "{call:?}");
        world.assert_complete("p", 25);
    }
}

#[tokio::test]
async fn case_47_a_connector_that_blocks_in_acknowledging_costs_no_record() {
    let world = World::with(Behaviour::of(25));
    world.source.block(Some(Call::Acknowledge));
    let report = run_past_the_limit(&world).await;
    assert_eq!(report.status, RunStatus::Succeeded, "{:?}", report.error);
    world.assert_complete("p", 25);
    assert!(world.source.acknowledged().is_empty());
    world.source.block(None);
    world.run().await;
    assert_eq!(world.source.acknowledged().last().unwrap().2, 25, "the next run acknowledges again");
}

#[tokio::test]
async fn case_47_a_stop_ends_a_call_that_blocks() {
    for call in [Call::Discover, Call::Partitions] {
        let world = World::with(Behaviour::of(25));
        world.source.block(Some(call));
        let job = world.job();
        let stop = job.cx.stop().clone();
        let running = tokio::spawn(run::run(job));
        tokio::task::yield_now().await;
        stop.cancel();
        // The clock stands still: nothing else can end it.
        assert_eq!(bounded(running).await.unwrap().status, RunStatus::Stopped, "{call:?}");
    }
}
