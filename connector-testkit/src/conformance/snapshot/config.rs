//! Whether a configuration that fitted the old schema fits the new one, as far as the schemas' structure says.

use std::collections::BTreeSet;

use serde_json::Value;

/// Deeper than any configuration: a schema that refers to itself ends here.
const DEEPEST: usize = 16;

/// What the new schema takes away, each with its path.
pub(crate) fn broken(old: &Value, new: &Value) -> Vec<String> {
    Comparison { old, new }.at(old, new, "", 0)
}

/// Two documents, into which references of their schemas lead.
#[derive(Clone, Copy)]
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
}

impl<'a> Comparison<'a> {
    fn at(self, old: &'a Value, new: &'a Value, path: &str, depth: usize) -> Vec<String> {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        if depth > DEEPEST || new == &Value::Bool(true) {
            return Vec::new();
        }
        let (mut was, mut is) = (branches(old), branches(new));
        let mut found = Vec::new();
        // Without choices on either side, or what stands beside them on both.
        if was.is_empty() == is.is_empty() {
            self.beside(old, new, path, depth, &mut found);
        }
        if was.is_empty() && is.is_empty() {
            return found;
        }
        if was.is_empty() {
            was.push(old);
        }
        if is.is_empty() {
            is.push(new);
        }
        // Each way that there was has to be one of the ways that there are.
        for before in was {
            let tried = is.iter().map(|now| self.at(before, now, path, depth + 1));
            // Of what is wrong with each, the least says best what has changed.
            found.extend(tried.min_by_key(Vec::len).unwrap_or_default());
        }
        found
    }

    fn beside(self, old: &'a Value, new: &'a Value, path: &str, depth: usize, found: &mut Vec<String>) {
        narrowed(old, new, path, found);
        self.properties(old, new, path, depth, found);
        if let (Some(was), Some(is)) = (old.get("items"), new.get("items")) {
            found.extend(self.at(was, is, &format!("{path}[]"), depth + 1));
        }
    }

    fn properties(self, old: &'a Value, new: &'a Value, path: &str, depth: usize, found: &mut Vec<String>) {
        let of = |schema: &'a Value| schema.get("properties").and_then(Value::as_object);
        for (name, before) in of(old).into_iter().flatten() {
            let place = below(path, name);
            match of(new).and_then(|all| all.get(name)) {
                Some(now) => found.extend(self.at(before, now, &place, depth + 1)),
                None => found.push(format!("`{place}`: the property is gone")),
            }
        }
        let required = names(old, "required");
        for name in names(new, "required").difference(&required) {
            found.push(format!("`{}`: it has become required", below(path, name)));
        }
        match (old.get("additionalProperties"), new.get("additionalProperties")) {
            (Some(Value::Bool(false)), _) | (_, None | Some(Value::Bool(true))) => {}
            (Some(was @ Value::Object(_)), Some(is @ Value::Object(_))) => {
                found.extend(self.at(was, is, &below(path, "*"), depth + 1));
            }
            _ => found.push(format!("`{path}`: keys of other names are not taken any more")),
        }
    }
}

/// Types, values and limits at this very place.
fn narrowed(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    let place = if path.is_empty() { "the configuration" } else { path };
    let is = types(new);
    if !is.is_empty() {
        let was = types(old);
        let known = |one: &String| is.contains(one) || (one == "integer" && is.contains("number"));
        if was.is_empty() && branches(old).is_empty() && !has_values(old) || !was.iter().all(known) {
            found.push(format!("`{place}`: the type was {was:?} and is {is:?}"));
        }
    }
    if has_values(new) {
        let gone: Vec<_> = values(old).into_iter().filter(|value| !values(new).contains(value)).collect();
        if !has_values(old) && branches(old).is_empty() {
            found.push(format!("`{place}`: only {:?} are taken now", values(new)));
        } else if !gone.is_empty() {
            found.push(format!("`{place}`: {gone:?} are not taken any more"));
        }
    }
    for (limit, lower) in LIMITS {
        let (was, is) = (number(old, limit), number(new, limit));
        let Some(is) = is else { continue };
        if was.is_none_or(|was| if lower { is > was } else { is < was }) {
            found.push(format!("`{place}`: `{limit}` was {was:?} and is {is}"));
        }
    }
    let pattern = new.get("pattern");
    if pattern.is_some() && pattern != old.get("pattern") {
        found.push(format!("`{place}`: it has to have another pattern"));
    }
}

/// Limits, and whether a larger one takes less.
const LIMITS: [(&str, bool); 8] = [
    ("minimum", true),
    ("exclusiveMinimum", true),
    ("minLength", true),
    ("minItems", true),
    ("maximum", false),
    ("exclusiveMaximum", false),
    ("maxLength", false),
    ("maxItems", false),
];

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.strip_prefix('#'));
        match referred.and_then(|pointer| root.pointer(pointer)) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

fn branches(schema: &Value) -> Vec<&Value> {
    let lists = ["anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
    lists.flatten().collect()
}

fn names(schema: &Value, list: &str) -> BTreeSet<String> {
    let found = schema.get(list).and_then(Value::as_array).into_iter().flatten();
    found.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn types(schema: &Value) -> BTreeSet<String> {
    match schema.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.clone()]),
        _ => names(schema, "type"),
    }
}

fn has_values(schema: &Value) -> bool {
    schema.get("enum").is_some() || schema.get("const").is_some()
}

fn values(schema: &Value) -> Vec<&Value> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(schema.get("const")).collect()
}

fn number(schema: &Value, name: &str) -> Option<f64> {
    schema.get(name).and_then(Value::as_f64)
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
