use std::{fs, path::PathBuf};

use connector_sdk::SyncMode;

use super::*;
use crate::door::Door;

fn field(name: &str, kind: &str, nillable: bool, ordered: bool) -> Value {
    json!({"name": name, "type": kind, "nillable": nillable, "filterable": ordered, "sortable": ordered})
}

fn object(name: &str, fields: &[Value]) -> Object {
    serde_json::from_value(json!({"name": name, "queryable": true, "fields": fields})).unwrap()
}

#[test]
fn every_type_has_a_json_schema_and_an_unknown_one_is_text() {
    for (kind, expected) in [
        ("boolean", json!({"type": "boolean"})),
        ("int", json!({"type": "integer"})),
        ("double", json!({"type": "number"})),
        ("currency", json!({"type": "number"})),
        ("percent", json!({"type": "number"})),
        ("long", json!({"type": "number"})),
        ("date", json!({"type": "string", "format": "date"})),
        ("datetime", json!({"type": "string", "format": "date-time"})),
        ("base64", json!({"type": "string", "format": "base64"})),
    ] {
        let field: Field = serde_json::from_value(field("X", kind, false, true)).unwrap();
        assert_eq!(field.schema(), expected, "{kind}");
    }
    for kind in [
        "anyType",
        "byte",
        "calculated",
        "combobox",
        "complexvalue",
        "datacategorygroupreference",
        "email",
        "encryptedstring",
        "id",
        "json",
        "masterrecord",
        "multipicklist",
        "phone",
        "picklist",
        "reference",
        "string",
        "textarea",
        "time",
        "url",
        "of the next release",
    ] {
        let field: Field = serde_json::from_value(field("X", kind, true, true)).unwrap();
        assert_eq!(field.schema(), json!({"type": ["string", "null"]}), "{kind}");
    }
}

#[test]
fn a_compound_field_is_an_object_of_its_parts() {
    let schema =
        object("A", &[field("Where", "location", true, false), field("Home", "address", true, false)]);
    let schema = schema.stream(Door::Rest).unwrap().json_schema;
    assert_eq!(schema["properties"]["Where"]["type"], json!(["object", "null"]));
    assert!(schema["properties"]["Where"]["properties"]["latitude"].is_object());
    for part in ["street", "city", "state", "postalCode", "country", "latitude", "geocodeAccuracy"] {
        assert!(schema["properties"]["Home"]["properties"][part].is_object(), "{part}");
    }
}

#[test]
fn the_best_field_that_can_be_read_by_is_the_cursor() {
    let all = [
        field("Id", "id", false, true),
        field("CreatedDate", "datetime", false, true),
        field("LastModifiedDate", "datetime", false, true),
        field("SystemModstamp", "datetime", false, true),
    ];
    let cursor = |fields: &[Value]| object("A", fields).stream(Door::Rest).unwrap().cursor_field;
    assert_eq!(cursor(&all).as_deref(), Some("SystemModstamp"));
    assert_eq!(cursor(&all[..3]).as_deref(), Some("LastModifiedDate"));
    assert_eq!(cursor(&all[..2]).as_deref(), Some("CreatedDate"));
    assert_eq!(
        cursor(&[field("Id", "id", false, true), field("LoginTime", "datetime", false, true)]).as_deref(),
        Some("LoginTime")
    );
    assert_eq!(cursor(&all[..1]), None);
    // What cannot be filtered and sorted, or hides rows by being null, is passed over.
    let poor = [all[0].clone(), all[1].clone(), field("SystemModstamp", "datetime", false, false)];
    assert_eq!(cursor(&poor).as_deref(), Some("CreatedDate"));
    let null = [all[0].clone(), field("SystemModstamp", "datetime", true, true)];
    assert_eq!(cursor(&null), None);
}

#[test]
fn d_10_an_object_without_an_order_can_only_be_read_in_one_pass() {
    let unordered =
        object("A", &[field("Id", "id", false, false), field("SystemModstamp", "datetime", false, true)]);
    let spec = unordered.stream(Door::Rest).unwrap();
    assert_eq!((spec.cursor_field.clone(), spec.modes.clone()), (None, vec![SyncMode::Full]));
    assert!(!spec.is_ordered());
    let listed = object(
        "TabDefinition",
        &[field("Id", "id", false, true), field("SystemModstamp", "datetime", false, true)],
    );
    assert!(!listed.stream(Door::Rest).unwrap().is_ordered());
    let without_id = object("B", &[field("Name", "string", false, true)]).stream(Door::Rest).unwrap();
    assert!(without_id.primary_key.is_empty() && !without_id.is_ordered());
}

#[test]
fn files_and_the_recycle_bin_are_known_from_the_schema() {
    let fields = [
        field("Id", "id", false, true),
        field("Body", "base64", true, false),
        field("IsDeleted", "boolean", false, true),
    ];
    let spec = object("Attachment", &fields).stream(Door::Rest).unwrap();
    assert!(spec.is_file("Body") && !spec.is_file("Id") && !spec.is_file("Nope"));
    assert!(spec.has_recycle_bin() && spec.is_ordered());
}

#[test]
fn what_cannot_be_queried_is_no_stream() {
    let mut object = object("A", &[field("Id", "id", false, true)]);
    assert!(object.stream(Door::Rest).is_some());
    object.queryable = false;
    assert!(object.stream(Door::Rest).is_none());
    assert!(super::tests::object("Vote", &[field("Id", "id", false, true)]).stream(Door::Rest).is_none());
    assert!(super::tests::object("Empty", &[]).stream(Door::Rest).is_none());
}

/// The recordings of a real org, where the machine has them.
fn recorded(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test is the edge of its program")]
    let folder = std::env::var("CONNECTOR_FIXTURES").ok()?;
    fs::read_to_string(PathBuf::from(folder).join("salesforce").join(name)).ok()
}

#[test]
fn recorded_describes_become_streams() {
    for name in ["Account", "Case"] {
        let Some(text) = recorded(&format!("cumulusci_describe_{name}.json")) else { return };
        let object: Object = serde_json::from_str(&text).unwrap();
        let spec = object.stream(Door::Rest).unwrap();
        assert_eq!(spec.name.as_str(), name);
        assert_eq!(spec.primary_key, ["Id"]);
        assert_eq!(spec.cursor_field.as_deref(), Some("SystemModstamp"));
        assert!(spec.has_recycle_bin());
        assert_eq!(spec.fields().count(), object.fields.len());
    }
}

#[test]
fn the_recorded_list_of_objects_is_read_as_a_catalog() {
    let Some(text) = recorded("cumulusci_describe_global.json") else { return };
    let global: Global = serde_json::from_str(&text).unwrap();
    let streams: Vec<&str> =
        global.sobjects.iter().filter(|entry| entry.is_stream()).map(|entry| entry.name.as_str()).collect();
    for name in ["Account", "Contact", "Case", "WorkOrderHistory", "UserShare"] {
        assert!(streams.contains(&name), "{name}");
    }
    for name in ["UserChangeEvent", "UriEventStream", "UserRecordAccess", "UserFieldAccess", "Vote"] {
        assert!(!streams.contains(&name), "{name}");
    }
}
