//! Reading by Bulk jobs or by REST, whichever is the better one, and what the Bulk API does not serve.

use connector_sdk::Class;
use connector_testkit::salesforce::FieldType;
use serde_json::json;

use super::bulk::{builder, left, made};
use super::host::{Host, MINUTE, config, connect_by, context, discover, start, within};

/// Reads the stream in full by a job, as `salesforce/auto` would if it had many rows.
async fn by_job(host: &mut Host) -> Vec<connector_sdk::Error> {
    let partition = connector_sdk::Partition::new("all").with_slice(&json!({ "by_job": true })).unwrap();
    host.read_partition(partition).await
}

#[test]
fn a_job_that_was_made_for_another_choice_of_fields_is_made_again() {
    within(async {
        let org = start(builder().contacts(900)).await;
        let config = config(&org);
        let mut host = Host::by("bulk", &config, "Contact").await;
        assert!(host.run_until(4).await.crashed);
        org.add_field("Contact", "Grade__c", FieldType::Text).unwrap();
        host.restart(&config);
        host.stream = discover(&*host.connector, &host.cx, "Contact").await;
        host.run().await.clean();
        assert_eq!(host.latest().len(), 900);
        assert!(host.bronze.last().unwrap().record.get("Grade__c").is_some());
        assert_eq!(left(&org), 0);
    });
}

#[test]
fn d_08_with_a_choice_the_look_back_knows_a_row_again_whichever_way_it_came() {
    within(async {
        let org = start(builder().contacts(300)).await;
        for number in 0..60 {
            org.insert("Contact", &json!({ "LastName": format!("Just now \"{number}\" ä/ö") })).unwrap();
        }
        let mut config = config(&org);
        config["bulk_from"] = 1.into();
        let mut host = Host::by("auto", &config, "Contact").await;
        assert_eq!(host.run().await.clean().rows.len(), 360);
        for (bulk_from, jobs) in [(100_000, 1), (1, 2), (100_000, 2)] {
            org.advance(MINUTE);
            config["bulk_from"] = bulk_from.into();
            host.restart(&config);
            assert_eq!(host.run().await.clean().rows.len(), 0, "looked back upon, and known");
            assert_eq!(made(&org), jobs);
        }
    });
}

#[test]
fn a_job_that_failed_is_told_with_the_reason_and_where_there_is_a_choice_rest_reads_on() {
    within(async {
        for said in [Some("internal error 42"), None] {
            let org = start(builder().contacts(300)).await;
            org.fail_bulk_jobs(said);
            let mut host = Host::by("bulk", &config(&org), "Contact").await;
            let outcome = host.run().await;
            let error = &outcome.skipped[0];
            assert!(error.message().contains("salesforce/auto"), "{error}");
            assert_eq!(error.to_string().contains("internal error 42"), said.is_some(), "{error}");
            assert!(outcome.rows.is_empty());
            assert_eq!(left(&org), 0);

            let mut host = Host::by("auto", &config(&org), "Contact").await.full();
            assert!(by_job(&mut host).await.is_empty());
            host.assert_holds(&org);
        }
    });
}

#[test]
fn an_object_that_jobs_do_not_serve_is_named_or_read_by_rest() {
    within(async {
        let org = start(builder().contacts(300)).await;
        org.unsupported_in_bulk(["Contact"]);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await;
        assert!(outcome.skipped[0].message().contains("REST"), "{}", outcome.skipped[0]);

        let mut host = Host::by("auto", &config(&org), "Contact").await.full();
        assert!(by_job(&mut host).await.is_empty());
        host.assert_holds(&org);
    });
}

#[test]
fn when_the_days_jobs_are_used_up_one_door_says_when_to_come_back_and_the_other_reads_by_rest() {
    within(async {
        let org = start(builder().contacts(300)).await;
        org.set_bulk_quota(0, 0);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        let outcome = host.run().await;
        let error = outcome.error();
        assert_eq!(error.class(), Class::RateLimited);
        assert!(error.resume_at().is_some() && error.is_exhausted(), "{error:?}");

        let mut host = Host::by("auto", &config(&org), "Contact").await.full();
        assert!(by_job(&mut host).await.is_empty());
        host.assert_holds(&org);
    });
}

#[test]
fn an_org_without_the_bulk_api_is_named_or_read_by_rest() {
    within(async {
        let org = start(builder().contacts(300)).await;
        org.change_bulk(|bulk| bulk.enabled = false);
        let mut host = Host::by("bulk", &config(&org), "Contact").await;
        assert_eq!(host.run().await.skipped.len(), 1);
        let mut host = Host::by("auto", &config(&org), "Contact").await.full();
        assert!(by_job(&mut host).await.is_empty());
        host.assert_holds(&org);
    });
}

#[test]
fn with_a_choice_many_rows_are_read_by_a_job_and_few_by_rest_and_none_twice() {
    within(async {
        let org = start(builder().contacts(900).newest_age(MINUTE)).await;
        let mut config = config(&org);
        config["bulk_from"] = 800.into();
        let mut host = Host::by("auto", &config, "Contact").await;
        let outcome = host.run().await.clean();
        assert_eq!((outcome.rows.len(), made(&org), left(&org)), (900, 1, 0));
        // By pages now, over rows that the job has delivered.
        org.advance(MINUTE);
        let changed = org.touch("Contact", 10).unwrap().len();
        config["bulk_from"] = 100_000.into();
        host.restart(&config);
        let outcome = host.run().await.clean();
        assert_eq!((outcome.rows.len(), made(&org)), (changed, 1));
        host.assert_holds(&org);
        // And by a job again.
        org.advance(MINUTE);
        let changed = org.touch("Contact", 10).unwrap().len();
        config["bulk_from"] = 1.into();
        host.restart(&config);
        let outcome = host.run().await.clean();
        assert_eq!((outcome.rows.len(), made(&org), left(&org)), (changed, 2, 0));
        host.assert_holds(&org);
        let mut full = Host::by("auto", &config, "Contact").await.full();
        full.run().await.clean();
        full.assert_holds(&org);
        assert_eq!((made(&org), left(&org)), (3, 0));
    });
}

#[test]
fn d_02_with_a_choice_a_crash_at_any_message_and_a_change_of_mind_lose_no_row() {
    within(async {
        let org = start(builder().contacts(900).newest_age(MINUTE)).await;
        org.change_bulk(|bulk| bulk.page_rows = 350);
        let mut config = config(&org);
        config["bulk_from"] = 800.into();
        let messages = Host::by("auto", &config, "Contact").await.run().await.clean().messages;
        for crash in 0..messages {
            let mut host = Host::by("auto", &config, "Contact").await;
            assert!(host.run_until(crash).await.crashed);
            host.restart(&config);
            host.run().await.clean();
            host.assert_holds(&org);
            // The same by the other door: rows of the job come again, and none is missing.
            let mut host = Host::by("auto", &config, "Contact").await;
            assert!(host.run_until(crash).await.crashed);
            host.door = "rest";
            host.restart(&config);
            host.run().await.clean();
            assert_eq!(host.latest().len(), 900);
        }
    });
}

#[test]
fn when_the_days_jobs_are_used_up_none_is_tried_where_there_is_a_choice() {
    within(async {
        let org = start(builder().contacts(300)).await;
        org.set_bulk_quota(0, 10);
        let mut config = config(&org);
        config["bulk_from"] = 1.into();
        let mut host = Host::by("auto", &config, "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
        assert!(!org.requests().iter().any(|request| request.path.ends_with("/jobs/query")));
    });
}

#[test]
fn a_job_that_failed_and_a_query_that_takes_too_long_are_read_in_parts_by_rest() {
    within(async {
        let org = start(builder().contacts(900)).await;
        org.fail_bulk_jobs(None);
        org.refuse_queries_above(Some((400, "QUERY_TIMEOUT")));
        let mut config = config(&org);
        config["bulk_from"] = 1.into();
        let mut host = Host::by("auto", &config, "Contact").await;
        host.run().await.clean();
        host.assert_holds(&org);
    });
}

#[test]
fn a_compound_field_is_refused_by_name_and_with_what_to_do() {
    within(async {
        let org = start(builder()).await;
        for door in ["bulk", "auto"] {
            let cx = context();
            let connector = connect_by(door, &config(&org), &cx).unwrap();
            let stream = discover(&*connector, &cx, "Contact").await;
            assert!(!stream.spec.fields().any(|field| field == "MailingAddress"));
            assert!(stream.spec.fields().any(|field| field == "MailingCity"));
            let mut chosen = stream.clone();
            chosen.fields = Some(vec!["MailingAddress".to_owned()]);
            let error = connector.partitions(&cx, &chosen, &Default::default()).await.unwrap_err();
            assert_eq!(error.class(), Class::Config);
            for part in ["MailingAddress", "salesforce/rest", "parts"] {
                assert!(error.message().contains(part), "{error}");
            }
        }
    });
}
