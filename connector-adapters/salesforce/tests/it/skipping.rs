//! Objects that may not be read do not fail a run, and are named.

use connector_sdk::{Class, SyncMode};
use connector_testkit::{fault::Fault, salesforce::FakeOrg};

use super::host::{Host, config, start, within};

#[test]
fn an_object_that_may_not_be_read_is_skipped_in_either_mode() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        for mode in [SyncMode::Incremental, SyncMode::Full] {
            let mut host = Host::new(&config(&org), "Payroll__c").await;
            host.stream = host.stream.with_mode(mode);
            for _ in 0..2 {
                let outcome = host.run().await;
                assert!(outcome.errors.is_empty() && outcome.rows.is_empty(), "{:?}", outcome.errors);
                assert_eq!(outcome.skipped.len(), 1);
                let error = &outcome.skipped[0];
                assert!(
                    error.class() == Class::Config && error.to_string().contains("INSUFFICIENT_ACCESS"),
                    "{error}"
                );
            }
        }
    });
}

#[test]
fn an_object_that_cannot_be_read_as_a_whole_is_skipped_by_what_the_vendor_says() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        // No list knows this one: the answer is followed.
        let mut host = Host::new(&config(&org), "Contact").await;
        let body = r#"[{"message":"Implementation restriction: Contact requires a filter by a single Id","errorCode":"MALFORMED_QUERY"}]"#;
        org.faults().on("/queryAll").nth(1).then(Fault::status(400).with_body(body));
        let outcome = host.run().await;
        assert_eq!(outcome.skipped.len(), 1);
        assert!(outcome.errors.is_empty());
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn an_object_that_is_closed_in_mid_read_is_skipped_and_planned_no_more() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let body = r#"[{"message":"insufficient access rights","errorCode":"INSUFFICIENT_ACCESS"}]"#;
        let rule = org.faults().on("query").skip(3).always().then(Fault::status(403).with_body(body));
        let outcome = host.run().await;
        assert_eq!((outcome.skipped.len(), outcome.errors.len()), (1, 0));
        assert!(!host.bronze.is_empty(), "what was covered is kept");
        let outcome = host.run().await;
        assert_eq!(
            (outcome.skipped.len(), outcome.errors.len()),
            (1, 0),
            "the rest of the plan is not tried for ever"
        );
        org.faults().remove(rule);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn a_field_that_vanished_is_a_matter_of_the_schema() {
    within(async {
        let org = start(FakeOrg::builder().contacts(30)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let mut spec = (*host.stream.spec).clone();
        spec.json_schema["properties"]["Gone__c"] = serde_json::json!({"type": "string"});
        host.stream.spec = spec.into();
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Schema);
        assert!(outcome.error().to_string().contains("Gone__c"), "{}", outcome.error());
    });
}
