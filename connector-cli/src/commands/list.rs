//! `connector list` and `connector spec`: what this binary knows, without any file.

use connector_host::Connectors;
use connector_sdk::Result;
use serde_json::{Value, json};

use crate::{
    output::{Exit, Output},
    render,
};

/// Lists the connectors.
pub(crate) fn list(connectors: &Connectors, output: &Output) -> Result<Exit> {
    let entries: Vec<Value> = connectors
        .iter()
        .map(|factory| {
            let manifest = factory.manifest();
            json!({
                "id": manifest.id(),
                "method": manifest.method,
                "version": manifest.version,
                "title": manifest.title,
                "description": manifest.description,
                "modes": render::modes(manifest),
                "capabilities": manifest.capabilities,
            })
        })
        .collect();
    output.result(&json!({ "connectors": entries }), || {
        render::manifests(connectors.iter().map(|factory| factory.manifest()))
    })?;
    Ok(Exit::Done)
}

/// Shows a connector's manifest and configuration schema. It is JSON in any case: so is a schema.
pub(crate) fn spec(connectors: &Connectors, id: &str, output: &Output) -> Result<Exit> {
    let factory = connectors.get(id)?;
    output.document(&json!({ "manifest": factory.manifest(), "config_schema": factory.config_schema() }))?;
    Ok(Exit::Done)
}
