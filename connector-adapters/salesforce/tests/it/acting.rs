//! The actions, as a host asks for them.

use std::sync::Arc;

use connector_sdk::{
    Class, Connector, Error,
    contract::{ActionOutcome, ActionRequest, ActionStatus},
};
use connector_testkit::{fault::Matcher, salesforce::FakeOrg};
use serde_json::{Value, json};

use super::{
    host::{config, connect, context, start, within},
    writing::{KEY, contacts, lost, row},
};

fn connector(org: &FakeOrg) -> Arc<dyn Connector> {
    connect(&config(org), &context()).unwrap()
}

async fn act(
    connector: &Arc<dyn Connector>,
    name: &str,
    input: Value,
    key: Option<&str>,
) -> Result<ActionOutcome, Error> {
    let request = ActionRequest::new(name, input);
    let request = match key {
        Some(key) => request.with_idempotency_key(key),
        None => request,
    };
    connector.act(&context(), request).await
}

async fn done(connector: &Arc<dyn Connector>, name: &str, input: Value) -> Value {
    let outcome = act(connector, name, input, None).await.unwrap();
    assert_eq!(outcome.status, ActionStatus::Succeeded, "{name}: {outcome:?}");
    assert!(outcome.error.is_none());
    outcome.output
}

#[test]
fn each_action_does_what_its_name_says_and_names_what_it_touched() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let salesforce = connector(&org);
        let made =
            done(&salesforce, "create", json!({ "object": "Contact", "record": { "LastName": "A" } })).await;
        let id = made["id"].as_str().unwrap().to_owned();
        assert_eq!(made["created"], true);
        let update = json!({ "object": "Contact", "id": id, "record": { "LastName": "B" } });
        assert_eq!(done(&salesforce, "update", update).await, json!({ "id": id }));
        let upsert = json!({ "object": "Contact", "external_id_field": KEY, "external_id": 7, "record": { "LastName": "C" } });
        let upserted = done(&salesforce, "upsert", upsert).await;
        assert_eq!(row(&org, "Contact", upserted["id"].as_str().unwrap())[KEY], "7");
        let query = json!({ "soql": "SELECT Id FROM Contact WHERE LastName IN :names", "params": { "names": ["B", "C"] } });
        assert_eq!(done(&salesforce, "query", query).await["total"], 2);
        assert_eq!(
            done(&salesforce, "delete", json!({ "object": "Contact", "id": id })).await,
            json!({ "id": id })
        );
        let records = json!([{ "LastName": "D", KEY: "d" }, { "LastName": "E", KEY: "e" }]);
        let many = done(&salesforce, "create_many", json!({ "object": "Contact", "records": records })).await;
        assert_eq!((&many["succeeded"], &many["results"][1]["index"]), (&json!(2), &json!(1)));
        let upsert = json!({ "object": "Contact", "external_id_field": KEY, "records": records });
        assert_eq!(done(&salesforce, "upsert_many", upsert).await["results"][0]["created"], false);
        let ids: Vec<&Value> = (0..2).map(|index| &many["results"][index]["id"]).collect();
        let updates: Vec<Value> = ids.iter().map(|id| json!({ "Id": id, "Title": "T" })).collect();
        done(&salesforce, "update_many", json!({ "object": "Contact", "records": updates })).await;
        assert_eq!(row(&org, "Contact", ids[0].as_str().unwrap())["Title"], "T");
        done(&salesforce, "delete_many", json!({ "object": "Contact", "ids": ids })).await;
        assert_eq!(row(&org, "Contact", ids[1].as_str().unwrap())["IsDeleted"], true);
    });
}

#[test]
fn of_many_some_none_and_unknown_are_told_apart() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let salesforce = connector(&org);
        let create = |records: Value| json!({ "object": "Contact", "records": records });
        let some =
            act(&salesforce, "create_many", create(json!([{ "LastName": "A" }, {}])), None).await.unwrap();
        assert_eq!((some.status, &some.output["failed"]), (ActionStatus::Partial, &json!(1)));
        let second = &some.output["results"][1];
        assert_eq!(
            (&second["code"], &second["error"]["class"]),
            (&json!("REQUIRED_FIELD_MISSING"), &json!("Permanent"))
        );
        assert!(some.error.unwrap().to_string().contains("give the fields named a value"));
        let none = act(&salesforce, "create_many", create(json!([{}, {}])), None).await.unwrap();
        assert_eq!(none.status, ActionStatus::Failed);
        org.faults().on(Matcher::path("/composite/sobjects").method("POST")).always().then(lost());
        let unknown =
            act(&salesforce, "create_many", create(json!([{ "LastName": "B" }])), None).await.unwrap();
        assert_eq!((unknown.status, &unknown.output["ambiguous"]), (ActionStatus::Ambiguous, &json!(1)));
        assert_eq!(contacts(&org), 2);
    });
}

#[test]
fn a_key_that_the_vendor_can_find_again_makes_a_create_repeatable() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let salesforce = connector(&org);
        let input = json!({ "object": "Contact", "record": { "LastName": "A" }, "key_field": KEY });
        org.faults().on(Matcher::path("/External_Id__c/").method("PATCH")).nth(1).then(lost());
        let first = act(&salesforce, "create", input.clone(), Some("k 1")).await.unwrap();
        let again = act(&salesforce, "create", input.clone(), Some("k 1")).await.unwrap();
        assert_eq!((&first.output["id"], contacts(&org)), (&again.output["id"], 1));
        // Without a key the field is nothing: the record is made by a POST.
        act(&salesforce, "create", input, None).await.unwrap();
        assert_eq!(contacts(&org), 2);
        let many = json!({ "object": "Contact", "records": [{ "LastName": "B" }, { "LastName": "C" }], "key_field": KEY });
        org.faults().on(Matcher::path("/composite/sobjects/").method("PATCH")).nth(1).then(lost());
        for _ in 0..2 {
            let outcome = act(&salesforce, "create_many", many.clone(), Some("m")).await.unwrap();
            assert_eq!((outcome.status, contacts(&org)), (ActionStatus::Succeeded, 4));
        }
    });
}

#[test]
fn a_key_that_the_vendor_cannot_know_leaves_a_lost_answer_ambiguous() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let salesforce = connector(&org);
        org.faults().on(Matcher::path("/sobjects/Contact").method("POST")).always().then(lost());
        let input = json!({ "object": "Contact", "record": { "LastName": "A" } });
        let error = act(&salesforce, "create", input, Some("k")).await.unwrap_err();
        assert_eq!((error.class(), contacts(&org)), (Class::Ambiguous, 1));
    });
}

#[test]
fn input_that_does_not_fit_is_refused_before_anybody_is_asked() {
    within(async {
        let org = start(FakeOrg::builder().contacts(0)).await;
        let salesforce = connector(&org);
        for (name, input) in [
            ("create", json!({ "object": "Contact", "record": {}, "more": 1 })),
            ("create", json!({ "object": "Contact" })),
            ("create", json!({ "object": "Contact/x", "record": {} })),
            ("delete", json!({ "object": "Contact", "id": "x" })),
            ("query", json!({ "soql": "SELECT Id FROM Contact", "params": { "a": 1 } })),
            ("create_many", json!({ "object": "Contact", "records": {} })),
            ("unheard_of", json!({})),
        ] {
            let error = act(&salesforce, name, input, None).await.unwrap_err();
            assert_eq!(error.class(), Class::Config, "{name}: {error}");
        }
        let clash = json!({ "object": "Contact", "records": [{ KEY: "x" }], "key_field": KEY });
        assert_eq!(
            act(&salesforce, "create_many", clash, Some("k")).await.unwrap_err().class(),
            Class::Config
        );
        assert!(org.requests().is_empty());
        let specs = salesforce.actions();
        let repeatable: Vec<&str> =
            specs.iter().filter(|spec| spec.idempotent).map(|spec| spec.name.as_str()).collect();
        assert_eq!(repeatable, ["query", "update", "upsert", "update_many", "upsert_many"]);
        assert!(specs.iter().all(|spec| spec.input.as_value()["additionalProperties"] == false));
    });
}
