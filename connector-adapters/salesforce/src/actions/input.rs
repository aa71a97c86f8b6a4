//! What the actions take and give, as types: their schemas are drawn from these.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Rows of a SOQL query.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    /// The query. `:name` outside of quotes stands for the value of that name in `params`.
    pub(super) soql: String,
    /// The values: string, number, boolean, null, a list of these, `{"date": "2026-01-31"}` or
    /// `{"datetime": "2026-01-31T12:00:00Z"}`. Each has to stand in the query.
    #[serde(default)]
    pub(super) params: Map<String, Value>,
}

/// Adds a record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// API name of the object.
    pub(super) object: String,
    /// Its fields by their API names.
    pub(super) record: Map<String, Value>,
    /// A unique external id field that takes the idempotency key: then the vendor itself recognises a repetition. Used
    /// where there is a key.
    pub(super) key_field: Option<String>,
}

/// Changes a record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    /// API name of the object.
    pub(super) object: String,
    /// Its id.
    pub(super) id: String,
    /// The fields to change; null empties one.
    pub(super) record: Map<String, Value>,
}

/// Changes the record that has this external id, or adds it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upsert {
    /// API name of the object.
    pub(super) object: String,
    /// API name of the external id field.
    pub(super) external_id_field: String,
    /// Its value.
    pub(super) external_id: TextOrNumber,
    /// The other fields; null empties one.
    pub(super) record: Map<String, Value>,
}

/// An external id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum TextOrNumber {
    /// As text.
    Text(String),
    /// As whole number.
    Number(i64),
}

impl TextOrNumber {
    pub(super) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Puts a record into the recycle bin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    /// API name of the object.
    pub(super) object: String,
    /// Its id.
    pub(super) id: String,
}

/// Adds records, 200 in a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateMany {
    /// API name of the object.
    pub(super) object: String,
    /// The records.
    pub(super) records: Vec<Map<String, Value>>,
    /// As in `create`; each record gets the key, a slash, and its place.
    pub(super) key_field: Option<String>,
}

/// Changes records, 200 in a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateMany {
    /// API name of the object.
    pub(super) object: String,
    /// The records, each with its `Id`.
    pub(super) records: Vec<Map<String, Value>>,
}

/// Changes or adds records by an external id, 200 in a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpsertMany {
    /// API name of the object.
    pub(super) object: String,
    /// API name of the external id field.
    pub(super) external_id_field: String,
    /// The records, each with a value of that field, no two with the same.
    pub(super) records: Vec<Map<String, Value>>,
}

/// Puts records into the recycle bin, 200 in a call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteMany {
    /// API name of the object.
    pub(super) object: String,
    /// Their ids.
    pub(super) ids: Vec<String>,
}

/// The rows of a query.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Rows {
    /// How many.
    pub(super) total: usize,
    /// As the vendor writes them.
    pub(super) records: Vec<Value>,
}

/// The record that was changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Touched {
    /// Its id.
    pub(super) id: String,
}

/// What became of many records.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Many {
    /// How many were written.
    pub(super) succeeded: usize,
    /// How many were not.
    pub(super) failed: usize,
    /// Of how many nobody knows.
    pub(super) ambiguous: usize,
    /// One result for each record, in their order.
    pub(super) results: Vec<ManyResult>,
}

/// What became of one of them.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ManyResult {
    /// Its place among the records, from 0.
    pub(super) index: usize,
    /// Its id, where it was written.
    pub(super) id: Option<String>,
    /// Whether it is new.
    pub(super) created: Option<bool>,
    /// The vendor's code, where it was refused.
    pub(super) code: Option<String>,
    /// Why it was not written.
    pub(super) error: Option<Value>,
}
