//! The client: queries.

use connector_salesforce::Params;
use connector_sdk::Class;
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::FakeOrg,
};
use futures_util::{StreamExt, pin_mut};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    host::{start, within},
    writing::client,
};

fn answers(org: &FakeOrg, path: &str, body: &Value) {
    org.faults().on(Matcher::path(path)).always().then(Fault::status(200).with_body(body.to_string()));
}

fn pages(org: &FakeOrg) -> usize {
    org.requests().iter().filter(|request| request.path.contains("/query")).count()
}

#[test]
fn a_query_follows_its_pages_and_gives_rows_as_json_or_as_a_type() {
    #[derive(Debug, Deserialize)]
    struct Person {
        #[serde(rename = "Id")]
        id: String,
        #[serde(rename = "FirstName")]
        first_name: Option<String>,
    }
    within(async {
        let org = start(FakeOrg::builder().contacts(650)).await;
        let client = client(&org);
        let rows = client.query("SELECT Id, FirstName FROM Contact").await.unwrap();
        assert_eq!((rows.len(), pages(&org)), (650, 4));
        let people: Vec<Person> = client.query_as("SELECT Id, FirstName FROM Contact").await.unwrap();
        assert!(people.iter().zip(&rows).all(|(person, row)| row["Id"] == person.id.as_str()));
        assert!(people.iter().any(|person| person.first_name.is_none()));
        let error = client.query_as::<Person>("SELECT FirstName FROM Contact").await.unwrap_err();
        assert_eq!(error.class(), Class::Schema);
        assert_eq!(client.count("SELECT COUNT() FROM Contact").await.unwrap(), 650);
        assert_eq!(client.query("SELECT COUNT() FROM Contact").await.unwrap_err().class(), Class::Config);
    });
}

#[test]
fn a_stream_of_rows_asks_for_a_page_when_it_is_wanted() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1_000)).await;
        let client = client(&org);
        let rows = client.rows("SELECT Id FROM Contact");
        pin_mut!(rows);
        for _ in 0..200 {
            rows.next().await.unwrap().unwrap();
        }
        assert_eq!(pages(&org), 1);
        rows.next().await.unwrap().unwrap();
        assert_eq!(pages(&org), 2);
    });
}

#[test]
fn a_value_is_bound_and_never_becomes_syntax() {
    within(async {
        let org = start(FakeOrg::builder().contacts(50)).await;
        let client = client(&org);
        let nasty = "x' OR LastName != ':name";
        let id = org.insert("Contact", &json!({ "LastName": nasty, "Birthdate": "1990-05-01" })).unwrap();
        let params = Params::new().set("name", nasty).set("ids", vec![id.as_str()]);
        let soql = "SELECT Id FROM Contact WHERE LastName = :name AND Id IN :ids AND FirstName != ':name'";
        let rows = client.query_with(soql, &params).await.unwrap();
        assert_eq!(rows.iter().map(|row| row["Id"].as_str().unwrap()).collect::<Vec<_>>(), [id]);
        let before = pages(&org);
        let error =
            client.query_with("SELECT Id FROM Contact WHERE LastName = :nam", &params).await.unwrap_err();
        assert_eq!((error.class(), pages(&org)), (Class::Config, before));
    });
}

#[test]
fn children_are_followed_to_their_last_page_and_stand_in_their_row() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let next = |page: &str| format!("/services/data/v66.0/query/{page}");
        let child = |name: &str| json!({ "LastName": name });
        answers(
            &org,
            "/query/child-1",
            &json!({
                "totalSize": 3, "done": false, "nextRecordsUrl": next("child-2"), "records": [child("b")],
            }),
        );
        answers(&org, "/query/child-2", &json!({ "totalSize": 3, "done": true, "records": [child("c")] }));
        answers(
            &org,
            "/query/root-1",
            &json!({ "totalSize": 2, "done": true, "records": [
                { "Name": "none", "Contacts": null },
            ]}),
        );
        answers(
            &org,
            "/query",
            &json!({
                "totalSize": 2, "done": false, "nextRecordsUrl": next("root-1"),
                "records": [{ "Name": "some", "Owner": { "Name": "x" }, "Contacts": {
                    "totalSize": 3, "done": false, "nextRecordsUrl": next("child-1"), "records": [child("a")],
                }}],
            }),
        );
        let rows =
            client(&org).query("SELECT Name, (SELECT LastName FROM Contacts) FROM Account").await.unwrap();
        let contacts = &rows[0]["Contacts"];
        assert_eq!(contacts["records"], json!([child("a"), child("b"), child("c")]));
        assert_eq!((&contacts["done"], contacts.get("nextRecordsUrl")), (&json!(true), None));
        assert_eq!((rows.len(), &rows[1]["Contacts"]), (2, &Value::Null));
    });
}

#[test]
fn pages_that_lose_rows_lead_away_or_in_a_circle_are_no_success() {
    within(async {
        let next = "/services/data/v66.0/query/next";
        for (body, class) in [
            (json!({ "totalSize": 3, "done": true, "records": [{}] }), Class::Transient),
            (
                json!({ "totalSize": 1, "done": true, "records": [{ "C": { "totalSize": 2, "done": true, "records": [] } }] }),
                Class::Transient,
            ),
            (json!({ "totalSize": 3, "done": false, "records": [{}] }), Class::Permanent),
            (
                json!({ "totalSize": 9, "done": false, "nextRecordsUrl": next, "records": [{}] }),
                Class::Permanent,
            ),
            (
                json!({ "totalSize": 9, "done": false, "nextRecordsUrl": "https://evil.example/services/data/x", "records": [{}] }),
                Class::Permanent,
            ),
            (json!({ "rows": [] }), Class::Schema),
        ] {
            let org = start(FakeOrg::builder().contacts(0)).await;
            answers(&org, "/query", &body);
            let error = client(&org).query("SELECT Id FROM Contact").await.unwrap_err();
            assert_eq!(error.class(), class, "{body}: {error}");
        }
        let org = start(FakeOrg::builder().contacts(10)).await;
        org.faults().on("/query").times(2).then(Fault::status(200).with_body(r#"{"totalSize": 1, "do"#));
        assert_eq!(client(&org).query("SELECT Id FROM Contact").await.unwrap().len(), 10);
    });
}
