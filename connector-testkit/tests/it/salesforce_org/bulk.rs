//! Bulk query jobs: how they live, how they end, and the CSV they leave.

mod csv;
mod refusals;

use std::collections::BTreeSet;

use connector_testkit::fault::{Fault, Matcher};
use connector_testkit::salesforce::{Bulk, BulkEnd, FakeOrg};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::read;
use super::{Answer, Client, within};

const JOBS: &str = "/services/data/v66.0/jobs/query";

async fn org(contacts: usize) -> (FakeOrg, Client) {
    let org = FakeOrg::builder().contacts(contacts).start().await.expect("start");
    let client = Client::new(&org);
    (org, client)
}

async fn send(client: &Client, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = client.http.request(method, format!("{}{path}", client.url)).bearer_auth(&client.token);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    read(request).await.expect("an answer")
}

async fn try_create(client: &Client, body: Value) -> Answer {
    send(client, Method::POST, JOBS, Some(body)).await
}

/// The id of a new job.
async fn create(client: &Client, soql: &str) -> String {
    let answer = try_create(client, json!({"operation": "query", "query": soql})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["id"].as_str().expect("id").to_owned()
}

async fn state(client: &Client, id: &str) -> String {
    let answer = client.get(&format!("{JOBS}/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["state"].as_str().expect("state").to_owned()
}

/// The id of a job that is complete.
async fn finished(client: &Client, soql: &str) -> String {
    let id = create(client, soql).await;
    while state(client, &id).await != "JobComplete" {}
    id
}

/// The rows of a page, and the locator of the next one.
async fn page(client: &Client, path: &str) -> (Vec<Vec<String>>, String) {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "text/csv; charset=UTF-8");
    let mut rows = csv::read(&answer.text, ',');
    assert_eq!(rows.remove(0)[0], "Id", "each page repeats the header");
    assert_eq!(answer.header("sforce-numberofrecords"), rows.len().to_string());
    (rows, answer.header("sforce-locator").to_owned())
}

/// All rows of a finished job, read by locators.
async fn all(client: &Client, id: &str, most: usize) -> Vec<Vec<String>> {
    let (mut rows, mut locator) = page(client, &format!("{JOBS}/{id}/results?maxRecords={most}")).await;
    while locator != "null" {
        let (more, next) =
            page(client, &format!("{JOBS}/{id}/results?maxRecords={most}&locator={locator}")).await;
        assert!(!more.is_empty());
        rows.extend(more);
        locator = next;
    }
    rows
}

fn ids(rows: &[Vec<String>]) -> Vec<String> {
    rows.iter().map(|row| row[0].clone()).collect()
}

#[test]
fn a_job_goes_from_waiting_over_working_to_complete_by_being_asked_for() {
    within(async {
        let (org, client) = org(30).await;
        let created = try_create(
            &client,
            json!({"operation": "query", "query": "SELECT Id FROM contact", "contentType": "CSV"}),
        )
        .await
        .json();
        let id = created["id"].as_str().expect("id").to_owned();
        assert!(id.starts_with("750") && id.len() == 18, "{id}");
        assert_eq!((&created["state"], &created["object"]), (&json!("UploadComplete"), &json!("Contact")));
        assert_eq!(created["apiVersion"], json!(66.0));
        assert_eq!(
            (&created["columnDelimiter"], &created["lineEnding"], &created["contentType"]),
            (&json!("COMMA"), &json!("LF"), &json!("CSV"))
        );
        assert!(created.get("jobType").is_none(), "only later: {created}");

        let early = client.get(&format!("{JOBS}/{id}/results")).await;
        assert_eq!((early.status, early.text.as_str()), (204, ""));
        assert_eq!(state(&client, &id).await, "InProgress");
        assert_eq!(state(&client, &id).await, "JobComplete");
        let shown = client.get(&format!("{JOBS}/{}", &id[..15])).await.json();
        assert_eq!((&shown["jobType"], &shown["numberRecordsProcessed"]), (&json!("V2Query"), &json!(30)));
        assert_eq!(shown["isPkChunkingSupported"], true);
        assert_eq!(all(&client, &id, 30).await.len(), 30);

        org.change_bulk(|bulk| bulk.polls_until_done = 3);
        let id = create(&client, "SELECT Id FROM Contact").await;
        let mut states = Vec::new();
        for _ in 0..4 {
            states.push(state(&client, &id).await);
        }
        assert_eq!(states, ["UploadComplete", "InProgress", "InProgress", "JobComplete"]);
        org.change_bulk(|bulk| bulk.polls_until_done = 0);
        let id = create(&client, "SELECT Id FROM Contact").await;
        assert_eq!(state(&client, &id).await, "JobComplete");
    });
}

#[test]
fn pages_by_locator_hold_every_row_once_and_in_no_order() {
    within(async {
        let (org, client) = org(2500).await;
        let soql = "SELECT Id, Name FROM Contact";
        let id = finished(&client, soql).await;
        let rows = all(&client, &id, 700).await;
        let read: BTreeSet<_> = ids(&rows).into_iter().collect();
        assert_eq!(rows.len(), 2500);
        assert_eq!(read, org.truth("Contact").expect("truth").into_keys().collect());
        assert!(!ids(&rows).is_sorted(), "chunks come in no order");
        assert_eq!(all(&client, &id, 700).await, rows, "and the same way each time");
        assert_eq!(all(&client, &id, 333).await, rows, "whatever the size of the pages");
        let other = finished(&client, soql).await;
        assert_ne!(all(&client, &other, 2500).await, rows, "but not in another job");

        let ordered = finished(&client, "SELECT Id FROM Contact ORDER BY Id DESC").await;
        let descending: Vec<_> = ids(&all(&client, &ordered, 900).await);
        assert!(descending.iter().rev().is_sorted());
        let limited = finished(&client, "SELECT Id FROM Contact LIMIT 7").await;
        assert_eq!(all(&client, &limited, 5).await.len(), 7);
        let shown = client.get(&format!("{JOBS}/{limited}")).await.json();
        assert_eq!(shown["isPkChunkingSupported"], false);
        let default = client.get(&format!("{JOBS}/{id}/results")).await;
        assert_eq!(default.header("sforce-numberofrecords"), "1000");
    });
}

#[test]
fn a_locator_can_be_read_again_as_long_as_the_job_is_there_and_is_good_for_that_job_only() {
    within(async {
        let (org, client) = org(50).await;
        let id = finished(&client, "SELECT Id FROM Contact").await;
        let (_, second) = page(&client, &format!("{JOBS}/{id}/results?maxRecords=20")).await;
        let path = format!("{JOBS}/{id}/results?maxRecords=20&locator={second}");
        let once = client.get(&path).await;
        assert_eq!(client.get(&path).await.text, once.text);

        let other = finished(&client, "SELECT Id FROM Contact").await;
        for (job, locator) in [(&other, second.as_str()), (&id, "null"), (&id, "MTAwMDA")] {
            let wrong = client.get(&format!("{JOBS}/{job}/results?locator={locator}")).await;
            assert_eq!(wrong.error(), (400, "API_ERROR".to_owned()), "{locator}");
        }
        assert_eq!(client.get(&format!("{JOBS}/{id}/results?maxRecords=0")).await.status, 400);

        let elsewhere = client.get(&path.replace("v66.0", "v65.0")).await;
        assert_eq!(elsewhere.status, 409, "another API version than the job's");
        assert_eq!(send(&client, Method::DELETE, &format!("{JOBS}/{id}"), None).await.status, 204);
        assert_eq!(client.get(&path).await.error(), (404, "NOT_FOUND".to_owned()));
        assert_eq!(client.get(&format!("{JOBS}/{id}")).await.status, 404);
        let jobs = org.bulk_jobs();
        assert_eq!(jobs.iter().map(|job| job.deleted).collect::<Vec<_>>(), [true, false]);
    });
}

#[test]
fn result_pages_come_five_at_a_time_and_together_hold_every_row_once() {
    within(async {
        let (org, client) = org(1150).await;
        org.change_bulk(|bulk| bulk.page_rows = 100);
        let id = finished(&client, "SELECT Id FROM Contact").await;
        let mut next = format!("{JOBS}/{id}/resultPages");
        let (mut sizes, mut rows) = (Vec::new(), Vec::new());
        loop {
            let answer = client.get(&next).await.json();
            let pages = answer["resultPages"].as_array().expect("resultPages").clone();
            sizes.push(pages.len());
            // Last one first: they do not need each other.
            for address in pages.iter().rev() {
                let address = address["resultUrl"].as_str().expect("resultUrl");
                rows.extend(page(&client, address).await.0);
            }
            if answer["done"] == true {
                assert_eq!(answer["nextRecordUrl"], Value::Null);
                break;
            }
            next = answer["nextRecordUrl"].as_str().expect("nextRecordUrl").to_owned();
        }
        assert_eq!(sizes, [5, 5, 2]);
        assert_eq!(rows.len(), 1150);
        assert_eq!(
            ids(&rows).into_iter().collect::<BTreeSet<_>>(),
            org.truth("Contact").expect("truth").into_keys().collect()
        );

        let none = finished(&client, "SELECT Id FROM Contact WHERE LastName = 'nobody'").await;
        let pages = client.get(&format!("{JOBS}/{none}/resultPages")).await.json();
        assert_eq!((pages["resultPages"].as_array().map(Vec::len), &pages["done"]), (Some(1), &json!(true)));
        assert_eq!(all(&client, &none, 10).await.len(), 0);
        let old = client.get(&format!("/services/data/v57.0/jobs/query/{none}/resultPages")).await;
        assert_eq!(old.status, 404, "parallel pages came with v58");
    });
}

#[test]
fn the_rows_of_a_job_are_those_of_its_creation() {
    within(async {
        let (org, client) = org(20).await;
        let id = create(&client, "SELECT Id, Title FROM Contact").await;
        let victim = org.truth("Contact").expect("truth").into_keys().next().expect("one");
        org.update("Contact", &victim, &json!({"Title": "changed since"})).expect("update");
        org.insert("Contact", &json!({"LastName": "Later"})).expect("insert");
        org.delete("Contact", &victim).expect("delete");
        while state(&client, &id).await != "JobComplete" {}
        let rows = all(&client, &id, 100).await;
        assert_eq!(rows.len(), 20);
        let then = rows.iter().find(|row| row[0] == victim).expect("still there");
        assert_ne!(then[1], "changed since");

        let deleted_too = json!({"operation": "queryAll", "query": "SELECT Id, IsDeleted FROM Contact"});
        let id = try_create(&client, deleted_too).await.json()["id"].as_str().expect("id").to_owned();
        while state(&client, &id).await != "JobComplete" {}
        let rows = all(&client, &id, 100).await;
        assert_eq!(rows.iter().filter(|row| row[1] == "true").count(), 1);
        assert_eq!(rows.len(), 21);
    });
}

#[test]
fn a_job_can_fail_hang_be_aborted_or_vanish_and_the_test_sees_what_is_left() {
    within(async {
        let (org, client) = org(5).await;
        let soql = "SELECT Id FROM Contact";
        org.fail_bulk_jobs(None);
        let silent = create(&client, soql).await;
        assert_eq!(state(&client, &silent).await, "InProgress");
        let failed = client.get(&format!("{JOBS}/{silent}")).await.json();
        assert_eq!((&failed["state"], failed.get("errorMessage")), (&json!("Failed"), None));
        assert_eq!(client.get(&format!("{JOBS}/{silent}/results")).await.status, 204);

        org.end_bulk_jobs(BulkEnd::Complete);
        let told = create(&client, soql).await;
        assert!(org.end_bulk_job(&told, BulkEnd::Failed(Some("ApexLimits : CPU".to_owned()))));
        while state(&client, &told).await != "Failed" {}
        let told = client.get(&format!("{JOBS}/{told}")).await.json();
        assert_eq!(told["errorMessage"], "ApexLimits : CPU");

        org.end_next_bulk_job(BulkEnd::Vanish);
        let lost = create(&client, soql).await;
        assert_eq!(client.get(&format!("{JOBS}/{lost}")).await.error(), (404, "NOT_FOUND".to_owned()));
        org.end_next_bulk_job(BulkEnd::Aborted);
        let aborted = create(&client, soql).await;
        while state(&client, &aborted).await != "Aborted" {}

        org.end_next_bulk_job(BulkEnd::Never);
        let endless = create(&client, soql).await;
        for _ in 0..20 {
            assert_eq!(state(&client, &endless).await, "InProgress");
        }
        let path = format!("{JOBS}/{endless}");
        let early = send(&client, Method::DELETE, &path, None).await;
        assert_eq!(early.error(), (400, "API_ERROR".to_owned()), "it works still");
        assert!(early.text.contains("the job is not terminated"));
        let abort = json!({"state": "Aborted"});
        assert_eq!(send(&client, Method::PATCH, &path, Some(json!({"state": "Done"}))).await.status, 400);
        let stopped = send(&client, Method::PATCH, &path, Some(abort.clone())).await;
        assert_eq!((stopped.status, &stopped.json()["state"]), (200, &json!("Aborted")));
        assert_eq!(send(&client, Method::PATCH, &path, Some(abort)).await.status, 400, "twice");

        let after = finished(&client, soql).await;
        assert_eq!(all(&client, &after, 10).await.len(), 5, "the next ones are well again");
        let listed = client.get(JOBS).await.json();
        assert_eq!(listed["done"], true);
        assert_eq!(listed["records"].as_array().map(Vec::len), Some(5), "the lost one is not there");
        let states: Vec<_> = org.bulk_jobs().iter().map(|job| (job.state, job.is_left())).collect();
        assert_eq!(
            states,
            [
                ("Failed", true),
                ("Failed", true),
                ("UploadComplete", false),
                ("Aborted", false),
                ("Aborted", false),
                ("JobComplete", true)
            ]
        );
        org.drop_bulk_jobs();
        assert_eq!(client.get(&format!("{JOBS}/{after}/results")).await.status, 404, "seven days later");
        assert!(!org.bulk_jobs().iter().any(connector_testkit::salesforce::BulkJob::is_left));
    });
}

#[test]
fn jobs_are_api_calls_and_meet_scripted_faults() {
    within(async {
        let (org, client) = org(5).await;
        let before = org.usage().0;
        let id = finished(&client, "SELECT Id FROM Contact").await;
        all(&client, &id, 10).await;
        assert_eq!(org.usage().0 - before, 4, "creation, two polls, one page");

        org.faults().on(Matcher::path("/results")).then(Fault::TruncatedBody { after: 30, chunked: true });
        org.faults().on(Matcher::path("/jobs/query").method("POST")).then(Fault::status(503));
        assert!(client.try_get(&format!("{JOBS}/{id}/results"), &[]).await.is_err(), "cut short");
        assert_eq!(all(&client, &id, 10).await.len(), 5, "and whole again");
        let body = json!({"operation": "query", "query": "SELECT Id FROM Contact"});
        assert_eq!(try_create(&client, body).await.status, 503);
        assert_eq!(org.bulk_jobs().len(), 1, "no job was made");
    });
}

#[test]
fn results_are_compressed_for_who_takes_it_even_where_nothing_else_is() {
    within(async {
        let bulk = Bulk { polls_until_done: 0, ..Bulk::default() };
        let org = FakeOrg::builder().contacts(2).bulk(bulk).start().await.expect("start");
        let client = Client::new(&org);
        let id = finished(&client, "SELECT Id FROM Contact").await;
        let path = format!("{JOBS}/{id}/results");
        let accepts = [("Accept-Encoding", "gzip")];
        let request = client.http.get(format!("{}{path}", client.url)).bearer_auth(&client.token);
        let packed = request.header("Accept-Encoding", "gzip").send().await.expect("an answer");
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert_eq!(client.get(&path).await.header("content-encoding"), "");
        let json = client.try_get(&format!("{JOBS}/{id}"), &accepts).await.expect("an answer");
        assert_eq!(json.header("content-encoding"), "");
    });
}
