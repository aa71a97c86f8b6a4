//! Describes recorded from a real org, where the files are there: they replace the built-in ones.
//!
//! The objects that hold data keep their rows. A recorded field they lack is added to them, with a value in
//! every row that its description allows: null where it may be null, else the plainest one.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::field::{Field, Kind};
use super::objects;
use super::org::Data;
use super::row::Row;
use super::schema::{Access, Columns, Object};
use super::table::Table;

/// Reads `cumulusci_describe_global.json`, `…_Account.json` and `…_Case.json` from a folder.
pub(super) fn load(data: &mut Data, folder: &Path) -> io::Result<()> {
    let global = read(folder, "global")?;
    for entry in global["sobjects"].as_array().into_iter().flatten() {
        list(data, entry);
    }
    for name in ["Account", "Case"] {
        let document = read(folder, name)?;
        describe(data, name, document);
    }
    Ok(())
}

fn read(folder: &Path, name: &str) -> io::Result<Value> {
    let path = folder.join(format!("cumulusci_describe_{name}.json"));
    let text = std::fs::read(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

/// Takes an entry of the describe of all objects; one that is new here becomes an object without rows.
fn list(data: &mut Data, entry: &Value) {
    let (Some(name), Some(map)) = (entry["name"].as_str(), entry.as_object()) else { return };
    if data.table(name).is_none() {
        let text = |key: &str| entry[key].as_str().unwrap_or_default();
        let names = [name, text("label"), text("labelPlural")];
        let mut object = Object::new(names, text("keyPrefix"), objects::system_fields());
        object.queryable = entry["queryable"].as_bool().unwrap_or(true);
        if !object.queryable {
            object.access = Access::EventsOnly;
        }
        data.add(Table::new(object));
    }
    if let Some(table) = data.table_mut(name) {
        table.alter(|object| {
            object.queryable = map.get("queryable").and_then(Value::as_bool).unwrap_or(true);
            object.listed = Some(map.clone());
        });
    }
}

fn describe(data: &mut Data, name: &str, document: Value) {
    let Value::Object(mut document) = document else { return };
    let fields: Vec<Field> = document
        .remove("fields")
        .iter()
        .flat_map(|list| list.as_array())
        .flatten()
        .filter_map(Field::recorded)
        .collect();
    let Some(table) = data.table_mut(name) else { return };
    let before = table.object.fields.len();
    table.alter(|object| {
        object.recorded = Some(document);
        fields.into_iter().for_each(|field| object.add(field));
    });
    let (object, columns) = (std::sync::Arc::clone(&table.object), table.columns);
    let fill: Vec<(usize, &Field)> =
        object.visible().filter(|(column, field)| *column >= before && !nillable(field)).collect();
    for slot in 0..table.next_slot() {
        let Some(row) = table.seen(slot).cloned() else { continue };
        let values: Vec<_> =
            fill.iter().map(|(column, field)| (*column, plainest(field.kind, &row, columns))).collect();
        table.write(slot, Some(row.with(object.fields.len(), &values)), None);
    }
}

fn nillable(field: &Field) -> bool {
    field.describe.get("nillable").and_then(Value::as_bool).unwrap_or(true)
}

/// A value for a field that may not be null.
fn plainest(kind: Kind, row: &Row, columns: Columns) -> Vec<u8> {
    let value: &[u8] = match kind {
        Kind::Boolean => b"false",
        Kind::Number => b"0",
        Kind::Id => row.value(columns.id),
        Kind::Date => b"\"2020-01-01\"",
        Kind::Datetime => {
            columns.created.map_or(b"\"2020-01-01T00:00:00.000+0000\"", |column| row.value(column))
        }
        Kind::Text => b"\"-\"",
        Kind::Compound => b"null",
    };
    value.to_vec()
}
