//! What a test does to an org that is running: change rows, move the clock, end sessions, ask for the truth.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::fault::Faults;
use crate::random::Random;

use super::datetime;
use super::field::{Field, Kind};
use super::grants::Credentials;
use super::log::{Counters, LoggedRequest};
use super::objects;
use super::org::{Data, FakeOrg};
use super::row::{Row, RowBuilder, encode};
use super::table::{Slot, Table};

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlError {
    /// The org has no object of this name.
    UnknownObject(String),
    /// The object has no row of this id, or has none any more.
    UnknownRow(String),
    /// The object has no field of this name.
    UnknownField(String),
    /// The value does not fit the field of this name.
    WrongValue(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownObject(name) => write!(f, "the org has no object {name}"),
            Self::UnknownRow(id) => write!(f, "there is no row {id}"),
            Self::UnknownField(name) => write!(f, "the object has no field {name}"),
            Self::WrongValue(name) => write!(f, "the value does not fit the field {name}"),
        }
    }
}

impl std::error::Error for ControlError {}

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
    /// What clients sign in with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.org.settings.sign_in.credentials
    }

    /// The script of what goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.org.faults
    }

    /// The requests so far, oldest first; the last 20,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.org.log.requests()
    }

    /// Totals since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.org.log.counters()
    }

    /// The org's time, in milliseconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.org.clock.now()
    }

    /// Stops the org's clock at this time, in milliseconds since the epoch.
    pub fn set_clock(&self, millis: i64) {
        self.org.clock.set(millis);
    }

    /// Puts the org's clock forward.
    pub fn advance(&self, by: Duration) {
        self.org.clock.advance(by);
    }

    /// From now on a write can be queried only this much later, though it carries the time of the write.
    pub fn set_visibility_delay(&self, delay: Duration) {
        self.org.data().visibility_delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
    }

    /// Sets the API calls used today and the daily limit.
    pub fn set_usage(&self, used: u64, daily: u64) {
        self.org.set_usage(used, daily);
    }

    /// API calls used today, and the daily limit.
    #[must_use]
    pub fn usage(&self) -> (u64, u64) {
        self.org.usage()
    }

    /// An access token as a client would get it by signing in.
    #[must_use]
    pub fn issue_token(&self) -> String {
        self.org.grants().new_access()
    }

    /// A refresh token as a user's approval would give it.
    #[must_use]
    pub fn issue_refresh_token(&self) -> String {
        self.org.grants().new_refresh()
    }

    /// Ends all sessions; refresh tokens stay good.
    pub fn expire_tokens(&self) {
        self.org.grants().expire_all();
    }

    /// Takes back all refresh tokens, as an administrator does who revokes the app.
    pub fn revoke_refresh_tokens(&self) {
        self.org.grants().revoke_refresh();
    }

    /// Drops all query cursors, as the vendor does after two days.
    pub fn drop_cursors(&self) {
        self.org.data().cursors.clear();
    }

    /// Adds a row and gives its id. Fields that are not named are null; the org fills in its own.
    ///
    /// # Errors
    /// Unknown object or field, or a value that does not fit.
    pub fn insert(&self, object: &str, values: &Value) -> Result<String, ControlError> {
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
    pub fn update(&self, object: &str, id: &str, values: &Value) -> Result<(), ControlError> {
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
    pub fn touch(&self, object: &str, count: usize) -> Result<Vec<String>, ControlError> {
        let (mut alive, field) = {
            let data = self.org.data();
            let table = data.table(object).ok_or_else(|| ControlError::UnknownObject(object.to_owned()))?;
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
    pub fn delete(&self, object: &str, id: &str) -> Result<(), ControlError> {
        self.set_deleted(object, id, b"true")
    }

    /// Takes a row out of the recycle bin.
    ///
    /// # Errors
    /// Unknown object or row, or an object without a recycle bin.
    pub fn undelete(&self, object: &str, id: &str) -> Result<(), ControlError> {
        self.set_deleted(object, id, b"false")
    }

    /// Removes a row for good: no query shows it again.
    ///
    /// # Errors
    /// Unknown object or row.
    pub fn hard_delete(&self, object: &str, id: &str) -> Result<(), ControlError> {
        self.with(object, |table| Ok((find(table, id)?.0, None, ())))
    }

    /// Adds a field to an object; its value is null in the rows there are.
    ///
    /// # Errors
    /// Unknown object.
    pub fn add_field(&self, object: &str, name: &str, kind: FieldType) -> Result<(), ControlError> {
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
    pub fn remove_field(&self, object: &str, name: &str) -> Result<(), ControlError> {
        let mut data = self.org.data();
        let mut removed = false;
        table_of(&mut data, object)?.alter(|object| removed = object.remove(name));
        if removed { Ok(()) } else { Err(ControlError::UnknownField(name.to_owned())) }
    }

    /// Every row the object has, deleted ones in the recycle bin too, as it was last written, by id. Numbers
    /// are as exact as `serde_json` holds them; [`FakeOrg::truth_text`] has their digits.
    ///
    /// # Errors
    /// Unknown object.
    pub fn truth(&self, object: &str) -> Result<BTreeMap<String, Value>, ControlError> {
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
    pub fn truth_text(&self, object: &str) -> Result<BTreeMap<String, String>, ControlError> {
        let data = self.org.data();
        let table = data.table(object).ok_or_else(|| ControlError::UnknownObject(object.to_owned()))?;
        let id = table.columns.id;
        Ok(table
            .all_latest()
            .into_iter()
            .map(|row| (row.plain(id).to_owned(), written(table, row)))
            .collect())
    }

    fn set_deleted(&self, object: &str, id: &str, deleted: &[u8]) -> Result<(), ControlError> {
        let stamp = self.org.clock.stamp();
        self.with(object, |table| {
            let (slot, row) = find(table, id)?;
            let column =
                table.columns.is_deleted.ok_or_else(|| ControlError::UnknownField("IsDeleted".to_owned()))?;
            let mut changes = stamped(table, stamp);
            changes.push((column, deleted.to_vec()));
            Ok((slot, Some(row.with(table.object.fields.len(), &changes)), ()))
        })
    }

    /// Makes one write under the lock, to be seen when the visibility delay allows.
    fn with<T>(
        &self,
        object: &str,
        make: impl FnOnce(&Table) -> Result<(Slot, Option<Row>, T), ControlError>,
    ) -> Result<T, ControlError> {
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

fn table_of<'a>(data: &'a mut Data, object: &str) -> Result<&'a mut Table, ControlError> {
    data.table_mut(object).ok_or_else(|| ControlError::UnknownObject(object.to_owned()))
}

fn find(table: &Table, id: &str) -> Result<(Slot, Row), ControlError> {
    let unknown = || ControlError::UnknownRow(id.to_owned());
    let slot = table.slot(id).ok_or_else(unknown)?;
    Ok((slot, table.latest(slot).ok_or_else(unknown)?.clone()))
}

fn quoted(text: &str) -> Vec<u8> {
    encode(&text.into())
}

/// What every write stamps.
fn stamped(table: &Table, stamp: i64) -> Vec<(usize, Vec<u8>)> {
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

fn encoded(table: &Table, values: &Value) -> Result<Vec<(usize, Vec<u8>)>, ControlError> {
    let mut changes = Vec::new();
    for (name, value) in values.as_object().into_iter().flatten() {
        let column = table.object.column(name).ok_or_else(|| ControlError::UnknownField(name.clone()))?;
        let wrong = || ControlError::WrongValue(name.clone());
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
fn named(table: &Table, row: Row) -> Row {
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
