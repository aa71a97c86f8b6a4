//! Rows that are deleted for good, which only the vendor's log of deletions tells.

use std::{collections::BTreeSet, time::Duration};

use connector_sdk::{Class, Operation, State, StreamState, SyncMode};
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::FakeOrg,
};
use serde_json::Value;

use super::host::{Host, MINUTE, Outcome, T0, config, start, within};

const HOUR: Duration = Duration::from_secs(3_600);

/// The ids of some contacts that are alive.
fn some(org: &FakeOrg, count: usize) -> Vec<String> {
    let truth = org.truth("Contact").unwrap();
    truth.into_iter().filter(|(_, row)| row["IsDeleted"] == false).map(|(id, _)| id).take(count).collect()
}

fn delete_for_good(org: &FakeOrg, ids: &[String]) {
    for id in ids {
        org.hard_delete("Contact", id).unwrap();
    }
}

/// What a run has emitted from the log.
fn logged(outcome: &Outcome) -> Vec<String> {
    let mut ids = Vec::new();
    for row in &outcome.rows {
        if row.partition.as_str().starts_with("deleted/") {
            assert_eq!((row.operation, &row.record), (Operation::Delete, &Value::Null));
            assert!(row.source_timestamp.is_some());
            ids.push(row.id.clone());
        }
    }
    ids
}

fn asked(org: &FakeOrg) -> usize {
    org.requests().iter().filter(|request| request.path.ends_with("/deleted")).count()
}

/// What Bronze says is there: the last word on each key.
fn assert_the_same_is_there(host: &Host, org: &FakeOrg) {
    let mut there = BTreeSet::new();
    for row in &host.bronze {
        if row.record.is_null() {
            there.remove(&row.id)
        } else {
            there.insert(row.id.clone())
        };
    }
    let truth: BTreeSet<String> = org.truth("Contact").unwrap().into_keys().collect();
    assert_eq!(there, truth);
}

async fn loaded(org: &FakeOrg) -> Host {
    let mut host = Host::new(&config(org), "Contact").await;
    host.run().await.clean();
    assert_eq!(asked(org), 0, "a first load begins the log");
    host
}

#[test]
fn a_row_that_is_deleted_for_good_comes_as_a_delete_once() {
    within(async {
        let org = start(FakeOrg::builder().contacts(400)).await;
        let mut host = loaded(&org).await;
        for minutes in [6, 20, 6, 180] {
            org.advance(MINUTE * minutes);
            let gone = some(&org, 3);
            delete_for_good(&org, &gone);
            org.touch("Contact", 2).unwrap();
            org.advance(MINUTE * 6);
            let outcome = host.run().await.clean();
            assert_eq!(logged(&outcome).into_iter().collect::<BTreeSet<_>>(), gone.into_iter().collect());
            assert_eq!(outcome.rows.len(), 5);
            assert_the_same_is_there(&host, &org);
        }
        for _ in 0..3 {
            org.advance(MINUTE * 6);
            assert!(host.run().await.clean().rows.is_empty());
        }
        assert!(host.state.partitions.len() <= 2, "they are folded");
    });
}

#[test]
fn a_row_in_the_recycle_bin_comes_from_its_window_with_its_content_and_not_from_the_log() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = loaded(&org).await;
        org.advance(MINUTE * 10);
        let ids = some(&org, 4);
        for id in &ids {
            org.delete("Contact", id).unwrap();
        }
        org.undelete("Contact", &ids[3]).unwrap();
        org.advance(MINUTE);
        let outcome = host.run().await.clean();
        assert_eq!(asked(&org), 1);
        assert!(logged(&outcome).is_empty());
        assert_eq!(outcome.rows.iter().filter(|row| row.operation == Operation::Delete).count(), 3);
        host.assert_holds(&org);
        // One of them leaves the bin before the next run: it was told already, and once more does no harm.
        org.hard_delete("Contact", &ids[0]).unwrap();
        org.advance(MINUTE * 6);
        host.run().await.clean();
        assert_the_same_is_there(&host, &org);
    });
}

#[test]
fn a_row_that_left_the_recycle_bin_between_two_runs_comes_from_the_log() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = loaded(&org).await;
        org.advance(HOUR);
        let ids = some(&org, 2);
        for id in &ids {
            org.delete("Contact", id).unwrap();
            org.advance(MINUTE);
            org.hard_delete("Contact", id).unwrap();
        }
        org.advance(MINUTE);
        assert_eq!(logged(&host.run().await.clean()).len(), 2);
        assert_the_same_is_there(&host, &org);
    });
}

#[test]
fn a_row_that_leaves_the_recycle_bin_before_its_window_is_read_comes_from_the_log_of_the_next_plan() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = loaded(&org).await;
        org.advance(HOUR);
        let gone = some(&org, 1);
        org.delete("Contact", &gone[0]).unwrap();
        org.advance(HOUR);
        // The log is read while the row is in the bin; its window is not.
        let windows = Matcher::path("/queryAll").query("ORDER BY");
        let rule = org.faults().on(windows).always().then(Fault::status(400).with_body("[]"));
        let outcome = host.run().await;
        assert_eq!((outcome.errors.len(), outcome.rows.len()), (1, 0), "{:?}", outcome.errors);
        org.faults().remove(rule);
        org.hard_delete("Contact", &gone[0]).unwrap();
        org.advance(HOUR);
        assert_eq!(logged(&host.run().await.clean()), gone);
        assert_the_same_is_there(&host, &org);
    });
}

#[test]
fn the_log_is_asked_for_every_five_minutes_at_most_and_an_object_that_rests_costs_two_requests() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = loaded(&org).await;
        for minute in 1..=20 {
            org.advance(MINUTE);
            let before = org.counters().requests;
            host.run().await.clean();
            assert!(org.counters().requests - before <= 2);
            assert_eq!(asked(&org), minute / 5);
        }
    });
}

#[test]
fn where_nobody_wants_it_or_the_vendor_keeps_none_the_log_is_not_asked_for() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        for (object, key) in
            [("Contact", "deleted_log"), ("Contact", "include_deleted"), ("LoginHistory", "page_size")]
        {
            let mut config = config(&org);
            config[key] = if key == "page_size" { 200.into() } else { false.into() };
            let mut host = Host::new(&config, object).await;
            for _ in 0..3 {
                host.run().await.clean();
                org.advance(HOUR);
            }
        }
        let mut host = Host::new(&config(&org), "Contact").await;
        host.stream = host.stream.with_mode(SyncMode::Full);
        host.run().await.clean();
        assert_eq!(asked(&org), 0);
    });
}

#[test]
fn what_the_vendor_tells_days_late_is_neither_lost_nor_told_twice() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = loaded(&org).await;
        org.set_replication_lag(2 * 86_400_000);
        let mut gone = BTreeSet::new();
        let mut told = Vec::new();
        for step in 0..80 {
            org.advance(HOUR);
            if step < 20 {
                let ids = some(&org, 1);
                delete_for_good(&org, &ids);
                gone.extend(ids);
            }
            told.extend(logged(&host.run().await.clean()));
        }
        assert_eq!(told.len(), 20);
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), gone);
        assert_the_same_is_there(&host, &org);
    });
}

#[test]
fn what_the_log_does_not_hold_any_more_is_said_by_every_run_until_the_state_is_reset() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = loaded(&org).await;
        org.advance(HOUR * 3);
        let lost = some(&org, 2);
        delete_for_good(&org, &lost);
        org.advance(HOUR * 3);
        org.forget_deletions_before(T0 + 5 * 3_600_000);
        org.touch("Contact", 5).unwrap();
        let known = some(&org, 1);
        delete_for_good(&org, &known);
        org.advance(MINUTE);
        for run in 0..4 {
            let outcome = host.run().await;
            assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
            assert_eq!(outcome.skipped.len(), 1, "run {run}");
            let error = &outcome.skipped[0];
            assert_eq!(error.class(), Class::Permanent);
            assert!(error.message().contains("connector state reset"), "{error}");
            assert!(
                error.message().contains("2027-01-15T08:00:00.000Z and 2027-01-15T13:00:00.000Z"),
                "{error}"
            );
            // The rest goes on, and so does what the log holds.
            assert_eq!(outcome.rows.len(), if run == 0 { 6 } else { 0 }, "run {run}");
            assert_eq!(logged(&outcome), if run == 0 { known.clone() } else { Vec::new() });
            org.advance(HOUR);
        }
        host.state = StreamState::default();
        host.bronze.clear();
        host.run().await.clean();
        org.advance(HOUR);
        host.run().await.clean();
        assert_the_same_is_there(&host, &org);
    });
}

#[test]
fn more_ids_than_one_answer_has_are_asked_for_in_shorter_times() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let mut host = loaded(&org).await;
        for _ in 0..12 {
            org.advance(MINUTE * 7);
            delete_for_good(&org, &some(&org, 5));
        }
        org.advance(MINUTE * 7);
        org.set_replication_limit(9);
        let outcome = host.run().await.clean();
        assert_eq!(logged(&outcome).len(), 60);
        assert_the_same_is_there(&host, &org);
        let mut requests = vec![asked(&org)];
        for _ in 0..3 {
            org.advance(MINUTE * 7);
            assert!(host.run().await.clean().rows.is_empty());
            requests.push(asked(&org));
        }
        assert!(requests[1] - requests[0] > 5, "what the plan before has read is read once more");
        assert_eq!([requests[2] - requests[1], requests[3] - requests[2]], [1, 1], "and then no more");
        // All of them in one minute: no time is short enough.
        delete_for_good(&org, &some(&org, 10));
        org.advance(MINUTE * 7);
        let outcome = host.run().await;
        assert!(outcome.error().message().contains("deleted_log"), "{}", outcome.error());
        org.set_replication_limit(600_000);
        assert_eq!(logged(&host.run().await.clean()).len(), 10);
    });
}

#[test]
fn an_object_whose_log_is_refused_is_named_and_asked_again_after_a_day() {
    within(async {
        for body in [
            (404, r#"[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]"#),
            (403, r#"[{"message":"insufficient access","errorCode":"INSUFFICIENT_ACCESS"}]"#),
            (405, r#"[{"message":"not allowed","errorCode":"METHOD_NOT_ALLOWED"}]"#),
        ] {
            let org = start(FakeOrg::builder().contacts(50)).await;
            let mut host = loaded(&org).await;
            org.faults().on("/deleted").always().then(Fault::status(body.0).with_body(body.1));
            for run in 0..4 {
                org.advance(HOUR);
                org.touch("Contact", 3).unwrap();
                let outcome = host.run().await;
                assert_eq!(outcome.rows.len(), 3);
                let named: Vec<_> = outcome.skipped.iter().map(ToString::to_string).collect();
                assert_eq!((outcome.errors.len(), named.len()), (0, usize::from(run == 0)), "{named:?}");
            }
            assert_eq!(asked(&org), 1, "{body:?}");
            // The right to it was given: what was deleted in the meantime is found.
            let gone = some(&org, 2);
            delete_for_good(&org, &gone);
            org.faults().clear();
            org.advance(HOUR * 24);
            let outcome = host.run().await.clean();
            assert_eq!(logged(&outcome).into_iter().collect::<BTreeSet<_>>(), gone.into_iter().collect());
        }
    });
}

#[test]
fn d_03_a_log_that_cannot_be_read_does_not_hold_up_the_windows() {
    within(async {
        let org = start(FakeOrg::builder().contacts(50)).await;
        let mut host = loaded(&org).await;
        org.advance(HOUR);
        let gone = some(&org, 1);
        delete_for_good(&org, &gone);
        org.advance(MINUTE);
        let rule = org.faults().on("/deleted").always().then(Fault::status(500));
        for _ in 0..3 {
            org.touch("Contact", 3).unwrap();
            let outcome = host.run().await;
            assert_eq!(outcome.error().class(), Class::Transient);
            assert_eq!(outcome.rows.len(), 3);
            org.advance(HOUR);
        }
        org.faults().remove(rule);
        assert_eq!(logged(&host.run().await.clean()), gone);
        org.advance(HOUR);
        assert!(host.run().await.clean().rows.is_empty());
        assert_the_same_is_there(&host, &org);
    });
}

#[test]
fn d_02_a_crash_at_any_message_of_the_log_loses_and_repeats_nothing() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        let config = config(&org);
        let host = loaded(&org).await;
        let state = host.state.clone();
        for _ in 0..6 {
            org.advance(MINUTE * 9);
            delete_for_good(&org, &some(&org, 4));
        }
        org.advance(MINUTE);
        org.set_replication_limit(9);
        let messages = {
            let mut host = Host::new(&config, "Contact").await;
            host.state = state.clone();
            host.run().await.clean().messages
        };
        for crash in 0..messages {
            let mut host = Host::new(&config, "Contact").await;
            host.state = state.clone();
            assert!(host.run_until(crash).await.crashed);
            host.restart(&config);
            host.run().await.clean();
            org.advance(MINUTE * 6);
            host.run().await.clean();
            let told: Vec<_> = host.bronze.iter().map(|row| row.id.clone()).collect();
            assert_eq!(told.len(), 24, "after message {crash}");
            assert_eq!(told.into_iter().collect::<BTreeSet<_>>().len(), 24);
        }
    });
}

#[test]
fn d_15_a_state_from_before_the_log_is_gone_on_with() {
    within(async {
        let org = start(FakeOrg::builder().contacts(100)).await;
        let mut host = loaded(&org).await;
        let mut old: Value = host.state.state.as_ref().unwrap().decode(1).unwrap();
        assert!(old.as_object_mut().unwrap().remove("log").is_some());
        host.state.state = Some(State::encode(1, &old).unwrap());
        org.advance(MINUTE * 2);
        let gone = some(&org, 2);
        delete_for_good(&org, &gone);
        org.advance(HOUR);
        // What went since the last look is asked for.
        assert_eq!(logged(&host.run().await.clean()).len(), 2);
    });
}
