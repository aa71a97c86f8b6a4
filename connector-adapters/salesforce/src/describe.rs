//! What the vendor says of an object, as a stream of the catalog.

use connector_sdk::StreamSpec;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{door::Door, objects};

/// The fields a stream may be read by, best first: only `SystemModstamp` moves on every change.
const CURSOR_FIELDS: [&str; 4] = [EVERY_CHANGE, "LastModifiedDate", "CreatedDate", "LoginTime"];
/// The one time that moves on every change, the system's own ones too.
pub(crate) const EVERY_CHANGE: &str = "SystemModstamp";
/// The key of a record.
pub(crate) const ID: &str = "Id";
/// The field that says a row is in the recycle bin.
pub(crate) const IS_DELETED: &str = "IsDeleted";
/// An annotation of the schema: rows of this object come in no order, and cannot be filtered.
const UNORDERED: &str = "x-salesforce-unordered";

/// An annotation of the schema: the vendor keeps no log of this object's deletions.
const UNLOGGED: &str = "x-salesforce-no-deletion-log";

/// `GET /sobjects`.
#[derive(Debug, Deserialize)]
pub(crate) struct Global {
    pub(crate) sobjects: Vec<Entry>,
}

/// What the list of objects says of one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) name: String,
    #[serde(default)]
    queryable: bool,
    #[serde(default)]
    retrieveable: bool,
    #[serde(default)]
    replicateable: bool,
    #[serde(default)]
    deprecated_and_hidden: bool,
}

impl Entry {
    /// Whether it belongs into a catalog that names everything. Objects that are neither replicated nor
    /// retrieved by id are the platform's own views; they are read when they are named.
    pub(crate) fn is_stream(&self) -> bool {
        self.queryable
            && (self.replicateable || self.retrieveable)
            && !self.deprecated_and_hidden
            && objects::is_readable(&self.name)
    }
}

/// `GET /sobjects/X/describe`.
#[derive(Debug, Deserialize)]
pub(crate) struct Object {
    name: String,
    #[serde(default)]
    queryable: bool,
    #[serde(default)]
    replicateable: bool,
    fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default = "yes")]
    nillable: bool,
    #[serde(default)]
    filterable: bool,
    #[serde(default)]
    sortable: bool,
}

fn yes() -> bool {
    true
}

impl Object {
    /// The stream; none when the object cannot be queried as a whole.
    pub(crate) fn stream(&self, door: Door) -> Option<StreamSpec> {
        if !self.queryable || self.fields.is_empty() || !objects::is_readable(&self.name) {
            return None;
        }
        let ordered = !objects::is_unordered(&self.name);
        let by_id = ordered && self.field(ID).is_some_and(Field::is_ordered);
        let mut spec = StreamSpec::new(self.name.as_str(), self.schema(by_id, door));
        if self.field(ID).is_some() {
            spec = spec.with_primary_key([ID]);
        }
        match self.cursor().filter(|_| by_id) {
            Some(cursor) => Some(spec.with_cursor(cursor)),
            None => Some(spec),
        }
    }

    /// A cursor that may be null would hide rows: no filter on it finds them.
    fn cursor(&self) -> Option<&'static str> {
        CURSOR_FIELDS.into_iter().find(|name| {
            self.field(name)
                .is_some_and(|field| field.is_ordered() && !field.nillable && field.kind == "datetime")
        })
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn schema(&self, by_id: bool, door: Door) -> Value {
        let served = self.fields.iter().filter(|field| !door.is_narrow() || field.is_in_bulk());
        let properties: Map<String, Value> =
            served.map(|field| (field.name.clone(), field.schema())).collect();
        let mut schema = json!({ "type": "object", "properties": properties });
        if !by_id {
            schema[UNORDERED] = true.into();
        }
        if !self.replicateable {
            schema[UNLOGGED] = true.into();
        }
        schema
    }
}

impl Field {
    fn is_ordered(&self) -> bool {
        self.filterable && self.sortable
    }

    /// Whether the Bulk API serves it: no compound fields, whose parts stand beside them, and no files (Bulk API
    /// guide, "Queries").
    fn is_in_bulk(&self) -> bool {
        !["address", "location", BASE64].contains(&self.kind.as_str())
    }

    /// The vendor's type as JSON Schema. One that is not known is a string, never an error: new ones come
    /// with every release.
    fn schema(&self) -> Value {
        let (kind, extra) = match self.kind.as_str() {
            "boolean" => ("boolean", None),
            "int" => ("integer", None),
            "double" | "currency" | "percent" | "long" => ("number", None),
            "date" => ("string", Some(("format", "date".into()))),
            "datetime" => ("string", Some(("format", "date-time".into()))),
            "base64" => ("string", Some(("format", BASE64.into()))),
            "address" => ("object", Some(("properties", address()))),
            "location" => ("object", Some(("properties", location()))),
            _ => ("string", None),
        };
        let mut schema = Map::new();
        schema.insert("type".to_owned(), if self.nillable { json!([kind, "null"]) } else { kind.into() });
        schema.extend(extra.map(|(name, value)| (name.to_owned(), value)));
        Value::Object(schema)
    }
}

const BASE64: &str = "base64";

/// Parts of an address compound field.
fn address() -> Value {
    let text =
        ["city", "country", "countryCode", "geocodeAccuracy", "postalCode", "state", "stateCode", "street"];
    let mut parts: Map<String, Value> =
        text.into_iter().map(|name| (name.to_owned(), json!({ "type": ["string", "null"] }))).collect();
    if let Value::Object(place) = location() {
        parts.extend(place);
    }
    Value::Object(parts)
}

/// Parts of a geolocation compound field.
fn location() -> Value {
    json!({ "latitude": { "type": ["number", "null"] }, "longitude": { "type": ["number", "null"] } })
}

/// What a schema of ours says of reading; the reader has no other source.
pub(crate) trait Described {
    /// Whether rows can be asked for in the order of their ids.
    fn is_ordered(&self) -> bool;
    /// Whether the vendor may keep a log of the object's deletions.
    fn has_log(&self) -> bool;
    /// Whether the object keeps deleted rows in the recycle bin.
    fn has_recycle_bin(&self) -> bool;
    /// Whether the field holds a file. A query answers a link to it, not its bytes.
    fn is_file(&self, field: &str) -> bool;
    /// What the field's values are.
    fn kind(&self, field: &str) -> FieldKind;
}

/// What a field's values are, as far as a reader of text has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Boolean,
    Integer,
    Number,
    Text,
    /// A date and time, which is to be written as REST writes it: `…+0000` for a `…Z`.
    Time,
}

impl Described for StreamSpec {
    fn is_ordered(&self) -> bool {
        !self.primary_key.is_empty() && self.json_schema.get(UNORDERED) != Some(&Value::Bool(true))
    }

    fn has_log(&self) -> bool {
        self.json_schema.get(UNLOGGED) != Some(&Value::Bool(true))
    }

    fn has_recycle_bin(&self) -> bool {
        self.fields().any(|field| field == IS_DELETED)
    }

    fn is_file(&self, field: &str) -> bool {
        let format = self
            .json_schema
            .get("properties")
            .and_then(|all| all.get(field))
            .and_then(|one| one.get("format"));
        format.and_then(Value::as_str) == Some(BASE64)
    }

    fn kind(&self, field: &str) -> FieldKind {
        let schema = self.json_schema.get("properties").and_then(|all| all.get(field));
        let kind = schema.and_then(|schema| schema.get("type"));
        let is = |name: &str| match kind {
            Some(Value::String(kind)) => kind == name,
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
            _ => false,
        };
        match () {
            () if is("boolean") => FieldKind::Boolean,
            () if is("integer") => FieldKind::Integer,
            () if is("number") => FieldKind::Number,
            () if schema
                .and_then(|schema| schema.get("format"))
                .is_some_and(|format| format == "date-time") =>
            {
                FieldKind::Time
            }
            () => FieldKind::Text,
        }
    }
}

#[cfg(test)]
mod tests;
