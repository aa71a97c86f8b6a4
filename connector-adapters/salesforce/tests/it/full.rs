//! Full reads: by id, in one pass, in generations.

use connector_sdk::{Class, Operation, SyncMode};
use connector_testkit::salesforce::{FakeOrg, Wire};

use super::host::{Host, config, start, within};

#[test]
fn d_14_a_full_read_resumes_wherever_it_died() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900).deleted_contacts(10)).await;
        let config = config(&org);
        let messages = Host::new(&config, "Contact").await.full().run().await.clean().messages;
        for crash in 0..messages {
            let mut host = Host::new(&config, "Contact").await.full();
            assert!(host.run_until(crash).await.crashed);
            // Before the first state there is nothing to go on with: a new read begins.
            let expected = if host.state.partitions.is_empty() { 2 } else { 1 };
            host.restart(&config);
            host.run().await.clean();
            assert_eq!(host.state.generation, expected);
            host.assert_holds(&org);
        }
    });
}

#[test]
fn each_full_read_is_a_generation_of_snapshots() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300).deleted_contacts(5)).await;
        let mut host = Host::new(&config(&org), "Contact").await.full();
        for generation in 1..=2 {
            let outcome = host.run().await.clean();
            assert_eq!(outcome.rows.len(), 305);
            assert!(outcome.rows.iter().all(|row| row.generation == generation));
            let snapshots = outcome.rows.iter().filter(|row| row.operation == Operation::Snapshot).count();
            assert_eq!(snapshots, 300);
            assert!(outcome.rows.iter().all(|row| row.partition.as_str() == "all"));
        }
        host.assert_holds(&org);
    });
}

#[test]
fn an_object_without_a_time_is_read_in_full() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let mut host = Host::new(&config(&org), "Pricebook_Setup__c").await;
        assert_eq!(
            (host.stream.mode, host.stream.spec.modes.clone()),
            (SyncMode::Full, vec![SyncMode::Full])
        );
        assert_eq!(host.run().await.clean().rows.len(), 7);
        host.assert_holds(&org);
    });
}

#[test]
fn d_10_an_object_without_an_order_has_one_state_at_its_end() {
    within(async {
        let wire = Wire { ragged_pages: true, ..Wire::default() };
        let org = start(FakeOrg::builder().contacts(700).wire(wire)).await;
        let config = config(&org);
        let unordered = || async {
            let mut host = Host::new(&config, "Contact").await.full();
            let mut spec = (*host.stream.spec).clone();
            spec.json_schema["x-salesforce-unordered"] = true.into();
            host.stream.spec = spec.into();
            host
        };
        let mut host = unordered().await;
        let outcome = host.run().await.clean();
        assert_eq!(outcome.states, 1);
        host.assert_holds(&org);
        assert!(!org.requests().iter().any(|request| request.query.contains("FROM Contact ORDER BY")));

        // A cursor that is lost cannot be gone on from: nothing is half kept, the next run reads it whole.
        let mut host = unordered().await;
        org.faults().on("/query/").nth(2).then(
            connector_testkit::fault::Fault::status(400)
                .with_body(r#"[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]"#),
        );
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Transient);
        assert!(host.bronze.is_empty());
        host.run().await.clean();
        host.assert_holds(&org);
    });
}
