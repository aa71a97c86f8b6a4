//! The front end: versions, limits, addresses, and what every answer carries.

use std::time::Duration;

use connector_testkit::fault::{Fault, Matcher};
use connector_testkit::salesforce::{FakeOrg, Limits, Wire};

use super::client::{encoded, http, read};
use super::{Client, within};

#[test]
fn versions_are_told_to_anyone_and_without_limits() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        for path in ["/services/data", "/services/data/"] {
            let answer = read(http().get(format!("{}{path}", org.url()))).await.expect("an answer");
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("sforce-limit-info"), "");
            let list = answer.json();
            let spring =
                list.as_array().expect("list").iter().find(|entry| entry["version"] == "66.0").expect("v66");
            assert_eq!(spring["label"], "Spring '26");
            assert_eq!(spring["url"], "/services/data/v66.0");
            assert_eq!(list[0]["version"], "31.0");
            assert_eq!(list[0]["label"], "Summer '14");
        }
    });
}

#[test]
fn retired_versions_are_gone_and_old_ones_warn() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        for (version, status) in
            [("v21.0", 410), ("v30.0", 410), ("v31.0", 200), ("v67.0", 200), ("v99.0", 404), ("66.0", 404)]
        {
            let answer = client.get(&format!("/services/data/{version}/limits")).await;
            assert_eq!(answer.status, status, "{version}");
            assert_eq!(answer.header("warning").is_empty(), version != "v31.0", "{version}");
        }
    });
}

#[test]
fn resources_limits_and_unknown_paths() {
    within(async {
        let org = FakeOrg::builder()
            .limits(Limits { daily: 500, ..Limits::default() })
            .start()
            .await
            .expect("start");
        let client = Client::new(&org);
        let resources = client.get("/services/data/v66.0").await.json();
        assert_eq!(resources["query"], "/services/data/v66.0/query");
        let limits = client.get("/services/data/v66.0/limits/").await;
        assert_eq!(limits.json()["DailyApiRequests"], serde_json::json!({"Max": 500, "Remaining": 498}));
        assert_eq!(limits.header("sforce-limit-info"), "api-usage=2/500");
        for path in
            ["/services/data/v66.0/nothing", "/services/data/v66.0/sobjects/Nope/describe", "/nothing"]
        {
            assert_eq!(client.get(path).await.error(), (404, "NOT_FOUND".to_owned()), "{path}");
        }
        let post =
            client.http.post(format!("{}/services/data/v66.0/query", org.url())).bearer_auth(&client.token);
        assert_eq!(read(post).await.expect("an answer").error(), (405, "METHOD_NOT_ALLOWED".to_owned()));
    });
}

#[test]
fn the_limits_header_counts_and_may_name_the_app() {
    within(async {
        let per_app = Some(("my app".to_owned(), 17, 250));
        let org = FakeOrg::builder()
            .limits(Limits { daily: 9, per_app, ..Limits::default() })
            .start()
            .await
            .expect("start");
        let client = Client::new(&org);
        let header = client.get("/services/data/v66.0/limits").await.header("sforce-limit-info").to_owned();
        assert_eq!(header, "api-usage=1/9; per-app-api-usage=17/250(appName=my app)");
        org.set_usage(8, 9);
        assert_eq!(client.get("/services/data/v66.0/limits").await.status, 200);
        let over = client.query("SELECT Id FROM Account").await;
        assert_eq!(over.error(), (403, "REQUEST_LIMIT_EXCEEDED".to_owned()));
        assert_eq!(over.json()[0]["message"], "TotalRequests Limit exceeded.");
        assert!(over.header("sforce-limit-info").starts_with("api-usage=9/9"));
        assert_eq!(org.usage(), (9, 9), "a refused call is not counted");
        assert_eq!(org.counters().api_calls, 2);
    });
}

#[test]
fn a_slow_answer_occupies_the_org_until_its_last_byte() {
    within(async {
        let limits = Limits { concurrent: Some(1), ..Limits::default() };
        let org = FakeOrg::builder().limits(limits).start().await.expect("start");
        let client = Client::new(&org);
        org.faults().on("/sobjects").then(Fault::SlowBody { bytes: 1, every: Duration::from_secs(3600) });
        let slow =
            client.http.get(format!("{}/services/data/v66.0/sobjects", org.url())).bearer_auth(&client.token);
        let running = slow.send().await.expect("headers");
        assert_eq!(running.status(), 200);
        let second = client.get("/services/data/v66.0/limits").await;
        assert_eq!(second.error(), (403, "REQUEST_LIMIT_EXCEEDED".to_owned()));
        assert!(
            second.json()[0]["message"].as_str().is_some_and(|text| text.starts_with("ConcurrentRequests"))
        );
        drop(running);
        // The org hears of the client's leaving by the socket; asking again is how a client learns of it.
        while client.get("/services/data/v66.0/limits").await.status != 200 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_head_of_more_than_16_384_bytes_is_answered_in_html() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        // Percent-encoded, a space counts three times.
        let long = format!("SELECT Id FROM Contact WHERE Title = '{}'", "é".repeat(3000));
        let path = format!("/services/data/v66.0/query?q={}", encoded(&long));
        assert!(long.len() < 16_384 && path.len() > 16_384);
        let answer = client.get(&path).await;
        assert_eq!(answer.status, 414);
        assert!(answer.header("content-type").starts_with("text/html"));
        assert!(answer.text.contains("Bad Message 414"));
        let short =
            client.query(&format!("SELECT Id FROM Contact WHERE Title = '{}'", "e".repeat(3000))).await;
        assert_eq!(short.status, 200);
        let heavy = "x".repeat(17_000);
        let answer =
            client.try_get("/services/data/v66.0/limits", &[("x-heavy", &heavy)]).await.expect("an answer");
        assert_eq!(answer.status, 431);
    });
}

#[test]
fn the_date_is_the_orgs_own() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        org.set_clock(1_700_000_000_000);
        assert_eq!(client.get("/services/data").await.header("date"), "Tue, 14 Nov 2023 22:13:20 GMT");
        org.advance(Duration::from_secs(61));
        assert_eq!(client.get("/services/data").await.header("date"), "Tue, 14 Nov 2023 22:14:21 GMT");
        assert_eq!(org.now(), 1_700_000_061_000);

        let skewed = FakeOrg::builder()
            .clock(|| 1_700_000_000_000)
            .clock_offset(-3_600_000)
            .start()
            .await
            .expect("start");
        assert_eq!(skewed.now(), 1_699_996_400_000);
    });
}

#[test]
fn answers_are_compressed_for_those_who_take_it() {
    within(async {
        let wire = Wire { gzip: true, ..Wire::default() };
        let org = FakeOrg::builder().contacts(300).wire(wire).start().await.expect("start");
        let client = Client::new(&org);
        let path =
            format!("/services/data/v66.0/query?q={}", encoded("SELECT Id, Name FROM Contact ORDER BY Id"));
        let plain = client.get(&path).await;
        assert_eq!(plain.header("content-encoding"), "");
        let unpacking = reqwest::Client::builder().no_proxy().gzip(true).build().expect("client");
        let packed = unpacking.get(format!("{}{path}", org.url())).bearer_auth(&client.token);
        assert_eq!(read(packed).await.expect("an answer").text, plain.text);
        let raw = client.try_get(&path, &[("accept-encoding", "br, gzip;q=0.5")]).await;
        assert!(raw.is_ok_and(|raw| raw.header("content-encoding") == "gzip" && raw.text.len() < plain.text.len()));
    });
}

#[test]
fn the_log_knows_every_request_and_no_secret() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        org.set_clock(1_700_000_000_000);
        org.faults().on(Matcher::path("/limits")).then(Fault::status(500));
        client.query("SELECT Id FROM Account LIMIT 1").await;
        client.get("/services/data/v66.0/limits").await;
        let stranger = Client { token: "made-up".to_owned(), ..client.clone() };
        stranger.get("/services/data/v66.0/limits").await;
        let log = org.requests();
        let seen: Vec<_> = log
            .iter()
            .map(|request| {
                (request.number, request.path.as_str(), request.status, request.authorised, request.fault)
            })
            .collect();
        assert_eq!(
            seen,
            [
                (1, "/services/data/v66.0/query", Some(200), true, None),
                (2, "/services/data/v66.0/limits", Some(500), false, Some("status")),
                (3, "/services/data/v66.0/limits", Some(401), false, None),
            ]
        );
        assert_eq!(log[0].query, "q=SELECT Id FROM Account LIMIT 1");
        assert_eq!((log[0].method.as_str(), log[0].at), ("GET", 1_700_000_000_000));
        assert!(!format!("{log:?} {org:?} {:?}", org.credentials()).contains(&client.token));
        assert!(!format!("{:?}", org.credentials()).contains("secret"));
        let counted = org.counters();
        assert_eq!((counted.requests, counted.queries, counted.pages, counted.records), (3, 1, 1, 1));
    });
}

#[test]
fn an_org_that_is_shut_down_leaves_nothing_behind() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let client = Client::new(&org);
        let url = org.url().to_owned();
        org.faults().on("/limits").then(Fault::Stall);
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.try_get("/services/data/v66.0/limits", &[]).await }
        });
        while org.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        org.shutdown().await;
        assert!(waiting.await.expect("no panic").is_err(), "the stalled client sees its connection end");
        assert!(read(http().get(format!("{url}/services/data"))).await.is_err(), "nobody listens any more");

        let port = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("port");
        let again = FakeOrg::builder().port(port).start().await.expect("the port is free again");
        assert_eq!(again.url(), url);
        drop(again);
    });
}
