//! Reading by Bulk jobs.

use std::{sync::Arc, time::Duration};

use connector_sdk::{Class, Message, Operation, ReadRequest};
use connector_testkit::{
    fault::{Fault, Seen},
    salesforce::{Builder, Bulk, BulkEnd, FakeOrg},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::host::{Host, MINUTE, config, connect_by, context, discover, start, within};

/// An org whose jobs are done when they are first asked for.
pub(super) fn builder() -> Builder {
    FakeOrg::builder().bulk(Bulk { polls_until_done: 0, ..Bulk::default() })
}

/// Jobs that the org still has.
pub(super) fn left(org: &FakeOrg) -> usize {
    org.bulk_jobs().iter().filter(|job| job.is_left()).count()
}

pub(super) fn made(org: &FakeOrg) -> usize {
    org.bulk_jobs().len()
}

#[test]
fn every_row_of_an_object_arrives_once_and_no_job_is_left() {
    within(async {
        let org = start(builder().contacts(3_500).deleted_contacts(30)).await;
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await.clean();
        assert_eq!(outcome.rows.len(), 3_530);
        assert_eq!(outcome.rows.iter().filter(|row| row.operation == Operation::Delete).count(), 30);
        host.assert_holds(&org);
        assert_eq!((made(&org), left(&org)), (1, 0));
        // What has not changed makes no job.
        org.advance(MINUTE * 60);
        host.run().await.clean();
        assert_eq!(made(&org), 1);
    });
}

#[test]
fn changes_are_read_by_a_job_and_what_was_delivered_is_not_delivered_again() {
    within(async {
        let org = start(builder().contacts(1_200).newest_age(MINUTE)).await;
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        host.run().await.clean();
        for _ in 0..3 {
            org.advance(MINUTE);
            let changed = org.touch("Contact", 17).unwrap();
            let gone = org.insert("Contact", &json!({ "LastName": "Gone" })).unwrap();
            org.delete("Contact", &gone).unwrap();
            let outcome = host.run().await.clean();
            assert_eq!(outcome.rows.len(), changed.len() + 1);
            host.assert_holds(&org);
        }
        assert_eq!(left(&org), 0);
    });
}

#[test]
fn d_14_a_full_read_of_an_object_without_a_time_or_an_order_is_resumed_too() {
    within(async {
        let org = start(builder().contacts(900)).await;
        let mut host = Host::by("bulk", &config(&org), "Contact").await.full();
        let outcome = host.run().await.clean();
        assert!(outcome.rows.iter().all(|row| row.operation == Operation::Snapshot));
        host.assert_holds(&org);
        assert_eq!((made(&org), left(&org)), (1, 0));
        host.run().await.clean();
        assert_eq!((made(&org), left(&org)), (2, 0), "the next generation is another job");
    });
}

#[test]
fn d_02_a_crash_at_any_message_goes_on_in_the_same_job() {
    within(async {
        for full in [false, true] {
            let org = start(builder().contacts(900).deleted_contacts(20).newest_age(MINUTE)).await;
            org.change_bulk(|bulk| bulk.page_rows = 350);
            let config = config(&org);
            let begin = async || {
                let host = Host::by("bulk", &config, "Contact").await;
                if full { host.full() } else { host }
            };
            let messages = begin().await.run().await.clean().messages;
            assert!(messages >= 10, "{messages}");
            for crash in 0..messages {
                let before = made(&org);
                let mut host = begin().await;
                assert!(host.run_until(crash).await.crashed);
                let knows_the_job = !host.state.partitions.is_empty();
                host.restart(&config);
                host.run().await.clean();
                host.assert_holds(&org);
                // A job whose id was not durable yet is the only one that is lost sight of. Windows that were resumed
                // are followed by a look at what changed meanwhile, which is a job of its own.
                let expected = usize::from(!full) + if knows_the_job { 1 } else { 2 };
                assert_eq!(made(&org) - before, expected, "crash at {crash}");
            }
            let lost = org.bulk_jobs().len() - org.bulk_jobs().iter().filter(|job| job.deleted).count();
            assert_eq!(left(&org), lost);
            assert!(lost <= 2, "{lost}");
        }
    });
}

#[test]
fn the_first_thing_a_read_says_is_which_job_it_made() {
    within(async {
        let org = start(builder().contacts(300)).await;
        let host = Host::by("bulk", &config(&org), "Contact").await;
        let plan = host.connector.partitions(&host.cx, &host.stream, &host.state).await.unwrap();
        let partition = plan.partitions.into_iter().next().unwrap();
        let request =
            ReadRequest::new(host.cx.clone(), host.stream.clone(), partition).with_stream_state(plan.state);
        let mut read = host.connector.read(request);
        let Some(Ok(Message::State(state))) = read.next().await else { panic!("no state") };
        assert!(state.is_prompt() && state.records() == 0 && !state.is_complete());
        assert!(state.cursor().get().contains(&org.bulk_jobs()[0].id), "{}", state.cursor().get());
    });
}

#[test]
fn where_pages_are_not_listed_each_names_the_next_one() {
    within(async {
        let org = start(builder().contacts(10_400)).await;
        let mut config = config(&org);
        config["api_version"] = "v57.0".into();
        let mut host = Host::by("bulk", &config, "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
        let asked = |part: &str| org.requests().iter().filter(|request| request.path.ends_with(part)).count();
        assert!(asked("/results") >= 2 && asked("/resultPages") == 0);
        // In the middle of them, and of one of them.
        let mut host = Host::by("bulk", &config, "Contact").await;
        assert!(host.run_until(105).await.crashed);
        host.restart(&config);
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn d_02_a_crash_in_a_page_of_another_size_than_the_first_goes_on_where_it_was() {
    within(async {
        let org = start(builder().accounts(1).contacts(14_000)).await;
        let mut config = config(&org);
        config["api_version"] = "v57.0".into();
        let cx = context();
        let connector = connect_by("bulk", &config, &cx).unwrap();
        let mut stream = discover(&*connector, &cx, "Contact").await;
        // Narrow rows: after the first page of 10,000 the next ones are larger.
        stream.fields = Some(vec!["Id".to_owned()]);
        let plan = connector.partitions(&cx, &stream, &Default::default()).await.unwrap();
        let partition = plan.partitions.into_iter().next().unwrap();
        let mut request = ReadRequest::new(cx.clone(), stream, partition).with_stream_state(plan.state);
        let (mut ids, mut died) = (std::collections::BTreeSet::new(), false);
        // Dies in the middle of the second page, and once more after it.
        for rows in [12_000, 1_000, usize::MAX] {
            let mut read = connector.read(request.clone());
            let (mut got, mut pending) = (0, Vec::new());
            while let Some(message) = read.next().await {
                match message.unwrap() {
                    Message::Batch(batch) => {
                        pending.extend(batch.iter().map(|record| record.key.unwrap().to_vec()));
                    }
                    Message::State(state) => {
                        got += pending.len();
                        for id in pending.drain(..) {
                            assert!(ids.insert(id), "a row came twice");
                        }
                        request = request.with_state(Some(state));
                    }
                    _ => {}
                }
                if got >= rows {
                    died = true;
                    break;
                }
            }
        }
        assert!(died);
        assert_eq!((ids.len(), made(&org)), (14_000, 1));
    });
}

#[test]
fn a_connection_that_moves_to_another_version_reads_its_job_by_the_old_one() {
    within(async {
        let org = start(builder().contacts(900)).await;
        let mut config = config(&org);
        config["api_version"] = "v60.0".into();
        let mut host = Host::by("bulk", &config, "Contact").await;
        assert!(host.run_until(4).await.crashed);
        config["api_version"] = "v66.0".into();
        host.restart(&config);
        host.run().await.clean();
        host.assert_holds(&org);
        assert_eq!(made(&org), 1);
    });
}

#[test]
fn the_values_of_a_csv_are_those_of_the_object() {
    within(async {
        for change in
            [(|bulk: &mut Bulk| bulk.bare_nulls = true) as fn(&mut Bulk), |bulk| bulk.shuffled = false]
        {
            let org = start(builder().contacts(200)).await;
            org.change_bulk(change);
            let mut host = Host::by("bulk", &config(&org), "Contact").await;
            let outcome = host.run().await.clean();
            assert!(
                outcome.rows.iter().any(|row| row.record.as_object().unwrap().values().any(Value::is_null))
            );
            host.assert_holds(&org);
        }
    });
}

#[test]
fn an_integer_that_comes_with_decimals_is_an_integer() {
    within(async {
        let org = start(builder().accounts(50)).await;
        org.change_bulk(|bulk| bulk.decimals_on_whole = true);
        let mut host = Host::by("bulk", &config(&org), "Account").await;
        let outcome = host.run().await.clean();
        let counts: Vec<_> = outcome.rows.iter().map(|row| &row.record["NumberOfEmployees"]).collect();
        assert!(counts.iter().any(|count| count.is_u64()), "{counts:?}");
        assert!(counts.iter().all(|count| count.is_u64() || count.is_null()), "{counts:?}");
    });
}

#[test]
fn complaint_8_a_nul_byte_in_a_text_is_data_airbyte_8300() {
    within(async {
        let org = start(builder().contacts(50)).await;
        org.with_nul(true);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await.clean();
        assert_eq!(outcome.rows.len(), 50);
        assert!(outcome.rows.iter().all(|row| row.record["LastName"].as_str().unwrap().contains('\0')));
    });
}

#[test]
fn d_13_a_job_that_is_gone_is_made_again_and_no_row_is_missing() {
    within(async {
        for crash in [1, 4, 7] {
            let org = start(builder().contacts(900)).await;
            let config = config(&org);
            let mut host = Host::by("bulk", &config, "Contact").await;
            assert!(host.run_until(crash).await.crashed);
            org.drop_bulk_jobs();
            host.restart(&config);
            host.run().await.clean();
            assert_eq!(host.latest().len(), org.truth("Contact").unwrap().len());
            assert_eq!((made(&org), left(&org)), (2, 0));
        }
    });
}

#[test]
fn a_job_that_somebody_stopped_is_made_again_and_not_for_ever() {
    within(async {
        let org = start(builder().contacts(300)).await;
        org.end_next_bulk_job(BulkEnd::Aborted);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
        assert_eq!((made(&org), left(&org)), (2, 0));

        org.end_bulk_jobs(BulkEnd::Aborted);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!((error.class(), error.is_exhausted()), (Class::Transient, true), "{error}");
        assert_eq!(made(&org), 5);
    });
}

#[test]
fn d_12_a_page_with_fewer_rows_than_it_says_is_fetched_again_and_never_taken_for_whole() {
    within(async {
        let org = start(builder().contacts(900)).await;
        let short = Fault::status(200)
            .with_header("content-type", "text/csv")
            .with_header("Sforce-NumberOfRecords", "1000")
            .with_body("\"Id\"\n");
        // Once it costs a request; always, the run fails and says so.
        org.faults().on("/results").nth(1).then(short.clone());
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await;
        assert!(outcome.errors.iter().all(|error| error.class() != Class::Bug));
        org.faults().clear();

        org.faults().on("/results").always().then(Fault::MalformedJson);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await;
        assert_eq!(outcome.error().class(), Class::Transient, "{}", outcome.error());
        assert!(outcome.rows.len() < 900, "rows before the cut are whole");
        org.faults().clear();
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn complaint_7_a_job_that_takes_longer_than_we_wait_is_not_lost_jsforce_237() {
    within(async {
        let org = start(builder().contacts(300)).await;
        org.end_bulk_jobs(BulkEnd::Never);
        let mut config = config(&org);
        config["job_timeout"] = "0s".into();
        let mut host = Host::by("bulk", &config, "Contact").await;
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::Transient);
        assert!(error.message().contains("job_timeout"), "{error}");
        org.end_bulk_jobs(BulkEnd::Complete);
        host.restart(&config);
        host.run().await.clean();
        host.assert_holds(&org);
        assert_eq!((made(&org), left(&org)), (1, 0), "the next run has found the same job");
    });
}

#[test]
fn d_11_results_that_lead_in_a_circle_or_away_are_not_followed() {
    within(async {
        let org = start(builder().contacts(300)).await;
        for (lists, what) in [
            (
                json!({"resultPages": [{"resultUrl": "https://evil.example/services/data/v66.0/jobs/query/x/results"}], "done": true}),
                "away",
            ),
            (
                json!({"resultPages": [{"resultUrl": "/services/data/v66.0/sobjects/../../../x"}], "done": true}),
                "away",
            ),
            (json!({"resultPages": [], "done": false}), "more"),
        ] {
            org.faults().on("/resultPages").always().then(Fault::status(200).with_body(lists.to_string()));
            let mut host = Host::by("bulk", &config(&org), "Contact").await;
            let outcome = host.run().await;
            assert_eq!(outcome.error().class(), Class::Permanent);
            assert!(outcome.error().message().contains(what), "{}", outcome.error());
            org.faults().clear();
        }
    });
}

#[test]
fn complaint_2_a_token_that_expires_between_pages_costs_a_sign_in_and_no_row_simple_salesforce_619() {
    within(async {
        let org = Arc::new(start(builder().contacts(900)).await);
        org.change_bulk(|bulk| bulk.page_rows = 200);
        let expire = {
            let org = Arc::downgrade(&org);
            move |_: &Seen<'_>| {
                if let Some(org) = org.upgrade() {
                    org.expire_tokens()
                }
            }
        };
        org.faults()
            .on("/results")
            .nth(2)
            .doing(expire)
            .then(Fault::SlowHead { bytes: usize::MAX, every: Duration::ZERO });
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
        let sign_ins =
            org.requests().iter().filter(|request| request.path.ends_with("/oauth2/token")).count();
        assert_eq!(sign_ins, 2);
    });
}
