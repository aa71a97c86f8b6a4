//! The client: one record at a time.

use std::{sync::Arc, time::Duration};

use connector_salesforce::{Client, SalesforceConfig, error_code};
use connector_sdk::{Class, Context, Delivery, Network, resilience::Resilience};
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::FakeOrg,
};
use serde_json::{Value, json};

use super::host::{config, context, start, within};

pub(crate) const KEY: &str = "External_Id__c";

/// A client of that org.
pub(crate) fn client(org: &FakeOrg) -> Client {
    let config: SalesforceConfig = serde_json::from_value(config(org)).unwrap();
    Client::connect(&config, &context()).unwrap()
}

/// A row as the org has it.
pub(crate) fn row(org: &FakeOrg, object: &str, id: &str) -> Value {
    org.truth(object).unwrap().remove(id).unwrap_or_default()
}

pub(crate) fn contacts(org: &FakeOrg) -> usize {
    org.truth("Contact").unwrap().len()
}

fn asked(org: &FakeOrg, method: &str, path: &str) -> usize {
    org.requests().iter().filter(|request| request.method == method && request.path.contains(path)).count()
}

/// A client that waits two seconds for an answer.
fn impatient(org: &FakeOrg) -> Client {
    let config: SalesforceConfig = serde_json::from_value(config(org)).unwrap();
    let mut resilience = Resilience::default();
    resilience.base_delay = Duration::from_millis(1);
    resilience.connect_timeout = Duration::from_secs(2);
    resilience.attempt_timeout = Duration::from_secs(2);
    let cx = context();
    let cx = Context::builder("acme", "acme-crm").network(Network::loopback()).clock(Arc::clone(cx.clock()));
    Client::connect(&config, &cx.resilience(resilience).seed(7).build()).unwrap()
}

/// An answer without a body, lost after the vendor has done it.
fn unheard() -> Fault {
    Fault::SlowHead { bytes: usize::MAX, every: Duration::from_secs(600) }
}

/// The answer is lost after the vendor has done it.
pub(crate) fn lost() -> Fault {
    Fault::ResetAfter { bytes: 0 }
}

#[test]
fn a_record_is_made_changed_read_and_deleted() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let made = client.create("Contact", json!({ "LastName": "O'Brien", "Phone": "1" })).await.unwrap();
        assert!(made.created);
        client.update("Contact", &made.id, json!({ "Phone": null, "Title": "CEO" })).await.unwrap();
        let found = row(&org, "Contact", &made.id);
        assert_eq!(
            (&found["LastName"], &found["Phone"], &found["Title"]),
            (&json!("O'Brien"), &Value::Null, &json!("CEO"))
        );
        let read = client.retrieve("Contact", &made.id, &["LastName", "Title"]).await.unwrap();
        assert_eq!(
            (&read["LastName"], &read["Title"], read.get("Phone")),
            (&json!("O'Brien"), &json!("CEO"), None)
        );
        client.delete("Contact", &made.id).await.unwrap();
        assert_eq!(row(&org, "Contact", &made.id)["IsDeleted"], true);
    });
}

#[test]
fn an_upsert_makes_the_record_once_and_changes_it_then() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let value = "a/b ?é%+&.#";
        let first = client.upsert("Contact", KEY, value, json!({ "LastName": "A" })).await.unwrap();
        // What names the record may stand in it, too.
        let again =
            client.upsert("Contact", KEY, value, json!({ KEY: value, "LastName": "B" })).await.unwrap();
        assert_eq!((first.created, again.created, &first.id), (true, false, &again.id));
        let found = row(&org, "Contact", &first.id);
        assert_eq!((&found[KEY], &found["LastName"]), (&json!(value), &json!("B")));
        assert_eq!(contacts(&org), 1);
    });
}

#[test]
fn an_upsert_of_an_old_version_which_answers_nothing_still_names_the_record() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let mut config = config(&org);
        config["api_version"] = "v45.0".into();
        let config: SalesforceConfig = serde_json::from_value(config).unwrap();
        let client = Client::connect(&config, &context()).unwrap();
        let first = client.upsert("Contact", KEY, "k", json!({ "LastName": "A" })).await.unwrap();
        let again = client.upsert("Contact", KEY, "k", json!({ "LastName": "B" })).await.unwrap();
        assert_eq!((first.created, again.created, first.id), (true, false, again.id));
    });
}

#[test]
fn a_create_whose_answer_is_lost_is_ambiguous_and_is_sent_once() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        org.faults().on(Matcher::path("/sobjects/Contact").method("POST")).always().then(lost());
        let error = client.create("Contact", json!({ "LastName": "A" })).await.unwrap_err();
        assert_eq!(error.class(), Class::Ambiguous, "{error}");
        assert_eq!((asked(&org, "POST", "/sobjects/Contact"), contacts(&org)), (1, 1));
    });
}

#[test]
fn a_create_that_the_front_end_fails_is_ambiguous_too() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        for fault in [Fault::status(503), Fault::status(200).with_body("<html>maintenance</html>")] {
            org.faults().clear();
            org.faults().on(Matcher::path("/sobjects/Contact").method("POST")).always().then(fault);
            let error = client.create("Contact", json!({ "LastName": "A" })).await.unwrap_err();
            assert_eq!(error.class(), Class::Ambiguous, "{error}");
        }
        assert_eq!(asked(&org, "POST", "/sobjects/Contact"), 2);
        // An answer that is there and cannot be read says as little.
        org.faults().clear();
        let half = Fault::status(201).with_body(r#"{"id": "003"#);
        org.faults().on(Matcher::path("/sobjects/Contact").method("POST")).always().then(half);
        let error = client.create("Contact", json!({ "LastName": "A" })).await.unwrap_err();
        assert_eq!(error.class(), Class::Ambiguous, "{error}");
    });
}

#[test]
fn a_create_that_the_vendor_did_not_take_up_is_sent_again() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        // Put off by the vendor, which says that it has done nothing; and a session that was over.
        org.faults().on("/sobjects/Contact").nth(1).then(Fault::retry_after(429, "0"));
        org.expire_tokens();
        client.create("Contact", json!({ "LastName": "A" })).await.unwrap();
        assert_eq!(contacts(&org), 1);
    });
}

#[test]
fn an_upsert_and_an_update_whose_answers_are_lost_are_sent_again() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        org.faults().on(Matcher::path("/External_Id__c/k").method("PATCH")).nth(1).then(lost());
        let made = client.upsert("Contact", KEY, "k", json!({ "LastName": "A" })).await.unwrap();
        assert!(!made.created, "the vendor made it at the first time and says so of the second");
        org.faults().on(Matcher::path(&made.id).method("PATCH")).nth(1).then(lost());
        client.update("Contact", &made.id, json!({ "LastName": "B" })).await.unwrap();
        assert_eq!((contacts(&org), row(&org, "Contact", &made.id)["LastName"].clone()), (1, json!("B")));
    });
}

#[test]
fn a_delete_whose_answer_is_lost_is_done_and_one_of_nothing_is_an_error() {
    within(async {
        let org = start(FakeOrg::builder().contacts(3)).await;
        let client = impatient(&org);
        let ids: Vec<String> = org.truth("Contact").unwrap().into_keys().collect();
        org.faults().on(Matcher::path(&ids[0]).method("DELETE")).nth(1).then(unheard());
        client.delete("Contact", &ids[0]).await.unwrap();
        assert_eq!(asked(&org, "DELETE", &ids[0]), 2);
        let error = client.delete("Contact", &ids[0]).await.unwrap_err();
        assert_eq!((error.class(), error_code(&error)), (Class::Permanent, Some("ENTITY_IS_DELETED")));
        // The vendor failed before it did anything: the second attempt deletes.
        org.faults().on(Matcher::path(&ids[1]).method("DELETE")).nth(1).then(Fault::status(503));
        client.delete("Contact", &ids[1]).await.unwrap();
        assert_eq!(row(&org, "Contact", &ids[1])["IsDeleted"], true);
        // Put off with nothing done, it is the first attempt all the same: that it is gone is news.
        org.delete("Contact", &ids[2]).unwrap();
        org.faults().on(Matcher::path(&ids[2]).method("DELETE")).nth(1).then(Fault::retry_after(429, "0"));
        assert_eq!(
            error_code(&client.delete("Contact", &ids[2]).await.unwrap_err()),
            Some("ENTITY_IS_DELETED")
        );
        // Never answered: not known, and it says that it may be repeated.
        org.undelete("Contact", &ids[2]).unwrap();
        org.faults().clear();
        org.faults().on(Matcher::path(&ids[2]).method("DELETE")).always().then(unheard());
        let error = client.delete("Contact", &ids[2]).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Unknown));
    });
}

#[test]
fn a_locked_row_is_tried_again_and_nothing_is_made_twice() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let lock = |times| {
            org.refuse_writes("Contact", times, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
        };
        lock(2);
        client.create("Contact", json!({ "LastName": "A" })).await.unwrap();
        lock(2);
        client.upsert("Contact", KEY, "k", json!({ "LastName": "B" })).await.unwrap();
        assert_eq!(contacts(&org), 2);
        lock(100);
        let error = client.create("Contact", json!({ "LastName": "C" })).await.unwrap_err();
        assert_eq!((error.class(), error_code(&error)), (Class::Transient, Some("UNABLE_TO_LOCK_ROW")));
        assert_eq!(contacts(&org), 2);
    });
}

/// Each row of the reference's table (A5) that concerns a write, and what a person is told to do.
#[test]
fn every_refusal_of_a_write_says_what_to_do() {
    within(async {
        let org = start(FakeOrg::builder().contacts(1).accounts(1)).await;
        let client = client(&org);
        let id = org.truth("Contact").unwrap().into_keys().next().unwrap();
        let account = org.truth("Account").unwrap().into_keys().next().unwrap();
        client.upsert("Contact", KEY, "taken", json!({ "LastName": "A" })).await.unwrap();
        for (record, code, advice, field) in [
            (
                json!({ "FirstName": "x" }),
                "REQUIRED_FIELD_MISSING",
                "give the fields named a value",
                "LastName",
            ),
            (json!({ "LastName": "x", "Nope__c": 1 }), "INVALID_FIELD", "a field is not there", ""),
            (
                json!({ "LastName": "x", "Birthdate": "soon" }),
                "JSON_PARSER_ERROR",
                "fit its field's type",
                "",
            ),
            (json!({ "LastName": "x", KEY: "taken" }), "DUPLICATE_VALUE", "upsert by this field", KEY),
            (
                json!({ "LastName": "x", "AccountId": "nonsense" }),
                "MALFORMED_ID",
                "15 or 18 characters",
                "AccountId",
            ),
            (json!({ "LastName": "x".repeat(81) }), "STRING_TOO_LONG", "shorten it", "LastName"),
            (
                json!({ "LastName": "x", "CreatedDate": "2026-01-01T00:00:00Z" }),
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                "leave it out",
                "CreatedDate",
            ),
        ] {
            let error = client.create("Contact", record).await.unwrap_err();
            let text = error.to_string();
            assert_eq!((error.class(), error_code(&error)), (Class::Permanent, Some(code)), "{text}");
            assert!(text.contains(advice), "{text}");
            let fields = error.context().find(|(name, _)| *name == "fields").map_or("", |(_, value)| value);
            assert_eq!(fields, field, "{text}");
        }
        for (code, advice) in [
            ("DUPLICATES_DETECTED", "find the one that is there"),
            ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "correct what it says"),
            ("INVALID_TYPE_ON_FIELD_IN_RECORD", "does not fit its field's type"),
            ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "trigger or flow"),
        ] {
            org.refuse_writes("Contact", 1, code, "The rule says no");
            let error = client.update("Contact", &id, json!({ "LastName": "x" })).await.unwrap_err();
            let text = error.to_string();
            assert_eq!((error.class(), error_code(&error)), (Class::Permanent, Some(code)), "{text}");
            assert!(text.contains(advice) && text.contains("The rule says no"), "{text}");
        }
        let missing = format!("{}9zzAAA", &id[..12]);
        for (result, code) in [
            (client.update("Contact", &missing, json!({ "LastName": "x" })).await, "NOT_FOUND"),
            (client.update("Contact", &account, json!({ "LastName": "x" })).await, "MALFORMED_ID"),
            (client.upsert("Contact", "Title", "x", json!({ "LastName": "x" })).await.map(drop), "NOT_FOUND"),
            (client.create("Nope__c", json!({})).await.map(drop), "NOT_FOUND"),
        ] {
            let error = result.unwrap_err();
            assert_eq!((error.class(), error_code(&error)), (Class::Permanent, Some(code)), "{error}");
        }
    });
}

#[test]
fn an_external_id_of_several_records_changes_none_and_says_how_many() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        for _ in 0..3 {
            org.insert("Contact", &json!({ "LastName": "A", KEY: "k" })).unwrap();
        }
        let error = client(&org).upsert("Contact", KEY, "k", json!({ "LastName": "B" })).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.class(), Class::Permanent);
        assert!(text.contains("matches: 3") && text.contains("make the field unique"), "{text}");
        assert!(org.truth("Contact").unwrap().values().all(|row| row["LastName"] == "A"));
    });
}

#[test]
fn what_cannot_be_right_is_refused_before_anybody_is_asked() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let good = "0035e00000000000AAA";
        let record = || json!({ "LastName": "A" });
        for result in [
            client.create("Contact/../User", record()).await.map(drop),
            client.create("", record()).await.map(drop),
            client.create("Contact", json!([1])).await.map(drop),
            client.create("Contact", 1).await.map(drop),
            client.update("Contact", "../x", record()).await,
            client.update("Contact", &good[..15], json!({ "Id": "0035e00000000001" })).await,
            client.delete("Contact", "").await,
            client.upsert("Contact", KEY, "", record()).await.map(drop),
            client.upsert("Contact", KEY, "..", record()).await.map(drop),
            client.upsert("Contact", "K?", "1", record()).await.map(drop),
            client.upsert("Contact", KEY, "1", json!({ KEY: "2" })).await.map(drop),
            client.retrieve("Contact", &good[..15], &["Id,Name"]).await.map(drop),
        ] {
            assert_eq!(result.unwrap_err().class(), Class::Config);
        }
        assert!(org.requests().is_empty());
    });
}
