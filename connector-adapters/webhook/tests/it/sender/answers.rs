//! What an endpoint answers, and what does not come at all.

use std::time::Duration;

use connector_sdk::{SystemClock, contract::ActionStatus};
use serde_json::json;

use super::{
    endpoint::{Endpoint, Reply},
    support::{World, until},
};

/// A sender that tries twice, at once and after a while.
fn twice(world: World) -> World {
    world.with("schedule", json!(["0s", "100ms"])).with("timeout", json!("1s"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_status_means_what_it_should_and_only_2xx_is_success() {
    let (endpoint, world) = World::start().await;
    let world = twice(world).with("ordered", json!(true));
    let running = world.run().await;
    let mut expected = 0;
    for status in [
        200, 201, 202, 204, 206, 226, 299, 300, 304, 306, 400, 401, 403, 404, 405, 408, 409, 413, 422, 425,
        429, 451, 499, 500, 501, 502, 503, 504, 599,
    ] {
        endpoint.always(Reply::status(status));
        let id = format!("s{status}");
        running.process.send(&id).await;
        expected += match status {
            200..=299 | 400..=407 | 409..=424 | 426..=428 | 430..=499 => 1,
            _ => 2,
        };
        until(&format!("{status} is settled"), || endpoint.count() >= expected).await;
        running.drained().await;
        assert_eq!(endpoint.count(), expected, "{status}");
        let state = running.process.send(&id).await;
        let is_delivered = (200..300).contains(&status);
        let expected = if is_delivered { ActionStatus::Succeeded } else { ActionStatus::Failed };
        assert_eq!(state.status, expected, "{status}");
    }
    running.stop().await.unwrap();
    let told = world.deliveries().await;
    assert!(told.iter().all(
        |told| (told["status"] == "delivered") == (told["answer"]["status"].as_u64().unwrap() / 100 == 2)
    ));
    assert!(told.iter().any(|told| told["reason"] == "the endpoint answered 404"), "{told:?}");
    assert!(told.iter().any(|told| told["reason"] == "given up after 2 attempts: the endpoint answered 500"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_else_is_refused_is_tried_again_where_the_configuration_says_so() {
    let (endpoint, world) = World::start().await;
    let world = twice(world).with("retry_4xx", json!(true));
    endpoint.then([Reply::status(404)]);
    let running = world.run().await;
    running.process.send("m").await;
    until("it is tried again", || endpoint.count() == 2).await;
    running.drained().await;
    assert_eq!(running.process.send("m").await.status, ActionStatus::Succeeded);
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_is_followed_wherever_it_points() {
    let (endpoint, world) = World::start().await;
    let victim = Endpoint::start(SystemClock::shared()).await;
    let world = twice(world).with("ordered", json!(true));
    let running = world.run().await;
    let mut expected = 0;
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for to in [victim.url(), "/elsewhere".to_owned(), endpoint.url(), "//evil.example/".to_owned()] {
            let head = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            endpoint.always(Reply::Raw(head.into_bytes()));
            running.process.send(&format!("m{expected}")).await;
            expected += 2;
            running.drained().await;
            assert_eq!(endpoint.count(), expected, "{status} {to}");
        }
    }
    running.stop().await.unwrap();
    assert!(endpoint.received().iter().all(|received| received.line.starts_with("POST /hooks")));
    assert_eq!(victim.connections(), 0);
    assert!(world.deliveries().await.iter().all(|told| told["status"] == "dead"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_has_said_2xx_is_one_whatever_comes_of_its_body() {
    let ok = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n").into_bytes();
    for (reply, body, cut) in [
        (Reply::Drip(ok("content-length: 100000\r\n"), Duration::from_millis(10)), None, false),
        (Reply::Drip(ok("connection: close\r\n"), Duration::from_millis(10)), None, false),
        (Reply::Endless(ok("connection: close\r\n")), Some("xxxxxxxxxx"), true),
        (Reply::Endless(ok("content-length: 100000000000\r\n")), Some("xxxxxxxxxx"), true),
        (Reply::Reset(ok("content-length: 50\r\n")), None, false),
        (Reply::Raw(ok("content-length: 50\r\n\r\nhalf")), None, false),
        (Reply::Raw(ok("transfer-encoding: chunked\r\n\r\nZZ\r\n")), None, false),
        (Reply::Raw(ok("content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f")), None, false),
    ] {
        let (endpoint, world) = World::start().await;
        let world = twice(world).with("max_response", json!(10));
        endpoint.always(reply.clone());
        let running = world.run().await;
        running.process.send("m").await;
        running.drained().await;
        assert_eq!(running.process.send("m").await.status, ActionStatus::Succeeded, "{reply:?}");
        assert_eq!(endpoint.count(), 1, "{reply:?}");
        running.stop().await.unwrap();
        let told = world.deliveries().await;
        assert!(told[0]["tries"][0]["took_ms"].as_u64().unwrap() < 2_000, "{}", told[0]);
        if let Some(body) = body {
            assert_eq!(told[0]["answer"], json!({ "status": 200, "body": body, "cut": cut }));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_answer_is_tried_again_and_takes_no_longer_than_it_may() {
    let head = |bytes: &str| bytes.as_bytes().to_vec();
    for reply in [
        Reply::Silent,
        Reply::Reset(Vec::new()),
        Reply::Reset(head("HTTP/1.1 200")),
        Reply::Raw(head("\r\n")),
        Reply::Raw(head("SSH-2.0-OpenSSH_9.2\r\n")),
        Reply::Raw(head("HTTP/1.1 abc\r\n\r\n")),
        Reply::Drip(head("HTTP/1.1 200 OK\r\nx-slow: "), Duration::from_millis(20)),
        Reply::Endless(head("HTTP/1.1 200 OK\r\nx-long: ")),
        Reply::Slow(200, Duration::from_secs(5)),
    ] {
        let (endpoint, world) = World::start().await;
        let world = twice(world);
        endpoint.then([reply.clone()]);
        let running = world.run().await;
        running.process.send("m").await;
        until(&format!("it is tried again after {reply:?}"), || endpoint.count() == 2).await;
        running.drained().await;
        running.stop().await.unwrap();
        let told = world.deliveries().await;
        assert_eq!((&told[0]["status"], &told[0]["attempts"]), (&json!("delivered"), &json!(2)), "{reply:?}");
        assert!(told[0]["tries"][0]["took_ms"].as_u64().unwrap() < 2_500, "{reply:?} {}", told[0]);
        assert!(!told[0].to_string().contains("canary"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_down_is_left_alone_and_each_message_arrives_when_it_is_back() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let world = World::new(connector_testkit::clock::FastClock::shared(), &format!("http://{address}/hooks"));
    let schedule: Vec<&str> = std::iter::once("0s").chain(std::iter::repeat_n("1s", 40)).collect();
    let world = world.with("schedule", json!(schedule));
    let process = world.sender();
    process.accepted((0..40).map(|number| format!("m{number}"))).await;
    let running = process.run().await;
    // A minute by the sender's clock: the breaker opens after 5 failures, for 30 s.
    super::support::moment(3_000).await;
    let endpoint = Endpoint::at(&address.to_string(), std::sync::Arc::clone(&world.clock)).await;
    running.drained().await;
    running.stop().await.unwrap();
    let mut ids = endpoint.ids();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    let tries: usize =
        world.deliveries().await.iter().map(|told| told["tries"].as_array().unwrap().len() - 1).sum();
    assert!((5..20).contains(&tries), "{tries} attempts against an endpoint that was down for a minute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_under_way_than_may_be() {
    let (endpoint, world) = World::start().await;
    let world = world.with("concurrency", json!(3));
    endpoint.always(Reply::Slow(200, Duration::from_millis(20)));
    let process = world.sender();
    process.accepted((0..30).map(|number| format!("m{number}"))).await;
    let running = process.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!((endpoint.count(), endpoint.most_at_once()), (30, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_closes_connections_without_a_word_is_not_taken_for_one_that_fails() {
    let (endpoint, world) = World::start().await;
    let world = world.with("ordered", json!(true));
    endpoint.always(Reply::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
    let process = world.sender();
    process.accepted((0..60).map(|number| format!("m{number}"))).await;
    let running = process.run().await;
    running.drained().await;
    running.stop().await.unwrap();
    assert_eq!((endpoint.count(), endpoint.connections()), (60, 60));
}
