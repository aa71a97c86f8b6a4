//! Quotas, and objects that are too wide.

use connector_sdk::{Class, Timestamp};
use connector_testkit::salesforce::{FakeOrg, FieldType, Limits};

use super::host::{Host, T0, config, discover, start, within};

const HOUR: i64 = 3_600_000;

#[test]
fn a_run_stops_at_its_share_of_the_quota_and_goes_on_another_day() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1_000)).await;
        let config = config(&org);
        let mut host = Host::new(&config, "Contact").await;
        // Three calls later, two of them for the plan, the share of 80 % is reached.
        org.set_usage(77, 100);
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::RateLimited);
        assert_eq!(error.resume_at(), Some(Timestamp::from_millis(T0 + HOUR)));
        assert!(error.is_exhausted() && error.message().contains("quota_share"), "{error}");
        assert_eq!(host.bronze.len(), 200, "the page in hand is kept");
        assert_eq!(org.usage().0, 80);

        org.set_usage(10, 100);
        host.restart(&config);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn the_apps_own_quota_counts_too() {
    within(async {
        let limits = Limits { per_app: Some(("connector".to_owned(), 90, 100)), ..Limits::default() };
        let org = start(FakeOrg::builder().contacts(10).limits(limits)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::RateLimited);
        assert!(outcome.error().message().contains("90 of the org's 100"), "{}", outcome.error());
    });
}

#[test]
fn the_days_limit_is_told_from_the_moments() {
    within(async {
        let org = start(FakeOrg::builder().contacts(500)).await;
        let mut config = config(&org);
        config["quota_share"] = 1.0.into();
        let mut host = Host::new(&config, "Contact").await;
        org.set_usage(97, 100);
        // The answer to the call that is one too many, not our own count, is what stops it here.
        org.faults().on("/query/").nth(1).then(connector_testkit::fault::Fault::status(403).with_body(
            r#"[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#,
        ));
        org.set_usage(50, 100);
        let before = org.counters().requests;
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::RateLimited);
        assert_eq!(error.resume_at(), Some(Timestamp::from_millis(T0 + HOUR)));
        assert!(org.counters().requests - before <= 4, "no retry of what cannot work today");
        assert_eq!(host.bronze.len(), 200);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn an_object_too_wide_for_one_request_is_read_in_several() {
    within(async {
        let org = start(FakeOrg::builder().contacts(20)).await;
        for number in 0..400 {
            let name = format!("A_field_with_a_long_name_of_forty_{number:03}__c");
            org.add_field("Contact", &name, FieldType::Text).unwrap();
        }
        let mut host = Host::new(&config(&org), "Contact").await;
        assert_eq!(host.run().await.clean().rows.len(), 20);
        host.assert_holds(&org);
        let mut host = Host::new(&config(&org), "Contact").await;
        host.stream =
            discover(&*host.connector, &host.cx, "Contact").await.with_fields(Some(vec!["Name".into()]));
        assert_eq!(host.run().await.clean().rows.len(), 20);
        assert!(host.bronze.iter().all(|row| row.record.as_object().unwrap().len() == 4));
    });
}
