//! The catalog.

use connector_sdk::{Catalog, Class, StreamId, SyncMode};
use connector_testkit::{fault::Fault, salesforce::FakeOrg};
use serde_json::json;

use super::host::{config, connect, context, start, within};

async fn catalog(org: &FakeOrg, names: Option<&[&str]>) -> connector_sdk::Result<Catalog> {
    let cx = context();
    let names: Option<Vec<StreamId>> =
        names.map(|names| names.iter().map(|name| StreamId::from(*name)).collect());
    connect(&config(org), &cx).unwrap().discover(&cx, names.as_deref()).await
}

fn names(catalog: &Catalog) -> Vec<&str> {
    catalog.streams.iter().map(|stream| stream.name.as_str()).collect()
}

#[test]
fn the_catalog_has_every_object_that_can_be_read_as_a_whole() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let catalog = catalog(&org, None).await.unwrap();
        let names = names(&catalog);
        for name in ["Account", "Contact", "User", "LoginHistory", "Pricebook_Setup__c"] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
        for name in ["AccountChangeEvent", "ContactChangeEvent", "ContentDocumentLink"] {
            assert!(!names.contains(&name), "{name}");
        }
        let contact = catalog.stream("Contact").unwrap();
        assert_eq!(contact.primary_key, ["Id"]);
        assert_eq!(contact.cursor_field.as_deref(), Some("SystemModstamp"));
        assert_eq!(contact.modes, [SyncMode::Incremental, SyncMode::Full]);
        let property = |name: &str| &contact.json_schema["properties"][name];
        assert_eq!(*property("Id"), json!({"type": "string"}));
        assert_eq!(*property("Score__c"), json!({"type": ["number", "null"]}));
        assert_eq!(*property("Birthdate"), json!({"type": ["string", "null"], "format": "date"}));
        assert_eq!(property("SystemModstamp")["format"], "date-time");
        assert_eq!(property("MailingAddress")["properties"]["city"]["type"], json!(["string", "null"]));
        assert_eq!(catalog.stream("LoginHistory").unwrap().cursor_field.as_deref(), Some("LoginTime"));
        assert_eq!(catalog.stream("Pricebook_Setup__c").unwrap().cursor_field, None);
    });
}

#[test]
fn names_cost_one_request_each_and_what_is_not_there_is_left_out() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let catalog =
            catalog(&org, Some(&["User", "Nope__c", "Contact", "../limits", "Vote"])).await.unwrap();
        assert_eq!(names(&catalog), ["User", "Contact"]);
        let described = org.requests().iter().filter(|request| request.path.ends_with("/describe")).count();
        assert_eq!(described, 4, "the odd name is not sent, and nobody lists all objects");
        assert!(!org.requests().iter().any(|request| request.path.ends_with("/sobjects")));
    });
}

#[test]
fn one_object_that_cannot_be_described_does_not_fail_the_others() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        org.faults().on("/sobjects/Account/describe").always().then(Fault::status(500));
        let all = catalog(&org, None).await.unwrap();
        assert!(!names(&all).contains(&"Account") && names(&all).contains(&"Contact"));
        let error = catalog(&org, Some(&["Account", "Contact"])).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient, "what was asked for by name is not silently missing");
        assert!(error.to_string().contains("Account"), "{error}");
    });
}

#[test]
fn an_outage_is_no_empty_catalog() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        org.faults().on("/describe").always().then(Fault::html());
        assert_eq!(catalog(&org, None).await.unwrap_err().class(), Class::Transient);
    });
}

#[test]
fn the_whole_catalog_fails_where_the_org_lets_nobody_in() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        let body = r#"[{"message":"API is disabled for this User","errorCode":"API_DISABLED_FOR_ORG"}]"#;
        org.faults().on("/describe").always().then(Fault::status(403).with_body(body));
        let error = catalog(&org, None).await.unwrap_err();
        assert!(error.class() == Class::Config && error.message().contains("API Enabled"), "{error}");
    });
}

#[test]
fn a_describe_that_comes_broken_is_no_empty_schema() {
    within(async {
        let org = start(FakeOrg::builder()).await;
        org.faults().on("/sobjects/Contact/describe").always().then(Fault::MalformedJson);
        let error = catalog(&org, Some(&["Contact"])).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient, "{error}");
    });
}

#[test]
fn recorded_objects_of_a_real_org_are_discovered() {
    within(async {
        #[expect(clippy::disallowed_methods, reason = "a test is the edge of its program")]
        let Ok(folder) = std::env::var("CONNECTOR_FIXTURES") else { return };
        let folder = std::path::PathBuf::from(folder).join("salesforce");
        let org = start(FakeOrg::builder().recorded(folder)).await;
        let catalog = catalog(&org, Some(&["Account", "Case"])).await.unwrap();
        assert_eq!(names(&catalog), ["Account", "Case"]);
        assert!(
            catalog.streams.iter().all(|stream| stream.cursor_field.as_deref() == Some("SystemModstamp"))
        );
    });
}
