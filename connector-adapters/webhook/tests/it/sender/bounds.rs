//! What is too much, what is damaged, who comes at a bad moment: nothing that was accepted is lost, and nothing stands still.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use connector_sdk::{
    Class, Connector as _,
    contract::{ActionStatus, HealthStatus},
};
use connector_testkit::{clock::FastClock, disk::MemoryDisk};
use serde_json::json;

use super::{
    disks::TestDisk,
    endpoint::Reply,
    support::{Running, World, moment, until},
};

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).map_or(Vec::new(), |files| files.map(|file| file.unwrap().path()).collect())
}

async fn waits_for(running: &Running, field: &str, value: serde_json::Value) {
    for _ in 0..4_000 {
        if running.process.act("outbox", json!({})).await.unwrap().output[field] == value {
            return;
        }
        moment(5).await;
    }
    panic!("`{field}` never becomes {value}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_leaves_room_on_its_disk_to_be_emptied() {
    let (_endpoint, mut world) = World::start().await;
    let free = Arc::new(AtomicU64::new(193 << 20));
    world.disk = Some(TestDisk::with_room(&MemoryDisk::default(), Arc::clone(&free)));
    assert_eq!(world.send("a").await.status, ActionStatus::Accepted);
    free.store(100 << 20, std::sync::atomic::Ordering::SeqCst);
    let error = world.sender().act("send", json!({ "id": "b", "payload": 1 })).await.unwrap_err();
    assert!(error.class() == Class::Transient && error.message().contains("full"), "{error}");
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_are_told_to_go_at_once_all_wait() {
    for _ in 0..10 {
        let (endpoint, world) = World::start().await;
        endpoint.always(Reply::Slow(410, Duration::from_millis(20)));
        let process = world.sender();
        process.accepted((0..16).map(|number| format!("m{number}"))).await;
        let running = process.run().await;
        until("eight are told", || endpoint.count() == 8).await;
        moment(60).await;
        assert!(!running.is_over());
        let standing = world.standing().await;
        assert_eq!((&standing["waiting"], &standing["disabled"]["status"]), (&json!(16), &json!(410)));
        endpoint.always(Reply::status(204));
        world.sender().act("enable", json!({})).await.unwrap();
        running.drained().await;
        running.stop().await.unwrap();
        assert_eq!(endpoint.count(), 24);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_410_to_an_attempt_from_before_enabling_does_not_undo_it() {
    let (endpoint, world) = World::start().await;
    let world = world.with("schedule", json!(["0s", "100ms"]));
    endpoint.then([Reply::Slow(410, Duration::from_millis(400))]);
    world.send("late").await;
    let running = world.run().await;
    until("it is under way", || endpoint.count() == 1).await;
    world.sender().act("enable", json!({})).await.unwrap();
    running.drained().await;
    assert_eq!(world.standing().await["disabled"], json!(null));
    running.stop().await.unwrap();
    assert_eq!(endpoint.ids(), ["late", "late"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_dead_letters_hold_what_waits_and_none_is_given_up_for_another() {
    let (endpoint, world) = World::start().await;
    let world =
        world.with("outbox", json!({ "path": "outbox", "max_size": "1MiB" })).with("ordered", json!(true));
    endpoint.always(Reply::status(401));
    let process = world.sender();
    for number in 0..4 {
        let input = json!({ "id": format!("m{number}"), "body": "x".repeat(200 << 10) });
        process.act("send", input).await.unwrap();
    }
    let running = process.run().await;
    waits_for(&running, "dead", json!(3)).await;
    waits_for(&running, "held", json!(true)).await;
    moment(50).await;
    assert_eq!((endpoint.count(), &world.standing().await["waiting"]), (3, &json!(1)));
    let health = running.process.sender.health(&running.process.cx).await.unwrap();
    assert_eq!(health.status, HealthStatus::Warn);
    // Who looks after it gives one up, and takes the others back.
    endpoint.always(Reply::status(204));
    let discarded = world.sender().act("discard", json!({ "id": "m1" })).await.unwrap();
    assert_eq!(discarded.output, json!({ "discarded": 1 }));
    let replayed = world.sender().act("replay", json!({ "all": true })).await.unwrap();
    assert_eq!(replayed.output, json!({ "replayed": 2 }));
    running.drained().await;
    waits_for(&running, "held", json!(false)).await;
    waits_for(&running, "bytes", json!(0)).await;
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    let delivered = |id: &str| told.iter().any(|told| told["id"] == *id && told["status"] == "delivered");
    assert_eq!(["m0", "m1", "m2", "m3"].map(delivered), [true, false, true, true]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_letter_taken_back_again_and_again_is_tried_each_time() {
    let (endpoint, world) = World::start().await;
    endpoint.always(Reply::status(404));
    world.send("m").await;
    let running = world.run().await;
    let mut last = (0, 0);
    while endpoint.count() < 40 {
        // At every moment of its death.
        match world.sender().act("replay", json!({ "id": "m" })).await {
            Ok(outcome) => assert_eq!(outcome.output["state"], "waiting"),
            Err(error) => assert_eq!(error.class(), Class::Transient, "{error}"),
        }
        last = if last.0 == endpoint.count() { (last.0, last.1 + 1) } else { (endpoint.count(), 0) };
        assert!(last.1 < 2_000, "it stands still after {} attempts", last.0);
    }
    running.drained().await;
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert_eq!(told.len(), endpoint.count(), "each end is told");
    let rounds: Vec<_> = told.iter().map(|told| told["round"].as_u64().unwrap()).collect();
    assert_eq!(rounds, (0..rounds.len() as u64).collect::<Vec<_>>());
}

/// As a crash leaves it in the middle of taking it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_whose_end_was_forgotten_is_a_dead_letter_still() {
    let (endpoint, world) = World::start().await;
    endpoint.then([Reply::status(404)]);
    world.send("a").await;
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    for file in files(&world.outbox().join("told")) {
        std::fs::remove_file(file).unwrap();
    }
    for _ in 0..2 {
        let running = world.run().await;
        running.drained().await;
        assert_eq!(world.standing().await["dead"], 1);
        running.stop().await.unwrap();
    }
    let running = world.run().await;
    running.process.act("replay", json!({ "id": "a" })).await.unwrap();
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!(world.deliveries().await.last().unwrap()["status"], "delivered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_damaged_or_taken_away_stops_no_other() {
    let (endpoint, world) = World::start().await;
    world.sender().accepted(["a", "b", "c", "d"].map(str::to_owned)).await;
    let new = files(&world.outbox().join("new"));
    assert_eq!(new.len(), 4);
    let mut bytes = std::fs::read(&new[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&new[0], bytes).unwrap();
    endpoint.always(Reply::status(410));
    let running = world.run().await;
    until("they are told to go", || endpoint.count() == 3).await;
    waits_for(&running, "waiting", json!(3)).await;
    moment(50).await;
    std::fs::remove_file(&files(&world.outbox().join("queue"))[0]).unwrap();
    endpoint.always(Reply::status(204));
    world.sender().act("enable", json!({})).await.unwrap();
    running.drained().await;
    let standing = world.standing().await;
    assert_eq!((&standing["damaged"], &standing["waiting"]), (&json!(1), &json!(0)));
    running.stop().await.unwrap();
    assert_eq!(world.deliveries().await.len(), 2);
    // One that was damaged can be sent again under its id.
    let ids: std::collections::BTreeSet<String> = endpoint.ids().into_iter().collect();
    let lost = ["a", "b", "c", "d"].into_iter().find(|id| !ids.contains(*id)).unwrap();
    assert_eq!(world.send(lost).await.status, ActionStatus::Accepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_reads_what_became_of_messages_sending_waits_and_a_stop_is_obeyed() {
    let (endpoint, world) = World::start().await;
    let world =
        world.with("outbox", json!({ "path": "outbox", "max_size": "1MiB" })).with("concurrency", json!(1));
    endpoint.always(Reply::Status(200, "", "x".repeat(16 << 10)));
    let process = world.sender();
    process.accepted((0..100).map(|number| format!("m{number}"))).await;
    let running = process.run().await;
    until("some arrive", || endpoint.count() > 40).await;
    for _ in 0..500 {
        let before = endpoint.count();
        moment(300).await;
        if endpoint.count() == before {
            break;
        }
    }
    assert!(endpoint.count() < 100, "{}", endpoint.count());
    running.stop().await.unwrap();
    let arrived = endpoint.count();
    // There is more room: what had arrived is told, and not sent again.
    let world = world.with("outbox", json!({ "path": "outbox", "max_size": "64MiB" }));
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!(
        (endpoint.count(), world.deliveries().await.len()),
        (100, 100),
        "{arrived} had arrived before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_outlasts_a_hosts_patience_is_cut_off_and_made_again() {
    let (endpoint, world) = World::by(FastClock::shared()).await;
    let world = world.with("timeout", json!("5m"));
    endpoint.then([Reply::Silent]);
    world.send("m").await;
    let running = world.run().await;
    until("it is under way", || endpoint.count() == 1).await;
    let clock = Arc::clone(&world.clock);
    let before = clock.monotonic();
    running.stop().await.unwrap();
    assert!(clock.monotonic().checked_sub(before).unwrap() < Duration::from_secs(118));
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!(endpoint.ids(), ["m", "m"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_echoes_of_our_secrets_is_kept_nowhere() {
    let (endpoint, world) = World::start().await;
    let world = world
        .with("scheme", json!("bearer"))
        .with("secrets", json!(["canary-token-1234"]))
        .with("headers", json!({ "X-Key": "canary-key-5678" }))
        .with("schedule", json!(["0s", "100ms"]));
    let echo = "POST /hooks?token=canary-9f Authorization: Bearer canary-token-1234, X-Key: canary-key-5678";
    endpoint.always(Reply::Status(200, "", echo.to_owned()));
    endpoint.then([Reply::Status(500, "", echo.to_owned())]);
    world.send("m").await;
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert!(told[0]["answer"]["body"].as_str().unwrap().contains("Authorization"), "{}", told[0]);
    assert!(!told[0].to_string().contains("canary"), "{}", told[0]);
    let kept =
        ["tries", "ended", "told", "deliveries", "dead"].map(|folder| files(&world.outbox().join(folder)));
    for file in kept.into_iter().flatten().filter(|file| file.is_file()) {
        assert!(
            !String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("canary"),
            "{}",
            file.display()
        );
    }
}
