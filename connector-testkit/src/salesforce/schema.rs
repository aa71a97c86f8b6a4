//! One object: its fields in order, and which of them the org itself cares for.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::field::{Field, Kind};

/// What a query of the object is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Rows.
    Open,
    /// An error: the object exists for events only (`*ChangeEvent`).
    EventsOnly,
    /// An error: the user may not read it.
    Forbidden,
    /// Rows, where the query names one of these fields with `=` or `IN`.
    ByFilterOn(&'static [&'static str]),
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) plural: String,
    pub(super) prefix: String,
    pub(super) access: Access,
    /// In the describes; a query is refused by [`Access`] either way.
    pub(super) queryable: bool,
    pub(super) fields: Vec<Field>,
    /// What a recorded describe says about the object beside its fields.
    pub(super) recorded: Option<Map<String, Value>>,
    /// Its recorded entry in the describe of all objects.
    pub(super) listed: Option<Map<String, Value>>,
    /// Field numbers by lower-case name; a field that was taken away is missing here only.
    by_name: HashMap<String, usize>,
}

/// Where the fields stand that the org writes by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Columns {
    pub(super) id: usize,
    pub(super) is_deleted: Option<usize>,
    pub(super) owner: Option<usize>,
    pub(super) created: Option<usize>,
    pub(super) created_by: Option<usize>,
    pub(super) modified: Option<usize>,
    pub(super) modified_by: Option<usize>,
    pub(super) modstamp: Option<usize>,
    /// What rows are found by fastest: `SystemModstamp`, else `LoginTime`.
    pub(super) cursor: Option<usize>,
}

impl Object {
    /// `names` are API name, label and plural.
    pub(super) fn new(names: [&str; 3], prefix: &str, fields: Vec<Field>) -> Self {
        let mut object = Self {
            name: names[0].to_owned(),
            label: names[1].to_owned(),
            plural: names[2].to_owned(),
            prefix: prefix.to_owned(),
            access: Access::Open,
            queryable: true,
            fields: Vec::new(),
            recorded: None,
            listed: None,
            by_name: HashMap::new(),
        };
        for field in fields {
            object.add(field);
        }
        object
    }

    pub(super) fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    pub(super) fn not_queryable(mut self) -> Self {
        self.queryable = false;
        self
    }

    /// Adds a field, or describes anew one that is there: its column stays where it is.
    pub(super) fn add(&mut self, field: Field) {
        let key = field.name.to_lowercase();
        if let Some(column) = self.by_name.get(&key) {
            self.fields[*column] = field;
        } else {
            self.by_name.insert(key, self.fields.len());
            self.fields.push(field);
        }
    }

    /// Takes a field away from describes and queries. Says whether there was one.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(&name.to_lowercase()).is_some()
    }

    /// The column of a field, whatever the case its name is written in.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.by_name.get(&name.to_lowercase()).copied()
    }

    /// The fields that are there, with their columns, in order.
    pub(super) fn visible(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.fields.iter().enumerate().filter(|(column, field)| self.column(&field.name) == Some(*column))
    }

    /// The reference that a relationship name stands for, and its parent's type.
    pub(super) fn relationship(&self, name: &str) -> Option<(usize, &str)> {
        self.visible().find_map(|(column, field)| {
            let (relationship, to) = field.parent()?;
            relationship.eq_ignore_ascii_case(name).then_some((column, to))
        })
    }

    /// The parts of a compound field: key in its JSON, and column where the object has that part.
    pub(super) fn parts(&self, compound: &Field) -> Vec<(&'static str, Option<usize>)> {
        if compound.kind != Kind::Compound {
            return Vec::new();
        }
        let prefix = compound.name.strip_suffix("Address").unwrap_or(&compound.name);
        [
            ("city", "City"),
            ("country", "Country"),
            ("geocodeAccuracy", "GeocodeAccuracy"),
            ("latitude", "Latitude"),
            ("longitude", "Longitude"),
            ("postalCode", "PostalCode"),
            ("state", "State"),
            ("street", "Street"),
        ]
        .map(|(key, part)| (key, self.column(&format!("{prefix}{part}"))))
        .to_vec()
    }

    pub(super) fn columns(&self) -> Columns {
        let modstamp = self.column("SystemModstamp");
        Columns {
            id: self.column("Id").unwrap_or_default(),
            is_deleted: self.column("IsDeleted"),
            owner: self.column("OwnerId"),
            created: self.column("CreatedDate"),
            created_by: self.column("CreatedById"),
            modified: self.column("LastModifiedDate"),
            modified_by: self.column("LastModifiedById"),
            modstamp,
            cursor: modstamp.or_else(|| self.column("LoginTime")),
        }
    }
}
