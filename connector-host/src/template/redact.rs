//! A configuration as it may be kept: with references, and without the secrets written out in it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::variables::{self, Piece, Reference};

/// What stands in the place of a secret.
const HIDDEN: &str = "[secret]";

/// Hides what the schema says is a secret, unless it is made of nothing but references to one.
pub(super) fn redact(schema: &Value, value: &mut Value) {
    visit(schema, &[schema], value);
}

/// `nodes` are the parts of the schema that speak of this value.
fn visit(root: &Value, nodes: &[&Value], value: &mut Value) {
    let nodes = expanded(root, nodes);
    if nodes.iter().any(|node| is_secret(node)) {
        let keep = match &*value {
            Value::Null => true,
            Value::String(text) => is_reference(text),
            _ => false,
        };
        if !keep {
            *value = Value::from(HIDDEN);
        }
        return;
    }
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let below: Vec<_> = nodes.iter().flat_map(|node| members(node, name)).collect();
                visit(root, &below, value);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                let below: Vec<_> = nodes
                    .iter()
                    .flat_map(|node| {
                        [node.get("items"), node.get("prefixItems").and_then(|items| items.get(index))]
                    })
                    .flatten()
                    .collect();
                visit(root, &below, value);
            }
        }
        _ => {}
    }
}

/// The nodes and all that they refer to for the same value. A branch that does not fit hides too much at
/// worst.
fn expanded<'a>(root: &'a Value, nodes: &[&'a Value]) -> Vec<&'a Map<String, Value>> {
    let mut waiting = nodes.to_vec();
    let (mut found, mut followed) = (Vec::new(), BTreeSet::new());
    while let Some(node) = waiting.pop() {
        let Some(node) = node.as_object() else { continue };
        found.push(node);
        // Schemas may refer to themselves.
        if let Some(reference) = node.get("$ref").and_then(Value::as_str)
            && followed.insert(reference)
        {
            waiting.extend(reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)));
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            waiting.extend(node.get(key).and_then(Value::as_array).into_iter().flatten());
        }
    }
    found
}

fn members<'a>(node: &'a Map<String, Value>, name: &str) -> Vec<&'a Value> {
    let mut members: Vec<_> = node.get("properties").and_then(|all| all.get(name)).into_iter().collect();
    // Without a look at the patterns: too much is hidden at worst.
    members
        .extend(node.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::values));
    if members.is_empty() {
        members.extend(node.get("additionalProperties"));
    }
    members
}

fn is_secret(node: &Map<String, Value>) -> bool {
    node.get("writeOnly") == Some(&Value::Bool(true))
        || node.get("format").and_then(Value::as_str) == Some("password")
}

/// Whether the text names where a secret is, and holds none of it.
fn is_reference(text: &str) -> bool {
    variables::split(text).is_ok_and(|pieces| {
        !pieces.is_empty()
            && pieces.iter().all(|piece| match piece {
                Piece::Text(_) | Piece::Reference(Reference::Env { default: Some(_), .. }) => false,
                Piece::Reference(_) => true,
            })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(mut value: Value) -> Value {
        let schema = json!({
            "$defs": {
                "Secret": { "type": "string", "format": "password" },
                "Auth": { "oneOf": [
                    { "properties": { "client": { "allOf": [{ "$ref": "#/$defs/Client" }] } } },
                    { "properties": { "token": { "anyOf": [{ "$ref": "#/$defs/Secret" }, { "type": "null" }] } } },
                ] },
                "Client": { "properties": {
                    "id": { "type": "string" },
                    "key": { "type": "string", "writeOnly": true },
                    "again": { "$ref": "#/$defs/Client" },
                } },
                "Loop": { "$ref": "#/$defs/Loop" },
            },
            "properties": {
                "auth": { "$ref": "#/$defs/Auth" },
                "headers": { "additionalProperties": { "$ref": "#/$defs/Secret" } },
                "tokens": { "items": { "$ref": "#/$defs/Secret" } },
                "loop": { "$ref": "#/$defs/Loop" },
            },
        });
        redact(&schema, &mut value);
        value
    }

    #[test]
    fn a_literal_secret_is_hidden_wherever_the_schema_marks_it() {
        let value = json!({
            "auth": { "client": { "id": "me", "key": "hunter2", "again": { "id": "me", "key": "hunter2" } },
                      "token": "hunter2" },
            "headers": { "x": "hunter2" },
            "tokens": ["hunter2", { "a": "hunter2" }, 12345],
            "loop": "round",
        });
        let expected = json!({
            "auth": { "client": { "id": "me", "key": "[secret]", "again": { "id": "me", "key": "[secret]" } },
                      "token": "[secret]" },
            "headers": { "x": "[secret]" },
            "tokens": ["[secret]", "[secret]", "[secret]"],
            "loop": "round",
        });
        assert_eq!(redacted(value), expected);
    }

    #[test]
    fn only_a_text_of_nothing_but_references_stays() {
        for text in ["${secret:a}", "${env:A}", "${file:key.pem}", "${var:a}", "${env:A}${secret:b}"] {
            assert_eq!(redacted(json!({ "auth": { "token": text } })), json!({ "auth": { "token": text } }));
        }
        for text in ["hunter2", "${env:X:-hunter2}", "x${env:A}", "$${env:A}", "${env:A", "${hunter2}", ""] {
            let hidden = json!({ "auth": { "token": "[secret]" } });
            assert_eq!(redacted(json!({ "auth": { "token": text } })), hidden, "{text}");
        }
        assert_eq!(redacted(json!({ "auth": { "token": null } })), json!({ "auth": { "token": null } }));
    }
}
