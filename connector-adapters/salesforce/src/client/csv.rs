//! Records as CSV for ingest jobs, and the rows of their results back (Bulk guide, datafiles_prepare_csv).

use std::collections::HashMap;

use connector_sdk::{Class, Delivery, Error, Result};
use serde_json::{Map, Value};

use crate::bulk::csv::{Delimiter, Place, What};

/// What empties a field. An empty one leaves what is there.
const NULL: &str = "#N/A";

/// The columns of some records: all their keys, in the order in which they come up.
#[derive(Debug, Default)]
pub(super) struct Columns {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Columns {
    /// Takes note of a record's keys.
    ///
    /// # Errors
    /// Config when a value cannot stand in a CSV file.
    pub(super) fn add(&mut self, record: &Map<String, Value>) -> Result<()> {
        for (name, value) in cells(record) {
            text(value).map_err(|error| error.with_context("field", &name))?;
            if !self.places.contains_key(&name) {
                self.places.insert(name.clone(), self.names.len());
                self.names.push(name);
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first row.
    pub(super) fn header(&self) -> String {
        let mut out = String::new();
        line(&mut out, self.names.iter().map(String::as_str));
        out
    }

    /// Appends the row of a record.
    pub(super) fn row(&self, out: &mut String, record: &Map<String, Value>) -> Result<()> {
        let mut row = vec![String::new(); self.names.len()];
        for (name, value) in cells(record) {
            if let Some(cell) = self.places.get(&name).and_then(|place| row.get_mut(*place)) {
                *cell = text(value)?;
            }
        }
        line(out, row.iter().map(String::as_str));
        Ok(())
    }
}

/// The cells of a record. A parent that is named by an external id, `{"Account": {"Key__c": "a"}}`, is the column
/// `Account.Key__c`.
fn cells(record: &Map<String, Value>) -> impl Iterator<Item = (String, &Value)> {
    record.iter().filter(|(name, _)| *name != "attributes").flat_map(|(name, value)| match value {
        Value::Object(parent) => {
            parent.iter().map(|(field, value)| (format!("{name}.{field}"), value)).collect::<Vec<_>>()
        }
        value => vec![(name.clone(), value)],
    })
}

fn text(value: &Value) -> Result<String> {
    let refused = |what: &str| Err(Error::config("ingest", what.to_owned()));
    match value {
        // An empty text is null to the vendor, through every door.
        Value::Null => Ok(NULL.to_owned()),
        Value::String(text) if text.is_empty() => Ok(NULL.to_owned()),
        Value::String(text) if text == NULL => refused(
            "the text #N/A stands for null in a Bulk job: write it in another way, or create the record by itself",
        ),
        Value::String(text) if text.contains('\0') => refused("a text holds a NUL character"),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(_) | Value::Object(_) => {
            refused("a value is a list or an object, and a CSV file has neither")
        }
    }
}

fn line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            out.push(',');
        }
        let plain = !cell.contains([',', '"', '\n', '\r']) && cell.trim() == cell;
        if plain {
            out.push_str(cell);
        } else {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        }
    }
    out.push('\n');
}

/// The rows of a result, each by its column names. All values are texts, an empty one is null.
///
/// # Errors
/// Transient when the text ends in the middle.
pub(super) fn rows(body: &[u8]) -> Result<Vec<Map<String, Value>>> {
    let broken = |what: &str| {
        Error::new(Class::Transient, "ingest", what.to_owned()).with_delivery(Delivery::Answered)
    };
    std::str::from_utf8(body).map_err(|_| broken("the rows of the job are not UTF-8"))?;
    let mut lines = split(body).map_err(|what| broken(&what.to_string()))?.into_iter();
    let Some(header) = lines.next() else { return Ok(Vec::new()) };
    let row = |line: Vec<String>| {
        if line.len() != header.len() {
            return Err(broken("a row of the job has another number of columns than its header"));
        }
        let value = |text: String| if text.is_empty() { Value::Null } else { text.into() };
        Ok(header.iter().cloned().zip(line.into_iter().map(value)).collect())
    };
    lines.filter(|line| line.len() > 1 || line.iter().any(|cell| !cell.is_empty())).map(row).collect()
}

/// Rows and their cells.
fn split(body: &[u8]) -> std::result::Result<Vec<Vec<String>>, What> {
    let mut place = Place::start(body, Delimiter::Comma);
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    while !place.is_end(body) {
        let cell = place.cell(body).map_err(|error| error.what)?;
        let text = String::from_utf8_lossy(cell.raw);
        line.push(if cell.is_doubled { text.replace("\"\"", "\"") } else { text.into_owned() });
        if cell.ends_row {
            lines.push(std::mem::take(&mut line));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn records(value: Value) -> Vec<Map<String, Value>> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_header_is_the_union_of_all_keys_and_null_is_told_from_unchanged() {
        let records = records(json!([
            { "LastName": "O'Brien, \"Bob\"", "Phone": null },
            { "LastName": " x ", "Email": "a\r\nb", "Account": { "Key__c": "k" }, "N": 1.5, "B": true, "E": "" },
        ]));
        let mut columns = Columns::default();
        records.iter().for_each(|record| columns.add(record).unwrap());
        let mut out = columns.header();
        records.iter().for_each(|record| columns.row(&mut out, record).unwrap());
        let mut lines = split(out.as_bytes()).unwrap();
        let header = lines.remove(0);
        let at = |line: usize, name: &str| {
            lines[line][header.iter().position(|known| known == name).unwrap()].clone()
        };
        assert_eq!(header.len(), 7, "{header:?}");
        assert_eq!(
            (at(0, "LastName").as_str(), at(0, "Phone").as_str(), at(0, "Email").as_str()),
            ("O'Brien, \"Bob\"", "#N/A", "")
        );
        assert_eq!(
            (at(1, "LastName").as_str(), at(1, "Email").as_str(), at(1, "Phone").as_str()),
            (" x ", "a\r\nb", "")
        );
        assert_eq!(
            (at(1, "Account.Key__c").as_str(), at(1, "N").as_str(), at(1, "B").as_str()),
            ("k", "1.5", "true")
        );
        assert_eq!(at(1, "E"), "#N/A");
    }

    #[test]
    fn what_a_csv_file_cannot_hold_is_refused() {
        for bad in [
            json!({ "A": [1] }),
            json!({ "A": "#N/A" }),
            json!({ "A": { "B": { "C": 1 } } }),
            json!({ "A": "\0" }),
        ] {
            let error = Columns::default().add(bad.as_object().unwrap()).unwrap_err();
            assert!(error.to_string().contains("field: A"), "{error}");
        }
    }

    #[test]
    fn rows_come_back_and_half_a_text_is_an_error() {
        let text = "\"sf__Id\",\"Name\"\n\"1\",\"say \"\"hi\"\"\nthere\"\n\"\",\"x\"\n";
        let rows_read = rows(text.as_bytes()).unwrap();
        assert_eq!(rows_read[0]["Name"], "say \"hi\"\nthere");
        assert_eq!(rows_read[1]["sf__Id"], Value::Null);
        assert_eq!(rows(&text.as_bytes()[..25]).unwrap_err().class(), Class::Transient);
        assert_eq!(rows(b"\"a\",\"b\"\n\"1\"\n").unwrap_err().class(), Class::Transient);
        assert!(rows(b"").unwrap().is_empty());
    }
}
