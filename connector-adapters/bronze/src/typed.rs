//! The typed column `data`: a struct with one field for each property of the stream's schema.
//!
//! arrow-json could decode the same columns. It does not serve here: it turns a value that does not fit
//! into a null that nobody can count, has no column for an object's text, and costs two CPU seconds per
//! million records of 880 bytes, twice what this costs. The bytes are known to be JSON, so it is enough to
//! find where the values begin and end ([`split`]), and Arrow's own parsers read them ([`values`]).

mod split;
mod values;

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, StringViewArray, StructArray},
    buffer::NullBuffer,
    datatypes::{DataType, Field, Fields, TimeUnit},
    error::ArrowError,
};
use connector_sdk::{StreamId, StreamSpec};
use serde_json::Value as Json;

use split::{KnownKeys, Value, object};
use values::Column;

/// What becomes of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string: its text. Other values are there as their JSON text.
    Text,
    /// An integer of 64 bits.
    Integer,
    /// A number, rounded to a double.
    Number,
    Boolean,
    /// A string of the format date-time: milliseconds UTC.
    Instant,
    /// A string of the format date.
    Date,
    /// Anything else: its JSON text.
    Json,
}

impl Kind {
    fn of(schema: &Json) -> Self {
        let names: Vec<&str> = match schema.get("type") {
            Some(Json::String(name)) => vec![name],
            Some(Json::Array(names)) => {
                names.iter().filter_map(Json::as_str).filter(|name| *name != "null").collect()
            }
            _ => return Self::of_variants(schema),
        };
        match names.as_slice() {
            ["string"] => match schema.get("format").and_then(Json::as_str) {
                Some("date-time") => Self::Instant,
                Some("date") => Self::Date,
                _ => Self::Text,
            },
            ["integer"] => Self::Integer,
            ["number"] => Self::Number,
            ["integer", "number"] | ["number", "integer"] => Self::Number,
            ["boolean"] => Self::Boolean,
            _ => Self::Json,
        }
    }

    /// `anyOf: [X, null]` is an X.
    fn of_variants(schema: &Json) -> Self {
        let variants = ["anyOf", "oneOf"].into_iter().find_map(|key| schema.get(key)?.as_array());
        let is_null = |variant: &&Json| variant.get("type").and_then(Json::as_str) == Some("null");
        let mut others = variants.into_iter().flatten().filter(|variant| !is_null(variant));
        match (others.next(), others.next()) {
            (Some(only), None) => Self::of(only),
            _ => Self::Json,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Number => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Instant => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
        }
    }
}

/// The fields of `data`, from the stream's schema.
#[derive(Debug)]
pub(crate) struct TypedSchema {
    fields: Fields,
    kinds: Vec<Kind>,
    /// By the property's name.
    places: HashMap<String, usize>,
}

impl TypedSchema {
    /// None where the schema names no property: Parquet knows no struct without fields.
    pub(crate) fn of(spec: &StreamSpec) -> Option<Self> {
        let properties = spec.json_schema.get("properties")?.as_object()?;
        let (mut fields, mut kinds, mut places) = (Vec::new(), Vec::new(), HashMap::new());
        let mut taken = std::collections::HashSet::new();
        for (name, schema) in properties {
            // Some readers do not tell `Id` from `ID`; the second stays in the record only.
            if !taken.insert(name.to_lowercase()) {
                tracing::warn!(stream = %spec.name, field = %name, "left out of the typed columns: another name differs only in case");
                continue;
            }
            let kind = Kind::of(schema);
            places.insert(name.clone(), kinds.len());
            fields.push(Field::new(name, kind.data_type(), true));
            kinds.push(kind);
        }
        (!kinds.is_empty()).then(|| Self { fields: fields.into(), kinds, places })
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The names of the fields that hold text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.fields.iter().filter(|field| *field.data_type() == DataType::Utf8);
        texts.map(|field| field.name().as_str())
    }
}

/// Builds `data` for one batch after the other.
#[derive(Debug)]
pub(crate) struct TypedColumns {
    schema: Arc<TypedSchema>,
    /// Values that did not fit, by column.
    misfits: Vec<u64>,
    /// Records that are no object.
    odd_records: u64,
    /// With their columns.
    keys: KnownKeys<Option<usize>>,
}

impl TypedColumns {
    pub(crate) fn new(schema: Arc<TypedSchema>) -> Self {
        let misfits = vec![0; schema.kinds.len()];
        Self { schema, misfits, odd_records: 0, keys: KnownKeys::default() }
    }

    /// A value that does not fit its field's type is null there; the record's text has it as it came.
    pub(crate) fn columns(&mut self, records: &StringViewArray) -> Result<StructArray, ArrowError> {
        let Self { schema, misfits, odd_records, keys } = self;
        let column = |kind: &Kind| Column::new(*kind, records.len());
        let mut columns: Vec<Column> = schema.kinds.iter().map(column).collect();
        let mut present = Vec::with_capacity(records.len());
        let mut found: Vec<Option<Value<'_>>> = Vec::new();
        for record in records {
            found.clear();
            found.resize(columns.len(), None);
            let is_object = record.is_some_and(|record| {
                let place = |name: &str| schema.places.get(name).copied();
                object(record, keys, place, |place, value| {
                    // A name that stands twice counts as its last value.
                    if let Some(found) = place.and_then(|place| found.get_mut(place)) {
                        *found = Some(value);
                    }
                })
            });
            *odd_records += u64::from(record.is_some() && !is_object);
            present.push(is_object);
            for ((column, value), misfits) in columns.iter_mut().zip(&found).zip(&mut *misfits) {
                let value = value.filter(|_| is_object);
                *misfits += u64::from(!column.push(value));
            }
        }
        let arrays: Vec<ArrayRef> = columns.into_iter().map(Column::finish).collect::<Result<_, _>>()?;
        StructArray::try_new(schema.fields.clone(), arrays, Some(NullBuffer::from(present)))
    }

    /// Says what did not fit.
    pub(crate) fn report(&self, stream: &StreamId) {
        for (field, count) in self.schema.fields.iter().zip(&self.misfits).filter(|(_, count)| **count > 0) {
            tracing::warn!(%stream, field = %field.name(), data_type = %field.data_type(), count, "values that do not fit their type are null in the typed column; the record has them");
        }
        if self.odd_records > 0 {
            tracing::warn!(%stream, count = self.odd_records, "records that are no JSON object have no typed columns");
        }
    }
}

#[cfg(test)]
mod tests;
