//! Incremental reads: the first load, what changed, what shows late.

use connector_sdk::{Class, Operation, Timestamp};
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::{FakeOrg, FieldType, Wire},
};
use serde_json::json;

use super::host::{Host, MINUTE, T0, config, discover, start, within};

#[test]
fn a_first_load_is_equal_to_the_truth() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1_500).deleted_contacts(60)).await;
        for object in ["Contact", "Account", "User", "LoginHistory"] {
            let mut host = Host::new(&config(&org), object).await;
            let outcome = host.run().await.clean();
            host.assert_holds(&org);
            assert!(outcome.rows.iter().all(|row| row.source_timestamp.is_some()));
            let expected: u64 = org.truth(object).unwrap().len() as u64;
            assert_eq!(
                outcome.estimates.iter().filter_map(|estimate| estimate.records).sum::<u64>(),
                expected
            );
        }
    });
}

#[test]
fn the_recycle_bin_comes_as_deletes_unless_it_is_not_wanted() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300).deleted_contacts(25)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let outcome = host.run().await.clean();
        let deletes = outcome.rows.iter().filter(|row| row.operation == Operation::Delete).count();
        assert_eq!((deletes, outcome.rows.len()), (25, 325));

        let mut config = config(&org);
        config["include_deleted"] = false.into();
        let mut host = Host::new(&config, "Contact").await;
        let outcome = host.run().await.clean();
        assert_eq!(outcome.rows.len(), 300);
        assert!(outcome.rows.iter().all(|row| row.operation == Operation::Upsert));
    });
}

#[test]
fn the_next_run_reads_exactly_what_changed() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1_000)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        for minutes in [1, 3, 60, 24 * 60] {
            org.advance(MINUTE * minutes);
            let mut changed = org.touch("Contact", 100).unwrap();
            changed.push(org.insert("Contact", &json!({"LastName": "Newé"})).unwrap());
            let gone = changed.pop().unwrap();
            org.delete("Contact", &gone).unwrap();
            changed.push(gone.clone());
            changed.sort();
            let outcome = host.run().await.clean();
            let mut read: Vec<_> = outcome.rows.iter().map(|row| row.id.clone()).collect();
            read.sort();
            assert_eq!(read, changed, "after {minutes} minutes");
            let deleted: Vec<_> =
                outcome.rows.iter().filter(|row| row.operation == Operation::Delete).collect();
            assert_eq!(deleted.iter().map(|row| &row.id).collect::<Vec<_>>(), [&gone]);
            host.assert_holds(&org);
        }
    });
}

#[test]
fn an_object_that_rests_costs_two_requests() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        for _ in 0..3 {
            org.advance(MINUTE * 60);
            let before = org.counters().requests;
            assert!(host.run().await.clean().rows.is_empty());
            // How many changed, and what was deleted for good.
            assert_eq!(org.counters().requests - before, 2);
        }
    });
}

#[test]
fn d_08_a_look_back_repeats_nothing_however_often_it_is_read() {
    within(async {
        let org = start(FakeOrg::builder().contacts(700).newest_age(std::time::Duration::ZERO)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        for _ in 0..6 {
            org.touch("Contact", 50).unwrap();
            assert_eq!(host.run().await.clean().ids().len(), 50);
            org.advance(MINUTE * 2);
            assert!(
                host.run().await.clean().rows.is_empty(),
                "nothing new, though the look-back reads it again"
            );
        }
        host.assert_holds(&org);
    });
}

#[test]
fn d_08_two_edits_in_one_second_are_two_records() {
    within(async {
        let org = start(FakeOrg::builder().contacts(10)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        let id = org.touch("Contact", 1).unwrap().remove(0);
        assert_eq!(host.run().await.clean().rows.len(), 1);
        org.update("Contact", &id, &json!({"Title": "the same second, another title"})).unwrap();
        let outcome = host.run().await.clean();
        assert_eq!(outcome.rows.len(), 1);
        assert_eq!(outcome.rows[0].record["Title"], "the same second, another title");
    });
}

#[test]
fn d_08_a_row_that_becomes_visible_late_is_read() {
    within(async {
        let org = start(FakeOrg::builder().contacts(400)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        // Written now, seen nine minutes later: a long transaction. Others are seen at once.
        org.set_visibility_delay(MINUTE * 9);
        let late = org.touch("Contact", 20).unwrap();
        org.set_visibility_delay(std::time::Duration::ZERO);
        let mut read = 0;
        for _ in 0..12 {
            org.advance(MINUTE);
            let id = org.insert("Contact", &json!({"LastName": "in time"})).unwrap();
            let outcome = host.run().await.clean();
            assert!(outcome.ids().contains(&id));
            read += outcome.ids().iter().filter(|id| late.contains(id)).count();
        }
        assert_eq!(read, 20);
        host.assert_holds(&org);
    });
}

#[test]
fn d_09_the_clock_is_the_vendors() {
    within(async {
        for offset in [-3_600_000_i64, 3_600_000] {
            let org = start(FakeOrg::builder().contacts(50)).await;
            org.set_clock(T0 + offset);
            let mut host = Host::new(&config(&org), "Contact").await;
            host.run().await.clean();
            let partition = host.state.partitions.keys().next_back().unwrap().as_str().to_owned();
            let high = Timestamp::from_millis(T0 + offset + 1_000).to_string();
            assert_eq!(partition.split_once('/').unwrap().1, high);
        }
    });
}

#[test]
fn a_vendors_clock_in_the_far_future_plans_nothing_and_costs_nothing() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        for _ in 0..2 {
            let state = format!("{:?}", host.state);
            org.set_clock(T0 + 10 * 365 * 86_400_000);
            let outcome = host.run().await;
            assert_eq!(outcome.error().class(), Class::Permanent);
            assert!(outcome.error().message().contains("Date"), "{}", outcome.error());
            assert_eq!(format!("{:?}", host.state), state);
            org.set_clock(T0);
            org.touch("Contact", 7).unwrap();
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn a_vendors_clock_that_goes_back_loses_and_repeats_nothing() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        for back in [2, 4, 1] {
            org.set_clock(T0 - back * 60_000);
            org.touch("Contact", 7).unwrap();
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn since_bounds_the_first_load() {
    within(async {
        let org = start(FakeOrg::builder().contacts(500)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        let stamps = org.truth("Contact").unwrap();
        let mut stamps: Vec<String> =
            stamps.values().map(|row| row["SystemModstamp"].as_str().unwrap().to_owned()).collect();
        stamps.sort();
        let middle: Timestamp = stamps[250].replace("+0000", "Z").parse().unwrap();
        let expected = stamps.iter().filter(|stamp| **stamp >= stamps[250]).count();
        host.stream = host.stream.with_since(Some(middle));
        assert_eq!(host.run().await.clean().rows.len(), expected);
    });
}

#[test]
fn an_empty_object_is_read_and_its_first_row_is_found_later() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        assert!(host.run().await.clean().rows.is_empty());
        let id = org.insert("Contact", &json!({"LastName": "First"})).unwrap();
        assert_eq!(host.run().await.clean().ids(), [id].into());
    });
}

#[test]
fn a_field_that_was_added_is_read_after_the_next_discovery() {
    within(async {
        let org = start(FakeOrg::builder().contacts(50)).await;
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        let before = host.stream.spec.fingerprint();
        org.advance(MINUTE * 30);
        org.add_field("Contact", "Tier__c", FieldType::Text).unwrap();
        host.stream = discover(&*host.connector, &host.cx, "Contact").await;
        assert_ne!(host.stream.spec.fingerprint(), before);
        let id = org.truth("Contact").unwrap().into_keys().next().unwrap();
        org.update("Contact", &id, &json!({"Tier__c": "gold"})).unwrap();
        let outcome = host.run().await.clean();
        assert_eq!(outcome.rows.len(), 1);
        assert_eq!(outcome.rows[0].record["Tier__c"], "gold");
    });
}

#[test]
fn d_11_pages_of_any_size_give_the_same_rows() {
    within(async {
        for seed in 1..=6 {
            let wire = Wire { ragged_pages: true, gzip: seed % 2 == 0 };
            let org =
                start(FakeOrg::builder().seed(seed).contacts(900).deleted_contacts(30).wire(wire)).await;
            let mut config = config(&org);
            config["page_size"] = (200 + seed * 300).into();
            let mut host = Host::new(&config, "Contact").await;
            host.run().await.clean();
            org.advance(MINUTE);
            org.touch("Contact", 333).unwrap();
            assert_eq!(host.run().await.clean().rows.len(), 333);
            host.assert_holds(&org);
        }
    });
}

/// Makes the org say that its contacts are so many, which decides how the first load is cut.
fn pretend_to_have(org: &FakeOrg, rows: u64) {
    let body = json!({"totalSize": rows, "done": true, "records": []}).to_string();
    let answer = Fault::status(200).with_header("Content-Type", "application/json").with_body(body);
    org.faults().on(Matcher::path("/queryAll").query("SELECT COUNT()")).always().then(answer);
}

#[test]
fn a_large_object_is_read_in_windows_side_by_side_within_the_vendors_cursors() {
    within(async {
        let org = start(FakeOrg::builder().contacts(9_000)).await;
        pretend_to_have(&org, 800_000);
        let mut host = Host::new(&config(&org), "Contact").await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        assert_eq!(plan.partitions.len(), 16);
        // All at once, each with several pages: more cursors than a user may have.
        host.run().await.clean();
        host.assert_holds(&org);
        let answered =
            |status| org.requests().iter().filter(|request| request.status == Some(status)).count();
        // The org drops the oldest cursor, though it may be in use while younger ones are done with.
        assert!(answered(400) <= 4, "{} cursors were dropped", answered(400));

        org.faults().clear();
        org.advance(MINUTE);
        org.touch("Contact", 10).unwrap();
        assert_eq!(host.run().await.clean().rows.len(), 10);
        assert_eq!(host.state.partitions.len(), 1, "the sixteen are folded");
    });
}

#[test]
fn d_03_a_window_that_fails_does_not_hold_up_the_others() {
    within(async {
        let org = start(FakeOrg::builder().contacts(3_000)).await;
        pretend_to_have(&org, 200_000);
        let config = config(&org);
        let mut host = Host::new(&config, "Contact").await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        let broken = plan.partitions[1].id.as_str().split_once('/').unwrap().0.to_owned();
        let rule = org
            .faults()
            .on(Matcher::path("/queryAll").query(format!("SystemModstamp >= {broken}")))
            .always()
            .then(Fault::status(500));
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Transient);
        let complete =
            host.state.partitions.values().filter(|known| known.state.as_ref().unwrap().is_complete());
        assert_eq!(complete.count(), 3);
        org.faults().remove(rule);
        // What is left of the old plan, and then what has happened since.
        org.advance(MINUTE * 60);
        let id = org.insert("Contact", &json!({"LastName": "Since"})).unwrap();
        host.restart(&config);
        let outcome = host.run().await.clean();
        assert!(outcome.ids().contains(&id));
        host.assert_holds(&org);
    });
}

#[test]
fn a_count_that_takes_too_long_does_not_stop_a_first_load() {
    within(async {
        let org = start(FakeOrg::builder().contacts(500)).await;
        let body =
            r#"[{"message":"Your query request was running for too long.","errorCode":"QUERY_TIMEOUT"}]"#;
        let counts = Matcher::path("/queryAll").query("SELECT COUNT()");
        org.faults().on(counts).always().then(Fault::status(400).with_body(body));
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
        org.touch("Contact", 3).unwrap();
        assert_eq!(host.run().await.clean().rows.len(), 3);
    });
}

#[test]
fn a_read_is_counted_before_it_is_made() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1_000).deleted_contacts(1)).await;
        org.set_usage(40, 1_000);
        let host = Host::new(&config(&org), "Contact").await;
        let cost = host.connector.estimate_cost(&host.cx, &host.stream).await.unwrap();
        assert_eq!((cost.records, cost.requests), (Some(1_001), Some(6)));
        assert_eq!(cost.quota_remaining, Some(1_000 - org.usage().0));
    });
}
