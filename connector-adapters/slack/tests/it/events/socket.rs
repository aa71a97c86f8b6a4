//! Socket Mode. What users of other kits complain about (reference, B8, 5 and 6) carries its number.

use std::{sync::Arc, time::Duration};

use connector_host::report::RunStatus;
use connector_sdk::{Class, Clock, SystemClock};
use connector_testkit::{
    clock::{FastClock, ManualClock},
    fault::Fault,
    slack::{Disconnect, FakeWorkspace},
};
use serde_json::{Value, json};

use super::{World, message, until};

const OPEN: &str = "apps.connections.open";

async fn fast() -> World {
    World::by(FastClock::shared(), FakeWorkspace::builder()).await
}

impl World {
    async fn connected(&self, count: usize) {
        until("so many are connected", || self.ws.sockets() == count).await;
    }

    fn opened(&self) -> Vec<i64> {
        self.ws.requests_to(OPEN).into_iter().map(|request| request.at).collect()
    }

    fn push(&self, count: usize) -> Vec<String> {
        (0..count).map(|number| self.ws.push_event(message(number))).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_over_several_connections_stands_once_and_is_acknowledged() {
    let world = World::start().await;
    let running = world.run(&world.socket(3));
    world.connected(3).await;
    let ids = world.push(60);
    world.acknowledged(&ids).await;
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    world.assert_once(ids);
    until("we have said goodbye", || world.ws.sockets() == 0).await;
    assert_eq!(world.opened().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_6_what_nobody_knows_passes_through() {
    let world = World::start().await;
    let running = world.run(&world.socket(1));
    world.connected(1).await;
    let odd = world.ws.push_event(json!({ "type": "moon_landing_v9", "subtype": null, "x": [[]] }));
    world.ws.push_envelope("interactive", json!({ "type": "block_actions", "actions": [] }));
    world.ws.push_envelope("moon_commands", json!({ "type": 7 }));
    world.ws.push_rate_limited(1_518_467_820);
    until("all are in Bronze", || world.bronze().len() == 4).await;
    running.stop().await;
    let mut records: Vec<Value> =
        world.bronze().iter().map(|record| serde_json::from_str(&record.record).unwrap()).collect();
    records.sort_by_key(ToString::to_string);
    assert!(world.ids().contains(&odd));
    assert!(records.contains(&json!({ "type": 7 })));
    assert!(records.contains(&json!({ "type": "block_actions", "actions": [] })));
    assert!(records.iter().any(|record| record["type"] == "app_rate_limited"));
    assert_eq!(world.ws.socket_answers().len(), 4, "each envelope has come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_5_the_new_connection_is_open_before_the_old_one_ends() {
    for reason in [Disconnect::Warning, Disconnect::RefreshRequested] {
        let world = World::start().await;
        let running = world.run(&world.socket(1));
        world.connected(1).await;
        let mut ids = world.push(10);
        world.ws.disconnect(reason);
        // The old one lives for ten seconds more.
        world.connected(2).await;
        ids.extend(world.push(10));
        world.acknowledged(&ids).await;
        let report = running.stop().await;
        assert_eq!(report.status, RunStatus::Stopped);
        world.assert_once(ids);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_5_what_an_old_connection_still_brings_is_taken() {
    let world = fast().await;
    let running = world.run(&world.socket(1));
    world.connected(1).await;
    // No new address for a while: only the old one can bring what comes.
    world.ws.faults().on(OPEN).times(2).then(Fault::status(503));
    world.ws.disconnect(Disconnect::Warning);
    let ids = world.push(5);
    world.acknowledged(&ids).await;
    until("the old one has gone and the new one is there", || {
        world.opened().len() >= 4 && world.ws.sockets() == 1
    })
    .await;
    let more = world.push(5);
    world.acknowledged(&more).await;
    running.stop().await;
    world.assert_once([ids, more].concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_5_a_half_open_connection_is_found_and_replaced() {
    let world = fast().await;
    let running = world.run(&world.socket(1));
    world.connected(1).await;
    world.ws.go_silent();
    let ids = world.push(3);
    world.acknowledged(&ids).await;
    // Since before its first frame: 30 s without one, and 15 s without an answer to our ping.
    let opened = world.opened();
    assert!(opened[1] - opened[0] >= 45_000, "{opened:?}: it was only quiet");
    running.stop().await;
    world.assert_once(ids);
}

/// On one thread with the clock: it goes on a little each time everybody else has had a turn, so that a machine that
/// stands still for seconds lets no ping be late.
#[tokio::test]
async fn complaint_5_a_quiet_connection_is_left_alone() {
    let clock = ManualClock::at(SystemClock::new().now());
    let world = World::by(clock.shared(), FakeWorkspace::builder()).await;
    let running = world.run(&world.socket(1));
    let turning = tokio::spawn(async move {
        loop {
            SystemClock::new().sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_millis(50));
        }
    });
    world.connected(1).await;
    // Nothing but the vendor's pings, for minutes.
    let begun = world.ws.now();
    until("minutes have passed", || world.ws.now() - begun > 150_000).await;
    assert_eq!(world.opened().len(), 1);
    let ids = world.push(1);
    world.acknowledged(&ids).await;
    running.stop().await;
    turning.abort();
    world.assert_once(ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_5_a_connection_that_breaks_off_is_opened_again_and_nothing_is_lost_or_twice() {
    let world = fast().await;
    let running = world.run(&world.socket(2));
    world.connected(2).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.extend(world.push(10));
        world.ws.drop_sockets();
        ids.extend(world.push(10));
        world.acknowledged(&ids).await;
    }
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped);
    world.assert_once(ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_5_socket_mode_that_was_switched_off_ends_the_run_without_a_loop() {
    let world = World::start().await;
    let running = world.run(&world.socket(2));
    world.connected(2).await;
    let ids = world.push(5);
    world.acknowledged(&ids).await;
    world.ws.disconnect(Disconnect::LinkDisabled);
    let report = running.end().await;
    assert_eq!(report.status, RunStatus::Failed);
    let error = report.error.unwrap();
    assert_eq!(error.class(), Class::Config, "{error}");
    assert_eq!(world.opened().len(), 2, "nobody asked again");
    world.assert_once(ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn complaint_5_too_many_websockets_slow_us_down() {
    let world = fast().await;
    let running = world.run(&world.socket(1));
    world.connected(1).await;
    let told_at = world.ws.now();
    world.ws.disconnect(Disconnect::TooManyWebsockets);
    let ids = world.push(2);
    world.acknowledged(&ids).await;
    let opened = world.opened();
    assert!(opened.len() >= 2, "{opened:?}");
    assert!(opened[1] - told_at >= 60_000, "{opened:?} after {told_at}");
    running.stop().await;
    world.assert_once(ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_ends_the_run_with_class_auth() {
    let world = World::start().await;
    let mut config = world.socket(1);
    config["app_token"] = json!("xapp-wrong");
    let report = world.run(&config).end().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.error.unwrap().class(), Class::Auth);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_that_is_down_is_waited_for_ever_longer() {
    let world = fast().await;
    world.ws.faults().on(OPEN).times(9).then(Fault::status(500));
    let running = world.run(&world.socket(1));
    world.connected(1).await;
    let ids = world.push(2);
    world.acknowledged(&ids).await;
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped);
    world.assert_once(ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_came_by_http_before_is_known_over_a_socket() {
    let world = World::start().await;
    let running = world.listen().await;
    let wrapper = json!({ "type": "event_callback", "event_id": "Ev7", "event_time": 1_234_567_890, "event": message(1) });
    world.ws.push_wrapper(wrapper.clone());
    world.acknowledged(&["Ev7".to_owned()]).await;
    running.stop().await;
    // Another workspace over the same journal and Bronze: this one sends by sockets.
    let ws = FakeWorkspace::builder().channels(1).clock(Arc::clone(&world.clock)).start().await.unwrap();
    let world = World { ws, ..world };
    let running = world.run(&world.socket(1));
    world.connected(1).await;
    world.ws.push_wrapper(wrapper);
    world.acknowledged(&["Ev7".to_owned()]).await;
    running.stop().await;
    world.assert_once(vec!["Ev7".to_owned()]);
}
