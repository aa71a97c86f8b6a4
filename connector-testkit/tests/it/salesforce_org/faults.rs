//! Scripted faults, as a client meets them.

use std::time::Duration;

use connector_testkit::fault::{Fault, Matcher};
use connector_testkit::salesforce::FakeOrg;

use super::{Client, within};

const SOQL: &str = "SELECT Id, Name, Description FROM Contact";

async fn org() -> (FakeOrg, Client) {
    let org = FakeOrg::builder().start().await.expect("start");
    let client = Client::new(&org);
    (org, client)
}

#[test]
fn a_status_with_headers_and_body_replaces_the_answer_as_often_as_told() {
    within(async {
        let (org, client) = org().await;
        let fault = Fault::retry_after(503, "7")
            .with_body(r#"[{"message":"busy","errorCode":"SERVER_UNAVAILABLE"}]"#);
        let rule =
            org.faults().on(Matcher::path("/query").query("FROM Contact")).skip(1).times(2).then(fault);
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(client.query(SOQL).await.status);
        }
        assert_eq!(statuses, [200, 503, 503, 200, 200]);
        assert_eq!(org.faults().fired_by(rule), 2);

        org.faults().on("/query").then(Fault::retry_after(429, "Wed, 21 Oct 2026 07:28:00 GMT"));
        let dated = client.query(SOQL).await;
        assert_eq!((dated.status, dated.header("retry-after")), (429, "Wed, 21 Oct 2026 07:28:00 GMT"));
        org.faults().on("/query").then(Fault::html());
        let page = client.query(SOQL).await;
        assert_eq!(page.status, 503);
        assert!(page.header("content-type").starts_with("text/html") && page.text.contains("maintenance"));
    });
}

#[test]
fn a_session_that_ends_in_mid_read_stays_ended() {
    within(async {
        let (org, mut client) = org().await;
        org.faults().on("/query").nth(2).then(Fault::Unauthorized);
        assert_eq!(client.query(SOQL).await.status, 200);
        assert_eq!(client.query(SOQL).await.error(), (401, "INVALID_SESSION_ID".to_owned()));
        assert_eq!(client.query(SOQL).await.status, 401, "the same token again");
        client.token = org.issue_token();
        assert_eq!(client.query(SOQL).await.status, 200);

        org.faults().on("/oauth2/token").then(Fault::Unauthorized);
        let known = org.credentials();
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &known.client_id),
            ("client_secret", &known.client_secret),
        ];
        let sign_in = || {
            super::client::read(
                client.http.post(format!("{}/services/oauth2/token", org.url())).form(&fields),
            )
        };
        let refused = sign_in().await.expect("an answer");
        assert_eq!((refused.status, refused.json()["error"].as_str()), (400, Some("invalid_grant")));
        assert_eq!(sign_in().await.expect("an answer").status, 200);
    });
}

#[test]
fn a_body_cut_short_never_reads_as_whole() {
    within(async {
        let (org, client) = org().await;
        let whole = client.query(SOQL).await.text;
        for fault in [
            Fault::TruncatedBody { after: 0, chunked: false },
            Fault::TruncatedBody { after: 1000, chunked: false },
            Fault::TruncatedBody { after: 1000, chunked: true },
            Fault::ResetAfter { bytes: 0 },
            Fault::ResetAfter { bytes: 1000 },
        ] {
            org.faults().on("/query").then(fault.clone());
            let request =
                client.http.get(format!("{}/services/data/v66.0/query", client.url)).query(&[("q", SOQL)]);
            let mut response = request.bearer_auth(&client.token).send().await.expect("headers arrive");
            assert_eq!(response.status(), 200, "{fault:?}");
            let chunked = matches!(fault, Fault::TruncatedBody { chunked: true, .. });
            assert_eq!(response.content_length(), (!chunked).then_some(whole.len() as u64), "{fault:?}");
            let mut got = Vec::new();
            let end = loop {
                match response.chunk().await {
                    Ok(Some(chunk)) => got.extend_from_slice(&chunk),
                    end => break end,
                }
            };
            assert!(end.is_err(), "{fault:?} must not end well");
            assert!(got.len() < whole.len() && whole.as_bytes().starts_with(&got), "{fault:?}");
            if let Fault::TruncatedBody { after, .. } = fault {
                assert_eq!(got.len(), after);
            }
        }
        assert_eq!(client.query(SOQL).await.text, whole, "and afterwards all is well");
    });
}

#[test]
fn a_reset_before_the_answer_gives_the_client_nothing() {
    within(async {
        let (org, client) = org().await;
        org.faults().on("/query").times(10).then(Fault::ResetBefore);
        let failed = client.try_get("/services/data/v66.0/query?q=x", &[]).await.expect_err("no answer");
        assert!(failed.is_request(), "{failed:?}");
        let last = org.requests().pop().expect("it arrived");
        assert_eq!((last.status, last.fault), (None, Some("reset_before")));
        assert_eq!(org.counters().queries, 0, "the org never saw it");
    });
}

#[test]
fn a_broken_or_empty_body_is_complete_http_all_the_same() {
    within(async {
        let (org, client) = org().await;
        org.faults().on("/query").then(Fault::MalformedJson);
        let broken = client.query(SOQL).await;
        assert_eq!(broken.status, 200);
        assert!(serde_json::from_str::<serde_json::Value>(&broken.text).is_err());
        org.faults().on("/query").then(Fault::EmptyBody);
        let empty = client.query(SOQL).await;
        assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    });
}

#[test]
fn a_slow_body_arrives_in_pieces_and_whole() {
    within(async {
        let (org, client) = org().await;
        let whole = client.get("/services/data/v66.0").await.text;
        org.faults().on("/v66.0").then(Fault::SlowBody { bytes: 50, every: Duration::from_millis(1) });
        let slow = client.get("/services/data/v66.0").await;
        assert_eq!(slow.text, whole);
        assert_eq!(slow.header("content-length"), whole.len().to_string());
    });
}

#[test]
fn a_stalled_request_ends_when_the_client_leaves() {
    within(async {
        let (org, client) = org().await;
        org.faults().on("/query").then(Fault::Stall);
        let impatient = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_millis(200))
            .build()
            .expect("client");
        let hasty = Client { http: impatient, ..client.clone() };
        let failed = hasty.try_get("/services/data/v66.0/query?q=x", &[]).await.expect_err("nothing comes");
        assert!(failed.is_timeout(), "{failed:?}");
        assert_eq!(client.query(SOQL).await.status, 200);
    });
}

#[test]
fn a_fault_by_chance_repeats_with_its_seed() {
    within(async {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let (org, client) = org().await;
            org.faults().on(Matcher::any()).with_probability(0.3, 42).then(Fault::status(500));
            let mut statuses = Vec::new();
            for _ in 0..40 {
                statuses.push(client.get("/services/data").await.status);
            }
            assert!(statuses.contains(&500) && statuses.contains(&200));
            runs.push(statuses);
        }
        assert_eq!(runs[0], runs[1]);
    });
}
