//! What a job is refused for.

use connector_testkit::salesforce::BulkEnd;
use serde_json::{Value, json};

use super::{Client, JOBS, create, org, state, try_create, within};

async fn refused(client: &Client, soql: &str) -> (u16, String, String) {
    let answer = try_create(client, json!({"operation": "query", "query": soql})).await;
    let (status, code) = answer.error();
    (status, code, answer.json()[0]["message"].as_str().expect("message").to_owned())
}

#[test]
fn what_bulk_queries_do_not_support_is_refused_at_once() {
    within(async {
        let (org, client) = org(5).await;
        for soql in [
            "SELECT COUNT() FROM Contact",
            "SELECT MAX(SystemModstamp) FROM Contact",
            "SELECT LastName FROM Contact GROUP BY LastName",
            "SELECT Id FROM Contact LIMIT 5 OFFSET 2",
            "SELECT TYPEOF Owner WHEN User THEN Name END FROM Contact",
            "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
            "SELECT Id, MailingAddress FROM Contact",
            "SELECT Id, Account.BillingAddress FROM Contact",
        ] {
            let (status, code, message) = refused(&client, soql).await;
            assert_eq!((status, code.as_str()), (400, "FUNCTIONALITY_NOT_ENABLED"), "{soql}: {message}");
        }
        let compound = refused(&client, "SELECT Id, MailingAddress FROM Contact").await;
        assert_eq!(compound.2, "Selecting compound data not supported in Bulk Query");
        for (soql, status, code) in [
            ("SELECT Id FROM", 400, "MALFORMED_QUERY"),
            ("", 400, "MALFORMED_QUERY"),
            ("SELECT Nope FROM Contact", 400, "INVALID_FIELD"),
            ("SELECT Id FROM Nope__c", 400, "INVALID_TYPE"),
            ("SELECT Id FROM Payroll__c", 403, "INSUFFICIENT_ACCESS"),
        ] {
            let (was, named, _) = refused(&client, soql).await;
            assert_eq!((was, named.as_str()), (status, code), "{soql}");
        }
        // Text in quotes is no keyword.
        create(&client, "SELECT Id FROM Contact WHERE LastName = 'GROUP BY (SELECT'").await;
        assert_eq!(org.bulk_jobs().len(), 1, "what was refused left no job");
    });
}

#[test]
fn a_body_that_is_no_job_is_refused() {
    within(async {
        let (_org, client) = org(1).await;
        let soql = "SELECT Id FROM Contact";
        for body in [
            json!({"operation": "insert", "query": soql}),
            json!({"query": soql}),
            json!({"operation": "query", "query": soql, "columnDelimiter": ","}),
            json!({"operation": "query", "query": soql, "lineEnding": "CR"}),
            json!({"operation": "query", "query": soql, "contentType": "JSON"}),
            json!({"operation": "query"}),
            Value::Null,
        ] {
            assert_eq!(try_create(&client, body.clone()).await.status, 400, "{body}");
        }
        assert_eq!(client.get("/services/data/v46.0/jobs/query").await.status, 404, "came with v47");
        assert_eq!(client.get(&format!("{JOBS}/750000000000000AAA")).await.status, 404);
        assert_eq!(client.get(&format!("{JOBS}/nonsense/results")).await.status, 404);
    });
}

#[test]
fn objects_and_orgs_without_bulk_say_so() {
    within(async {
        let (org, client) = org(1).await;
        org.unsupported_in_bulk(["contact"]);
        let (status, code, message) = refused(&client, "SELECT Id FROM Contact").await;
        assert_eq!((status, code.as_str()), (400, "INVALIDENTITY"));
        assert_eq!(message, "Entity 'Contact' is not supported by the Bulk API.");
        create(&client, "SELECT Id FROM Account").await;
        org.unsupported_in_bulk([] as [&str; 0]);
        create(&client, "SELECT Id FROM Contact").await;
        org.change_bulk(|bulk| bulk.enabled = false);
        let (_, code, message) = refused(&client, "SELECT Id FROM Contact").await;
        assert_eq!((code.as_str(), message.as_str()), ("FEATURENOTENABLED", "Async API not enabled"));
    });
}

#[test]
fn the_day_s_quotas_run_down_and_then_refuse() {
    within(async {
        let (org, client) = org(3000).await;
        let left = async || {
            let limits = client.get("/services/data/v66.0/limits").await.json();
            let of = |name: &str| limits[name]["Remaining"].as_u64().expect("a number");
            (of("DailyBulkV2QueryJobs"), of("DailyBulkV2QueryFileStorageMB"))
        };
        assert_eq!(left().await, (10_000, 976_562));
        org.set_bulk_quota(2, 2);
        org.change_bulk(|bulk| bulk.polls_until_done = 0);
        let soql = "SELECT Id, Name, Description, MailingStreet, Email, Phone, Title, SystemModstamp, Department, \
                    CreatedDate, LastModifiedDate, OwnerId, CreatedById, LastModifiedById, AccountId FROM Contact";
        let id = create(&client, soql).await;
        assert_eq!(left().await, (1, 2), "results count when they are there");
        assert_eq!(state(&client, &id).await, "JobComplete");
        assert_eq!(left().await, (1, 1), "3,000 rows of 300 bytes and more");
        let id = create(&client, soql).await;
        assert_eq!(state(&client, &id).await, "JobComplete");
        assert_eq!(left().await, (0, 0));
    });
}

#[test]
fn a_used_up_quota_names_itself() {
    within(async {
        let (org, client) = org(3).await;
        let soql = "SELECT Id FROM Contact";
        org.set_bulk_quota(1, 100);
        create(&client, soql).await;
        let (status, code, message) = refused(&client, soql).await;
        assert_eq!((status, code.as_str()), (400, "LIMIT_EXCEEDED"));
        assert!(
            message.starts_with("Max bulk v2 query jobs (10000) per 24 hrs has been reached"),
            "{message}"
        );
        org.set_bulk_quota(5, 0);
        let (_, code, message) = refused(&client, soql).await;
        assert_eq!(code, "LIMIT_EXCEEDED");
        assert!(
            message.starts_with("Max bulk v2 query result size stored (1000000000) kb per 24 hrs"),
            "{message}"
        );
        org.set_bulk_quota(5, 100);
        org.end_bulk_jobs(BulkEnd::Complete);
        create(&client, soql).await;
    });
}
