//! The sections of a template that are ours, typed. The connector's own, `config`, is checked by its schema,
//! and what `bronze` may say is the sink's affair: the program that runs it names the type `B`.

use std::{collections::BTreeSet, path::Path};

use connector_sdk::{ConnectionName, ConnectorId, Network, Secret, SyncMode, TenantId, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{resilience::ResilienceSection, stores::StoreSection};
use crate::run::{DriftPolicy, StreamChoice};

/// A template, but for the connector's own section.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "B: Deserialize<'de>"))]
pub(super) struct Sections<B> {
    /// Which connector: id/method.
    #[schemars(length(min = 1))]
    connector: String,
    /// Whose data it is.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f]*$"))]
    tenant: String,
    /// The connection's name.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f]*$"))]
    name: String,
    /// The connector's own settings.
    #[serde(default, rename = "config")]
    #[schemars(schema_with = "any_map")]
    _config: serde_json::Value,
    /// What to read; omitted: the whole catalog.
    #[serde(default)]
    streams: Option<Vec<StreamSection>>,
    /// Where records go.
    #[serde(default)]
    bronze: Option<B>,
    /// Where states are kept, as a URL.
    #[serde(default = "default_registry")]
    registry: String,
    /// Where the connection may go.
    #[serde(default)]
    network: Network,
    /// How failures of the outside system are met.
    #[serde(default)]
    resilience: ResilienceSection,
    /// Where `${secret:NAME}` is looked up, in order.
    #[serde(default, rename = "secrets")]
    _secrets: Option<Vec<StoreSection>>,
}

fn any_map(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["object", "null"] })
}

fn default_registry() -> String {
    "sqlite://./connector.db".to_owned()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StreamSection {
    /// Its name in the catalog.
    #[schemars(length(min = 1))]
    name: String,
    /// How to read it.
    #[serde(default)]
    mode: Option<SyncMode>,
    /// The fields to read; omitted: all.
    #[serde(default)]
    #[schemars(length(min = 1))]
    fields: Option<Vec<String>>,
    /// Read nothing that changed before this instant.
    #[serde(default)]
    since: Option<Timestamp>,
    /// What to do when its schema changes.
    #[serde(default)]
    #[schemars(schema_with = "drift")]
    on_drift: DriftPolicy,
}

fn drift(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["evolve", "freeze", "discard_row", "discard_value"] })
}

/// What a template says besides the connector's own configuration, with its variables replaced.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings<B> {
    /// Which connector.
    pub connector: ConnectorId,
    /// Whose data it is.
    pub tenant: TenantId,
    /// The connection's name.
    pub connection: ConnectionName,
    /// What to read; none: the whole catalog.
    pub streams: Option<Vec<StreamChoice>>,
    /// Where records go, where the template says so. Its paths are as written: see [`super::Template::folder`].
    pub bronze: Option<B>,
    /// Where states are kept, as a URL; it may hold a password.
    pub registry: Secret,
    /// Where the connection may go; paths are no longer relative.
    pub network: Network,
    /// How failures of the outside system are met.
    pub resilience: connector_sdk::resilience::Resilience,
}

impl<B> Sections<B> {
    /// The mistakes that a schema cannot find: path and text of the first.
    fn mistake(&self) -> Option<(String, String)> {
        let mut seen = BTreeSet::new();
        for (index, stream) in self.streams.iter().flatten().enumerate() {
            if !seen.insert(stream.name.as_str()) {
                return Some((
                    format!("/streams/{index}/name"),
                    format!("the stream `{}` is there twice", stream.name),
                ));
            }
        }
        if self.streams.as_ref().is_some_and(Vec::is_empty) {
            return Some((
                "/streams".to_owned(),
                "`streams` is empty; leave it out to read the whole catalog".to_owned(),
            ));
        }
        None
    }

    /// The settings, with paths relative to `folder` and defaults of `resilience`.
    ///
    /// # Errors
    /// Path and text of what is wrong.
    pub(super) fn settle(
        self,
        folder: &Path,
        defaults: connector_sdk::resilience::Resilience,
    ) -> Result<Settings<B>, (String, String)> {
        if let Some(mistake) = self.mistake() {
            return Err(mistake);
        }
        let resilience =
            self.resilience.over(defaults).map_err(|(field, text)| (format!("/resilience/{field}"), text))?;
        let mut network = self.network;
        network.ca_file = network.ca_file.map(|path| folder.join(path));
        let choices = self.streams.map(|streams| streams.into_iter().map(StreamSection::choice).collect());
        Ok(Settings {
            connector: self.connector.into(),
            tenant: self.tenant.into(),
            connection: self.name.into(),
            streams: choices,
            bronze: self.bronze,
            registry: Secret::new(self.registry),
            network,
            resilience,
        })
    }
}

impl StreamSection {
    fn choice(self) -> StreamChoice {
        StreamChoice {
            name: self.name.into(),
            mode: self.mode,
            fields: self.fields,
            since: self.since,
            on_drift: self.on_drift,
        }
    }
}
