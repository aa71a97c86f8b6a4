//! Fake senders of webhooks, and the fake receiver.

use std::time::Duration;

use connector_sdk::{Clock, Timestamp};
use connector_testkit::{
    clock::ManualClock,
    fault::Fault,
    webhook::{Event, FakeReceiver, FakeSender, Fate, Kind},
};
use serde_json::json;

const T0: i64 = 1_800_000_000_000;

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(T0))
}

async fn pair(kind: Kind) -> (ManualClock, FakeReceiver, FakeSender) {
    let clock = clock();
    let receiver = FakeReceiver::start(kind, kind.secret(), clock.shared()).await.unwrap();
    let sender = FakeSender::new(kind, kind.secret(), clock.shared());
    (clock, receiver, sender)
}

#[expect(clippy::disallowed_methods, reason = "a test that hangs must end")]
async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

/// Delivers an event, and moves the clock whenever nothing but a wait is left. Answers its fate, and at which second each
/// attempt was sent.
async fn deliver(
    clock: &ManualClock,
    receiver: &FakeReceiver,
    sender: &FakeSender,
    event: &Event,
) -> (Fate, Vec<i64>) {
    let before = sender.deliveries().len();
    let moved = async {
        loop {
            // Every attempt that was begun is answered: what sleeps waits for the next.
            let settled = || sender.deliveries().iter().all(|delivery| delivery.status.is_some());
            while !settled() {
                connector_sdk::SystemClock::new().sleep(Duration::from_millis(1)).await;
            }
            connector_sdk::SystemClock::new().sleep(Duration::from_millis(5)).await;
            if settled() {
                clock.advance_to_next();
            }
        }
    };
    let fate = bounded(async {
        tokio::select! { fate = sender.deliver(receiver.url(), event) => fate, () = moved => unreachable!() }
    })
    .await;
    let deliveries = sender.deliveries();
    (fate, deliveries[before..].iter().map(|delivery| (delivery.at - T0) / 1000).collect())
}

#[tokio::test]
async fn every_kind_is_taken_by_its_receiver_and_nobody_elses() {
    for kind in Kind::ALL {
        let (clock, receiver, sender) = pair(kind).await;
        let event = sender.event(json!({ "n": 1 }));
        assert_eq!(sender.attempt(receiver.url(), &event, 0).await.unwrap().status, 200, "{kind:?}");
        assert_eq!(receiver.taken(), std::slice::from_ref(&event.id));
        if kind == Kind::None {
            continue;
        }
        let stranger = FakeSender::new(kind, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", clock.shared());
        assert_eq!(stranger.attempt(receiver.url(), &event, 0).await.unwrap().status, 401, "{kind:?}");
        // While the secret is changed both are good.
        receiver.change_secrets(&["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", kind.secret()]);
        assert_eq!(stranger.attempt(receiver.url(), &event, 0).await.unwrap().status, 200, "{kind:?}");
        assert_eq!(receiver.taken(), [event.id], "the same event, once");
    }
}

#[tokio::test]
async fn what_was_signed_long_ago_or_for_another_body_is_not_proved() {
    let (clock, receiver, sender) = pair(Kind::StandardWebhooks).await;
    let event = sender.event(json!({ "n": 1 }));
    let headers = sender.headers(&event);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = async |body: Vec<u8>| {
        let request = http.post(receiver.url()).body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        bounded(request.send()).await.unwrap().status().as_u16()
    };
    assert_eq!(send(event.body.to_vec()).await, 200);
    assert_eq!(send(b"{}".to_vec()).await, 401);
    clock.advance(Duration::from_secs(301));
    assert_eq!(send(event.body.to_vec()).await, 401);
    assert_eq!(receiver.count(), 3);
    assert!(receiver.attempts()[2].proof.as_ref().unwrap_err().contains("301 s"));
}

#[tokio::test]
async fn each_vendor_sends_again_when_its_pages_say() {
    let standard =
        [0, 5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105].map(i64::from).to_vec();
    for (kind, expected, fate) in [
        (Kind::Slack, vec![0, 0, 60, 360], Fate::GivenUp),
        (Kind::Github, vec![0], Fate::GivenUp),
        (Kind::Shopify, vec![0, 56, 168, 392, 840, 1_736, 3_528, 7_112, 14_280], Fate::Unsubscribed),
        (Kind::StandardWebhooks, standard.clone(), Fate::Unsubscribed),
        (Kind::Svix, standard, Fate::Unsubscribed),
    ] {
        let (clock, receiver, sender) = pair(kind).await;
        receiver.faults().on("").always().then(Fault::status(500));
        let event = sender.event(json!({}));
        assert_eq!(deliver(&clock, &receiver, &sender, &event).await, (fate, expected), "{kind:?}");
        assert_eq!(sender.is_subscribed(), fate != Fate::Unsubscribed);
        // Each attempt is signed anew: it is proved whenever it comes.
        assert!(receiver.attempts().iter().all(|attempt| attempt.proof.as_deref() == Ok(event.id.as_str())));
        assert_eq!(receiver.taken(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn slack_says_which_retry_it_is_and_heeds_who_wants_none() {
    let (clock, receiver, sender) = pair(Kind::Slack).await;
    receiver.faults().on("").times(2).then(Fault::status(500));
    let event = sender.event(json!({}));
    assert_eq!(deliver(&clock, &receiver, &sender, &event).await, (Fate::Delivered, vec![0, 0, 60]));
    let said: Vec<Option<String>> = receiver
        .attempts()
        .iter()
        .map(|attempt| {
            attempt.headers.get("x-slack-retry-num").map(|value| value.to_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(said, [None, Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(receiver.attempts()[1].headers["x-slack-retry-reason"], "http_error");
    receiver.faults().on("").then(Fault::status(500).with_header("X-Slack-No-Retry", "1"));
    let (fate, _) = deliver(&clock, &receiver, &sender, &sender.event(json!({}))).await;
    assert_eq!(fate, Fate::GivenUp);
}

#[tokio::test]
async fn a_sender_that_heeds_it_waits_as_long_as_it_is_asked_and_stops_at_410() {
    let (clock, receiver, sender) = pair(Kind::Svix).await;
    receiver.faults().on("").then(Fault::retry_after(429, "120"));
    let event = sender.event(json!({}));
    assert_eq!(deliver(&clock, &receiver, &sender, &event).await, (Fate::Delivered, vec![0, 120]));
    receiver.faults().on("").then(Fault::status(410));
    let (fate, _) = deliver(&clock, &receiver, &sender, &sender.event(json!({}))).await;
    assert_eq!((fate, sender.is_subscribed()), (Fate::Unsubscribed, false));
    let (fate, attempts) = deliver(&clock, &receiver, &sender, &event).await;
    assert_eq!((fate, attempts), (Fate::Unsubscribed, vec![]));
}

#[tokio::test]
async fn github_sends_the_same_delivery_again_by_hand_only() {
    let (_, receiver, sender) = pair(Kind::Github).await;
    receiver.faults().on("").then(Fault::ResetAfter { bytes: 0 });
    let event = sender.event(json!({ "action": "opened" }));
    sender.push_event(receiver.url(), event.clone());
    assert_eq!(bounded(sender.settled()).await, [Fate::GivenUp], "its answer was lost");
    sender.push_event(receiver.url(), event.clone());
    assert_eq!(bounded(sender.settled()).await, [Fate::Delivered]);
    let ids: Vec<String> = receiver.attempts().iter().map(|attempt| attempt.proof.clone().unwrap()).collect();
    assert_eq!(ids, [event.id.clone(), event.id.clone()]);
    assert_eq!(receiver.taken(), [event.id]);
}

#[tokio::test]
async fn a_vendor_that_is_not_answered_in_time_takes_it_for_lost() {
    let (clock, receiver, sender) = pair(Kind::Slack).await;
    receiver.faults().on("").then(Fault::Stall);
    let event = sender.event(json!({}));
    let waited = async {
        // The request has come, and nothing is said.
        while receiver.count() == 0 {
            connector_sdk::SystemClock::new().sleep(Duration::from_millis(1)).await;
        }
        clock.advance(Duration::from_secs(3));
        std::future::pending::<()>().await
    };
    let answer = bounded(async {
        tokio::select! { answer = sender.attempt(receiver.url(), &event, 0) => answer, () = waited => unreachable!() }
    })
    .await;
    assert_eq!(answer, None);
    assert_eq!((receiver.attempts()[0].status, receiver.taken().len()), (None, 0));
}

#[tokio::test]
async fn a_receiver_answers_as_badly_as_it_is_told() {
    let (_, receiver, sender) = pair(Kind::StandardWebhooks).await;
    let event = sender.event(json!({}));
    let redirect = Fault::status(307).with_header("Location", "http://127.0.0.1:1/");
    for (fault, status) in [
        (Fault::status(500), Some(500)),
        (Fault::retry_after(429, "7"), Some(429)),
        (Fault::status(410), Some(410)),
        (redirect, Some(307)),
        (Fault::ResetBefore, None),
        (Fault::SlowBody { bytes: 1, every: Duration::from_millis(1) }, Some(200)),
    ] {
        receiver.faults().on("").then(fault.clone());
        let answered = bounded(sender.attempt(receiver.url(), &event, 0)).await;
        assert_eq!(answered.map(|answered| answered.status), status, "{fault:?}");
    }
    receiver.answer_without_end(1);
    let answered = bounded(sender.attempt(receiver.url(), &event, 0)).await.unwrap();
    assert!(answered.body.len() > 1 << 19, "as much as anybody reads");
    assert_eq!(receiver.count(), 7);
}
