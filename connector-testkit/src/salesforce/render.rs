//! Records as JSON: copied together from names that are written once per page and values as they are stored.

use super::row::Row;
use super::schema::Object;
use super::soql::{Plan, Projection, Select};

/// What stands before each value of a record, made once per page.
pub(super) struct Template {
    head: Vec<u8>,
    parts: Vec<Part>,
    id: usize,
    relations: usize,
}

struct Part {
    /// `,"Name":`
    name: Vec<u8>,
    what: What,
}

enum What {
    Value(usize),
    Compound(Vec<(&'static str, Option<usize>)>),
    Parent { relation: usize, template: Template },
}

impl Template {
    /// For the records of a plan; `version` is the API version in their addresses, for instance `v66.0`.
    pub(super) fn of(plan: &Plan, version: &str) -> Self {
        let Select::Rows(projections) = &plan.select else {
            return Self::new(&plan.object, version, Vec::new(), 0);
        };
        let parts = projections
            .iter()
            .map(|projection| match projection {
                Projection::Field(column) => field(&plan.object, *column),
                Projection::Parent { relation, columns } => {
                    let to = &plan.relations[*relation];
                    let parts = columns.iter().map(|column| field(&to.parent, *column)).collect();
                    let template = Self::new(&to.parent, version, parts, 0);
                    Part { name: name(&to.name), what: What::Parent { relation: *relation, template } }
                }
            })
            .collect();
        Self::new(&plan.object, version, parts, plan.relations.len())
    }

    fn new(object: &Object, version: &str, parts: Vec<Part>, relations: usize) -> Self {
        let head = format!(
            r#"{{"attributes":{{"type":"{name}","url":"/services/data/{version}/sobjects/{name}/"#,
            name = object.name
        );
        Self { head: head.into_bytes(), parts, id: object.columns().id, relations }
    }

    /// Appends the record of row number `index` of a query.
    pub(super) fn record(&self, out: &mut Vec<u8>, row: &Row, parents: &[Option<Row>], index: usize) {
        let own = parents.get(index * self.relations..(index + 1) * self.relations).unwrap_or_default();
        self.write(out, row, own);
    }

    fn write(&self, out: &mut Vec<u8>, row: &Row, parents: &[Option<Row>]) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(row.plain(self.id).as_bytes());
        out.extend_from_slice(b"\"}");
        for part in &self.parts {
            out.extend_from_slice(&part.name);
            match &part.what {
                What::Value(column) => out.extend_from_slice(row.value(*column)),
                What::Compound(parts) => compound(out, row, parts),
                What::Parent { relation, template } => {
                    match parents.get(*relation).and_then(Option::as_ref) {
                        Some(parent) => template.write(out, parent, &[]),
                        None => out.extend_from_slice(b"null"),
                    }
                }
            }
        }
        out.push(b'}');
    }
}

fn field(object: &Object, column: usize) -> Part {
    let field = &object.fields[column];
    let parts = object.parts(field);
    let what = if parts.is_empty() { What::Value(column) } else { What::Compound(parts) };
    Part { name: name(&field.name), what }
}

fn name(text: &str) -> Vec<u8> {
    format!(",\"{text}\":").into_bytes()
}

/// An address: null where all its parts are.
pub(super) fn compound(out: &mut Vec<u8>, row: &Row, parts: &[(&'static str, Option<usize>)]) {
    if parts.iter().all(|(_, column)| column.is_none_or(|column| row.value(column) == b"null")) {
        out.extend_from_slice(b"null");
        return;
    }
    for (number, (key, column)) in parts.iter().enumerate() {
        out.extend_from_slice(if number == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(column.map_or(b"null", |column| row.value(column)));
    }
    out.push(b'}');
}
