//! What is read of an object: fields, bounds, door.

use std::sync::Arc;

use connector_sdk::{Error, Result, StreamSelection, StreamSpec, Timestamp, record::PageSpec};

use crate::{
    bulk::Columns,
    config::{ApiVersion, Settings},
    describe::{Described, EVERY_CHANGE, FieldKind, IS_DELETED},
    door::Door,
    soql::{Condition, Query},
};

/// Fields of a page, in the order of [`Selection::page_spec`].
pub(crate) mod field {
    pub(crate) const DONE: usize = 0;
    pub(crate) const NEXT: usize = 1;
    pub(crate) const TOTAL_SIZE: usize = 2;
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    spec: Arc<StreamSpec>,
    fields: Vec<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Reads deleted rows too, by `queryAll`.
    pub(crate) all: bool,
    /// Whether a record is to be the same whichever API it comes from.
    is_as_rest: bool,
}

impl Selection {
    /// # Errors
    /// Config when a selected field is not there, or bounds in time are asked of an object without a time.
    pub(crate) fn of(settings: &Settings, stream: &StreamSelection) -> Result<Self> {
        let spec = Arc::clone(&stream.spec);
        let chosen = stream.fields.as_deref();
        if let Some(unknown) =
            chosen.into_iter().flatten().find(|name| !spec.fields().any(|known| known == *name))
        {
            let why = if settings.door.is_narrow() {
                ": the Bulk API serves the parts of a compound field (`BillingCity` …), not the field, and no files; \
                 `salesforce/rest` serves both"
            } else {
                ""
            };
            return Err(Error::config(
                "query",
                format!("the stream `{}` has no field `{unknown}`{why}", spec.name),
            ));
        }
        if spec.cursor_field.is_none() && (stream.since.is_some() || stream.until.is_some()) {
            return Err(Error::config(
                "query",
                format!("the stream `{}` has no field that `since` could be held against", spec.name),
            ));
        }
        let all = settings.include_deleted && spec.has_recycle_bin();
        let named = |name: &str| chosen.is_some_and(|names| names.iter().any(|chosen| chosen == name));
        let fields = spec
            .fields()
            .filter(|name| stream.reads(name) || (all && *name == IS_DELETED))
            .filter(|name| !spec.is_file(name) || named(name))
            .map(str::to_owned)
            .collect();
        Ok(Self {
            fields,
            since: stream.since,
            until: stream.until,
            all,
            is_as_rest: settings.door == Door::Auto,
            spec,
        })
    }

    /// The stream.
    pub(crate) fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    /// The object's name.
    pub(crate) fn object(&self) -> &str {
        self.spec.name.as_str()
    }

    /// Whether rows can be asked for in the order of their ids.
    pub(crate) fn is_ordered(&self) -> bool {
        self.spec.is_ordered()
    }

    /// The field that changes are read by.
    pub(crate) fn cursor(&self) -> Result<&str> {
        self.spec.cursor_field.as_deref().ok_or_else(|| {
            Error::config(
                "query",
                format!(
                    "the stream `{}` cannot be read incrementally: it has no time to go by",
                    self.spec.name
                ),
            )
        })
    }

    /// All fields.
    pub(crate) fn select(&self) -> Result<Query> {
        self.select_only(self.fields().iter().map(String::as_str))
    }

    /// Only these fields.
    pub(crate) fn select_only<'a>(&self, fields: impl IntoIterator<Item = &'a str>) -> Result<Query> {
        Query::select(fields, self.object())
    }

    /// The names of all fields, in the order in which they are asked for.
    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether a row is told by this field: its key, its time, whether it is deleted.
    pub(crate) fn tells_a_row(&self, field: &str) -> bool {
        self.spec.primary_key.iter().any(|key| key == field)
            || self.spec.cursor_field.as_deref() == Some(field)
            || (self.all && field == IS_DELETED)
    }

    /// Whether the time of a row moves whenever the row changes, so that it tells its versions apart.
    pub(crate) fn cursor_tells_versions(&self) -> bool {
        self.spec.cursor_field.as_deref() == Some(EVERY_CHANGE)
    }

    /// The count of rows, whatever their fields.
    pub(crate) fn count(&self) -> Result<Query> {
        Query::count(self.object())
    }

    /// Only rows between the selection's bounds in time.
    pub(crate) fn bounded(&self, query: Query) -> Result<Query> {
        let Some(cursor) = self.spec.cursor_field.as_deref() else { return Ok(query) };
        let since = self.since.map(|since| Condition::at_or_after(cursor, since)).transpose()?;
        let until = self.until.map(|until| Condition::before(cursor, until)).transpose()?;
        Ok(query.filter(since).filter(until))
    }

    /// What to find in the columns of a CSV.
    pub(crate) fn columns(&self, version: &ApiVersion) -> Columns {
        let with_kind = |name: &String| {
            let kind = match self.spec.kind(name) {
                FieldKind::Time if !self.is_as_rest => FieldKind::Text,
                kind => kind,
            };
            (name.clone(), kind)
        };
        Columns {
            stream: self.spec.name.clone(),
            fields: self.fields.iter().map(with_kind).collect(),
            key: self.spec.primary_key.first().cloned(),
            cursor: self.spec.cursor_field.clone(),
            deleted: self.all.then_some(IS_DELETED),
            path: self.is_as_rest.then(|| format!("{}/sobjects/{}/", version.path(), self.object())),
        }
    }

    /// What to find in its pages.
    pub(crate) fn page_spec(&self) -> PageSpec {
        PageSpec::new(self.spec.name.clone(), ["records"])
            .with_page_field(["done"])
            .with_page_field(["nextRecordsUrl"])
            .with_page_field(["totalSize"])
            .with_key(self.spec.primary_key.iter().map(String::as_str))
            .with_cursor(self.spec.cursor_field.clone())
            .with_deleted(self.all.then(|| IS_DELETED.to_owned()))
    }
}

#[cfg(test)]
mod tests;
