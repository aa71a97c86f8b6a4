//! Events by HTTP: signed, retried, and not for ever.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_testkit::slack::{Carrier, FakeWorkspace};
use connector_testkit::vendor::Vendor;
use connector_testkit::vendor::axum::body::Bytes;
use connector_testkit::vendor::axum::http::{HeaderMap, StatusCode};
use connector_testkit::vendor::axum::{Router, routing::post};
use serde_json::{Value, json};

use super::{builder, within};

type Got = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that answers these in turn, then 200 with the challenge.
async fn receiver(answers: &'static [(u16, bool)]) -> (Vendor, Got) {
    let got = Got::default();
    let seen = Arc::clone(&got);
    let router = Router::new().route(
        "/events",
        post(async move |headers: HeaderMap, body: Bytes| {
            let turn = {
                let mut got = seen.lock().unwrap();
                got.push((headers, body.clone()));
                got.len() - 1
            };
            let (status, no_retry) = answers.get(turn).copied().unwrap_or((200, false));
            let mut headers = HeaderMap::new();
            if no_retry {
                headers.insert("x-slack-no-retry", "1".parse().unwrap());
            }
            let wrapper: Value = serde_json::from_slice(&body).unwrap();
            let said = wrapper["challenge"].as_str().unwrap_or_default().to_owned();
            (StatusCode::from_u16(status).unwrap(), headers, said)
        }),
    );
    (Vendor::serve(router).await.unwrap(), got)
}

/// Lets the tasks go on until the receiver has got so many requests, and so many deliveries have an answer.
async fn settled(ws: &FakeWorkspace, got: &Got, requests: usize, answered: usize) {
    while got.lock().unwrap().len() < requests
        || ws.deliveries().iter().filter(|sent| sent.status.is_some()).count() < answered
    {
        tokio::task::yield_now().await;
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn an_event_is_signed_and_wrapped_and_a_receiver_proves_itself() {
    within(async {
        let (builder, _) = builder();
        let ws = builder.start().await.unwrap();
        let (vendor, got) = receiver(&[]).await;
        let url = format!("{}/events", vendor.url());
        assert!(ws.verify(&url).await);
        assert!(!ws.verify(&format!("{}/elsewhere", vendor.url())).await);
        ws.events_to(&url);
        let id = ws.push_event(json!({ "type": "message", "text": "hi" }));
        settled(&ws, &got, 2, 1).await;
        let (headers, body) = got.lock().unwrap()[1].clone();
        let seconds = header(&headers, "x-slack-request-timestamp").parse().unwrap();
        assert_eq!(seconds, ws.now() / 1000);
        assert_eq!(header(&headers, "x-slack-signature"), ws.signature(seconds, &body));
        assert_eq!(header(&headers, "x-slack-retry-num"), "");
        let wrapper: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (wrapper["event_id"].as_str(), wrapper["type"].as_str()),
            (Some(id.as_str()), Some("event_callback"))
        );
        assert_eq!(wrapper["authorizations"].as_array().unwrap().len(), 1);
        for field in ["token", "team_id", "api_app_id", "event", "event_time", "authed_users"] {
            assert!(!wrapper[field].is_null(), "{field}");
        }
        ws.push_rate_limited(1_518_467_820);
        settled(&ws, &got, 3, 2).await;
        let limited: Value = serde_json::from_slice(&got.lock().unwrap()[2].1).unwrap();
        assert_eq!((limited.get("event"), &limited["minute_rate_limited"]), (None, &1_518_467_820.into()));
        ws.shutdown().await;
    });
}

#[test]
fn a_failed_delivery_is_retried_at_once_after_a_minute_and_after_five() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        let (vendor, got) =
            receiver(&[(500, false), (503, false), (500, false), (500, false), (500, false)]).await;
        ws.events_to(format!("{}/events", vendor.url()));
        let id = ws.push_event(json!({ "type": "message" }));
        // With its answer a delivery is done with waiting for one: whoever sleeps then waits for the next attempt.
        let asleep = async || {
            while clock.sleepers() != 1 {
                tokio::task::yield_now().await;
            }
        };
        settled(&ws, &got, 2, 2).await;
        asleep().await;
        clock.advance(Duration::from_secs(59));
        asleep().await;
        assert_eq!(got.lock().unwrap().len(), 2);
        clock.advance(Duration::from_secs(1));
        settled(&ws, &got, 3, 3).await;
        asleep().await;
        clock.advance(Duration::from_secs(299));
        asleep().await;
        assert_eq!(got.lock().unwrap().len(), 3);
        clock.advance(Duration::from_secs(1));
        settled(&ws, &got, 4, 4).await;
        for _ in 0..20 {
            clock.advance(Duration::from_secs(600));
            tokio::task::yield_now().await;
        }
        let got = got.lock().unwrap().clone();
        assert_eq!(got.len(), 4);
        let retries: Vec<(&str, &str)> = got
            .iter()
            .map(|(headers, _)| {
                (header(headers, "x-slack-retry-num"), header(headers, "x-slack-retry-reason"))
            })
            .collect();
        assert_eq!(retries, [("", ""), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]);
        let sent = ws.deliveries();
        assert!(
            sent.iter()
                .all(|sent| sent.event_id == id && sent.carrier == Carrier::Http && !sent.acknowledged)
        );
        assert_eq!(sent.iter().map(|sent| sent.attempt).collect::<Vec<_>>(), [0, 1, 2, 3]);
        let after: Vec<i64> = sent.iter().map(|attempt| (attempt.at - sent[0].at) / 1000).collect();
        assert_eq!(after, [0, 0, 60, 360]);
        assert_eq!(sent[1].status, Some(503));
        ws.shutdown().await;
    });
}

#[test]
fn a_receiver_that_wants_no_retry_gets_none() {
    within(async {
        let (builder, clock) = builder();
        let ws = builder.start().await.unwrap();
        let (vendor, got) = receiver(&[(500, true)]).await;
        ws.events_to(format!("{}/events", vendor.url()));
        ws.push_event(json!({ "type": "message" }));
        settled(&ws, &got, 1, 1).await;
        for _ in 0..20 {
            clock.advance(Duration::from_secs(600));
            tokio::task::yield_now().await;
        }
        assert_eq!(got.lock().unwrap().len(), 1);
        ws.shutdown().await;
    });
}
