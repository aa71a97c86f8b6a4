use std::{fs, path::PathBuf};

use connector_sdk::http::{HeaderMap, StatusCode};

use super::*;

/// The recordings of real answers, where the machine has them.
fn recorded(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test is the edge of its program")]
    let folder = std::env::var("CONNECTOR_FIXTURES").ok()?;
    fs::read_to_string(PathBuf::from(folder).join("salesforce").join(name)).ok()
}

fn response(status: u16, body: String) -> Response {
    let url = "https://acme.my.salesforce.com/services/data/v66.0/sobjects/X".parse().unwrap();
    let now = connector_sdk::Timestamp::from_millis(0);
    Response::new(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body, url, now)
}

#[test]
fn recorded_results_of_collections_decode_to_what_they_say() {
    for (name, count, created) in [
        ("cumulusci_collections_update_result.json", 6, false),
        ("cumulusci_collections_upsert_created.json", 16, true),
    ] {
        let Some(body) = recorded(name) else {
            println!("skipped: CONNECTOR_FIXTURES is not set");
            return;
        };
        let answers: Vec<Answered> = serde_json::from_str(&body).unwrap();
        let written: Vec<Written> =
            answers.into_iter().map(|answer| answer.outcome("update_many", false).unwrap()).collect();
        assert_eq!(written.len(), count, "{name}");
        assert!(written.iter().all(|written| written.created == created && written.id.len() == 18), "{name}");
    }
}

#[test]
fn recorded_answers_about_one_record_decode_to_what_they_say() {
    for (name, id) in [
        ("restforce_sobject_create_success_response.json", "some_id"),
        ("restforce_sobject_upsert_created_success_response.json", "foo"),
    ] {
        let Some(body) = recorded(name) else {
            println!("skipped: CONNECTOR_FIXTURES is not set");
            return;
        };
        let done = written(&response(201, body), "create", true).unwrap();
        assert_eq!((done.id.as_str(), done.created), (id, true), "{name}");
    }
}

#[test]
fn an_answer_of_success_that_is_none_is_no_success() {
    let answer = |body: &str| written(&response(201, body.to_owned()), "create", true).unwrap_err();
    assert_eq!(answer(r#"{"id": "003"#).class(), Class::Ambiguous);
    assert_eq!(answer("[]").class(), Class::Ambiguous);
    let refused = r#"{"success": false, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "m"}]}"#;
    assert_eq!(
        (answer(refused).class(), fault::error_code(&answer(refused))),
        (Class::Transient, Some("UNABLE_TO_LOCK_ROW"))
    );
    assert_eq!(answer(r#"{"success": false}"#).class(), Class::Permanent);
}

#[test]
fn a_row_of_a_job_says_code_message_and_fields() {
    for (text, code, fields) in [
        (
            "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
            "REQUIRED_FIELD_MISSING",
            "",
        ),
        ("DUPLICATE_VALUE:duplicate value found: A__c:A__c,B__c", "DUPLICATE_VALUE", "A__c, B__c"),
        ("nonsense", "nonsense", ""),
    ] {
        let error = fault::of_record("ingest", Some(&fault::Complaint::of_row(text)));
        let named = error.context().find(|(name, _)| *name == "fields").map_or("", |(_, value)| value);
        assert_eq!((fault::error_code(&error), named), (Some(code), fields), "{text}");
    }
}
