//! Senders with the ways of their vendors, and what of theirs is in Bronze.

use std::collections::BTreeSet;

use connector_sdk::SystemClock;
use connector_testkit::webhook::{Event, FakeSender, Fate, Kind};
use http::HeaderValue;
use serde_json::{Value, json};

use super::{World, bounded, until};

/// A receiver with an endpoint for each vendor, under its name.
fn config() -> Value {
    let endpoints = Kind::ALL.map(|kind| {
        let mut endpoint = kind.settings(&[kind.secret()]);
        endpoint["path"] = format!("/{}", kind.name()).into();
        endpoint
    });
    json!({ "listen": "127.0.0.1:0", "journal": { "path": "journal" }, "endpoints": endpoints })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_each_vendor_delivers_stands_once_under_the_vendors_own_id() {
    let world = World::new();
    let mut running = world.run(&config());
    let base = running.url("").await;
    let mut expected = BTreeSet::new();
    for kind in Kind::ALL {
        let url = format!("{base}/{}", kind.name());
        let sender = FakeSender::new(kind, kind.secret(), SystemClock::shared());
        for number in 0..3 {
            let event = sender.event(json!({ "n": number, "é": "🦌" }));
            // Again, as after an answer that was lost: signed anew, and the same event.
            for _ in 0..2 {
                assert_eq!(bounded(sender.deliver(&url, &event)).await, Fate::Delivered, "{kind:?}");
            }
            expected.insert((format!("/{}", kind.name()), event.id));
        }
        // Of a stranger nothing stands.
        if kind != Kind::None {
            let stranger = FakeSender::new(kind, other(kind), SystemClock::shared());
            let answer = bounded(stranger.attempt(&url, &stranger.event(json!({})), 0)).await.unwrap();
            assert_eq!(answer.status, 401, "{kind:?}");
        }
    }
    until("they are in Bronze", || world.bronze().len() >= expected.len()).await;
    running.stop().await;
    let stands = world.records();
    let ids = stands.iter().map(|record| {
        let text = |field: &str| record[field].as_str().unwrap().to_owned();
        assert_eq!(format!("/{}", text("scheme")), text("endpoint"));
        (text("endpoint"), text("id"))
    });
    assert_eq!(stands.len(), expected.len(), "each once");
    assert_eq!(ids.collect::<BTreeSet<_>>(), expected);
    let canary = ["b34r3r", "v1,", "sha256=", "v0="];
    for standing in world.bronze() {
        assert!(!canary.iter().any(|secret| standing.record.contains(secret)), "{}", standing.record);
    }
}

/// A secret of somebody else's.
fn other(kind: Kind) -> &'static str {
    if kind == Kind::Basic { "hook:another" } else { "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_84_a_signature_beyond_ascii_is_malformed_and_no_fault_of_ours() {
    let world = World::new();
    let mut running = world.run(&config());
    let base = running.url("").await;
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::None) {
        let sender = FakeSender::new(kind, kind.secret(), SystemClock::shared());
        let event = sender.event(json!({}));
        for odd in [&b"\xff"[..], "é".as_bytes(), "\u{2028}".as_bytes()] {
            let mut request = world.http.post(format!("{base}/{}", kind.name())).body(event.body.clone());
            for (name, value) in sender.headers(&event) {
                let proves = name.to_lowercase().ends_with("signature")
                    || ["Authorization", "X-Hub-Signature-256", "X-Shopify-Hmac-SHA256"].contains(&name);
                let value = [value.as_bytes(), if proves { odd } else { b"" }].concat();
                request = request.header(name, HeaderValue::from_bytes(&value).unwrap());
            }
            assert_eq!(bounded(request.send()).await.unwrap().status().as_u16(), 400, "{kind:?} {odd:?}");
        }
    }
    running.stop().await;
    assert_eq!(world.bronze().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_89_a_secret_that_was_changed_is_taken_at_once_and_the_old_one_no_more() {
    let world = World::new();
    let with = |secrets: &[&str]| {
        let mut endpoint = Kind::Github.settings(secrets);
        endpoint["path"] = "/in".into();
        json!({ "listen": "127.0.0.1:0", "journal": { "path": "journal" }, "endpoints": [endpoint] })
    };
    let senders = ["old", "new"].map(|secret| FakeSender::new(Kind::Github, secret, SystemClock::shared()));
    for (takes, statuses) in
        [(&["old"][..], [200, 401]), (&["new", "old"], [200, 200]), (&["new"], [401, 200])]
    {
        let mut running = world.run(&with(takes));
        let url = running.url("/in").await;
        for (sender, status) in senders.iter().zip(statuses) {
            let event = sender.event(json!({ "takes": takes }));
            assert_eq!(bounded(sender.attempt(&url, &event, 0)).await.unwrap().status, status, "{takes:?}");
        }
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_asks_whether_this_is_a_receiver_and_nothing_stands_of_it() {
    let world = World::new();
    let mut running = world.run(&config());
    let url = running.url("/slack").await;
    let sender = FakeSender::new(Kind::Slack, Kind::Slack.secret(), SystemClock::shared());
    let question = Event::new("", "application/json", r#"{"type":"url_verification","challenge":"3eZbrw"}"#);
    let answer = bounded(sender.attempt(&url, &question, 0)).await.unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &b"3eZbrw"[..]));
    // A command is a form: it is kept, told apart by what it says.
    let command = Event::new("", "application/x-www-form-urlencoded", "command=%2Fweather&text=94070");
    assert_eq!(bounded(sender.deliver(&url, &command)).await, Fate::Delivered);
    until("it is in Bronze", || world.bronze().len() == 1).await;
    running.stop().await;
    assert_eq!(world.records()[0]["body"], "command=%2Fweather&text=94070");
}
