//! Whether a catalog still has what it had.

use connector_sdk::{Catalog, StreamSpec};
use serde_json::Value;

/// What the old catalog had and the new one has not, each with its place.
pub(crate) fn broken(old: &Catalog, new: &Catalog) -> Vec<String> {
    let mut found = Vec::new();
    for was in &old.streams {
        match new.stream(was.name.as_str()) {
            Some(is) => stream(was, is, &mut found),
            None => found.push(format!("`{}`: the stream is gone", was.name)),
        }
    }
    found
}

fn stream(was: &StreamSpec, is: &StreamSpec, found: &mut Vec<String>) {
    let name = &was.name;
    if was.primary_key != is.primary_key {
        found.push(format!("`{name}`: the key was {:?} and is {:?}", was.primary_key, is.primary_key));
    }
    if was.cursor_field.is_some() && was.cursor_field != is.cursor_field {
        found.push(format!("`{name}`: the cursor was {:?} and is {:?}", was.cursor_field, is.cursor_field));
    }
    for mode in was.modes.iter().filter(|mode| !is.modes.contains(mode)) {
        found.push(format!("`{name}`: it is read in mode {mode} no more"));
    }
    for field in was.fields() {
        let (old, new) = (property(was, field), property(is, field));
        match new {
            None => found.push(format!("`{name}.{field}`: the field is gone")),
            Some(new) => {
                let (old, new) = (kind(old.unwrap_or(&Value::Null)), kind(new));
                if old != new {
                    found.push(format!("`{name}.{field}`: the type was {old} and is {new}"));
                }
            }
        }
    }
}

fn property<'a>(spec: &'a StreamSpec, field: &str) -> Option<&'a Value> {
    spec.json_schema.get("properties")?.get(field)
}

/// Type and format: a new title or a further value of an enumeration is no change of the type.
fn kind(schema: &Value) -> String {
    let mut types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    types.sort_unstable();
    match schema.get("format").and_then(Value::as_str) {
        Some(format) => format!("{} ({format})", types.join(" or ")),
        None => types.join(" or "),
    }
}
