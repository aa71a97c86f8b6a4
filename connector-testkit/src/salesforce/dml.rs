//! One record written by a client: what is checked, in which order, and what a refusal says.
//!
//! The checks are the vendor's (Object Reference, "Field Types" and "Core Data Types"; error codes of the SOAP guide);
//! their texts are as answers show them.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::datetime;
use super::field::{Field, Kind};
use super::id;
use super::objects;
use super::org::{Data, FakeOrg, Org};
use super::row::{Row, RowBuilder, encode};
use super::schema::Object;
use super::table::{Slot, Table};
use super::writing::{named, quoted, stamped};

/// Why a record was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
}

/// Fields of a record by their names.
pub(super) type Record = Map<String, Value>;

impl Rejected {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: code.to_owned(),
            message: message.into(),
            fields: Vec::new(),
        }
    }

    pub(super) fn not_found(code: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::new(code, message) }
    }

    fn of_fields(mut self, fields: &[&str]) -> Self {
        self.fields = fields.iter().map(|&field| field.to_owned()).collect();
        self
    }

    /// As a resource of one row answers it.
    pub(super) fn as_answer(&self) -> Value {
        json!([{ "message": self.message, "errorCode": self.code, "fields": self.fields }])
    }

    /// As one of many results says it.
    pub(super) fn as_result(&self) -> Value {
        let error = json!({ "statusCode": self.code, "message": self.message, "fields": self.fields });
        json!({ "success": false, "errors": [error] })
    }
}

/// Refusals that a test has scripted: locks, validation rules, duplicate rules.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<(String, u32, Rejected)>);

impl Refusals {
    fn next(&mut self, object: &str) -> Result<(), Rejected> {
        let Some(at) =
            self.0.iter().position(|(name, left, _)| name.eq_ignore_ascii_case(object) && *left > 0)
        else {
            return Ok(());
        };
        let (_, left, rejected) = &mut self.0[at];
        *left -= 1;
        Err(rejected.clone())
    }
}

impl FakeOrg {
    /// The next `times` records that clients write to this object are refused with this code: a row that
    /// is locked (`UNABLE_TO_LOCK_ROW`), a validation rule (`FIELD_CUSTOM_VALIDATION_EXCEPTION`), a duplicate
    /// rule (`DUPLICATES_DETECTED`). Nothing of them is written.
    pub fn refuse_writes(&self, object: &str, times: u32, code: &str, message: &str) {
        self.org.data().refusals.0.push((object.to_owned(), times, Rejected::new(code, message)));
    }
}

/// Adds a row; its id.
pub(super) fn insert(org: &Org, data: &mut Data, object: &str, record: &Record) -> Result<String, Rejected> {
    let stamp = org.clock.stamp();
    let from = seen_from(org, data);
    data.refusals.next(object)?;
    let table = table(data, object)?;
    if record.keys().any(|name| name.eq_ignore_ascii_case("Id")) {
        let error = Rejected::new("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call");
        return Err(error.of_fields(&["Id"]));
    }
    let mut changes = encoded(table, record, Field::is_createable)?;
    let missing: Vec<&str> = table
        .object
        .visible()
        .filter(|(column, field)| field.is_required() && is_null(&changes, *column))
        .map(|(_, field)| field.name.as_str())
        .collect();
    if !missing.is_empty() {
        let message = format!("Required fields are missing: [{}]", missing.join(", "));
        return Err(Rejected::new("REQUIRED_FIELD_MISSING", message).of_fields(&missing));
    }
    unique(table, &changes, None)?;
    let slot = table.next_slot();
    let id = table.id(slot);
    let columns = table.columns;
    let user = || quoted(objects::integration_user());
    let at = || quoted(&datetime::text(stamp));
    let mut own = vec![(columns.id, quoted(&id))];
    own.extend(columns.is_deleted.map(|column| (column, b"false".to_vec())));
    own.extend(columns.owner.map(|column| (column, user())));
    own.extend(columns.created.map(|column| (column, at())));
    own.extend(columns.created_by.map(|column| (column, user())));
    own.extend(stamped(table, stamp));
    let blank = table.object.visible().filter(|(_, field)| field.kind == Kind::Boolean);
    own.extend(blank.map(|(column, _)| (column, b"false".to_vec())));
    own.append(&mut changes);
    let row = RowBuilder::default().finish().with(table.object.fields.len(), &own);
    let row = named(table, row);
    table.write(slot, Some(row), from);
    Ok(id)
}

/// Changes fields of a row.
pub(super) fn update(
    org: &Org,
    data: &mut Data,
    object: &str,
    id: &str,
    record: &Record,
) -> Result<String, Rejected> {
    let stamp = org.clock.stamp();
    let from = seen_from(org, data);
    data.refusals.next(object)?;
    let table = table(data, object)?;
    let (slot, row) = living(table, id)?;
    let changes = encoded(table, record, Field::is_updateable)?;
    let emptied: Vec<&str> = changes
        .iter()
        .filter(|(column, value)| value == b"null" && table.object.fields[*column].is_required())
        .map(|(column, _)| table.object.fields[*column].name.as_str())
        .collect();
    if !emptied.is_empty() {
        let message = format!("Required fields are missing: [{}]", emptied.join(", "));
        return Err(Rejected::new("REQUIRED_FIELD_MISSING", message).of_fields(&emptied));
    }
    unique(table, &changes, Some(slot))?;
    let mut all = stamped(table, stamp);
    all.extend(changes);
    let id = row.plain(table.columns.id).to_owned();
    let row = named(table, row.with(table.object.fields.len(), &all));
    table.write(slot, Some(row), from);
    Ok(id)
}

/// Writes the row that has this external id, or a new one; its id, and whether it is new.
pub(super) fn upsert(
    org: &Org,
    data: &mut Data,
    object: &str,
    (field, value): (&str, &str),
    record: &Record,
) -> Result<(String, bool), Rejected> {
    if field.eq_ignore_ascii_case("Id") {
        return update(org, data, object, value, record).map(|id| (id, false));
    }
    let table = table(data, object)?;
    let column = external(table, field)?;
    if value.is_empty() {
        let name = &table.object.fields[column].name;
        return Err(Rejected::new("MISSING_ARGUMENT", format!("{name} not specified")));
    }
    match matches(table, column, value).as_slice() {
        [] => {
            let mut record = record.clone();
            record.insert(table.object.fields[column].name.clone(), value.into());
            insert(org, data, object, &record).map(|id| (id, true))
        }
        [id] => {
            let id = id.clone();
            update(org, data, object, &id, record).map(|id| (id, false))
        }
        several => {
            let name = &table.object.fields[column].name;
            let message =
                format!("{name}: more than one record found for external id field: [{}]", several.join(", "));
            Err(Rejected {
                status: StatusCode::MULTIPLE_CHOICES,
                ..Rejected::new("DUPLICATE_EXTERNAL_ID", message)
            })
        }
    }
}

/// Puts a row into the recycle bin, or, `hard`, removes it for good.
pub(super) fn delete(
    org: &Org,
    data: &mut Data,
    object: &str,
    id: &str,
    hard: bool,
) -> Result<String, Rejected> {
    let stamp = org.clock.stamp();
    let from = seen_from(org, data);
    data.refusals.next(object)?;
    let table = table(data, object)?;
    let (slot, row) = living(table, id)?;
    let id = row.plain(table.columns.id).to_owned();
    let gone = table.columns.is_deleted.filter(|_| !hard).map(|column| {
        let mut changes = stamped(table, stamp);
        changes.push((column, b"true".to_vec()));
        row.with(table.object.fields.len(), &changes)
    });
    table.write(slot, gone, from);
    Ok(id)
}

/// The row of an id, if it is alive.
pub(super) fn living(table: &Table, id: &str) -> Result<(Slot, Row), Rejected> {
    if id::full_length(id).is_none() {
        return Err(Rejected::new("MALFORMED_ID", format!("malformed id {id}")).of_fields(&["Id"]));
    }
    if !id.starts_with(&table.object.prefix) {
        let message = format!("{}: id value of incorrect type: {id}", label(table));
        return Err(Rejected::new("MALFORMED_ID", message).of_fields(&["Id"]));
    }
    let missing = || Rejected::not_found("NOT_FOUND", "The requested resource does not exist");
    let slot = table.slot(id).ok_or_else(missing)?;
    let row = table.latest(slot).ok_or_else(missing)?.clone();
    if table.columns.is_deleted.is_some_and(|column| row.is_true(column)) {
        return Err(Rejected::not_found("ENTITY_IS_DELETED", "entity is deleted"));
    }
    Ok((slot, row))
}

fn label(table: &Table) -> String {
    format!("{} ID", table.object.label)
}

/// The column of an external id field.
pub(super) fn external(table: &Table, field: &str) -> Result<usize, Rejected> {
    let column = table.object.column(field);
    column.filter(|column| table.object.fields[*column].is_external_id()).ok_or_else(|| {
        let message = format!("Provided external ID field does not exist or is not accessible: {field}");
        Rejected::not_found("NOT_FOUND", message)
    })
}

/// Ids of the living rows that have this value in this column; texts are told apart without regard to ASCII case.
pub(super) fn matches(table: &Table, column: usize, value: &str) -> Vec<String> {
    let text = encode(&value.into());
    let has = |row: &&Row| {
        let found = row.value(column);
        found.eq_ignore_ascii_case(&text) || found == value.as_bytes()
    };
    let alive = |row: &&Row| table.columns.is_deleted.is_none_or(|deleted| !row.is_true(deleted));
    let rows = table.all_latest().into_iter().filter(alive).filter(has);
    rows.map(|row| row.plain(table.columns.id).to_owned()).collect()
}

pub(super) fn table<'a>(data: &'a mut Data, object: &str) -> Result<&'a mut Table, Rejected> {
    data.table_mut(object)
        .ok_or_else(|| Rejected::not_found("NOT_FOUND", "The requested resource does not exist"))
}

/// When queries see what is written now.
fn seen_from(org: &Org, data: &mut Data) -> Option<i64> {
    let now = org.clock.now();
    data.settle(now);
    (data.visibility_delay > 0).then(|| now + data.visibility_delay)
}

fn is_null(changes: &[(usize, Vec<u8>)], column: usize) -> bool {
    changes.iter().rev().find(|(changed, _)| *changed == column).is_none_or(|(_, value)| value == b"null")
}

fn unique(table: &Table, changes: &[(usize, Vec<u8>)], own: Option<Slot>) -> Result<(), Rejected> {
    for (column, value) in changes {
        let field = &table.object.fields[*column];
        let Ok(Value::String(text)) = serde_json::from_slice(value) else { continue };
        if !field.is_unique() {
            continue;
        }
        let others = matches(table, *column, &text);
        if let Some(other) = others.iter().find(|id| table.slot(id) != own) {
            let name = &field.name;
            let message =
                format!("duplicate value found: {name} duplicates value on record with id: {other}");
            return Err(Rejected::new("DUPLICATE_VALUE", message).of_fields(&[name]));
        }
    }
    Ok(())
}

/// The JSON of each value by its column.
fn encoded(
    table: &Table,
    record: &Record,
    may: fn(&Field) -> bool,
) -> Result<Vec<(usize, Vec<u8>)>, Rejected> {
    let object: &Object = &table.object;
    let mut changes = Vec::new();
    for (name, value) in record.iter().filter(|(name, _)| *name != "attributes") {
        let Some(column) = object.column(name) else {
            let message = format!("No such column '{name}' on sobject of type {}", object.name);
            return Err(Rejected::new("INVALID_FIELD", message));
        };
        let field = &object.fields[column];
        if !may(field) {
            let message = format!(
                "Unable to create/update fields: {name}. Please check the security settings of this field and \
                 verify that it is read/write for your profile or permission set."
            );
            return Err(Rejected::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).of_fields(&[name]));
        }
        changes.push((column, written(field, value)?));
    }
    Ok(changes)
}

fn written(field: &Field, value: &Value) -> Result<Vec<u8>, Rejected> {
    let unreadable = |expected: &str| {
        let message = format!(
            "Cannot deserialize instance of {expected} from value {value} or request may be missing a required field"
        );
        Rejected::new("JSON_PARSER_ERROR", message)
    };
    let described = field.describe.get("type").and_then(Value::as_str).unwrap_or_default();
    let longest = field.longest();
    match (field.kind, value) {
        (Kind::Compound, _) => Err(unreadable(described)),
        (Kind::Boolean, Value::Null) => Ok(b"false".to_vec()),
        (_, Value::Null) => Ok(b"null".to_vec()),
        (Kind::Text | Kind::Id, Value::String(text)) if text.is_empty() => Ok(b"null".to_vec()),
        (Kind::Datetime, Value::String(text)) => {
            datetime::parse(text).map(|at| quoted(&datetime::text(at))).ok_or_else(|| unreadable(described))
        }
        (Kind::Date, Value::String(text)) if datetime::is_date(text) => Ok(encode(value)),
        (Kind::Id, Value::String(text)) => id::full_length(text).map(|id| quoted(&id)).ok_or_else(|| {
            let name = field.describe.get("label").and_then(Value::as_str).unwrap_or_default();
            let message = format!("{name}: id value of incorrect type: {text}");
            Rejected::new("MALFORMED_ID", message).of_fields(&[&field.name])
        }),
        (Kind::Text, Value::String(text)) if longest > 0 && text.chars().count() > longest => {
            let message = format!("{}: data value too large: {text} (max length={longest})", field.name);
            Err(Rejected::new("STRING_TOO_LONG", message).of_fields(&[&field.name]))
        }
        (Kind::Text, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_)) => Ok(encode(value)),
        // A number for a text is taken as it is written.
        (Kind::Text, Value::Number(number)) => Ok(quoted(&number.to_string())),
        (Kind::Number, Value::String(text)) if text.parse::<f64>().is_ok() => Ok(text.clone().into_bytes()),
        _ => Err(unreadable(described)),
    }
}
