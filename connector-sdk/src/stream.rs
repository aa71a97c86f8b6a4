//! What can be read: the catalog, and what a connection selects of it.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{StreamId, Timestamp};

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// All of it, every time; each read is a generation, and the host concludes what was deleted.
    Full,
    /// What changed since the last read.
    Incremental,
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        })
    }
}

/// What `discover` says of one stream.
///
/// ```
/// use connector_sdk::{StreamSpec, SyncMode};
/// let contacts = StreamSpec::new("Contact", serde_json::json!({"type": "object"}))
///     .with_primary_key(["Id"])
///     .with_cursor("SystemModstamp");
/// assert_eq!(contacts.modes, [SyncMode::Incremental, SyncMode::Full]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamSpec {
    /// The vendor's name for it.
    pub name: StreamId,
    /// JSON Schema of a record.
    pub json_schema: serde_json::Value,
    /// The fields that tell one record from another; empty where the vendor has none.
    pub primary_key: Vec<String>,
    /// The field by which changes are read, if there is one.
    pub cursor_field: Option<String>,
    /// The ways it can be read; the first is the default.
    pub modes: Vec<SyncMode>,
}

impl StreamSpec {
    /// A stream that can be read in full.
    pub fn new(name: impl Into<StreamId>, json_schema: serde_json::Value) -> Self {
        Self {
            name: name.into(),
            json_schema,
            primary_key: Vec::new(),
            cursor_field: None,
            modes: vec![SyncMode::Full],
        }
    }

    /// Names the key fields.
    #[must_use]
    pub fn with_primary_key<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.primary_key = fields.into_iter().map(Into::into).collect();
        self
    }

    /// Names the cursor field: the stream can then be read incrementally, which becomes the default.
    #[must_use]
    pub fn with_cursor(mut self, field: impl Into<String>) -> Self {
        self.cursor_field = Some(field.into());
        self.modes = vec![SyncMode::Incremental, SyncMode::Full];
        self
    }

    /// The names of the record's fields, in the order of the schema.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.json_schema
            .get("properties")
            .and_then(serde_json::Value::as_object)
            .into_iter()
            .flat_map(|properties| properties.keys().map(String::as_str))
    }

    /// A short name for the schema: the same for the same schema, whatever the order of its keys.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // serde_json's map is sorted by key, so the text is canonical.
        format!("{:016x}", xxh3_64(self.json_schema.to_string().as_bytes()))
    }
}

/// What `discover` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Catalog {
    /// The streams, each once.
    pub streams: Vec<StreamSpec>,
}

impl Catalog {
    /// A catalog of these streams.
    #[must_use]
    pub fn new(streams: Vec<StreamSpec>) -> Self {
        Self { streams }
    }

    /// The stream of that name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<&StreamSpec> {
        self.streams.iter().find(|stream| stream.name.as_str() == name)
    }
}

/// A stream as a connection wants it read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamSelection {
    /// What the catalog says of it.
    pub spec: Arc<StreamSpec>,
    /// How to read it.
    pub mode: SyncMode,
    /// The fields to read; none: all. Key and cursor are read in any case.
    pub fields: Option<Vec<String>>,
    /// Read nothing that changed before this instant.
    pub since: Option<Timestamp>,
    /// Read nothing that changed at or after this instant.
    pub until: Option<Timestamp>,
}

impl StreamSelection {
    /// All fields of the stream, in its default mode.
    #[must_use]
    pub fn new(spec: Arc<StreamSpec>) -> Self {
        let mode = spec.modes.first().copied().unwrap_or(SyncMode::Full);
        Self { spec, mode, fields: None, since: None, until: None }
    }

    /// Reads it in this mode.
    #[must_use]
    pub fn with_mode(mut self, mode: SyncMode) -> Self {
        self.mode = mode;
        self
    }

    /// Reads these fields only.
    #[must_use]
    pub fn with_fields(mut self, fields: Option<Vec<String>>) -> Self {
        self.fields = fields;
        self
    }

    /// Reads nothing that changed before this instant.
    #[must_use]
    pub fn with_since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    /// Whether a field is read: selected, or part of the key, or the cursor.
    #[must_use]
    pub fn reads(&self, field: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.iter().any(|name| name == field))
            || self.spec.primary_key.iter().any(|name| name == field)
            || self.spec.cursor_field.as_deref() == Some(field)
    }
}
