//! What users of other clients complain of, each as a test. Those about wide objects are in `wide`, about time-outs that
//! count as success in `narrowing`, about jobs and their CSV in `bulk`.

use connector_sdk::{Class, Message, ReadRequest, StreamState};
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::{Bulk, FakeOrg},
};
use futures_util::StreamExt;
use serde_json::json;

use super::host::{Host, MINUTE, config, connect_by, context, discover, start, within};

const DOORS: [&str; 3] = ["rest", "bulk", "auto"];

async fn org() -> FakeOrg {
    start(FakeOrg::builder().contacts(300).bulk(Bulk {
        polls_until_done: 0,
        page_rows: 200,
        ..Bulk::default()
    }))
    .await
}

fn requests(org: &FakeOrg, part: &str) -> usize {
    org.requests().iter().filter(|request| request.path.contains(part)).count()
}

#[test]
fn complaint_1_no_row_is_missing_where_many_share_a_time_airbyte_17148_6122() {
    within(async {
        for door in DOORS {
            let org = org().await;
            let config = config(&org);
            let mut host = Host::by(door, &config, "Contact").await;
            host.run().await.clean();
            // More than a page has, all within one millisecond.
            for number in 0..450 {
                org.insert("Contact", &json!({ "LastName": format!("Of one moment {number}") })).unwrap();
            }
            host.restart(&config);
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn complaint_1_no_row_is_missing_that_became_visible_late_airbyte_27048_42537_9883() {
    within(async {
        for door in DOORS {
            let org = org().await;
            let config = config(&org);
            let mut host = Host::by(door, &config, "Contact").await;
            host.run().await.clean();
            org.set_visibility_delay(MINUTE * 3);
            for step in 0..5 {
                org.insert("Contact", &json!({ "LastName": format!("Late {step}") })).unwrap();
                org.advance(MINUTE);
                host.restart(&config);
                host.run().await.clean();
            }
            org.advance(MINUTE * 3);
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn complaint_2_a_token_that_expires_in_mid_read_costs_one_sign_in_airbyte_75283_71024_singer_222() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let config = config(&org);
        let cx = context();
        let connector = connect_by("rest", &config, &cx).unwrap();
        let stream = discover(&*connector, &cx, "Contact").await;
        let plan = connector.partitions(&cx, &stream, &StreamState::default()).await.unwrap();
        let partition = plan.partitions.into_iter().next().unwrap();
        let request = ReadRequest::new(cx.clone(), stream, partition).with_stream_state(plan.state);
        let (mut read, mut rows) = (connector.read(request), 0);
        while let Some(message) = read.next().await {
            if let Message::Batch(batch) = message.unwrap() {
                if rows == 0 {
                    org.expire_tokens();
                }
                rows += batch.len();
            }
        }
        assert_eq!((rows, requests(&org, "/oauth2/token")), (900, 2));
    });
}

#[test]
fn complaint_3_a_vendor_who_refuses_every_token_is_not_asked_for_ever_jsforce_1291_1411_1168_196() {
    within(async {
        for door in DOORS {
            let org = org().await;
            let mut host = Host::by(door, &config(&org), "Contact").await;
            let before = requests(&org, "/oauth2/token");
            org.faults().on("/services/data/").always().then(Fault::Unauthorized);
            let outcome = host.run().await;
            assert_eq!(outcome.error().class(), Class::Auth, "{}", outcome.error());
            assert!(requests(&org, "/oauth2/token") - before <= 2);
        }
    });
}

#[test]
fn complaint_3_a_page_for_people_instead_of_data_is_no_reason_to_sign_in_jsforce_1833_simple_salesforce_685()
{
    within(async {
        let org = org().await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let before = requests(&org, "/oauth2/token");
        org.faults().on(Matcher::path("/query")).always().then(Fault::html_200());
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Transient, "{}", outcome.error());
        assert_eq!(requests(&org, "/oauth2/token"), before);
    });
}

#[test]
fn complaint_5_a_wrong_place_to_sign_in_is_named_before_a_secret_goes_there_airbyte_80782_55872_68656() {
    within(async {
        let cx = context();
        let secret = json!({ "client_credentials": { "client_id": "3MVG9", "client_secret": "s3cr3t" } });
        for (url, advice) in [
            ("https://login.salesforce.com", "My Domain"),
            ("https://test.salesforce.com", "My Domain"),
            ("https://acme.example", "my.salesforce.com"),
        ] {
            for door in DOORS {
                let config = json!({ "instance_url": url, "auth": secret });
                let error = connect_by(door, &config, &cx).err().unwrap();
                assert_eq!(error.class(), Class::Config);
                assert!(error.message().contains("instance_url"), "{error}");
                assert!(error.message().contains(advice), "{error}");
                assert!(!format!("{error:?}").contains("s3cr3t"));
            }
        }
    });
}

#[test]
fn complaint_6_rows_are_handed_out_while_the_rest_is_at_the_vendor_jsforce_249_691_697_162_1546() {
    within(async {
        for (door, pages) in [("rest", "/query/"), ("bulk", "/results")] {
            let org = start(FakeOrg::builder().contacts(4_000).bulk(Bulk {
                polls_until_done: 0,
                page_rows: 200,
                ..Bulk::default()
            }))
            .await;
            let cx = context();
            let connector = connect_by(door, &config(&org), &cx).unwrap();
            let stream = discover(&*connector, &cx, "Contact").await;
            let plan = connector.partitions(&cx, &stream, &StreamState::default()).await.unwrap();
            let partition = plan.partitions.into_iter().next().unwrap();
            let request = ReadRequest::new(cx.clone(), stream, partition).with_stream_state(plan.state);
            let mut read = connector.read(request);
            while !matches!(read.next().await.unwrap().unwrap(), Message::Batch(_)) {}
            // Of 20 pages the first is here, and those are on their way that memory has room for.
            let asked = requests(&org, pages);
            assert!(asked <= 6, "{door}: {asked} pages were asked for before the first was taken");
        }
    });
}
