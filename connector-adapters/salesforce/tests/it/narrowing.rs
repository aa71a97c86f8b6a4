//! Reads that the vendor finds too much for one query: less is asked for, and nothing is lost for it.

use connector_sdk::{Class, Timestamp};
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::{FakeOrg, Wire},
};

use super::host::{Host, MINUTE, config, start, within};

/// The codes by which the vendor says that a query is too much.
const TOO_MUCH: [&str; 3] = ["QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG", "OPERATION_TOO_LARGE"];

fn refusal(code: &str) -> Fault {
    Fault::status(400).with_body(format!(r#"[{{"message":"running for too long","errorCode":"{code}"}}]"#))
}

fn refused(org: &FakeOrg) -> usize {
    org.requests().iter().filter(|request| request.status == Some(400)).count()
}

#[test]
fn complaint_1_airbyte_17503_a_query_that_takes_too_long_is_asked_for_in_parts_and_is_no_success_with_fewer_rows()
 {
    within(async {
        for code in TOO_MUCH {
            let org = start(FakeOrg::builder().contacts(1_500).deleted_contacts(20)).await;
            org.refuse_queries_above(Some((500, code)));
            let mut host = Host::new(&config(&org), "Contact").await;
            let outcome = host.run().await.clean();
            assert_eq!(outcome.rows.len(), 1_520, "{code}");
            host.assert_holds(&org);
            assert!((1..=60).contains(&refused(&org)), "{code}: {} refusals", refused(&org));

            let mut host = Host::new(&config(&org), "Contact").await.full();
            let outcome = host.run().await.clean();
            assert_eq!(outcome.rows.len(), 1_520, "{code}, in full");
            host.assert_holds(&org);
        }
    });
}

#[test]
fn complaint_1_airbyte_17503_below_a_second_and_below_a_page_it_is_an_error_that_says_what_to_do() {
    within(async {
        let org = start(FakeOrg::builder().contacts(300)).await;
        for full in [false, true] {
            let host = Host::new(&config(&org), "Contact").await;
            let mut host = if full { host.full() } else { host };
            // The one row that is asked for to plan by comes.
            org.refuse_queries_above(Some((1, "QUERY_TIMEOUT")));
            let before = org.counters().requests;
            let outcome = host.run().await;
            let error = outcome.error();
            assert_eq!(error.class(), Class::Transient);
            assert!(error.message().contains("fewer `fields`"), "{error}");
            assert!(outcome.rows.len() < 300 && outcome.errors.len() == 1);
            assert!(
                host.state
                    .partitions
                    .values()
                    .all(|known| !known.state.as_ref().is_some_and(connector_sdk::State::is_complete))
            );
            assert!(org.counters().requests - before < 400, "the cost is bounded");
            org.refuse_queries_above(None);
            host.run().await.clean();
            host.assert_holds(&org);
        }
    });
}

#[test]
fn a_page_in_the_middle_that_takes_too_long_narrows_what_is_left() {
    within(async {
        for code in TOO_MUCH {
            for full in [false, true] {
                let org = start(FakeOrg::builder().contacts(1_400)).await;
                let host = Host::new(&config(&org), "Contact").await;
                let mut host = if full { host.full() } else { host };
                org.faults().on("/query/01g").skip(2).times(3).then(refusal(code));
                let outcome = host.run().await.clean();
                assert_eq!(outcome.rows.len(), 1_400, "{code}");
                host.assert_holds(&org);
            }
        }
    });
}

#[test]
fn what_was_halved_grows_back() {
    within(async {
        let org = start(FakeOrg::builder().contacts(2_000)).await;
        // Two halvings, and then the vendor has time again.
        org.faults()
            .on(Matcher::path("/queryAll").query("ORDER BY SystemModstamp ASC, Id"))
            .times(2)
            .then(refusal("QUERY_TIMEOUT"));
        let mut host = Host::new(&config(&org), "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
        let asked: Vec<String> = org
            .requests()
            .iter()
            .filter(|request| {
                request.status == Some(200) && request.query.contains("ORDER BY SystemModstamp ASC, Id")
            })
            .map(|request| request.query.clone())
            .collect();
        let times = |query: &String| -> Vec<Timestamp> {
            query.split_whitespace().filter_map(|word| word.trim_matches(['(', ')']).parse().ok()).collect()
        };
        let lengths: Vec<_> = asked
            .iter()
            .map(|query| {
                let times = times(query);
                times.last().unwrap().saturating_since(*times.first().unwrap()).as_secs()
            })
            .collect();
        assert!((3..=4).contains(&lengths.len()), "{lengths:?}");
        assert!(lengths[1] > lengths[0], "{lengths:?}");
    });
}

#[test]
fn d_02_a_read_in_parts_may_die_at_any_message() {
    within(async {
        let org = start(FakeOrg::builder().contacts(900).deleted_contacts(20).newest_age(MINUTE)).await;
        org.refuse_queries_above(Some((410, "QUERY_TIMEOUT")));
        let config = config(&org);
        for full in [false, true] {
            let host = || async {
                let host = Host::new(&config, "Contact").await;
                if full { host.full() } else { host }
            };
            let messages = host().await.run().await.clean().messages;
            for crash in 0..messages {
                let mut host = host().await;
                assert!(host.run_until(crash).await.crashed);
                host.restart(&config);
                host.run().await.clean();
                host.assert_holds(&org);
            }
        }
    });
}

#[test]
fn d_02_a_read_in_parts_with_changes_in_between_loses_and_repeats_nothing() {
    within(async {
        let wire = Wire { ragged_pages: true, ..Wire::default() };
        let org = start(FakeOrg::builder().contacts(600).newest_age(MINUTE).wire(wire)).await;
        org.refuse_queries_above(Some((410, "QUERY_TIMEOUT")));
        let config = config(&org);
        let mut host = Host::new(&config, "Contact").await;
        for step in 0..15_usize {
            let outcome = host.run_until(1 + (step * 7) % 6).await;
            assert!(outcome.errors.is_empty(), "{:?}", outcome.errors);
            host.assert_nothing_twice();
            org.touch("Contact", 9).unwrap();
            org.advance(MINUTE / 3);
            host.restart(&config);
        }
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn a_cursor_that_is_lost_in_a_part_is_put_again_from_the_last_row() {
    within(async {
        for full in [false, true] {
            let org = start(FakeOrg::builder().contacts(1_500)).await;
            org.refuse_queries_above(Some((900, "QUERY_TIMEOUT")));
            let host = Host::new(&config(&org), "Contact").await;
            let mut host = if full { host.full() } else { host };
            for nth in [1, 3, 4] {
                org.faults().on("/query/01g").nth(nth).then(Fault::status(400).with_body(
                    r#"[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]"#,
                ));
            }
            assert_eq!(host.run().await.clean().rows.len(), 1_500);
            host.assert_holds(&org);
        }
    });
}
