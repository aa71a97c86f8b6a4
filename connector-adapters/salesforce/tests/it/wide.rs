//! Objects with more fields than one request can name: several queries, put together row by row.

use std::{sync::Arc, time::Duration};

use connector_sdk::Class;
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::{Builder, FakeOrg},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::host::{Host, MINUTE, config, start, within};

/// A text field of the first chunk, and one of the last of [`complicated`].
const FIRST: &str = "Field_000__c";
const LAST: &str = "Field_151__c";

fn wide(rows: usize) -> Builder {
    FakeOrg::builder().contacts(10).accounts(5).wide(800, rows)
}

/// The same in little: too many fields for one query by what the vendor says, not by their names.
async fn complicated(builder: Builder, rows: usize) -> FakeOrg {
    let org = start(builder.contacts(10).accounts(5).wide(152, rows)).await;
    org.refuse_fields_above(Some(60));
    org
}

async fn host(org: &FakeOrg, full: bool) -> Host {
    let host = Host::new(&config(org), "Wide__c").await;
    if full { host.full() } else { host }
}

/// Bronze holds the vendor's bytes.
async fn assert_bytes(host: &Host, org: &FakeOrg) {
    let truth = org.truth_text("Wide__c").unwrap();
    let mut request = connector_sdk::ReadRequest::new(
        host.cx.clone(),
        host.stream.clone(),
        host.connector
            .partitions(&host.cx, &host.stream, &Default::default())
            .await
            .unwrap()
            .partitions
            .remove(0),
    );
    request.batch_records = 200;
    let mut messages = host.connector.read(request);
    let mut rows = 0;
    while let Some(message) = messages.next().await {
        let connector_sdk::Message::Batch(batch) = message.unwrap() else { continue };
        for record in batch.iter() {
            let text = std::str::from_utf8(record.record.unwrap()).unwrap();
            let key: Value = serde_json::from_slice(record.key.unwrap()).unwrap();
            let expected: Value = serde_json::from_str(&truth[key["Id"].as_str().unwrap()]).unwrap();
            let mut found: Value = serde_json::from_str(text).unwrap();
            found.as_object_mut().unwrap().remove("attributes").unwrap();
            assert_eq!(found, expected);
            // Numbers digit by digit, which a parsed value does not show.
            for field in ["Field_001__c", "Field_401__c", "Field_797__c"] {
                let digits = |text: &str| {
                    let at = text.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
                    text[at..].split([',', '}']).next().unwrap().to_owned()
                };
                assert_eq!(digits(text), digits(&truth[key["Id"].as_str().unwrap()]));
                assert!(digits(text).ends_with('0'), "not rounded");
            }
            rows += 1;
        }
    }
    assert_eq!(rows, truth.len());
}

#[test]
fn complaint_4_airbyte_14024_every_field_of_a_wide_object_is_read_and_no_request_is_too_long() {
    within(async {
        let org = start(wide(250)).await;
        for full in [false, true] {
            let mut host = host(&org, full).await;
            assert_eq!(host.stream.spec.fields().count(), 807);
            let outcome = host.run().await.clean();
            assert_eq!(outcome.rows.len(), 250);
            host.assert_holds(&org);
        }
        assert_bytes(&host(&org, true).await, &org).await;
        let longest = org.requests().iter().map(|request| request.head_bytes).max().unwrap();
        assert!((8_000..=16_384).contains(&longest), "{longest}");
        assert!(org.requests().iter().all(|request| !matches!(request.status, Some(414 | 431))));
    });
}

#[test]
fn airbyte_20703_a_front_end_that_takes_less_is_followed_and_asked_only_once() {
    within(async {
        // 300 fields fit by our count; something in front of the org reads only 4 KiB.
        let org = start(FakeOrg::builder().wide(300, 250)).await;
        let mut host = host(&org, false).await;
        for status in [414, 431] {
            let html = "<html><body><h1>Bad Message</h1><pre>reason: URI Too Long</pre></body></html>";
            let answer = Fault::status(status).with_header("Content-Type", "text/html").with_body(html);
            let everything = Matcher::path("/queryAll").query("Field_000__c, Field_001__c, Field_002__c");
            org.faults().on(everything).nth(1).then(answer);
            host.run().await.clean();
            host.assert_holds(&org);
            org.advance(MINUTE);
            org.update(
                "Wide__c",
                &org.truth("Wide__c").unwrap().into_keys().next().unwrap(),
                &json!({FIRST: "x"}),
            )
            .unwrap();
        }
        let refused =
            org.requests().iter().filter(|request| matches!(request.status, Some(414 | 431))).count();
        assert_eq!(refused, 2);
    });
}

#[test]
fn simple_salesforce_271_too_many_formula_fields_are_asked_for_in_fewer_at_once() {
    within(async {
        let org = start(FakeOrg::builder().wide(300, 250)).await;
        org.refuse_fields_above(Some(100));
        for full in [false, true] {
            let mut host = host(&org, full).await;
            assert_eq!(host.run().await.clean().rows.len(), 250);
            host.assert_holds(&org);
            let refused =
                |org: &FakeOrg| org.requests().iter().filter(|request| request.status == Some(400)).count();
            let before = refused(&org);
            org.advance(MINUTE * 20);
            let id = org.truth("Wide__c").unwrap().into_keys().next().unwrap();
            org.update("Wide__c", &id, &json!({FIRST: format!("{full}")})).unwrap();
            host.run().await.clean();
            host.assert_holds(&org);
            assert_eq!(refused(&org), before, "it is remembered");
        }
        // Where not even a single field more than the key is served, it is an error.
        org.refuse_fields_above(Some(3));
        let mut host = host(&org, true).await;
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Permanent);
        assert!(outcome.error().message().contains("`fields`"), "{}", outcome.error());
    });
}

#[test]
fn pipedream_14560_d_02_a_wide_read_may_die_at_any_message() {
    within(async {
        let org = complicated(FakeOrg::builder().newest_age(MINUTE), 450).await;
        let config = config(&org);
        for full in [false, true] {
            let messages = host(&org, full).await.run().await.clean().messages;
            assert!(messages >= 5, "{messages}");
            for crash in 0..messages {
                let mut host = host(&org, full).await;
                assert!(host.run_until(crash).await.crashed);
                host.restart(&config);
                host.run().await.clean();
                host.assert_holds(&org);
            }
        }
    });
}

/// Runs a read while rows change under it: both fields of a row always have the same value.
#[allow(clippy::disallowed_methods, reason = "the pace of the changes is real time")]
async fn run_while_rows_change(host: &mut Host, org: &Arc<FakeOrg>, moves_the_clock: bool) {
    let ids: Vec<String> = org.truth("Wide__c").unwrap().into_keys().collect();
    let changing = {
        let (org, ids) = (Arc::clone(org), ids.clone());
        tokio::spawn(async move {
            for step in 0.. {
                // Each row now and then: one that never rests fails a full read, as it should.
                for id in ids.iter().skip(step % 41).step_by(41) {
                    org.update("Wide__c", id, &json!({FIRST: format!("v{step}"), LAST: format!("v{step}")}))
                        .unwrap();
                }
                if moves_the_clock {
                    org.advance(Duration::from_secs(1));
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        })
    };
    let outcome = host.run().await;
    changing.abort();
    assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
    for row in &outcome.rows {
        let (first, last) = (&row.record[FIRST], &row.record[LAST]);
        let versions = [first, last].map(|value| value.as_str().filter(|text| text.starts_with('v')));
        assert_eq!(versions[0], versions[1], "two versions in one record: {}", row.id);
    }
}

#[test]
fn rows_that_change_during_a_wide_read_are_never_mixed_from_two_versions_nor_lost() {
    within(async {
        for moves_the_clock in [true, false] {
            for seed in 1..=2 {
                let org = Arc::new(complicated(FakeOrg::builder().seed(seed), 450).await);
                let mut host = host(&org, false).await;
                run_while_rows_change(&mut host, &org, moves_the_clock).await;
                host.assert_nothing_twice();
                org.advance(MINUTE);
                run_while_rows_change(&mut host, &org, moves_the_clock).await;
                org.advance(MINUTE);
                host.run().await.clean();
                host.assert_holds(&org);
            }
        }
    });
}

#[test]
fn rows_that_change_during_a_full_wide_read_are_all_there() {
    within(async {
        let org = Arc::new(complicated(FakeOrg::builder(), 450).await);
        let mut host = host(&org, true).await;
        run_while_rows_change(&mut host, &org, true).await;
        assert_eq!(host.bronze.len(), 450);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn a_cursor_that_is_lost_in_a_wide_read_is_put_again_from_the_last_row() {
    within(async {
        for full in [false, true] {
            let org = complicated(FakeOrg::builder(), 700).await;
            let mut host = host(&org, full).await;
            for nth in [1, 2, 4] {
                org.faults().on("/query/01g").nth(nth).then(Fault::status(400).with_body(
                    r#"[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]"#,
                ));
            }
            assert_eq!(host.run().await.clean().rows.len(), 700);
            host.assert_holds(&org);
            assert!(org.faults().fired() >= 2);
        }
    });
}

#[test]
fn a_wide_read_that_takes_too_long_is_narrowed_too() {
    within(async {
        let org = complicated(FakeOrg::builder(), 900).await;
        org.refuse_queries_above(Some((410, "QUERY_TIMEOUT")));
        let mut host = host(&org, false).await;
        assert_eq!(host.run().await.clean().rows.len(), 900);
        host.assert_holds(&org);
    });
}

#[test]
fn many_windows_of_a_wide_object_at_once_neither_wait_for_each_other_nor_lose_cursors() {
    within(async {
        let org = complicated(FakeOrg::builder(), 2_500).await;
        let body = json!({"totalSize": 800_000, "done": true, "records": []}).to_string();
        let answer = Fault::status(200).with_header("Content-Type", "application/json").with_body(body);
        org.faults().on(Matcher::path("/queryAll").query("SELECT COUNT()")).always().then(answer);
        let mut host = host(&org, false).await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        assert_eq!(plan.partitions.len(), 16);
        host.run().await.clean();
        host.assert_holds(&org);
        let lost = |request: &&connector_testkit::salesforce::LoggedRequest| {
            request.status == Some(400) && request.path.contains("/query/")
        };
        let lost = org.requests().iter().filter(lost).count();
        assert!(lost <= 4, "{lost} cursors were dropped");
    });
}
