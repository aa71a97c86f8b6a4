//! What senders are answered, by the real receiver over a real socket.

use std::time::Duration;

use connector_host::report::RunStatus;
use connector_sdk::{Class, Clock as _, SystemClock};
use connector_testkit::{clock::FastClock, memory::Faults};
use serde_json::json;

use super::{SECRET, World, github, hub, mac, until};

/// A path, headers and a body, and the status that they are answered with.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_has_its_status_and_nothing_of_it_is_kept() {
    let world = World::new();
    let config = github(json!({
        "max_body": 1000,
        "endpoints": [
            { "path": "/in", "scheme": "github", "secrets": [SECRET] },
            { "path": "/standard", "scheme": "standard-webhooks", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] },
            { "path": "/stripe", "scheme": "stripe", "secrets": ["whsec_test"] },
            { "path": "/mac", "scheme": "hmac", "secrets": ["s"], "hmac": { "header": "X-Mac" } },
            { "path": "/bearer", "scheme": "bearer", "secrets": ["a-token"] },
            { "path": "/basic", "scheme": "basic", "secrets": ["name:password"] },
            { "path": "/old", "removed": true },
        ],
    }));
    let mut running = world.run(&config);
    let base = running.url("").await;
    let good = hub(SECRET, b"{}");
    let long = vec![b'x'; 1001];
    let old = format!("t=1,v1={}", mac("whsec_test", b"1.{}"));
    const ID: (&str, &str) = ("X-GitHub-Delivery", "1");
    let cases: &[Case<'_>] = &[
        ("/in", &[ID, ("X-Hub-Signature-256", &good)], b"{}", 200),
        ("/in", &[ID], b"{}", 401),
        ("/in", &[("X-Hub-Signature-256", &good)], b"{}", 401),
        ("/in", &[ID, ("X-Hub-Signature-256", &good)], b"{ }", 401),
        ("/in", &[ID, ("X-Hub-Signature-256", &hub("another", b"{}"))], b"{}", 401),
        ("/in", &[ID, ("X-Hub-Signature-256", "sha256=zz")], b"{}", 400),
        ("/in", &[ID, ("X-Hub-Signature-256", &good), ("X-Hub-Signature-256", &good)], b"{}", 400),
        ("/in", &[ID, ("X-Hub-Signature-256", &good), ("Content-Encoding", "gzip")], b"{}", 415),
        ("/in", &[ID, ("X-Hub-Signature-256", &hub(SECRET, &long))], &long, 413),
        ("/in/", &[ID, ("X-Hub-Signature-256", &good)], b"{}", 404),
        ("/IN", &[ID, ("X-Hub-Signature-256", &good)], b"{}", 404),
        ("/%69n", &[ID, ("X-Hub-Signature-256", &good)], b"{}", 404),
        ("/", &[], b"{}", 404),
        ("/old", &[ID, ("X-Hub-Signature-256", &good)], b"{}", 410),
        ("/standard", &[], b"{}", 401),
        ("/stripe", &[("Stripe-Signature", &old)], b"{}", 401),
        ("/mac", &[("X-Mac", "00")], b"{}", 400),
        ("/bearer", &[("Authorization", "Bearer another")], b"{}", 401),
        ("/basic", &[("Authorization", "Basic bm9ib2R5")], b"{}", 400),
    ];
    for (path, headers, body, status) in cases {
        let answer = world.send(&format!("{base}{path}"), headers, body).await;
        assert_eq!(answer.status().as_u16(), *status, "{path} {headers:?}");
    }
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::OPTIONS] {
        let answer = world.http.request(method, format!("{base}/in")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()));
    }
    let report = running.stop().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    let kept: Vec<_> = world.records().into_iter().filter(|record| !record.is_null()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_over_its_rate_is_told_when_to_come_again_and_strangers_use_nothing_up() {
    let world = World::new();
    let mut running = world.run(&github(json!({ "rate": { "per_second": 1, "burst": 3 } })));
    let url = running.url("/in").await;
    for _ in 0..10 {
        assert_eq!(world.send(&url, &[], b"{}").await.status().as_u16(), 401);
    }
    let mut statuses = Vec::new();
    for number in 0..5 {
        let body = b"{}";
        let headers =
            [("X-GitHub-Delivery", &*format!("d{number}")), ("X-Hub-Signature-256", &*hub(SECRET, body))];
        let answer = world.send(&url, &headers, body).await;
        if answer.status().as_u16() == 429 {
            let seconds: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=2).contains(&seconds), "{seconds}");
        }
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses[..3], [200; 3]);
    assert_eq!(statuses[4], 429, "{statuses:?}");
    running.stop().await;
    assert_eq!(world.ids().len(), statuses.iter().filter(|status| **status == 200).count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_is_full_is_said_and_takes_again_when_bronze_has_what_is_in_it() {
    let world = World::new();
    let config =
        github(json!({ "max_body": "128KiB", "journal": { "path": "journal", "max_size": "1MiB" } }));
    let mut running = world.run(&config);
    let url = running.url("/in").await;
    world.sink.set_faults(Faults { fail_commit_after: Some(0), ..Faults::default() });
    let body = vec![b'x'; 100 << 10];
    let mut taken = Vec::new();
    let answer = loop {
        let id = format!("d{}", taken.len());
        let headers = [("X-GitHub-Delivery", &*id), ("X-Hub-Signature-256", &*hub(SECRET, &body))];
        let Ok(answer) = world
            .http
            .post(&url)
            .body(body.clone())
            .header(headers[0].0, headers[0].1)
            .header(headers[1].0, headers[1].1)
            .send()
            .await
        else {
            break None;
        };
        if answer.status().as_u16() != 200 {
            break Some(answer);
        }
        taken.push(id);
    };
    if let Some(answer) = answer {
        assert_eq!(answer.status().as_u16(), 503);
        assert!(answer.headers().contains_key("retry-after"));
    }
    let report = running.end().await;
    assert_eq!(report.status, RunStatus::Failed);
    world.sink.set_faults(Faults::default());
    let mut running = world.run(&config);
    let url = running.url("/in").await;
    until("they are in Bronze", || world.bronze().len() >= taken.len()).await;
    // It is in Bronze a moment before the journal has given it up.
    for _ in 0..1_000 {
        match world.push(&url, "later", &body).await {
            503 => SystemClock::new().sleep(Duration::from_millis(5)).await,
            status => {
                assert_eq!(status, 200);
                break;
            }
        }
    }
    running.stop().await;
    taken.push("later".to_owned());
    assert_eq!(world.ids(), taken);
}

/// One who hangs holds up neither the others nor the stop; who was answered is in Bronze when it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_stop_all_that_was_answered_is_in_bronze_and_who_hangs_is_not_waited_for() {
    let world = World::of("acme", "hooks", FastClock::shared());
    let mut running = world.run(&github(json!({})));
    let (address, url) = (running.address().await, running.url("/in").await);
    let mut hanging = tokio::net::TcpStream::connect(address).await.unwrap();
    let half = b"POST /in HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
    tokio::io::AsyncWriteExt::write_all(&mut hanging, half).await.unwrap();
    let stop = running.stop.clone();
    let sending = async {
        let mut answered = Vec::new();
        for number in 0.. {
            let id = format!("d{number}");
            let headers = [("X-GitHub-Delivery", id.clone()), ("X-Hub-Signature-256", hub(SECRET, b"{}"))];
            let request = headers
                .into_iter()
                .fold(world.http.post(&url).body("{}"), |request, (name, value)| request.header(name, value));
            match request.send().await {
                Ok(answer) if answer.status().is_success() => answered.push(id),
                _ => break,
            }
        }
        answered
    };
    let stopping = async {
        SystemClock::new().sleep(Duration::from_millis(300)).await;
        stop.cancel();
    };
    let (answered, ()) = tokio::join!(sending, stopping);
    let report = running.end().await;
    assert_eq!(report.status, RunStatus::Stopped, "{:?}", report.error);
    assert!(!answered.is_empty());
    let ids = world.ids();
    assert_eq!(ids[..answered.len()], answered[..], "what was answered stands, once and in order");
    assert!(ids.len() <= answered.len() + 1, "one more at most, whose answer was not heard");
    drop(hanging);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_is_a_mistake_of_the_configuration() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let report = world.run(&github(json!({ "listen": listen }))).end().await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.error.unwrap().class(), Class::Config);
}
