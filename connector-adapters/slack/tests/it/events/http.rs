//! The Events API, by HTTP.

use std::time::Duration;

use connector_host::report::RunStatus;
use connector_sdk::Class;
use connector_testkit::{
    clock::{FastClock, ManualClock},
    memory::Faults,
    slack::FakeWorkspace,
};
use serde_json::{Value, json};

use super::{World, bounded, message, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_slack_tells_arrives_as_it_came_and_the_run_ends_stopped() {
    let world = World::start().await;
    let mut running = world.listen().await;
    assert!(world.ws.verify(&running.url().await).await, "url_verification");
    let mut ids: Vec<_> = (0..30).map(|number| world.ws.push_event(message(number))).collect();
    // Types and fields that nobody knows.
    ids.push(world.ws.push_event(json!({ "type": "moon_landing_v9", "n": 1.5e300, "deep": [{}] })));
    world.acknowledged(&ids).await;
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    assert!(report.error.is_none());
    assert_eq!(report.totals.records, 31);
    world.assert_once(ids);
    for standing in world.bronze() {
        let record: Value = serde_json::from_str(&standing.record).unwrap();
        assert_eq!(record["type"], "event_callback");
        assert_eq!(standing.partition.as_str(), "events");
    }
    let first_try =
        world.ws.deliveries().iter().filter(|sent| sent.attempt == 0 && sent.status == Some(200)).count();
    assert_eq!(first_try, 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_the_body_byte_for_byte() {
    let world = World::start().await;
    let mut running = world.listen().await;
    let url = running.url().await;
    let http = reqwest::Client::new();
    let send = |body: Vec<u8>| {
        let seconds = world.clock.now().as_millis() / 1000;
        let signature = world.ws.signature(seconds, &body);
        let request = http
            .post(&url)
            .header("X-Slack-Request-Timestamp", seconds.to_string())
            .header("X-Slack-Signature", signature)
            .body(body);
        async move { bounded(request.send()).await.unwrap().status().as_u16() }
    };
    let odd = r#"  {"b":1.50e+02,"event_id":"Ev\u0031","a":"\u00e9\/é🦌 ","event_time":1234567890 ,"n":123456789012345678901234567890 }"#;
    assert_eq!(send(odd.as_bytes().to_vec()).await, 200);
    assert_eq!(send(b"{\"event_id\":\"Ev2\",\"x\":\"\xff\"}".to_vec()).await, 400, "signed, and no text");
    assert_eq!(send(b"token=x&command=%2Fweather".to_vec()).await, 400, "a command is no event");
    assert_eq!(send(Vec::new()).await, 400);
    until("it is in Bronze", || !world.bronze().is_empty()).await;
    running.stop().await;
    assert_eq!(world.ids(), ["Ev1"]);
    assert_eq!(world.bronze()[0].record, odd.trim());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_rate_limited_is_kept_though_it_has_no_inner_event_and_no_id() {
    let world = World::start().await;
    let running = world.listen().await;
    world.ws.push_rate_limited(1_518_467_820);
    world.ws.push_rate_limited(1_518_467_820);
    world.ws.push_rate_limited(1_518_467_880);
    until("all are answered", || world.ws.deliveries().iter().filter(|sent| sent.acknowledged).count() == 3)
        .await;
    running.stop().await;
    assert_eq!(world.bronze().len(), 2, "the same minute twice is once: {:?}", world.ids());
    let record: Value = serde_json::from_str(&world.bronze()[0].record).unwrap();
    assert_eq!(record["type"], "app_rate_limited");
    assert!(record.get("event").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slack_is_answered_though_bronze_fails_and_the_next_run_has_what_was_answered() {
    let world = World::start().await;
    let running = world.listen().await;
    world.sink.set_faults(Faults { fail_commit_after: Some(0), ..Faults::default() });
    let ids: Vec<_> = (0..3).map(|number| world.ws.push_event(message(number))).collect();
    world.acknowledged(&ids).await;
    let report = running.end().await;
    assert_eq!(report.status, RunStatus::Failed, "a run that nobody reads for does not go on listening");
    assert!(world.bronze().is_empty());
    let running = world.listen().await;
    until("they are in Bronze", || world.bronze().len() == 3).await;
    running.stop().await;
    world.assert_once(ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_again_stands_once_also_across_restarts() {
    let world = World::start().await;
    let wrapper = json!({ "type": "event_callback", "event_id": "Ev7", "event_time": 1_234_567_890, "event": message(1) });
    for life in 1..=3 {
        let running = world.listen().await;
        let before = world.ws.deliveries().len();
        world.ws.push_wrapper(wrapper.clone());
        world.ws.push_wrapper(wrapper.clone());
        let own = world.ws.push_event(message(life));
        let answered =
            || world.ws.deliveries().iter().skip(before).filter(|sent| sent.acknowledged).count() == 3;
        until("all are answered", answered).await;
        let report = running.stop().await;
        assert_eq!(report.status, RunStatus::Stopped);
        assert!(world.ids().contains(&own));
        assert_eq!(world.ids().len(), life + 1, "{:?}", world.ids());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_slack_sends_again_because_it_was_refused_is_taken_when_it_comes() {
    // The vendor's clock goes on by hand: no answer of ours is too late, however slow the machine is.
    let world = World::start().await;
    let clock = ManualClock::at(world.clock.now());
    let ws = FakeWorkspace::builder().channels(1).clock(clock.shared()).start().await.unwrap();
    let world = World { ws, ..world };
    let running = world.listen().await;
    let secret = world.ws.signing_secret();
    world.ws.change_signing_secret("not ours");
    let id = world.ws.push_event(message(1));
    until("it was refused twice", || {
        world.ws.deliveries().iter().filter(|sent| sent.status == Some(401)).count() == 2
    })
    .await;
    world.ws.change_signing_secret(secret);
    until("the vendor waits for its next attempt", || clock.sleepers() > 0).await;
    clock.advance(Duration::from_secs(60));
    world.acknowledged(std::slice::from_ref(&id)).await;
    running.stop().await;
    let log = world.ws.deliveries();
    let (taken, refused) = log.split_last().unwrap();
    assert_eq!((taken.status, taken.acknowledged), (Some(200), true), "{log:?}");
    assert!(!refused.is_empty());
    assert!(refused.iter().all(|sent| sent.status == Some(401) && !sent.acknowledged), "{log:?}");
    world.assert_once(vec![id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_is_a_mistake_of_the_configuration() {
    let world = World::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = world.http();
    config["listen"] = json!(taken.local_addr().unwrap().to_string());
    let report = world.run(&config).end().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.error.unwrap().class(), Class::Config);
}

/// A state that names another journal: positions of it mean nothing here, and nothing here is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_moved_away_is_begun_anew() {
    let world = World::start().await;
    let mut all = Vec::new();
    for life in 0..2 {
        let running = world.listen().await;
        let ids: Vec<_> = (0..5 - life).map(|number| world.ws.push_event(message(number))).collect();
        world.acknowledged(&ids).await;
        running.stop().await;
        all.extend(ids);
        let journal = world.folder.path().join("journal");
        std::fs::rename(&journal, world.folder.path().join(format!("old {life}"))).unwrap();
    }
    world.assert_once(all);
}

/// One who waits for ever holds up neither the others nor the stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_hangs_does_not_hold_up_the_stop() {
    let world = World::by(FastClock::shared(), FakeWorkspace::builder()).await;
    let mut running = world.listen().await;
    let address = running.url().await;
    let address = address.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let mut hanging = bounded(tokio::net::TcpStream::connect(address)).await.unwrap();
    let half = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
    bounded(tokio::io::AsyncWriteExt::write_all(&mut hanging, half)).await.unwrap();
    let id = world.ws.push_event(message(1));
    world.acknowledged(std::slice::from_ref(&id)).await;
    // It ends though the sender still hangs; how soon depends on the machine.
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped);
    drop(hanging);
    world.assert_once(vec![id]);
}
