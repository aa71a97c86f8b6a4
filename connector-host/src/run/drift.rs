//! Schema drift: what changed between the schema a stream had and the one it has (rule D-18).

use std::collections::BTreeMap;

use connector_sdk::StreamSpec;
use serde_json::Value;

/// A change of one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) kind: &'static str,
    pub(super) detail: Value,
}

/// What changed from `old` to `new`, by field, in order of the names.
pub(super) fn compare(old: &StreamSpec, new: &StreamSpec) -> Vec<Change> {
    let (before, after) = (types(old), types(new));
    let mut changes = Vec::new();
    for (field, now) in &after {
        match before.get(field) {
            None => changes.push(change(field, "added", Value::Null, now.clone())),
            Some(was) if was != now => changes.push(change(field, "type_changed", was.clone(), now.clone())),
            Some(_) => {}
        }
    }
    for (field, was) in &before {
        if !after.contains_key(field) {
            changes.push(change(field, "removed", was.clone(), Value::Null));
        }
    }
    if old.primary_key != new.primary_key {
        changes.push(change(
            "",
            "key_changed",
            old.primary_key.clone().into(),
            new.primary_key.clone().into(),
        ));
    }
    changes
}

fn change(field: &str, kind: &'static str, from: Value, to: Value) -> Change {
    Change { field: field.to_owned(), kind, detail: serde_json::json!({ "from": from, "to": to }) }
}

/// Each field's type and format: a new title or description is no drift.
fn types(spec: &StreamSpec) -> BTreeMap<String, Value> {
    let properties = spec.json_schema.get("properties").and_then(Value::as_object);
    let shape = |schema: &Value| {
        let kind = schema.get("type").cloned().unwrap_or(Value::Null);
        match schema.get("format") {
            Some(format) => serde_json::json!({ "type": kind, "format": format }),
            None => kind,
        }
    };
    properties.into_iter().flatten().map(|(name, schema)| (name.clone(), shape(schema))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(properties: Value) -> StreamSpec {
        StreamSpec::new("s", serde_json::json!({ "type": "object", "properties": properties }))
            .with_primary_key(["id"])
    }

    #[test]
    fn d_18_added_removed_and_retyped_fields_are_named() {
        let old = spec(serde_json::json!({ "a": {"type": "string"}, "b": {"type": "integer"} }));
        let new =
            spec(serde_json::json!({ "b": {"type": "number"}, "c": {"type": "string", "format": "date"} }));
        let found: Vec<_> =
            compare(&old, &new).into_iter().map(|change| (change.field, change.kind)).collect();
        let expected = [("b", "type_changed"), ("c", "added"), ("a", "removed")];
        assert_eq!(found, expected.map(|(field, kind)| (field.to_owned(), kind)));
    }

    #[test]
    fn a_new_description_is_no_drift() {
        let old = spec(serde_json::json!({ "a": {"type": "string"} }));
        let new = spec(serde_json::json!({ "a": {"type": "string", "description": "what it is"} }));
        assert!(compare(&old, &new).is_empty());
    }

    #[test]
    fn another_key_is_drift() {
        let old = spec(serde_json::json!({}));
        let new = old.clone().with_primary_key(["other"]);
        assert_eq!(compare(&old, &new)[0].kind, "key_changed");
    }
}
