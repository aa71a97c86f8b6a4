//! The client: ingest jobs of the Bulk API 2.0.

use std::time::Duration;

use connector_salesforce::{IngestOperation, error_code};
use connector_sdk::Class;
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::FakeOrg,
};
use serde_json::{Value, json};

use super::{
    host::{start, within},
    writing::{KEY, client, contacts, lost, row},
};

#[test]
fn a_job_writes_its_records_and_names_the_rows_that_failed() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let records = [
            json!({ "LastName": "O'Brien, \"Bob\"\r\nJr", KEY: "a", "HasOptedOutOfEmail": true, "Score__c": 1.5 }),
            json!({ "FirstName": "no last name" }),
            json!({ "LastName": "Doe", "Birthdate": "1990-05-01" }),
        ];
        let ingest = client.ingest("Contact", IngestOperation::Insert, records).await.unwrap();
        assert_eq!((ingest.jobs().len(), contacts(&org)), (1, 0), "nothing is written before it is finished");
        let done = ingest.finish().await.unwrap();
        assert_eq!((done.saved.len(), done.failed.len(), done.unprocessed.len()), (2, 1, 0));
        let first = row(&org, "Contact", &done.saved[0].id);
        assert_eq!(
            (&first["LastName"], &first["HasOptedOutOfEmail"], &first["Score__c"]),
            (&json!("O'Brien, \"Bob\"\r\nJr"), &json!(true), &json!(1.5))
        );
        assert!(done.saved[0].created && done.saved[0].fields[KEY] == "a");
        let failed = &done.failed[0];
        assert_eq!(
            (failed.error.class(), error_code(&failed.error)),
            (Class::Permanent, Some("REQUIRED_FIELD_MISSING"))
        );
        assert!(
            failed.error.to_string().contains("fields: LastName")
                && failed.fields["FirstName"] == "no last name"
        );
        assert!(org.ingest_jobs().is_empty(), "a finished job is deleted");
    });
}

#[test]
fn null_empties_a_field_and_what_is_not_named_stays() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        for (key, phone) in [("a", "1"), ("b", "2")] {
            org.insert("Contact", &json!({ "LastName": "A", KEY: key, "Phone": phone, "Title": "T" }))
                .unwrap();
        }
        let records = [
            json!({ KEY: "a", "Phone": null }),
            json!({ KEY: "b", "Title": "U" }),
            json!({ KEY: "c", "LastName": "New" }),
        ];
        let upsert = IngestOperation::Upsert(KEY.to_owned());
        let done =
            client.ingest("Contact", upsert.clone(), records).await.unwrap().keep().finish().await.unwrap();
        assert_eq!(done.saved.iter().map(|saved| saved.created).collect::<Vec<_>>(), [false, false, true]);
        let found = |index: usize| row(&org, "Contact", &done.saved[index].id);
        assert_eq!((&found(0)["Phone"], &found(0)["Title"]), (&Value::Null, &json!("T")));
        assert_eq!((&found(1)["Phone"], &found(1)["Title"]), (&json!("2"), &json!("U")));
        assert_eq!(org.ingest_jobs().len(), 1, "kept");
        let same = [json!({ KEY: "a" }), json!({ KEY: "a" })];
        assert_eq!(client.ingest("Contact", upsert, same).await.unwrap_err().class(), Class::Config);
        let ids: Vec<Value> = done.saved.iter().map(|saved| json!({ "Id": saved.id })).collect();
        let hard = client.ingest("Contact", IngestOperation::HardDelete, &ids[..1]).await.unwrap();
        assert_eq!(hard.finish().await.unwrap().saved.len(), 1);
        let soft = client.ingest("Contact", IngestOperation::Delete, &ids[1..]).await.unwrap();
        assert_eq!(soft.finish().await.unwrap().saved.len(), 2);
        assert_eq!((contacts(&org), found(1)["IsDeleted"].clone()), (2, json!(true)));
    });
}

#[test]
fn answers_that_are_lost_write_nothing_twice() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        for (method, path) in [
            ("POST", "/jobs/ingest"),
            ("PUT", "/batches"),
            ("PATCH", "/jobs/ingest"),
            ("GET", "/successfulResults"),
        ] {
            org.faults().on(Matcher::path(path).method(method)).nth(1).then(lost());
        }
        let records = (0..20).map(|n| json!({ "LastName": format!("N {n}") }));
        let ingest = client.ingest("Contact", IngestOperation::Insert, records).await.unwrap();
        assert_eq!((ingest.finish().await.unwrap().saved.len(), contacts(&org)), (20, 20));
    });
}

#[test]
fn a_job_that_is_not_waited_for_is_taken_up_again_by_its_id() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        org.set_ingest_polls(1_000_000);
        let client = client(&org);
        let ingest =
            client.ingest("Contact", IngestOperation::Insert, [json!({ "LastName": "A" })]).await.unwrap();
        let jobs = ingest.jobs().to_vec();
        let error = ingest.deadline(Duration::from_millis(1)).finish().await.unwrap_err();
        assert_eq!(error.class(), Class::Transient);
        assert!(error.to_string().contains(&jobs[0]), "{error}");
        org.set_ingest_polls(1);
        let done = client.resume(&jobs).keep().finish().await.unwrap();
        assert_eq!((done.saved.len(), contacts(&org)), (1, 1));
        let again = client.resume(&jobs).finish().await.unwrap();
        assert_eq!((again.saved.len(), contacts(&org)), (1, 1));
        assert_eq!(client.resume(&jobs).finish().await.unwrap_err().class(), Class::Permanent);
    });
}

#[test]
fn a_job_that_is_stopped_says_what_it_did_not_look_at() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let records = (0..3).map(|n| json!({ "LastName": format!("N {n}") }));
        let ingest = client.ingest("Contact", IngestOperation::Insert, records).await.unwrap();
        ingest.abort().await.unwrap();
        let done = ingest.finish().await.unwrap();
        assert_eq!((done.saved.len(), done.unprocessed.len(), contacts(&org)), (0, 3, 0));
        assert!(done.stopped[0].to_string().contains("the job is aborted"), "{:?}", done.stopped);
    });
}

#[test]
fn results_that_are_not_all_there_are_no_success() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let records = (0..3).map(|n| json!({ "LastName": format!("N {n}") }));
        let ingest = client.ingest("Contact", IngestOperation::Insert, records).await.unwrap().keep();
        let short = Fault::status(200)
            .with_body("\"sf__Id\",\"sf__Created\",\"LastName\"\n\"003x\",\"true\",\"N 0\"\n")
            .with_header("content-type", "text/csv");
        org.faults().on("/successfulResults").nth(1).then(short);
        let error = ingest.finish().await.unwrap_err();
        assert!(error.to_string().contains("processed: 3"), "{error}");
        assert_eq!(ingest.finish().await.unwrap().saved.len(), 3);
    });
}

#[test]
fn a_job_that_the_vendor_refuses_leaves_none_behind() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let upsert = IngestOperation::Upsert("Title".to_owned());
        let error = client.ingest("Contact", upsert, [json!({ "Title": "x" })]).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        org.faults()
            .on("/batches")
            .always()
            .then(Fault::status(400).with_body(r#"[{"errorCode":"CLIENTINPUTERROR","message":"no"}]"#));
        let error = client
            .ingest("Contact", IngestOperation::Insert, [json!({ "LastName": "x" })])
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert_eq!(org.ingest_jobs().into_values().collect::<Vec<_>>(), ["Aborted"]);
        let nothing = client.ingest("Contact", IngestOperation::Insert, Vec::<Value>::new()).await.unwrap();
        assert!(nothing.jobs().is_empty() && nothing.finish().await.unwrap().saved.is_empty());
    });
}
