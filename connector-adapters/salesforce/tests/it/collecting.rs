//! The client: many records at a time, and composites.

use connector_salesforce::{Composite, Written, error_code};
use connector_sdk::{Class, Error};
use connector_testkit::{
    fault::{Fault, Matcher},
    salesforce::FakeOrg,
};
use serde_json::{Value, json};

use super::{
    host::{start, within},
    writing::{KEY, client, contacts, lost, row},
};

type Outcomes = Vec<Result<Written, Error>>;

fn codes(outcomes: &Outcomes) -> Vec<Option<&str>> {
    outcomes.iter().map(|outcome| outcome.as_ref().err().and_then(error_code)).collect()
}

fn calls(org: &FakeOrg) -> usize {
    org.requests().iter().filter(|request| request.path.contains("/composite/sobjects")).count()
}

#[test]
fn any_number_of_records_goes_in_calls_of_200_and_results_come_in_their_order() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let records = |name: &'static str| {
            (0..450).map(move |n| match n {
                7 => json!({ "FirstName": "no last name" }),
                n => json!({ "LastName": format!("{name} {n}"), KEY: format!("k{n}") }),
            })
        };
        let made = client.create_many("Contact", records("N")).await.unwrap();
        assert_eq!((made.len(), calls(&org), contacts(&org)), (450, 3, 449));
        let rows = org.truth("Contact").unwrap();
        for (n, outcome) in made.iter().enumerate() {
            match outcome {
                Ok(made) => assert_eq!(rows[&made.id]["LastName"], format!("N {n}")),
                Err(error) => assert_eq!((n, error_code(error)), (7, Some("REQUIRED_FIELD_MISSING"))),
            }
        }
        let named = |skip| {
            (skip..450)
                .filter(|n| *n != 7)
                .map(|n| json!({ "LastName": format!("M {n}"), KEY: format!("k{n}") }))
        };
        let changed = client.upsert_many("Contact", KEY, named(0)).await.unwrap();
        assert!(changed.iter().all(|outcome| outcome.as_ref().is_ok_and(|written| !written.created)));
        let ids: Vec<String> = changed.into_iter().map(|outcome| outcome.unwrap().id).collect();
        let updates = ids.iter().map(|id| json!({ "Id": id, "Title": "T" }));
        assert!(client.update_many("Contact", updates).await.unwrap().iter().all(Result::is_ok));
        assert!(org.truth("Contact").unwrap().values().all(|row| row["Title"] == "T"));
        assert!(client.delete_many("Contact", &ids).await.unwrap().iter().all(Result::is_ok));
        assert!(org.truth("Contact").unwrap().values().all(|row| row["IsDeleted"] == true));
        assert!(client.create_many("Contact", Vec::<Value>::new()).await.unwrap().is_empty());
    });
}

#[test]
fn a_lost_answer_concerns_the_records_of_its_call_only() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        org.faults().on(Matcher::path("/composite/sobjects").method("POST")).nth(2).then(lost());
        let records = (0..600).map(|n| json!({ "LastName": format!("N {n}") }));
        let made = client.create_many("Contact", records).await.unwrap();
        let class = |range: std::ops::Range<usize>| {
            made[range]
                .iter()
                .all(|outcome| outcome.as_ref().is_err_and(|error| error.class() == Class::Ambiguous))
        };
        assert!(class(200..400) && made[..200].iter().chain(&made[400..]).all(Result::is_ok));
        assert_eq!((contacts(&org), calls(&org)), (600, 3), "none was sent twice");
    });
}

#[test]
fn what_may_be_repeated_is_and_a_lock_concerns_its_record_only() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        org.faults().on(Matcher::path("/composite/sobjects").method("PATCH")).nth(1).then(lost());
        org.refuse_writes("Contact", 1, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access");
        let records = (0..5).map(|n| json!({ "LastName": "A", KEY: n }));
        let made = client.upsert_many("Contact", KEY, records).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        assert_eq!(contacts(&org), 5);
        // A lock in a create is a refusal of that record, so it alone is sent again.
        org.refuse_writes("Contact", 1, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access");
        let made = client.create_many("Contact", vec![json!({ "LastName": "B" }); 3]).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        assert_eq!(contacts(&org), 8);
        // Deletes whose answer was lost are gone when they are asked for again, and that is what was wanted.
        let ids: Vec<String> = made.into_iter().map(|outcome| outcome.unwrap().id).collect();
        org.faults().on(Matcher::path("/composite/sobjects").method("DELETE")).nth(1).then(lost());
        assert!(client.delete_many("Contact", &ids).await.unwrap().iter().all(Result::is_ok));
        let again = client.delete_many("Contact", &ids).await.unwrap();
        assert_eq!(codes(&again), [Some("ENTITY_IS_DELETED"); 3]);
    });
}

#[test]
fn when_the_quota_is_used_up_the_rest_is_not_sent() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let daily = r#"[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#;
        org.faults().on("/composite/sobjects").nth(2).then(Fault::status(403).with_body(daily));
        let records = (0..800).map(|n| json!({ "LastName": format!("N {n}") }));
        let made = client.create_many("Contact", records).await.unwrap();
        assert!(made[..200].iter().all(Result::is_ok));
        assert!(
            made[200..]
                .iter()
                .all(|outcome| outcome.as_ref().is_err_and(|error| error.class() == Class::RateLimited))
        );
        assert_eq!((calls(&org), contacts(&org)), (2, 200));
    });
}

#[test]
fn two_records_with_one_external_id_are_refused_and_named() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        let records = [json!({ KEY: "a" }), json!({ KEY: "b" }), json!({ KEY: "a" })];
        let error = client.upsert_many("Contact", KEY, records).await.unwrap_err().to_string();
        assert!(error.contains("index: 2") && error.contains("first: 0") && error.contains(KEY), "{error}");
        let error = client.upsert_many("Contact", KEY, [json!({ "LastName": "x" })]).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        let error =
            client.update_many("Contact", [json!({ "LastName": "x" })]).await.unwrap_err().to_string();
        assert!(error.contains("index: 0"), "{error}");
        assert!(org.requests().is_empty());
    });
}

#[test]
fn a_composite_uses_what_its_earlier_parts_answered() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0).accounts(0)).await;
        let parts = Composite::all_or_none()
            .create("account", "Account", json!({ "Name": "Acme" }))
            .create("contact", "Contact", json!({ "LastName": "Doe", "AccountId": "@{account.id}" }))
            .update("change", "Contact", "@{contact.id}", json!({ "Title": "CEO" }))
            .query("rows", "SELECT LastName FROM Contact WHERE Title = 'CEO'");
        let done = client(&org).composite(parts).await.unwrap();
        let names: Vec<&str> = done.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["account", "contact", "change", "rows"]);
        assert_eq!(done[3].1.as_ref().unwrap()["records"][0]["LastName"], "Doe");
        let account = done[0].1.as_ref().unwrap()["id"].as_str().unwrap();
        let contact = done[1].1.as_ref().unwrap()["id"].as_str().unwrap();
        assert_eq!(row(&org, "Contact", contact)["AccountId"], account);
    });
}

#[test]
fn one_part_that_fails_takes_the_others_back_and_each_says_which_it_was() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0).accounts(0)).await;
        let client = client(&org);
        let parts = |start: Composite| {
            start.create("good", "Account", json!({ "Name": "Acme" })).create("bad", "Contact", json!({}))
        };
        let done = client.composite(parts(Composite::all_or_none())).await.unwrap();
        let code = |index: usize| done[index].1.as_ref().err().and_then(error_code);
        assert_eq!((code(0), code(1)), (Some("PROCESSING_HALTED"), Some("REQUIRED_FIELD_MISSING")));
        let text = done[0].1.as_ref().unwrap_err().to_string();
        assert!(
            text.contains("correct the part that has an error of its own") && text.contains("part: good"),
            "{text}"
        );
        assert!(org.truth("Account").unwrap().is_empty());
        let done = client.composite(parts(Composite::independent())).await.unwrap();
        assert!(done[0].1.is_ok() && done[1].1.is_err());
        assert_eq!(org.truth("Account").unwrap().len(), 1);
    });
}

#[test]
fn a_composite_whose_answer_is_lost_is_ambiguous_unless_all_of_it_may_be_repeated() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let client = client(&org);
        org.faults().on("/composite").nth(1).then(lost());
        let error = client
            .composite(Composite::independent().create("a", "Contact", json!({ "LastName": "A" })))
            .await;
        assert_eq!((error.unwrap_err().class(), contacts(&org)), (Class::Ambiguous, 1));
        org.faults().clear();
        org.faults().on("/composite").nth(1).then(lost());
        let parts = Composite::independent().upsert("a", "Contact", KEY, "k", json!({ "LastName": "A" }));
        assert!(client.composite(parts).await.unwrap()[0].1.is_ok());
        assert_eq!(contacts(&org), 2);
        for wrong in [
            Composite::independent(),
            Composite::independent().query("a", "SELECT Id FROM A").query("a", "SELECT Id FROM B"),
            Composite::independent().create("a", "A/B", json!({})),
            Composite::independent().create("a b", "A", json!({})),
            (0..26).fold(Composite::independent(), |all, n| all.query(&format!("q{n}"), "SELECT Id FROM A")),
        ] {
            assert_eq!(client.composite(wrong).await.unwrap_err().class(), Class::Config);
        }
    });
}
