//! Checks a part of a template against a JSON Schema, and says what is wrong where, for people.
//!
//! A value is never shown: it may be a secret, or a secret in the wrong place. File and line are enough.

use connector_sdk::{Error, Result};
use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

use super::{
    nearest::suggestion,
    yaml::{Node, Place},
};

/// Mistakes beyond this many are counted, not listed.
const MAX_LISTED: usize = 8;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) place: Place,
    /// The path of the value, such as `config.auth`.
    pub(super) field: String,
    pub(super) text: String,
}

/// Checks `value`, which was made from `tree`; `above` is the path of `tree` in the template.
///
/// # Errors
/// Bug when the schema is no schema.
pub(super) fn check(schema: &Value, tree: &Node, value: &Value, above: &str) -> Result<Vec<Violation>> {
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        Error::bug(
            "read template",
            format!("the connector's configuration schema is no schema: {}", error.masked()),
        )
    })?;
    let reader = Reader { schema, tree, above };
    let mut found: Vec<Violation> = Vec::new();
    for violation in validator.iter_errors(value).flat_map(|error| reader.explain(&error)) {
        if !found.contains(&violation) {
            found.push(violation);
        }
    }
    found.sort_by_key(|violation| (violation.place.line, violation.place.column));
    Ok(found)
}

/// All mistakes in one error of class Config; none: no error.
pub(super) fn refuse(file: &std::path::Path, found: &[Violation]) -> Result<()> {
    let Some(first) = found.first() else { return Ok(()) };
    let shown: Vec<String> = found
        .iter()
        .take(MAX_LISTED)
        .map(|violation| format!("{}:{}: {}", file.display(), violation.place, violation.text))
        .collect();
    let more = found.len().saturating_sub(MAX_LISTED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    Err(Error::config("read template", format!("{}{more}", shown.join("; ")))
        .with_context("field", &first.field))
}

struct Reader<'a> {
    schema: &'a Value,
    tree: &'a Node,
    above: &'a str,
}

impl Reader<'_> {
    fn explain(&self, error: &ValidationError<'_>) -> Vec<Violation> {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let known = self.known(error);
                unexpected.iter().map(|key| self.unknown(pointer, key, &known)).collect()
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => self.branches(pointer, context),
            kind => vec![self.violation(pointer, self.say(error, kind))],
        }
    }

    fn say(&self, error: &ValidationError<'_>, kind: &Kind) -> String {
        let name = self.name(error.instance_path().as_str());
        match kind {
            Kind::Required { property } => {
                format!("`{}` is missing in {name}", property.as_str().unwrap_or_default())
            }
            Kind::Type { kind } => {
                format!("{name} must be {}, and is {}", types(kind), a_type_of(error.instance()))
            }
            Kind::Enum { options } => {
                format!("{name} must be one of {}", list(options.as_array().into_iter().flatten()))
            }
            Kind::Constant { expected_value } => format!("{name} must be {}", list([&**expected_value])),
            // What is shown of the value is the word in its stead.
            _ => format!("{name}: {}", error.masked_with("it")),
        }
    }

    /// None of the alternatives fits: says what is wrong with the one that was meant.
    fn branches(&self, pointer: &str, context: &[Vec<ValidationError<'static>>]) -> Vec<Violation> {
        let depth = |error: &ValidationError<'_>| error.instance_path().as_str().matches('/').count();
        let here = pointer.matches('/').count();
        // An alternative whose errors all lie deeper was chosen by its tag.
        let meant = context
            .iter()
            .filter(|errors| !errors.is_empty())
            .max_by_key(|errors| errors.iter().map(depth).min().unwrap_or(here));
        if let Some(errors) = meant
            && errors.iter().all(|error| depth(error) > here)
        {
            return errors.iter().flat_map(|error| self.explain(error)).collect();
        }
        let of_type =
            |error: &&ValidationError<'_>| matches!(error.kind(), Kind::Type { .. }) && depth(error) == here;
        let fitting: Vec<_> =
            context.iter().filter(|errors| !errors.iter().any(|error| of_type(&error))).collect();
        if let [only] = fitting.as_slice() {
            return only.iter().flat_map(|error| self.explain(error)).collect();
        }
        let name = self.name(pointer);
        if fitting.is_empty() {
            let kinds: Vec<String> = context
                .iter()
                .flatten()
                .filter(of_type)
                .map(|error| match error.kind() {
                    Kind::Type { kind } => types(kind),
                    _ => String::new(),
                })
                .filter(|kind| kind != "null")
                .collect();
            let found = context
                .iter()
                .flatten()
                .find(of_type)
                .map_or("something else", |error| a_type_of(error.instance()));
            return vec![
                self.violation(pointer, format!("{name} must be {}, and is {found}", kinds.join(" or "))),
            ];
        }
        self.of_several(pointer, &fitting)
    }

    /// Several alternatives of the right type, and none was chosen: by a key, or by a constant.
    fn of_several(&self, pointer: &str, branches: &[&Vec<ValidationError<'static>>]) -> Vec<Violation> {
        let name = self.name(pointer);
        let (mut known, mut unexpected, mut constants) = (Vec::new(), Vec::new(), Vec::new());
        for error in branches.iter().copied().flatten() {
            match error.kind() {
                Kind::Required { property } => known.extend(property.as_str().map(str::to_owned)),
                Kind::AdditionalProperties { unexpected: keys } => {
                    known.extend(self.known(error));
                    unexpected.extend(keys.iter().cloned());
                }
                Kind::Constant { expected_value } => constants.push((**expected_value).clone()),
                Kind::Enum { options } => constants.extend(options.as_array().into_iter().flatten().cloned()),
                _ => {}
            }
        }
        known.sort();
        known.dedup();
        unexpected.retain(|key| !known.contains(key));
        unexpected.sort();
        unexpected.dedup();
        if !unexpected.is_empty() {
            return unexpected.iter().map(|key| self.unknown(pointer, key, &known)).collect();
        }
        let text = if !constants.is_empty() {
            format!("{name} must be one of {}", list(&constants))
        } else if !known.is_empty() {
            let known: Vec<String> = known.iter().map(|key| format!("`{key}`")).collect();
            format!("{name} needs one of {}, and only one", known.join(", "))
        } else {
            format!("{name} fits none of the forms it may have")
        };
        vec![self.violation(pointer, text)]
    }

    fn unknown(&self, pointer: &str, key: &str, known: &[String]) -> Violation {
        let place = self.tree.key_place(pointer, key);
        let name = self.name(pointer);
        let hint = suggestion(key, known.iter().map(String::as_str));
        let field = self.field(&format!("{pointer}/{key}"));
        Violation { place, field, text: format!("there is no key `{key}` in {name}; {hint}") }
    }

    fn violation(&self, pointer: &str, text: String) -> Violation {
        Violation { place: self.tree.place(pointer), field: self.field(pointer), text }
    }

    /// The keys that the schema has where an unknown one was found.
    fn known(&self, error: &ValidationError<'_>) -> Vec<String> {
        let at = error.schema_path().as_str();
        let object = at.rsplit_once('/').and_then(|(object, _)| self.schema.pointer(object));
        let properties = object.and_then(|object| object.get("properties")).and_then(Value::as_object);
        properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect()
    }

    fn field(&self, pointer: &str) -> String {
        let mut field = self.above.to_owned();
        for token in pointer.split('/').skip(1) {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(&token.replace("~1", "/").replace("~0", "~"));
        }
        field
    }

    fn name(&self, pointer: &str) -> String {
        let field = self.field(pointer);
        if field.is_empty() { "the template".to_owned() } else { format!("`{field}`") }
    }
}

fn types(kind: &TypeKind) -> String {
    let names: Vec<String> = match kind {
        TypeKind::Single(kind) => vec![kind.to_string()],
        TypeKind::Multiple(kinds) => kinds.into_iter().map(|kind| kind.to_string()).collect(),
    };
    let names: Vec<&str> = names.iter().filter(|name| *name != "null").map(|name| in_words(name)).collect();
    if names.is_empty() { "null".to_owned() } else { names.join(" or ") }
}

fn in_words(kind: &str) -> &str {
    match kind {
        "object" => "a map",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    }
}

fn a_type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn list<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values: Vec<String> = values
        .into_iter()
        .filter(|value| !value.is_null())
        .map(|value| format!("`{}`", text(value)))
        .collect();
    values.join(", ")
}

#[cfg(test)]
mod tests;
