use std::sync::Arc;

use connector_sdk::{Class, Network, StreamSpec};
use serde_json::json;

use super::*;
use crate::SalesforceConfig;

fn settings(include_deleted: bool) -> Settings {
    let config: SalesforceConfig = serde_json::from_value(json!({
        "instance_url": "https://acme.my.salesforce.com",
        "auth": { "session": { "access_token": "t" } },
        "include_deleted": include_deleted,
    }))
    .unwrap();
    config.check(&Network::default(), crate::door::Door::Rest).unwrap()
}

fn stream() -> StreamSelection {
    let schema = json!({ "type": "object", "properties": {
        "Id": { "type": "string" }, "Name": { "type": "string" }, "IsDeleted": { "type": "boolean" },
        "SystemModstamp": { "type": "string" }, "Body": { "type": "string", "format": "base64" },
    }});
    let spec = StreamSpec::new("Attachment", schema).with_primary_key(["Id"]).with_cursor("SystemModstamp");
    StreamSelection::new(Arc::new(spec))
}

fn select(stream: &StreamSelection, include_deleted: bool) -> String {
    Selection::of(&settings(include_deleted), stream).unwrap().select().unwrap().to_string()
}

#[test]
fn files_are_read_only_by_name() {
    assert_eq!(select(&stream(), true), "SELECT Id, IsDeleted, Name, SystemModstamp FROM Attachment");
    let named = stream().with_fields(Some(vec!["Body".into()]));
    assert_eq!(select(&named, true), "SELECT Body, Id, IsDeleted, SystemModstamp FROM Attachment");
}

#[test]
fn key_cursor_and_the_mark_of_deletion_are_read_in_any_case() {
    let named = stream().with_fields(Some(vec!["Name".into()]));
    assert_eq!(select(&named, true), "SELECT Id, IsDeleted, Name, SystemModstamp FROM Attachment");
    assert_eq!(select(&named, false), "SELECT Id, Name, SystemModstamp FROM Attachment");
    let selection = Selection::of(&settings(false), &named).unwrap();
    assert!(!selection.all && selection.page_spec().deleted.is_none());
    let selection = Selection::of(&settings(true), &named).unwrap();
    assert!(selection.all);
    assert_eq!(selection.page_spec().deleted.as_deref(), Some("IsDeleted"));
}

#[test]
fn an_unknown_field_or_a_bound_without_a_time_is_a_config_error() {
    let unknown = stream().with_fields(Some(vec!["Nope".into()]));
    let error = Selection::of(&settings(true), &unknown).unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("`Nope`"), "{error}");
    let spec = StreamSpec::new("A", json!({ "type": "object", "properties": { "Id": {} } }))
        .with_primary_key(["Id"]);
    let timeless = StreamSelection::new(Arc::new(spec)).with_since(Some(Timestamp::from_millis(0)));
    let error = Selection::of(&settings(true), &timeless).unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("since"), "{error}");
}
