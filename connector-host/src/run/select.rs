//! What a connection selects of the catalog.

use std::sync::Arc;

use connector_sdk::{Catalog, Error, Result, StreamSelection, SyncMode};

use super::{DriftPolicy, StreamChoice};

/// A stream to run, with what to do when its schema changes.
pub(crate) type Selected = (StreamSelection, DriftPolicy);

/// The chosen streams; without a choice all that can be read.
///
/// # Errors
/// Config when a chosen stream, mode or field is not there; the text names what is.
pub(crate) fn select(catalog: &Catalog, chosen: Option<&[StreamChoice]>) -> Result<Vec<Selected>> {
    let Some(chosen) = chosen else {
        let all = catalog
            .streams
            .iter()
            .map(|spec| (StreamSelection::new(Arc::new(spec.clone())), DriftPolicy::default()));
        return Ok(all.collect());
    };
    chosen.iter().map(|choice| Ok((selection(catalog, choice)?, choice.on_drift))).collect()
}

fn selection(catalog: &Catalog, choice: &StreamChoice) -> Result<StreamSelection> {
    let spec = catalog.stream(choice.name.as_str()).ok_or_else(|| {
        Error::config(
            "select streams",
            format!(
                "there is no stream `{}` that may be read; `connector discover` lists what is there",
                choice.name
            ),
        )
    })?;
    if let Some(mode) = choice.mode
        && !spec.modes.contains(&mode)
    {
        let modes: Vec<String> = spec.modes.iter().map(SyncMode::to_string).collect();
        return Err(Error::config(
            "select streams",
            format!(
                "the stream `{}` cannot be read in mode `{mode}`; it has: {}",
                spec.name,
                modes.join(", ")
            ),
        ));
    }
    if let Some(unknown) =
        choice.fields.iter().flatten().find(|field| !spec.fields().any(|known| known == *field))
    {
        return Err(Error::config(
            "select streams",
            format!("the stream `{}` has no field `{unknown}`", spec.name),
        ));
    }
    let selection = StreamSelection::new(Arc::new(spec.clone()));
    let mode = choice.mode.unwrap_or(selection.mode);
    Ok(selection.with_mode(mode).with_fields(choice.fields.clone()).with_since(choice.since))
}
