//! Values into a column of their type.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, StringBuilder,
        TimestampMillisecondBuilder,
    },
    compute::kernels::cast_utils::Parser,
    datatypes::{Date32Type, Float64Type, Int64Type},
    error::ArrowError,
};

use connector_sdk::record::timestamp_millis;

use super::{
    Kind,
    split::{Value, unescape},
};

/// Integers beyond this do not all exist as doubles.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A column being built.
#[derive(Debug)]
pub(super) enum Column {
    Text(StringBuilder),
    Json(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
    Instant(TimestampMillisecondBuilder),
    Date(Date32Builder),
}

impl Column {
    pub(super) fn new(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
            Kind::Json => Self::Json(StringBuilder::with_capacity(rows, rows * 16)),
            Kind::Integer => Self::Integer(Int64Builder::with_capacity(rows)),
            Kind::Number => Self::Number(Float64Builder::with_capacity(rows)),
            Kind::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            Kind::Instant => Self::Instant(TimestampMillisecondBuilder::with_capacity(rows)),
            Kind::Date => Self::Date(Date32Builder::with_capacity(rows)),
        }
    }

    /// Takes a value; none: it is absent. False when it does not fit and is null now.
    ///
    /// A quoted number or truth value is taken for what it says: a vendor's CSV has nothing else. An empty
    /// string is null then.
    pub(super) fn push(&mut self, value: Option<Value<'_>>) -> bool {
        let value = value.filter(|value| value.json != "null");
        let json = value.map(|value| value.json);
        match self {
            Self::Text(column) => {
                match value.map(|value| (value, inner(value.json))) {
                    None => column.append_null(),
                    Some((Value { escaped: false, .. }, Some(text))) => column.append_value(text),
                    Some((_, Some(text))) => column.append_value(unescape(text)),
                    Some((value, None)) => column.append_value(value.json),
                }
                true
            }
            Self::Json(column) => {
                column.append_option(json);
                true
            }
            Self::Integer(column) => fit(json, integer, |value| column.append_option(value)),
            Self::Number(column) => fit(json, number, |value| column.append_option(value)),
            Self::Boolean(column) => fit(json, boolean, |value| column.append_option(value)),
            // A time without an offset is a time on an unknown clock, so it does not fit.
            Self::Instant(column) => fit(
                json,
                |_| timestamp_millis(json.unwrap_or_default().as_bytes()),
                |value| column.append_option(value),
            ),
            Self::Date(column) => fit(json, date, |value| column.append_option(value)),
        }
    }

    pub(super) fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(mut column) | Self::Json(mut column) => Arc::new(column.finish()),
            Self::Integer(mut column) => Arc::new(column.finish()),
            Self::Number(mut column) => Arc::new(column.finish()),
            Self::Boolean(mut column) => Arc::new(column.finish()),
            Self::Instant(mut column) => Arc::new(column.finish().with_timezone("UTC")),
            Self::Date(mut column) => Arc::new(column.finish()),
        })
    }
}

fn fit<T>(json: Option<&str>, parse: impl FnOnce(&str) -> Option<T>, append: impl FnOnce(Option<T>)) -> bool {
    let text = json.map(|json| inner(json).unwrap_or(json)).filter(|text| !text.is_empty());
    let value = text.and_then(parse);
    let fits = value.is_some() || text.is_none();
    append(value);
    fits
}

/// What stands between the quotes, if it is a string.
fn inner(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// Also `5.0` and `1e3`, which are integers in JSON Schema.
fn integer(text: &str) -> Option<i64> {
    Int64Type::parse(text).or_else(|| {
        let value = number(text)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it has no fraction and is within the exact range"
        )]
        (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64)
    })
}

fn number(text: &str) -> Option<f64> {
    Float64Type::parse(text).filter(|value| value.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn date(text: &str) -> Option<i32> {
    if text.len() == 10 { Date32Type::parse(text) } else { None }
}
