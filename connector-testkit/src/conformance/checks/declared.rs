//! What a connector says of itself before it reads anything.

use std::collections::BTreeSet;

use connector_sdk::{
    Class, Error, Manifest, StreamId, SyncMode, contract::ActionRequest, manifest::Capability,
};
use serde_json::{Map, Value};

use super::super::{
    Begin, Bench, Failure, Fixture, Verdict, World,
    bench::connect,
    failure::{ensure, equal},
};

pub(crate) async fn c_01_the_manifest_is_valid_and_says_what_the_connector_is(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let factory = bench.fixture.factory();
    let manifest = factory.manifest();
    let written = serde_json::to_value(manifest)
        .map_err(|error| Failure::new("a manifest as JSON", error.to_string()))?;
    fits(Manifest::schema().as_value(), &written, "the manifest fits its schema")?;
    let again: Manifest = serde_json::from_value(written)
        .map_err(|error| Failure::new("a manifest that can be read again", error.to_string()))?;
    ensure(again == *manifest, "a manifest that is the same when it is read again", || "another".to_owned())?;
    ensure(!manifest.title.trim().is_empty(), "a title", || "none".to_owned())?;
    ensure(!manifest.description.trim().is_empty(), "a description", || "none".to_owned())?;
    let claims: BTreeSet<String> = manifest.capabilities.iter().map(|claim| format!("{claim:?}")).collect();
    equal(&claims.len(), &manifest.capabilities.len(), "capabilities, each once")
}

pub(crate) async fn c_02_the_configuration_fits_its_schema(begin: Begin, seed: u64) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    fits(
        bench.fixture.factory().config_schema().as_value(),
        &bench.fixture.config(),
        "the configuration fits its schema",
    )
}

/// At each place where the configuration has named keys. A map with one key that holds a map is a choice (how to sign
/// in, say): what is put beside it is another choice, not a key.
pub(crate) async fn c_03_an_unknown_key_of_the_configuration_is_refused_by_name(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let config = bench.fixture.config();
    for path in places(&config) {
        let mut wrong = config.clone();
        let Some(Value::Object(map)) = at(&mut wrong, &path) else { continue };
        if map.len() == 1 && map.values().all(Value::is_object) {
            continue;
        }
        map.insert("unheard_of".to_owned(), Value::Bool(true));
        let place =
            if path.is_empty() { "at the top".to_owned() } else { format!("in `{}`", path.join(".")) };
        let expected = format!("class Config, naming the key `unheard_of` {place}");
        let error = refusal(&*bench.fixture, &wrong, &bench, &expected)?;
        ensure(error.class() == Class::Config && told(&error).contains("unheard_of"), expected, || {
            told(&error)
        })?;
    }
    Ok(())
}

pub(crate) async fn c_04_a_required_key_that_is_missing_is_refused_by_name(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let factory = bench.fixture.factory();
    let schema = factory.config_schema();
    let required = schema.as_value().get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    for key in required.iter().filter_map(Value::as_str) {
        let mut config = bench.fixture.config();
        if let Value::Object(map) = &mut config {
            map.remove(key);
        }
        let expected = format!("class Config, naming `{key}`");
        let error = refusal(&*bench.fixture, &config, &bench, &expected)?;
        ensure(error.class() == Class::Config && told(&error).contains(key), expected, || told(&error))?;
    }
    Ok(())
}

pub(crate) async fn c_05_what_is_secret_in_the_configuration_is_marked_so(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let config = bench.fixture.config();
    let secrets = bench.fixture.secrets();
    let factory = bench.fixture.factory();
    let schema = factory.config_schema();
    let mut marked = Vec::new();
    mark(schema.as_value(), schema.as_value(), &config, &mut String::new(), false, &mut marked);
    for (path, text, is_marked) in marked {
        if secrets.contains(&text) {
            ensure(is_marked, format!("`{path}` marked `writeOnly` in the schema"), || {
                "it is not".to_owned()
            })?;
        }
    }
    Ok(())
}

pub(crate) async fn c_06_connecting_asks_nobody(begin: Begin, seed: u64) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    bench.restart()?;
    equal(&bench.fixture.requests(), &0, "requests while connecting")
}

pub(crate) async fn c_07_the_catalog_names_each_stream_once_with_a_schema_that_holds_key_and_cursor(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    bench.spec().await?;
    let catalog = bench.connector.discover(&bench.cx, None).await;
    let catalog = catalog.map_err(|error| Failure::new("discover answers", error.to_string()))?;
    let mut names = BTreeSet::new();
    for stream in &catalog.streams {
        let name = &stream.name;
        ensure(names.insert(name.clone()), "each stream once", || format!("`{name}` twice"))?;
        jsonschema::meta::validate(&stream.json_schema)
            .map_err(|error| Failure::new(format!("a JSON Schema of `{name}`"), error.to_string()))?;
        let fields: BTreeSet<&str> = stream.fields().collect();
        for field in stream.primary_key.iter().chain(&stream.cursor_field) {
            ensure(fields.contains(field.as_str()), format!("`{field}` in the schema of `{name}`"), || {
                format!("it is not among {fields:?}")
            })?;
        }
        ensure(!stream.modes.is_empty(), format!("a mode in which `{name}` is read"), || "none".to_owned())?;
    }
    Ok(())
}

pub(crate) async fn c_08_the_catalog_is_the_same_each_time_and_can_be_narrowed(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let discover = async |names: Option<&[StreamId]>| {
        let catalog = bench.connector.discover(&bench.cx, names).await;
        catalog.map_err(|error| Failure::new("discover answers", error.to_string()))
    };
    let (once, again) = (discover(None).await?, discover(None).await?);
    ensure(once == again, "the same catalog twice", || "two that differ".to_owned())?;
    let name = StreamId::from(bench.fixture.stream());
    let narrow = discover(Some(&[name.clone(), "unheard_of".into()])).await?;
    let found: Vec<_> = narrow.streams.iter().map(|stream| stream.name.clone()).collect();
    equal(&found, &vec![name], "asked for it and for one that is not there, the catalog has")
}

pub(crate) async fn c_09_modes_are_those_that_the_manifest_claims(begin: Begin, seed: u64) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let spec = bench.spec().await?;
    let incremental = spec.modes.contains(&SyncMode::Incremental);
    let claimed = bench.claims(Capability::Incremental);
    ensure(incremental == claimed, format!("incremental reads: {claimed}, as the manifest says"), || {
        incremental.to_string()
    })?;
    ensure(
        !incremental || spec.cursor_field.is_some(),
        "a cursor field of what is read incrementally",
        || "none".to_owned(),
    )?;
    let listener = bench.connector.listen(&bench.cx).await;
    let listens = listener.map_err(|error| Failure::new("whether it listens", told(&error)))?.is_some();
    let claimed = bench.claims(Capability::Push);
    ensure(listens == claimed, format!("a listener: {claimed}, as the manifest says"), || listens.to_string())
}

pub(crate) async fn c_10_an_unknown_action_is_refused_and_known_ones_have_schemas(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let actions = bench.connector.actions();
    let claimed = bench.claims(Capability::Actions);
    ensure(actions.is_empty() != claimed, format!("actions: {claimed}, as the manifest says"), || {
        format!("{} actions", actions.len())
    })?;
    let names: BTreeSet<_> = actions.iter().map(|action| action.name.clone()).collect();
    equal(&names.len(), &actions.len(), "actions, each once")?;
    for action in &actions {
        for schema in [&action.input, &action.output] {
            jsonschema::meta::validate(schema.as_value()).map_err(|error| {
                Failure::new(format!("JSON Schemas of `{}`", action.name), error.to_string())
            })?;
        }
    }
    let before = bench.fixture.requests();
    let outcome = bench.connector.act(&bench.cx, ActionRequest::new("unheard_of", Value::Null)).await;
    match outcome {
        Err(error) if error.class() == Class::Config && told(&error).contains("unheard_of") => {}
        Err(error) => return Err(Failure::new("class Config, naming the action `unheard_of`", told(&error))),
        Ok(outcome) => {
            return Err(Failure::new(
                "an error for the action `unheard_of`",
                format!("{:?}", outcome.status),
            ));
        }
    }
    equal(&bench.fixture.requests(), &before, "requests for an action that is not there: as before")
}

fn fits(schema: &Value, value: &Value, what: &str) -> Verdict {
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| Failure::new("a JSON Schema", error.to_string()))?;
    let wrong: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}", error.masked())).collect();
    ensure(wrong.is_empty(), what, || wrong.join("; "))
}

fn refusal(fixture: &dyn Fixture, config: &Value, bench: &Bench, expected: &str) -> Result<Error, Failure> {
    match connect(fixture, config, &bench.cx) {
        Err(error) => Ok(error),
        Ok(_) => Err(Failure::new(expected, "it connects")),
    }
}

/// An error with what stands beside it.
fn told(error: &Error) -> String {
    let beside: Vec<_> = error.context().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{:?}: {error} ({})", error.class(), beside.join(", "))
}

/// The paths of all maps in it.
fn places(value: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![(Vec::new(), value)];
    while let Some((path, value)) = waiting.pop() {
        let Value::Object(map) = value else { continue };
        for (key, value) in map {
            let mut below = path.clone();
            below.push(key.clone());
            waiting.push((below, value));
        }
        found.push(path);
    }
    found
}

fn at<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, key| value.get_mut(key))
}

/// For each text in the value: its path, and whether the schema marks it, or what it is in, as a secret.
fn mark(
    root: &Value,
    schema: &Value,
    value: &Value,
    path: &mut String,
    above: bool,
    found: &mut Vec<(String, String, bool)>,
) {
    let schemas = resolved(root, schema);
    let is_marked = above
        || schemas.iter().any(|schema| {
            schema.get("writeOnly") == Some(&Value::Bool(true))
                || schema.get("format").and_then(Value::as_str) == Some("password")
        });
    match value {
        Value::String(text) => found.push((path.clone(), text.clone(), is_marked)),
        Value::Object(map) => {
            for (key, value) in map {
                let below: Vec<&Value> =
                    schemas.iter().filter_map(|schema| schema.get("properties")?.get(key)).collect();
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                let nothing = Value::Object(Map::new());
                let joined = match below.as_slice() {
                    [] => nothing,
                    [one] => (*one).clone(),
                    several => serde_json::json!({ "anyOf": several }),
                };
                mark(root, &joined, value, path, is_marked, found);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// The schema itself, and all that it refers to or chooses from.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    let mut waiting = vec![schema];
    while let Some(schema) = waiting.pop() {
        if found.len() > 1000 {
            break;
        }
        found.push(schema);
        let referred =
            schema.get("$ref").and_then(Value::as_str).and_then(|at| root.pointer(at.strip_prefix('#')?));
        waiting.extend(referred);
        for choice in ["anyOf", "oneOf", "allOf"] {
            waiting.extend(schema.get(choice).and_then(Value::as_array).into_iter().flatten());
        }
    }
    found
}
