//! Are the chosen streams there, and do they make sense?

use std::future::Future;

use connector_sdk::{Catalog, Class, Error, Result, StreamSpec, SyncMode};

use crate::{run::StreamChoice, template::suggestion};

/// Checks the choice against the catalog, and the catalog's streams against themselves. `all` is asked
/// for the whole catalog only where a chosen stream is missing, to find which one was meant.
///
/// # Errors
/// Config naming what is wrong with the choice; Schema naming the stream that contradicts itself.
pub(super) async fn fits<F: Future<Output = Result<Catalog>>>(
    catalog: &Catalog,
    chosen: Option<&[StreamChoice]>,
    all: impl FnOnce() -> F,
) -> Result<String> {
    for choice in chosen.unwrap_or_default() {
        match catalog.stream(choice.name.as_str()) {
            Some(spec) => can_be_read(choice, spec)?,
            None => {
                let whole = all().await.unwrap_or_default();
                let known: Vec<&str> = whole.streams.iter().map(|spec| spec.name.as_str()).collect();
                let hint = if known.is_empty() {
                    "`connector discover` lists what is there".to_owned()
                } else {
                    suggestion(choice.name.as_str(), known)
                };
                return Err(Error::config(
                    "select streams",
                    format!("there is no stream `{}` that may be read; {hint}", choice.name),
                ));
            }
        }
    }
    if chosen.is_none() && catalog.streams.is_empty() {
        return Err(Error::new(
            Class::Permanent,
            "select streams",
            "the vendor shows no stream that may be read",
        ));
    }
    for spec in &catalog.streams {
        makes_sense(spec)?;
    }
    let without_key = catalog.streams.iter().filter(|spec| spec.primary_key.is_empty()).count();
    let read = chosen.map_or(catalog.streams.len(), <[_]>::len);
    Ok(match without_key {
        0 => format!("{read} streams, each with a key"),
        some => format!("{read} streams, {some} without a key: their deletes cannot be told"),
    })
}

fn can_be_read(choice: &StreamChoice, spec: &StreamSpec) -> Result<()> {
    let refuse = |text: String| Err(Error::config("select streams", text).with_context("stream", &spec.name));
    if let Some(mode) = choice.mode
        && !spec.modes.contains(&mode)
    {
        let modes: Vec<String> = spec.modes.iter().map(SyncMode::to_string).collect();
        return refuse(format!("it cannot be read in mode `{mode}`; it has: {}", modes.join(", ")));
    }
    for field in choice.fields.iter().flatten() {
        if !spec.fields().any(|known| known == field) {
            let known: Vec<&str> = spec.fields().collect();
            return refuse(format!("it has no field `{field}`; {}", suggestion(field, known)));
        }
    }
    Ok(())
}

/// What a connector says of a stream has to agree with itself.
fn makes_sense(spec: &StreamSpec) -> Result<()> {
    let refuse = |text: String| {
        Err(Error::new(Class::Schema, "check schema", text).with_context("stream", &spec.name))
    };
    if let Err(error) = jsonschema::meta::validate(&spec.json_schema) {
        return refuse(format!("its schema is no JSON Schema: {}", error.masked_with("it")));
    }
    let described = spec.fields().next().is_some();
    for field in spec.primary_key.iter().chain(&spec.cursor_field) {
        if described && !spec.fields().any(|known| known == field) {
            return refuse(format!("its key or cursor `{field}` is not in its schema"));
        }
    }
    if spec.modes.is_empty() {
        return refuse("it can be read in no mode".to_owned());
    }
    Ok(())
}
