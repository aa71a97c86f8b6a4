//! `ordered`: one at a time, in the order in which messages were accepted.

use std::time::Duration;

use connector_testkit::clock::ManualClock;
use serde_json::json;

use super::{
    endpoint::{Endpoint, Reply},
    support::{Running, World, idle, manual, pass, until},
};

async fn start(clock: &ManualClock) -> (Endpoint, World, Running) {
    let (endpoint, world) = World::by(clock.shared()).await;
    let world = world.with("ordered", json!(true)).with("schedule", json!(["0s", "5s", "5m"]));
    let running = world.run().await;
    idle(clock).await;
    (endpoint, world, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_fails_holds_those_behind_it_until_it_is_delivered_or_dead() {
    let clock = manual();
    let (endpoint, world, running) = start(&clock).await;
    endpoint.then([
        Reply::status(500),
        Reply::status(200),
        Reply::status(500),
        Reply::status(500),
        Reply::status(500),
    ]);
    running.process.accepted(["a", "b", "c"].map(str::to_owned)).await;
    pass(&clock, Duration::from_millis(500)).await;
    until("the first attempt", || endpoint.count() == 1).await;
    idle(&clock).await;
    // One that comes later is not quicker.
    world.send("d").await;
    pass(&clock, Duration::from_secs(4)).await;
    assert_eq!(endpoint.ids(), ["a"]);
    pass(&clock, Duration::from_secs(1)).await;
    until("a is delivered, b fails", || endpoint.count() == 3).await;
    idle(&clock).await;
    pass(&clock, Duration::from_secs(5)).await;
    until("b fails again", || endpoint.count() == 4).await;
    idle(&clock).await;
    pass(&clock, Duration::from_secs(299)).await;
    assert_eq!(endpoint.count(), 4);
    pass(&clock, Duration::from_secs(1)).await;
    until("b is dead, the others go", || endpoint.count() == 7).await;
    running.stop().await.unwrap();
    assert_eq!(endpoint.ids(), ["a", "a", "b", "b", "b", "c", "d"]);
    assert_eq!(endpoint.most_at_once(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_is_that_of_acceptance_through_processes_and_restarts() {
    let (endpoint, world) = World::start().await;
    let world = world.with("ordered", json!(true));
    let mut expected = Vec::new();
    for round in 0..4 {
        for number in 0..15 {
            // Each by another process, within one millisecond or not.
            let id = format!("m{round}-{}", (number * 7) % 15);
            world.send(&id).await;
            expected.push(id);
        }
        let running = world.run().await;
        if round % 2 == 0 {
            until("some have arrived", || endpoint.count() > round * 15).await;
            running.stop().await.unwrap();
        } else {
            running.drained().await;
            running.stop().await.unwrap();
        }
    }
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!(endpoint.ids(), expected);
}
