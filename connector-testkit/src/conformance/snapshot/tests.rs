//! What is taken away is found, and what is added is not blamed.

use connector_sdk::{Catalog, StreamSpec};
use serde_json::{Value, json};

use super::{Snapshot, broken_catalog, broken_config};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "size": {"type": "integer", "minimum": 1, "maximum": 100},
            "mode": {"enum": ["fast", "safe"]},
            "wait": {"type": ["string", "null"]},
            "names": {"type": "array", "items": {"type": "string"}},
            "auth": {"$ref": "#/$defs/Auth"}
        },
        "required": ["url"],
        "additionalProperties": false,
        "$defs": {
            "Auth": {"oneOf": [
                {"type": "object", "properties": {"secret": {"$ref": "#/$defs/Secret"}}, "required": ["secret"]},
                {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
            ]},
            "Secret": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
        }
    })
}

/// What is said of a schema in which this place has another value.
fn with(pointer: &str, value: Value) -> Vec<String> {
    let mut new = schema();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    match new.pointer_mut(above).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        map => map[name] = value,
    }
    broken_config(&schema(), &new)
}

fn without(pointer: &str) -> Vec<String> {
    let mut new = schema();
    let (above, name) = pointer.rsplit_once('/').unwrap();
    match new.pointer_mut(above).unwrap() {
        Value::Array(list) => drop(list.remove(name.parse().unwrap())),
        map => drop(map.as_object_mut().unwrap().remove(name).unwrap()),
    }
    broken_config(&schema(), &new)
}

#[test]
fn the_same_configuration_and_a_wider_one_break_nothing() {
    let nothing: [String; 0] = [];
    assert_eq!(broken_config(&schema(), &schema()), nothing);
    assert_eq!(with("/properties/more", json!({"type": "string"})), nothing);
    assert_eq!(with("/properties/size/maximum", json!(1000)), nothing);
    assert_eq!(without("/properties/size/minimum"), nothing);
    assert_eq!(with("/properties/size/type", json!("number")), nothing);
    assert_eq!(with("/properties/mode/enum", json!(["safe", "fast", "slow"])), nothing);
    assert_eq!(with("/properties/url/type", json!(["string", "null"])), nothing);
    assert_eq!(with("/required", json!([])), nothing);
    assert_eq!(with("/additionalProperties", json!(true)), nothing);
    let mut wider = schema();
    let third = json!({"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]});
    wider["$defs"]["Auth"]["oneOf"].as_array_mut().unwrap().insert(0, third);
    assert_eq!(broken_config(&schema(), &wider), nothing);
    // An optional value as schemars writes it: a reference, or null.
    let optional = json!({"anyOf": [{"$ref": "#/$defs/Secret"}, {"type": "null"}]});
    let mut old = schema();
    old["properties"]["spare"] = json!({"$ref": "#/$defs/Secret"});
    let mut new = old.clone();
    new["properties"]["spare"] = optional;
    assert_eq!(broken_config(&old, &new), nothing);
    assert_ne!(broken_config(&new, &old), nothing, "null was taken");
}

#[test]
fn what_takes_less_is_named_with_its_path() {
    let says = |found: Vec<String>, path: &str, what: &str| {
        assert!(found.len() == 1 && found[0].contains(path) && found[0].contains(what), "{path}: {found:?}");
    };
    says(without("/properties/size"), "`size`", "gone");
    says(with("/required", json!(["url", "size"])), "`size`", "required");
    says(with("/properties/url/type", json!("integer")), "`url`", "type");
    says(with("/properties/wait/type", json!("string")), "`wait`", "type");
    says(with("/properties/mode/enum", json!(["safe"])), "`mode`", "fast");
    says(with("/properties/url/enum", json!(["a"])), "`url`", "only");
    says(with("/properties/size/maximum", json!(10)), "`size`", "maximum");
    says(with("/properties/size/minimum", json!(2)), "`size`", "minimum");
    says(with("/properties/url/pattern", json!("^a")), "`url`", "pattern");
    says(with("/properties/url/maxLength", json!(3)), "`url`", "maxLength");
    says(with("/properties/names/items/type", json!("integer")), "`names[]`", "type");
    says(with("/$defs/Secret/required", json!(["id", "key"])), "`auth.secret.key`", "required");
    says(without("/$defs/Secret/properties/id"), "`auth.secret.id`", "gone");
    says(without("/$defs/Auth/oneOf/0/properties/secret"), "`auth.secret`", "gone");
    assert!(!without("/$defs/Auth/oneOf/1").is_empty(), "a way to sign in is gone");
    assert!(!without("/$defs/Auth/oneOf/0").is_empty(), "a way to sign in is gone");
}

fn catalog(change: impl FnOnce(&mut StreamSpec)) -> Catalog {
    let schema =
        json!({"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}});
    let mut spec = StreamSpec::new("tickets", schema).with_primary_key(["id"]).with_cursor("at");
    change(&mut spec);
    Catalog::new(vec![spec])
}

#[test]
fn what_a_catalog_loses_is_named() {
    let old = catalog(|_| {});
    let broken = |new: &Catalog| broken_catalog(&old, new).join("; ");
    assert_eq!(broken(&old), "");
    assert_eq!(broken(&catalog(|spec| spec.json_schema["properties"]["more"] = json!({}))), "");
    assert!(broken(&Catalog::default()).contains("`tickets`: the stream is gone"));
    let properties = |spec: &mut StreamSpec, value: Value| spec.json_schema["properties"] = value;
    assert!(
        broken(&catalog(|spec| properties(spec, json!({"id": {"type": "integer"}}))))
            .contains("`tickets.at`")
    );
    let retyped = json!({"id": {"type": "string"}, "at": {"type": "string"}});
    assert!(broken(&catalog(|spec| properties(spec, retyped))).contains("`tickets.id`: the type"));
    assert!(broken(&catalog(|spec| spec.primary_key.clear())).contains("the key was"));
    assert!(broken(&catalog(|spec| spec.cursor_field = Some("id".to_owned()))).contains("the cursor was"));
    assert!(broken(&catalog(|spec| spec.modes.truncate(0))).contains("mode incremental"));
}

#[test]
fn a_snapshot_is_read_as_it_was_written_and_one_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot { config: schema(), catalog: catalog(|_| {}) };
    snapshot.write(&folder.path().join("snapshot")).unwrap();
    assert_eq!(Snapshot::read(&folder.path().join("snapshot")).unwrap(), snapshot);
    let missing = Snapshot::read(&folder.path().join("nowhere")).unwrap_err();
    assert!(missing.contains("nowhere/config.schema.json"), "{missing}");
}
