//! Deletions and changes between two times, as replication asks for them.

use std::collections::BTreeSet;
use std::time::Duration;

use connector_testkit::salesforce::FakeOrg;
use serde_json::{Value, json};

use super::client::encoded;
use super::{Answer, Client, within};

/// 2024-05-10T12:00:00Z
const NOON: i64 = 1_715_342_400_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn org() -> (FakeOrg, Client) {
    let org = FakeOrg::builder().contacts(20).accounts(5).clock(|| NOON).start().await.expect("start");
    let client = Client::new(&org);
    (org, client)
}

async fn ask(client: &Client, what: &str, start: &str, end: &str) -> Answer {
    let (start, end) = (encoded(start), encoded(end));
    client.get(&format!("/services/data/v66.0/sobjects/Contact/{what}/?start={start}&end={end}")).await
}

fn deleted(answer: &Answer) -> Vec<(String, String)> {
    let json = answer.json();
    let records = json["deletedRecords"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut list: Vec<_> =
        records.iter().map(|record| (text(&record["id"]), text(&record["deletedDate"]))).collect();
    list.sort();
    list
}

fn some(org: &FakeOrg, count: usize) -> Vec<String> {
    org.truth("Contact").expect("truth").into_keys().take(count).collect()
}

#[test]
fn rows_in_the_recycle_bin_and_rows_removed_for_good_are_told_with_their_time() {
    within(async {
        let (org, client) = org().await;
        let ids = some(&org, 4);
        org.delete("Contact", &ids[0]).expect("delete");
        org.advance(Duration::from_secs(75));
        org.hard_delete("Contact", &ids[1]).expect("delete");
        org.delete("Contact", &ids[2]).expect("delete");
        org.undelete("Contact", &ids[2]).expect("undelete");
        org.delete("Contact", &ids[3]).expect("delete");
        org.advance(Duration::from_secs(120));
        // Out of the recycle bin for good: gone since it was deleted.
        org.hard_delete("Contact", &ids[3]).expect("delete");
        let answer = ask(&client, "deleted", "2024-05-10T12:00:00Z", "2024-05-10T13:00:00Z").await;
        let at = |time: &str| format!("2024-05-10T{time}.000+0000");
        assert_eq!(
            deleted(&answer),
            [
                (ids[0].clone(), at("12:00:00")),
                (ids[1].clone(), at("12:01:15")),
                (ids[3].clone(), at("12:01:15"))
            ]
        );
        assert_eq!(answer.json()["earliestDateAvailable"], "2024-04-25T12:03:00.000+0000");

        let first = ask(&client, "deleted", "2024-05-10T12:00:59Z", "2024-05-10T12:01:59+00:00").await;
        assert_eq!(deleted(&first), [(ids[0].clone(), at("12:00:00"))], "seconds are cut off at both ends");
        assert_eq!(first.json()["latestDateCovered"], at("12:01:00"));
        org.undelete("Contact", &ids[0]).expect("undelete");
        let after = ask(&client, "deleted", "2024-05-10T12:00:00Z", "2024-05-10T12:01:00Z").await;
        assert_eq!(deleted(&after), []);
    });
}

#[test]
fn rows_that_were_deleted_before_the_org_started_are_in_the_log_for_fifteen_days() {
    within(async {
        let org = FakeOrg::builder().contacts(2).deleted_contacts(400).clock(|| NOON);
        let org = org.start().await.expect("start");
        let client = Client::new(&org);
        let truth = org.truth("Contact").expect("truth");
        let expected: BTreeSet<_> = truth
            .values()
            .filter(|row| row["IsDeleted"] == true)
            .filter(|row| row["SystemModstamp"].as_str().expect("a time") >= "2024-04-25T12:00:00")
            .map(|row| row["Id"].as_str().expect("Id").to_owned())
            .collect();
        let answer = ask(&client, "deleted", "2024-04-25T12:00:00Z", "2024-05-10T12:00:00Z").await;
        let told: BTreeSet<_> = deleted(&answer).into_iter().map(|(id, _)| id).collect();
        assert!(!told.is_empty());
        assert_eq!(told, expected);
    });
}

#[test]
fn a_span_that_cannot_be_told_is_refused() {
    within(async {
        let (org, client) = org().await;
        let wrong = (400, "INVALID_REPLICATION_DATE".to_owned());
        for (what, start, end) in [
            ("deleted", "2024-05-10T11:00:00Z", "2024-05-10T11:00:59Z"),
            ("deleted", "2024-05-10T11:00:00Z", "2024-05-10T10:00:00Z"),
            ("deleted", "2024-04-25T11:59:00Z", "2024-05-10T10:00:00Z"),
            ("updated", "2024-04-10T11:59:00Z", "2024-05-10T10:00:00Z"),
            ("updated", "yesterday", "2024-05-10T10:00:00Z"),
            ("updated", "2024-05-10T11:00:00 00:00", "2024-05-10T12:00:00Z"),
        ] {
            assert_eq!(ask(&client, what, start, end).await.error(), wrong, "{what} {start} {end}");
        }
        assert_eq!(ask(&client, "updated", "2024-04-10T12:00:00Z", "2024-05-10T10:00:00Z").await.status, 200);
        let base = "/services/data/v66.0/sobjects";
        assert_eq!(client.get(&format!("{base}/Contact/deleted")).await.status, 400);
        assert_eq!(client.get(&format!("{base}/Nope__c/deleted?start=x&end=y")).await.status, 404);
        assert_eq!(client.get(&format!("{base}/Payroll__c/updated?start=x&end=y")).await.status, 403);

        let early = "2024-05-10T09:00:00Z";
        assert_eq!(ask(&client, "deleted", early, "2024-05-10T12:00:00Z").await.status, 200);
        org.forget_deletions_before(NOON - 3600 * 1000);
        let purged = ask(&client, "deleted", early, "2024-05-10T12:00:00Z").await;
        assert_eq!(purged.error(), wrong);
        assert!(purged.text.contains("startDate before org replication enabled date"));
        let left = ask(&client, "deleted", "2024-05-10T11:00:00Z", "2024-05-10T12:00:00Z").await.json();
        assert_eq!(left["earliestDateAvailable"], "2024-05-10T11:00:00.000+0000");
        assert_eq!(ask(&client, "updated", early, "2024-05-10T12:00:00Z").await.status, 200);

        org.set_replication_limit(3);
        org.touch("Contact", 4).expect("touch");
        let many = ask(&client, "updated", "2024-05-10T12:00:00Z", "2024-05-10T12:30:00Z").await;
        assert_eq!(many.error(), (400, "EXCEEDED_ID_LIMIT".to_owned()));
    });
}

#[test]
fn changes_are_told_by_id_and_what_is_deleted_is_no_change() {
    within(async {
        let (org, client) = org().await;
        let touched: BTreeSet<_> = org.touch("Contact", 5).expect("touch").into_iter().collect();
        let made = org.insert("Contact", &json!({"LastName": "New"})).expect("insert");
        let gone = touched.first().expect("one").clone();
        org.delete("Contact", &gone).expect("delete");
        org.advance(Duration::from_secs(60));
        let answer = ask(&client, "updated", "2024-05-10T12:00:00Z", "2024-05-10T12:01:00Z").await.json();
        let ids: BTreeSet<_> = answer["ids"]
            .as_array()
            .expect("ids")
            .iter()
            .map(|id| id.as_str().expect("id").to_owned())
            .collect();
        let mut expected = touched;
        expected.remove(&gone);
        expected.insert(made);
        assert_eq!(ids, expected);
        assert_eq!(answer["latestDateCovered"], "2024-05-10T12:01:00.000+0000");
    });
}

#[test]
fn what_is_not_covered_yet_is_told_later() {
    within(async {
        let (org, client) = org().await;
        let id = some(&org, 1).remove(0);
        org.set_replication_lag(2 * 3600 * 1000);
        org.delete("Contact", &id).expect("delete");
        org.advance(Duration::from_secs(3600));
        let (start, end) = ("2024-05-10T10:00:00Z", "2024-05-10T13:00:00Z");
        let answer = ask(&client, "deleted", start, end).await;
        assert_eq!(deleted(&answer), []);
        assert_eq!(answer.json()["latestDateCovered"], "2024-05-10T11:00:00.000+0000");
        org.advance(Duration::from_secs(2 * 3600));
        let later = ask(&client, "deleted", "2024-05-10T11:00:00Z", end).await;
        assert_eq!(deleted(&later).len(), 1);
        org.advance(15 * DAY);
        assert_eq!(ask(&client, "deleted", start, end).await.status, 400, "fifteen days are over");
    });
}
