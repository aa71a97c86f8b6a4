//! When attempts are made, by a clock that only the test moves.

use std::time::Duration;

use connector_sdk::contract::ActionStatus;
use serde_json::json;

use super::{
    endpoint::{Endpoint, Reply},
    support::{Running, T0, World, bounded, idle, manual, pass, until},
};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Seconds since the beginning at which something came.
fn times(endpoint: &Endpoint) -> Vec<i64> {
    endpoint.received().iter().map(|received| (received.at.as_millis() - T0) / 1000).collect()
}

async fn start(clock: &connector_testkit::clock::ManualClock) -> (Endpoint, World, Running) {
    let (endpoint, world) = World::by(clock.shared()).await;
    let running = world.run().await;
    idle(clock).await;
    (endpoint, world, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_fails_is_tried_by_the_schedule_under_one_id_each_time_signed_anew() {
    let clock = manual();
    let (endpoint, world, running) = start(&clock).await;
    endpoint.always(Reply::Status(503, "", "busy".to_owned()));
    running.process.send("m1").await;
    until("the first attempt", || endpoint.count() == 1).await;
    idle(&clock).await;
    let waits = [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
    for (index, wait) in waits.into_iter().enumerate() {
        pass(&clock, secs(wait) - Duration::from_millis(1)).await;
        assert_eq!(endpoint.count(), index + 1, "too early: {wait}");
        pass(&clock, Duration::from_millis(1)).await;
        until("the next attempt", || endpoint.count() == index + 2).await;
        idle(&clock).await;
    }
    pass(&clock, secs(20 * 24 * HOUR)).await;
    assert_eq!(endpoint.count(), 10);
    let received = endpoint.received();
    assert!(received.iter().all(|received| received.is_proved && received.id() == "m1"));
    let mut stamps: Vec<&str> =
        received.iter().map(|received| received.header("webhook-timestamp")).collect();
    stamps.dedup();
    assert_eq!(stamps.len(), 10, "each attempt has its own time");

    let standing = world.standing().await;
    assert_eq!((&standing["waiting"], &standing["dead"]), (&json!(0), &json!(1)));
    assert_eq!(
        (&standing["dead_letters"][0]["id"], &standing["dead_letters"][0]["status"]),
        (&json!("m1"), &json!(503))
    );
    // A dead letter goes back with fresh attempts.
    endpoint.then([Reply::status(500)]);
    endpoint.always(Reply::status(200));
    let replayed = running.process.act("replay", json!({ "id": "m1" })).await.unwrap();
    assert_eq!((replayed.status, &replayed.output["state"]), (ActionStatus::Accepted, &json!("waiting")));
    until("it is replayed", || endpoint.count() == 11).await;
    idle(&clock).await;
    let again = running.process.act("replay", json!({ "id": "m1" })).await.unwrap();
    assert_eq!((again.status, &again.output["state"]), (ActionStatus::Succeeded, &json!("delivered")));
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert_eq!(told.len(), 2);
    let (dead, delivered) = (&told[0], &told[1]);
    assert_eq!((&dead["status"], &dead["attempts"], &dead["round"]), (&json!("dead"), &json!(10), &json!(0)));
    assert_eq!(dead["answer"], json!({ "status": 503, "body": "busy" }));
    assert_eq!(dead["tries"][9]["class"], json!("Transient"));
    assert_eq!(
        (&delivered["status"], &delivered["attempts"], &delivered["round"]),
        (&json!("delivered"), &json!(1), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_neither_forgets_attempts_nor_the_time_of_the_next() {
    let clock = manual();
    let (endpoint, world, running) = start(&clock).await;
    endpoint.always(Reply::status(500));
    running.process.send("m1").await;
    until("the first attempt", || endpoint.count() == 1).await;
    idle(&clock).await;
    pass(&clock, secs(5)).await;
    until("the second attempt", || endpoint.count() == 2).await;
    idle(&clock).await;
    running.kill().await;
    pass_alone(&clock, secs(4 * MINUTE)).await;
    let running = world.run().await;
    idle(&clock).await;
    assert_eq!(endpoint.count(), 2);
    pass(&clock, secs(MINUTE)).await;
    until("the third attempt", || endpoint.count() == 3).await;
    running.stop().await.unwrap();
    assert_eq!(times(&endpoint), [0, 5, 305]);
}

/// Time passes while nobody delivers.
async fn pass_alone(clock: &connector_testkit::clock::ManualClock, by: Duration) {
    clock.advance(by);
    super::support::moment(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_endpoint_asks_for_holds_the_message_and_the_others_within_the_cap() {
    for (status, header, wait) in [
        (429, "retry-after: 90\r\n", 90),
        (503, "retry-after: Fri, 15 Jan 2027 08:02:00 GMT\r\n", 120),
        (503, "date: Fri, 15 Jan 2027 09:00:00 GMT\r\nretry-after: Fri, 15 Jan 2027 09:01:00 GMT\r\n", 60),
        (429, "retry-after: 86400\r\n", 3600),
    ] {
        let clock = manual();
        let (endpoint, _world, running) = start(&clock).await;
        endpoint.then([Reply::Status(status, header, String::new())]);
        running.process.send("first").await;
        until("the first attempt", || endpoint.count() == 1).await;
        idle(&clock).await;
        running.process.send("second").await;
        pass(&clock, secs(wait) - Duration::from_millis(1)).await;
        assert_eq!(endpoint.ids(), ["first"], "{header}");
        pass(&clock, secs(1)).await;
        until("both go", || endpoint.count() == 3).await;
        running.stop().await.unwrap();
    }
    // 2027-01-15T08:00:00Z is where the clock begins.
    assert_eq!(connector_sdk::Timestamp::from_millis(T0).to_string(), "2027-01-15T08:00:00.000Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn less_than_the_schedule_nobody_can_ask_for() {
    for header in [
        "retry-after: 1\r\n",
        "retry-after: 0\r\n",
        "retry-after: -5\r\n",
        "retry-after: soon\r\n",
        "retry-after: 1769860920\r\n",
    ] {
        let clock = manual();
        let (endpoint, _world, running) = start(&clock).await;
        endpoint.then([Reply::Status(500, header, String::new())]);
        running.process.send("m").await;
        until("the first attempt", || endpoint.count() == 1).await;
        idle(&clock).await;
        pass(&clock, Duration::from_millis(4_999)).await;
        assert_eq!(endpoint.count(), 1, "{header}");
        pass(&clock, Duration::from_millis(1)).await;
        until("the second attempt", || endpoint.count() == 2).await;
        running.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_gone_is_sent_nothing_until_it_is_enabled_whoever_starts_anew() {
    let clock = manual();
    let (endpoint, world, running) = start(&clock).await;
    endpoint.then([Reply::status(410)]);
    running.process.send("m1").await;
    until("it is told to go", || endpoint.count() == 1).await;
    idle(&clock).await;
    running.process.send("m2").await;
    pass(&clock, secs(30 * 24 * HOUR)).await;
    assert_eq!(endpoint.count(), 1);
    running.stop().await.unwrap();
    let running = world.run().await;
    idle(&clock).await;
    pass(&clock, secs(24 * HOUR)).await;
    assert_eq!(endpoint.count(), 1, "also after a restart");
    let standing = world.standing().await;
    assert_eq!((&standing["waiting"], &standing["disabled"]["status"]), (&json!(2), &json!(410)));
    assert_eq!(standing["disabled"]["id"], json!("m1"));
    let health =
        connector_sdk::Connector::health(&*running.process.sender, &running.process.cx).await.unwrap();
    assert_eq!(health.status, connector_sdk::contract::HealthStatus::Warn);
    // By another process.
    let enabled = world.sender().act("enable", json!({})).await.unwrap();
    assert_eq!(enabled.output, json!({ "was_disabled": true }));
    pass(&clock, secs(1)).await;
    until("both go", || endpoint.count() == 3).await;
    idle(&clock).await;
    bounded(running.drained()).await;
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert_eq!(told.len(), 2);
    let first = told.iter().find(|told| told["id"] == "m1").unwrap();
    assert_eq!((&first["tries"][0]["status"], &first["tries"][1]["status"]), (&json!(410), &json!(204)));
    assert_eq!(
        world.sender().act("enable", json!({})).await.unwrap().output,
        json!({ "was_disabled": false })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_puts_nothing_off_for_ever() {
    let clock = manual();
    let (endpoint, mut world, running) = start(&clock).await;
    endpoint.always(Reply::status(500));
    running.process.send("m1").await;
    until("the first attempt", || endpoint.count() == 1).await;
    idle(&clock).await;
    running.stop().await.unwrap();
    let back = connector_testkit::clock::ManualClock::at(connector_sdk::Timestamp::from_millis(
        T0 - 365 * 24 * 3_600_000,
    ));
    world.clock = back.shared();
    let running = world.run().await;
    idle(&back).await;
    pass(&back, secs(24 * HOUR)).await;
    until("it is tried again within the longest wait", || endpoint.count() == 2).await;
    running.stop().await.unwrap();
}
