//! Putting messages in: once for an id, durable, from any process.

use connector_sdk::{
    Class, Connector as _,
    contract::{ActionRequest, ActionStatus},
};
use connector_testkit::disk::{MemoryDisk, Plan};
use serde_json::json;

use super::support::{World, bounded, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_accepted_then_delivered_signed_and_told_of() {
    let (endpoint, world) = World::start().await;
    let world = world.with("headers", json!({ "X-Api-Key": "canary-key", "webhook-id": "forged" }));
    let outcome = world
        .sender()
        .act("send", json!({ "id": "msg_1", "type": "invoice.paid", "payload": { "n": 1, "text": "é🦌" } }))
        .await
        .unwrap();
    assert_eq!(outcome.status, ActionStatus::Accepted);
    assert_eq!(outcome.output, json!({ "id": "msg_1", "state": "waiting" }));
    assert_eq!(endpoint.connections(), 0, "nothing is sent before somebody delivers");
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();

    let received = endpoint.received();
    assert_eq!(received.len(), 1);
    let first = &received[0];
    assert!(first.is_proved && first.line == "POST /hooks?token=canary-9f HTTP/1.1", "{first:?}");
    assert_eq!((first.header("webhook-id"), first.header("x-api-key")), ("msg_1", "canary-key"));
    assert_eq!(first.header("content-type"), "application/json");
    assert!(first.header("user-agent").starts_with("connector-webhook/"));
    assert_eq!(first.body, r#"{"n":1,"text":"é🦌"}"#);

    let told = world.deliveries().await;
    assert_eq!(told.len(), 1);
    let origin = format!("http://{}", endpoint.address);
    assert_eq!(
        (&told[0]["id"], &told[0]["status"], &told[0]["type"]),
        (&json!("msg_1"), &json!("delivered"), &json!("invoice.paid"))
    );
    assert_eq!((&told[0]["url"], &told[0]["attempts"]), (&json!(origin), &json!(1)));
    assert_eq!(told[0]["answer"], json!({ "status": 204 }));
    assert!(!told[0].to_string().contains("canary"), "{}", told[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_is_the_same_message_wherever_it_is_and_another_message_is_refused() {
    let (endpoint, world) = World::start().await;
    for _ in 0..3 {
        assert_eq!(world.send("a").await.status, ActionStatus::Accepted);
    }
    let other = json!({ "id": "a", "payload": { "n": "other" } });
    let error = world.sender().act("send", other.clone()).await.unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("`id`"), "{error}");
    let running = world.run().await;
    running.drained().await;
    let again = world.send("a").await;
    assert_eq!((again.status, &again.output["state"]), (ActionStatus::Succeeded, &json!("delivered")));
    assert_eq!(world.sender().act("send", other).await.unwrap_err().class(), Class::Config);
    endpoint.always(super::endpoint::Reply::status(400));
    world.send("b").await;
    until("it is tried", || endpoint.count() == 2).await;
    running.drained().await;
    let dead = world.send("b").await;
    assert_eq!((dead.status, &dead.output["state"]), (ActionStatus::Failed, &json!("dead")));
    assert_eq!(dead.error.unwrap().class(), Class::Permanent);
    running.stop().await.unwrap();
    assert_eq!(endpoint.ids(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_id_the_key_decides_which_message_it_is() {
    let (endpoint, world) = World::start().await;
    let process = world.sender();
    let ask = async |key: Option<&str>| {
        let mut request = ActionRequest::new("send", json!({ "payload": 1 }));
        if let Some(key) = key {
            request = request.with_idempotency_key(key);
        }
        bounded(process.sender.act(&process.cx, request)).await.unwrap().output["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ids = [
        ask(Some("k 1.5")).await,
        ask(Some("k 1.5")).await,
        ask(Some("k2")).await,
        ask(None).await,
        ask(None).await,
    ];
    assert_eq!(ids[0], ids[1]);
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), 4, "{ids:?}");
    let running = world.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!(endpoint.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_a_message_is_refused_and_nothing_is_kept() {
    let (_endpoint, world) = World::start().await;
    let process = world.sender();
    for (input, field) in [
        (json!({}), "payload"),
        (json!({ "payload": 1, "body": "1" }), "payload"),
        (json!({ "payload": 1, "id": "a.b" }), "id"),
        (json!({ "payload": 1, "id": "" }), "id"),
        (json!({ "payload": 1, "id": "a b" }), "id"),
        (json!({ "payload": 1, "id": "é" }), "id"),
        (json!({ "payload": 1, "id": "x".repeat(256) }), "id"),
        (json!({ "payload": 1, "type": "a\u{7}" }), "type"),
        (json!({ "body": "1", "content_type": "a\r\nX: y" }), "content_type"),
        (json!({ "body_base64": "?" }), "body_base64"),
        (json!({ "body": "x".repeat(33 << 20) }), "payload"),
    ] {
        let error = process.act("send", input).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.message().contains(&format!("`{field}`")), "{field}: {error}");
    }
    for name in ["replay", "nonsense"] {
        assert!(process.act(name, json!({})).await.is_err());
    }
    let unknown = process.act("replay", json!({ "id": "unknown" })).await.unwrap_err();
    assert_eq!(unknown.class(), Class::Permanent);
    assert_eq!(world.standing().await["waiting"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_processes_put_messages_in_while_one_delivers_and_each_arrives_once() {
    let (endpoint, world) = World::start().await;
    let running = world.run().await;
    let mut tasks = tokio::task::JoinSet::new();
    for place in 0..6 {
        let process = world.sender();
        // Each message by two of them.
        tasks.spawn(async move {
            for number in 0..20 {
                let id = format!("m{}-{number}", place / 2);
                let status = process.send(&id).await.status;
                assert!(matches!(status, ActionStatus::Accepted | ActionStatus::Succeeded), "{status:?}");
            }
        });
    }
    bounded(async { while tasks.join_next().await.transpose().unwrap().is_some() {} }).await;
    running.drained().await;
    until("all have arrived", || endpoint.count() >= 60).await;
    running.stop().await.unwrap();
    let mut ids = endpoint.ids();
    ids.sort_unstable();
    let before = ids.len();
    ids.dedup();
    assert_eq!((ids.len(), before), (60, 60));
    assert_eq!(world.deliveries().await.len(), 60);
    assert_eq!(world.standing().await["bytes"], 0, "the books are even");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_outbox_takes_nothing_until_something_was_delivered() {
    let (endpoint, world) = World::start().await;
    let world = world.with("outbox", json!({ "path": "outbox", "max_size": "1MiB" }));
    let process = world.sender();
    let big = |id: String| json!({ "id": id, "body": "x".repeat(200 << 10) });
    let mut taken = 0;
    let error = loop {
        match process.act("send", big(format!("m{taken}"))).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((taken, error.class()), (5, Class::Transient), "{error}");
    let again = process.act("send", big("m0".to_owned())).await.unwrap();
    assert_eq!(again.status, ActionStatus::Accepted, "what is there needs no room");
    let running = world.run().await;
    running.drained().await;
    until("there is room again", || endpoint.count() == 5).await;
    for _ in 0..200 {
        if process.act("send", big("more".to_owned())).await.is_ok() {
            return running.stop().await.unwrap();
        }
        super::support::moment(10).await;
    }
    panic!("there is never room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_while_a_message_is_put_in_never_makes_an_accepted_one() {
    let (_endpoint, mut world) = World::start().await;
    let memory = MemoryDisk::default();
    world.disk = Some(super::disks::TestDisk::shared(&memory));
    world.send("before").await;
    memory.plan(Plan { capacity: Some(memory.used()), ..Plan::default() });
    let error = world.sender().act("send", json!({ "id": "a", "payload": 1 })).await.unwrap_err();
    assert!(error.class() == Class::Transient && error.message().contains("full"), "{error}");
    memory.plan(Plan::default());
    assert_eq!(world.send("a").await.status, ActionStatus::Accepted);
    assert_eq!(world.standing().await["waiting"], 2);
}
