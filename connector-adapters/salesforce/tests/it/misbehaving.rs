//! A vendor that breaks its own rules must not make us lose rows, loop, or send a token elsewhere.

use connector_sdk::{Class, PartitionId, State};
use connector_testkit::{fault::Fault, salesforce::FakeOrg};
use serde_json::{Value, json};

use super::host::{Host, config, start, within};

fn answer(body: &Value) -> Fault {
    Fault::status(200).with_header("Content-Type", "application/json").with_body(body.to_string())
}

async fn host(org: &FakeOrg) -> Host {
    Host::new(&config(org), "Contact").await
}

#[test]
fn d_11_a_page_that_leads_back_ends_the_read() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = host(&org).await;
        let next = "/services/data/v66.0/query/01g0000000000000AA-200";
        org.faults()
            .on("/query/")
            .always()
            .then(answer(&json!({"totalSize": 900, "done": false, "nextRecordsUrl": next, "records": []})));
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Permanent);
        assert!(org.faults().fired() <= 3);
        assert!(
            !host.state.partitions.values().any(|partition| partition.state.as_ref().unwrap().is_complete())
        );
    });
}

/// A guard that remembers only the last address never fires.
#[test]
fn case_19_d_11_pages_that_lead_in_a_circle_end_the_read() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = host(&org).await;
        let address = |name: &str| format!("/services/data/v66.0/query/01g000000000000{name}-200");
        for (at, next) in [("AAA", "BBB"), ("BBB", "CCC"), ("CCC", "AAA")] {
            let page =
                json!({"totalSize": 900, "done": false, "nextRecordsUrl": address(next), "records": []});
            org.faults().on(address(at).as_str()).always().then(answer(&page));
        }
        let first = json!({"totalSize": 900, "done": false, "nextRecordsUrl": address("AAA"), "records": []});
        org.faults().on("/queryAll").always().then(answer(&first));
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Permanent);
        assert!(outcome.error().to_string().contains("leads back"), "{}", outcome.error());
        let asked = org.requests().iter().filter(|request| request.path.contains("/query/")).count();
        assert_eq!(asked, 3, "each once");
        assert_eq!(host.bronze.len(), 0);
    });
}

#[test]
fn an_address_elsewhere_gets_no_request() {
    within(async {
        let (org, evil) = (start(FakeOrg::builder().contacts(900)).await, start(FakeOrg::builder()).await);
        for next in [
            format!("{}/services/data/v66.0/query/x", evil.url()),
            format!("//{}/services/data/", evil.url().trim_start_matches("http://")),
            "/\\evil.example/services/data/".to_owned(),
            "query/x".to_owned(),
            String::new(),
        ] {
            let mut host = host(&org).await;
            let rule = org.faults().on("/query/").nth(1).then(answer(
                &json!({"totalSize": 900, "done": false, "nextRecordsUrl": next, "records": []}),
            ));
            let outcome = host.run().await;
            assert_eq!(outcome.error().class(), Class::Permanent, "{next}");
            org.faults().remove(rule);
        }
        assert_eq!(evil.counters().requests, 0);
    });
}

#[test]
fn d_04_a_page_that_says_neither_done_nor_where_is_an_error_and_no_end() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        for (body, class) in [
            (json!({"totalSize": 900, "done": false, "records": []}), Class::Permanent),
            (
                json!({"totalSize": 900, "done": false, "nextRecordsUrl": null, "records": []}),
                Class::Permanent,
            ),
            (json!({"totalSize": 900, "records": []}), Class::Schema),
            (json!({"totalSize": 900, "done": "true", "records": []}), Class::Schema),
            (json!({"totalSize": 900, "done": true}), Class::Schema),
            (json!([]), Class::Schema),
            (json!({"totalSize": 900, "done": true, "records": [{"Name": "no id"}]}), Class::Schema),
            (json!({"totalSize": 900, "done": true, "records": [{"Id": "003"}]}), Class::Schema),
        ] {
            let mut host = host(&org).await;
            let rule = org.faults().on("/query/").times(3).then(answer(&body));
            let outcome = host.run().await;
            assert_eq!(outcome.error().class(), class, "{body}");
            let complete = |state: &State| state.is_complete();
            assert!(
                !host.state.partitions.values().any(|known| known.state.as_ref().is_some_and(complete)),
                "{body}"
            );
            org.faults().remove(rule);
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn d_05_fewer_rows_than_promised_are_no_success() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = host(&org).await;
        // The third page is skipped: it says it was the last.
        org.faults()
            .on("/query/")
            .nth(2)
            .then(answer(&json!({"totalSize": 900, "done": true, "records": []})));
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::Transient);
        assert!(
            error.to_string().contains("promised: 900") && error.to_string().contains("received: 400"),
            "{error}"
        );
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn d_15_a_state_of_a_newer_version_is_refused_and_not_taken_for_the_start() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = host(&org).await;
        host.run_until(3).await;
        let newer = State::encode(99, &json!({})).unwrap();
        let id: PartitionId = host.state.partitions.keys().next().unwrap().clone();
        let kept = host.state.partitions[&id].state.clone();
        host.state.partitions.get_mut(&id).unwrap().state = Some(newer.clone());
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Config);
        host.state.partitions.get_mut(&id).unwrap().state = kept;
        let stream_state = host.state.state.replace(newer);
        assert_eq!(host.run().await.error().class(), Class::Config);
        host.state.state = stream_state;
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn more_rows_than_promised_end_the_read_at_once() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = host(&org).await;
        let rows: Vec<Value> = (0..800)
            .map(|n| json!({"Id": format!("003{n:015}"), "SystemModstamp": "2027-01-14T08:00:00.000+0000"}))
            .collect();
        let next = "/services/data/v66.0/query/01g0000000000000AA-1000";
        org.faults()
            .on("/query/")
            .always()
            .then(answer(&json!({"totalSize": 900, "done": false, "nextRecordsUrl": next, "records": rows})));
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::Transient, "{error}");
        assert!(
            error.to_string().contains("promised: 900") && error.to_string().contains("received: 1000"),
            "{error}"
        );
        assert_eq!(org.faults().fired(), 1);
    });
}

#[test]
fn a_thousand_pages_without_a_row_end_the_read() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = host(&org).await;
        let page = |n: u32| {
            let next = format!("/services/data/v66.0/query/empty-{n}-");
            answer(&json!({"totalSize": 900, "done": false, "nextRecordsUrl": next, "records": []}))
        };
        org.faults().on("/query/01g").nth(1).then(page(1));
        for n in 1..1_010 {
            org.faults().on(format!("/query/empty-{n}-").as_str()).nth(1).then(page(n + 1));
        }
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(error.to_string().contains("empty_pages: 1000"), "{error}");
        assert_eq!(org.faults().fired(), 1_000);
    });
}
