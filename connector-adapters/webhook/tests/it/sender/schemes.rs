//! Each scheme, proved by a receiver that is written apart from ours.

use connector_sdk::SystemClock;
use connector_testkit::{
    fault::Fault,
    webhook::{FakeReceiver, Kind},
};
use serde_json::{Value, json};

use super::support::World;

/// What delivers to this receiver, as the kind has it.
fn world(receiver: &FakeReceiver, settings: &Value) -> World {
    let mut world =
        World::new(SystemClock::shared(), receiver.url()).with("schedule", json!(["0s", "100ms", "100ms"]));
    for (name, value) in settings.as_object().unwrap() {
        world = world.with(name, value.clone());
    }
    if settings.get("secrets").is_none() {
        world.config.as_object_mut().unwrap().remove("secrets");
    }
    world
}

/// Delivers one message, at the third attempt; the id is in the body too, where some look for it.
async fn deliver(world: &World, receiver: &FakeReceiver, what: &str) {
    receiver.faults().on("").times(2).then(Fault::status(503));
    let process = world.sender();
    let input = json!({ "id": "evt_1", "payload": { "id": "evt_1", "event_id": "evt_1", "text": "é🦌" } });
    process.act("send", input).await.unwrap();
    let running = process.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    let proofs: Vec<_> = receiver.attempts().into_iter().map(|attempt| attempt.proof).collect();
    assert_eq!(proofs.len(), 3, "{what}");
    let ids: Vec<&String> =
        proofs.iter().map(|proof| proof.as_ref().unwrap_or_else(|why| panic!("{what}: {why}"))).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{what}: {ids:?}");
    assert_eq!(receiver.taken().len(), 1, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_scheme_signs_is_proved_by_a_receiver_of_the_kind_each_time_it_is_sent() {
    for kind in Kind::ALL {
        let receiver = FakeReceiver::start(kind, kind.secret(), SystemClock::shared()).await.unwrap();
        let world = world(&receiver, &kind.settings(&[kind.secret()]));
        deliver(&world, &receiver, kind.name()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_v1a_signs_and_while_a_secret_is_changed_the_old_and_the_new_one_prove() {
    let whsk =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let old = Kind::StandardWebhooks.secret();
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    for (secrets, proved_by) in [
        (&[whsk][..], whsk),
        (&[new, old], old),
        (&[new, old], new),
        (&[new, whsk], whsk),
        (&[new, whsk], new),
    ] {
        let receiver =
            FakeReceiver::start(Kind::StandardWebhooks, proved_by, SystemClock::shared()).await.unwrap();
        let world = world(&receiver, &json!({ "secrets": secrets }));
        deliver(&world, &receiver, proved_by).await;
    }
}
