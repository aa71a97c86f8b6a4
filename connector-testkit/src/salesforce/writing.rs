//! What a test writes to a running org, and the truth it compares with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::random::Random;

use super::datetime;
use super::field::{Field, Kind};
use super::objects;
use super::org::{Data, FakeOrg};
use super::row::{Row, RowBuilder, encode};
use super::table::{Slot, Table};

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The org has no object of this name.
    UnknownObject(String),
    /// The object has no row of this id, or has none any more.
    UnknownRow(String),
    /// The object has no field of this name.
    UnknownField(String),
    /// The value does not fit the field of this name.
    WrongValue(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownObject(name) => write!(f, "the org has no object {name}"),
            Self::UnknownRow(id) => write!(f, "there is no row {id}"),
            Self::UnknownField(name) => write!(f, "the object has no field {name}"),
            Self::WrongValue(name) => write!(f, "the value does not fit the field {name}"),
        }
    }
}

impl std::error::Error for WriteError {}

/// The type of a field that is added to a running org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Text of up to 255 characters.
    Text,
    /// A number of up to 18 digits.
    Number,
    /// True or false.
    Boolean,
    /// A date and time.
    Datetime,
}

impl FakeOrg {
    /// Adds a row and gives its id. Fields that are not named are null; the org fills in its own.
    ///
    /// # Errors
    /// Unknown object or field, or a value that does not fit.
    pub fn insert(&self, object: &str, values: &Value) -> Result<String, WriteError> {
        let stamp = self.org.clock.stamp();
        self.with(object, |table| {
            let slot = table.next_slot();
            let id = table.id(slot);
            let mut changes = encoded(table, values)?;
            let columns = table.columns;
            let mut own = vec![(columns.id, quoted(&id))];
            let user = || quoted(objects::integration_user());
            own.extend(columns.is_deleted.map(|column| (column, b"false".to_vec())));
            own.extend(columns.owner.map(|column| (column, user())));
            own.extend(columns.created.map(|column| (column, quoted(&datetime::text(stamp)))));
            own.extend(columns.created_by.map(|column| (column, user())));
            own.extend(stamped(table, stamp));
            own.extend(columns.cursor.map(|column| (column, quoted(&datetime::text(stamp)))));
            // What the caller named wins over what the org fills in, except for the id.
            let id_change = own.remove(0);
            own.append(&mut changes);
            own.push(id_change);
            let blank = RowBuilder::default().finish();
            let row = blank.with(table.object.fields.len(), &own);
            Ok((slot, Some(named(table, row)), id))
        })
    }

    /// Changes fields of a row.
    ///
    /// # Errors
    /// Unknown object, row or field, or a value that does not fit.
    pub fn update(&self, object: &str, id: &str, values: &Value) -> Result<(), WriteError> {
        let stamp = self.org.clock.stamp();
        self.with(object, |table| {
            let (slot, row) = find(table, id)?;
            let mut changes = stamped(table, stamp);
            changes.extend(encoded(table, values)?);
            let row = row.with(table.object.fields.len(), &changes);
            Ok((slot, Some(named(table, row)), ()))
        })
    }

    /// Changes `count` rows that are alive, drawn at random from the org's seed and what it did before, and
    /// gives their ids. Their content changes too, where the object has a `Description` or a `Title`.
    ///
    /// # Errors
    /// Unknown object.
    pub fn touch(&self, object: &str, count: usize) -> Result<Vec<String>, WriteError> {
        let (mut alive, field) = {
            let data = self.org.data();
            let table = data.table(object).ok_or_else(|| WriteError::UnknownObject(object.to_owned()))?;
            let deleted = table.columns.is_deleted;
            let alive: Vec<String> = table
                .all_latest()
                .into_iter()
                .filter(|row| deleted.is_none_or(|column| !row.is_true(column)))
                .map(|row| row.plain(table.columns.id).to_owned())
                .collect();
            (alive, ["Title", "Description"].into_iter().find(|field| table.object.column(field).is_some()))
        };
        let mut random = Random::new(self.org.settings.seed ^ self.org.clock.now().unsigned_abs());
        let count = count.min(alive.len());
        for place in 0..count {
            let other =
                place + usize::try_from(random.below((alive.len() - place) as u64)).unwrap_or_default();
            alive.swap(place, other);
        }
        alive.truncate(count);
        for id in &alive {
            let mut values = Map::new();
            if let Some(field) = field {
                values.insert(field.to_owned(), format!("touched {:016x}", random.next()).into());
            }
            self.update(object, id, &values.into())?;
        }
        Ok(alive)
    }

    /// Puts a row into the recycle bin: only `queryAll` shows it now.
    ///
    /// # Errors
    /// Unknown object or row, or an object without a recycle bin.
    pub fn delete(&self, object: &str, id: &str) -> Result<(), WriteError> {
        self.set_deleted(object, id, b"true")
    }

    /// Takes a row out of the recycle bin.
    ///
    /// # Errors
    /// Unknown object or row, or an object without a recycle bin.
    pub fn undelete(&self, object: &str, id: &str) -> Result<(), WriteError> {
        self.set_deleted(object, id, b"false")
    }

    /// Removes a row for good: no query shows it again.
    ///
    /// # Errors
    /// Unknown object or row.
    pub fn hard_delete(&self, object: &str, id: &str) -> Result<(), WriteError> {
        self.with(object, |table| Ok((find(table, id)?.0, None, ())))
    }

    /// Adds a field to an object; its value is null in the rows there are.
    ///
    /// # Errors
    /// Unknown object.
    pub fn add_field(&self, object: &str, name: &str, kind: FieldType) -> Result<(), WriteError> {
        let field = match kind {
            FieldType::Text => Field::new(name, name, "string").length(255),
            FieldType::Number => Field::new(name, name, "double").number(18, 0),
            FieldType::Boolean => Field::new(name, name, "boolean"),
            FieldType::Datetime => Field::new(name, name, "datetime"),
        };
        let mut data = self.org.data();
        table_of(&mut data, object)?.alter(|object| object.add(field));
        Ok(())
    }

    /// Takes a field away: describes leave it out, and queries that name it are refused.
    ///
    /// # Errors
    /// Unknown object or field.
    pub fn remove_field(&self, object: &str, name: &str) -> Result<(), WriteError> {
        let mut data = self.org.data();
        let mut removed = false;
        table_of(&mut data, object)?.alter(|object| removed = object.remove(name));
        if removed { Ok(()) } else { Err(WriteError::UnknownField(name.to_owned())) }
    }

    /// Every row the object has, deleted ones in the recycle bin too, as it was last written, by id. Numbers
    /// are as exact as `serde_json` holds them; [`FakeOrg::truth_text`] has their digits.
    ///
    /// # Errors
    /// Unknown object.
    pub fn truth(&self, object: &str) -> Result<BTreeMap<String, Value>, WriteError> {
        let texts = self.truth_text(object)?;
        Ok(texts
            .into_iter()
            .map(|(id, text)| (id, serde_json::from_str(&text).unwrap_or(Value::Null)))
            .collect())
    }

    /// The same as JSON text, digit by digit as a query answers it: all fields in the order of the describe,
    /// without `attributes`.
    ///
    /// # Errors
    /// Unknown object.
    pub fn truth_text(&self, object: &str) -> Result<BTreeMap<String, String>, WriteError> {
        let data = self.org.data();
        let table = data.table(object).ok_or_else(|| WriteError::UnknownObject(object.to_owned()))?;
        let id = table.columns.id;
        Ok(table
            .all_latest()
            .into_iter()
            .map(|row| (row.plain(id).to_owned(), written(table, row)))
            .collect())
    }

    fn set_deleted(&self, object: &str, id: &str, deleted: &[u8]) -> Result<(), WriteError> {
        let stamp = self.org.clock.stamp();
        self.with(object, |table| {
            let (slot, row) = find(table, id)?;
            let column =
                table.columns.is_deleted.ok_or_else(|| WriteError::UnknownField("IsDeleted".to_owned()))?;
            let mut changes = stamped(table, stamp);
            changes.push((column, deleted.to_vec()));
            Ok((slot, Some(row.with(table.object.fields.len(), &changes)), ()))
        })
    }

    /// Makes one write under the lock, to be seen when the visibility delay allows.
    fn with<T>(
        &self,
        object: &str,
        make: impl FnOnce(&Table) -> Result<(Slot, Option<Row>, T), WriteError>,
    ) -> Result<T, WriteError> {
        let now = self.org.clock.now();
        let mut data = self.org.data();
        data.settle(now);
        let from = (data.visibility_delay > 0).then(|| now + data.visibility_delay);
        let table = table_of(&mut data, object)?;
        let (slot, row, answer) = make(table)?;
        table.write(slot, row, from);
        Ok(answer)
    }
}

fn table_of<'a>(data: &'a mut Data, object: &str) -> Result<&'a mut Table, WriteError> {
    data.table_mut(object).ok_or_else(|| WriteError::UnknownObject(object.to_owned()))
}

fn find(table: &Table, id: &str) -> Result<(Slot, Row), WriteError> {
    let unknown = || WriteError::UnknownRow(id.to_owned());
    let slot = table.slot(id).ok_or_else(unknown)?;
    Ok((slot, table.latest(slot).ok_or_else(unknown)?.clone()))
}

pub(super) fn quoted(text: &str) -> Vec<u8> {
    encode(&text.into())
}

/// What every write stamps.
pub(super) fn stamped(table: &Table, stamp: i64) -> Vec<(usize, Vec<u8>)> {
    let time = quoted(&datetime::text(stamp));
    let columns = table.columns;
    let mut changes: Vec<_> = [columns.modified, columns.modstamp]
        .into_iter()
        .flatten()
        .map(|column| (column, time.clone()))
        .collect();
    changes.extend(columns.modified_by.map(|column| (column, quoted(objects::integration_user()))));
    changes
}

fn encoded(table: &Table, values: &Value) -> Result<Vec<(usize, Vec<u8>)>, WriteError> {
    let mut changes = Vec::new();
    for (name, value) in values.as_object().into_iter().flatten() {
        let column = table.object.column(name).ok_or_else(|| WriteError::UnknownField(name.clone()))?;
        let wrong = || WriteError::WrongValue(name.clone());
        let json = match (table.object.fields[column].kind, value) {
            (Kind::Compound, _) => return Err(wrong()),
            (_, Value::Null) => b"null".to_vec(),
            (Kind::Datetime, Value::String(text)) => {
                quoted(&datetime::text(datetime::parse(text).ok_or_else(wrong)?))
            }
            (Kind::Date, Value::String(text)) if datetime::is_date(text) => encode(value),
            (Kind::Id, Value::String(text)) => quoted(&super::id::full_length(text).ok_or_else(wrong)?),
            (Kind::Text, Value::String(_))
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Number, Value::Number(_)) => encode(value),
            _ => return Err(wrong()),
        };
        changes.push((column, json));
    }
    Ok(changes)
}

/// A contact's `Name` follows its parts, whoever changed them.
pub(super) fn named(table: &Table, row: Row) -> Row {
    let object = &table.object;
    let (Some(first), Some(last), Some(name)) =
        (object.column("FirstName"), object.column("LastName"), object.column("Name"))
    else {
        return row;
    };
    let text = |column: usize| serde_json::from_slice::<Option<String>>(row.value(column)).ok().flatten();
    let full: Vec<String> = [text(first), text(last)].into_iter().flatten().collect();
    row.with(object.fields.len(), &[(name, quoted(&full.join(" ")))])
}

fn written(table: &Table, row: &Row) -> String {
    let object = Arc::clone(&table.object);
    let mut out = vec![b'{'];
    for (column, field) in object.visible() {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{}\":", field.name).as_bytes());
        if field.kind == Kind::Compound {
            super::render::compound(&mut out, row, &object.parts(field));
        } else {
            out.extend_from_slice(row.value(column));
        }
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}
