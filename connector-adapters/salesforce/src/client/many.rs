//! Any number of records, in calls of 200 (REST guide, resources_composite_sobjects_collections).
//!
//! Each record has a result of its own, in the order of the records. What is known of one is not lost because another call
//! fails: where an answer does not come, only the records of that call are concerned.

use std::collections::HashMap;

use connector_sdk::{Class, Delivery, Error, Result, http::Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Answered, Client, Written, id, name, record, text};
use crate::{api, fault};

/// Records in one call.
const PER_CALL: usize = 200;

/// What is done with the records.
#[derive(Debug, Clone, Copy)]
enum Doing<'a> {
    Create,
    Update,
    Upsert(&'a str),
    Delete,
}

impl Doing<'_> {
    fn operation(self) -> &'static str {
        match self {
            Self::Create => "create_many",
            Self::Update => "update_many",
            Self::Upsert(_) => "upsert_many",
            Self::Delete => "delete_many",
        }
    }
}

impl Client {
    /// Adds records. See [`create`](Self::create); the result of a record of which nobody knows whether it was added is
    /// Ambiguous.
    ///
    /// # Errors
    /// Config when a name or a record is none, and then nothing was sent. What the vendor says of each record is its own.
    pub async fn create_many<T: Serialize>(
        &self,
        object: &str,
        records: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<Written>>> {
        name("create_many", object)?;
        self.many(object, Doing::Create, read("create_many", records)?).await
    }

    /// Changes records; each names itself in its field `Id`.
    ///
    /// # Errors
    /// Config when a record has no id; else as [`create_many`](Self::create_many).
    pub async fn update_many<T: Serialize>(
        &self,
        object: &str,
        records: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<Written>>> {
        name("update_many", object)?;
        let records = read("update_many", records)?;
        for (index, record) in records.iter().enumerate() {
            let named = field(record, "Id").and_then(text).unwrap_or_default();
            id("update_many", &named).map_err(|error| error.with_context("index", index))?;
        }
        self.many(object, Doing::Update, records).await
    }

    /// Changes or adds records by the value that each has in an external id field.
    ///
    /// # Errors
    /// Config when a record has no such value, or two have the same: which of them would win is not said anywhere. Else as
    /// [`create_many`](Self::create_many).
    pub async fn upsert_many<T: Serialize>(
        &self,
        object: &str,
        external_field: &str,
        records: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<Written>>> {
        name("upsert_many", object)?;
        name("upsert_many", external_field)?;
        let records = read("upsert_many", records)?;
        distinct("upsert_many", external_field, &records)?;
        self.many(object, Doing::Upsert(external_field), records).await
    }

    /// Puts records into the recycle bin. See [`delete`](Self::delete).
    ///
    /// # Errors
    /// Config when one is no id; else as [`create_many`](Self::create_many).
    pub async fn delete_many<T: AsRef<str>>(
        &self,
        object: &str,
        ids: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<Written>>> {
        name("delete_many", object)?;
        let mut records = Vec::new();
        for (index, one) in ids.into_iter().enumerate() {
            id("delete_many", one.as_ref()).map_err(|error| error.with_context("index", index))?;
            records.push(Map::from_iter([("Id".to_owned(), Value::from(one.as_ref()))]));
        }
        self.many(object, Doing::Delete, records).await
    }

    async fn many(
        &self,
        object: &str,
        doing: Doing<'_>,
        records: Vec<Map<String, Value>>,
    ) -> Result<Vec<Result<Written>>> {
        let mut results = Vec::with_capacity(records.len());
        let mut stopped: Option<Error> = None;
        for chunk in records.chunks(PER_CALL) {
            if let Some(error) = &stopped {
                let message = format!("not sent, because the call before it failed: {}", error.message());
                let unsent = Error::new(error.class(), doing.operation(), message);
                results.extend(chunk.iter().map(|_| Err(unsent.clone().with_source(error.clone()))));
                continue;
            }
            let chunk: Vec<&Map<String, Value>> = chunk.iter().collect();
            match self.chunk(object, doing, &chunk).await {
                Ok(of_chunk) => results.extend(of_chunk),
                Err(error) => {
                    // It would meet the next call as well.
                    if matches!(error.class(), Class::Config | Class::Auth | Class::RateLimited) {
                        stopped = Some(error.clone());
                    }
                    results.extend(chunk.iter().map(|_| Err(error.clone())));
                }
            }
        }
        Ok(results)
    }

    /// One call, and those records again that the vendor put off: it has written nothing of them.
    async fn chunk(
        &self,
        object: &str,
        doing: Doing<'_>,
        records: &[&Map<String, Value>],
    ) -> Result<Vec<Result<Written>>> {
        let mut results = self.call(object, doing, records).await?;
        for attempt in 1..self.cx.resilience().max_attempts {
            let put_off = |result: &Result<Written>| {
                result.as_ref().is_err_and(|error| error.class() == Class::Transient)
            };
            let again: Vec<usize> =
                (0..results.len()).filter(|index| results.get(*index).is_some_and(put_off)).collect();
            if again.is_empty() || self.cx.is_stopping() {
                break;
            }
            self.wait(attempt).await;
            let some: Vec<_> = again.iter().filter_map(|index| records.get(*index).copied()).collect();
            let of_some = match self.call(object, doing, &some).await {
                Ok(of_some) => of_some,
                Err(error) => some.iter().map(|_| Err(error.clone())).collect(),
            };
            for (index, result) in again.into_iter().zip(of_some) {
                if let Some(place) = results.get_mut(index) {
                    *place = result;
                }
            }
        }
        Ok(results)
    }

    async fn call(
        &self,
        object: &str,
        doing: Doing<'_>,
        records: &[&Map<String, Value>],
    ) -> Result<Vec<Result<Written>>> {
        let operation = doing.operation();
        let (response, again) = match doing {
            Doing::Create => (self.insert_many(object, records).await?, false),
            Doing::Update => (self.api.update_many(&self.cx, body(object, records)).await?, false),
            Doing::Upsert(field) => {
                (self.api.upsert_many(&self.cx, object, field, body(object, records)).await?, false)
            }
            Doing::Delete => {
                let ids: Vec<&str> = records.iter().filter_map(|record| record.get("Id")?.as_str()).collect();
                let ids = ids.join(",");
                let (response, again) = self.again(|| self.api.delete_many(&self.cx, &ids)).await;
                (response?, again)
            }
        };
        let answers: Vec<Answered> =
            api::decode(&response, operation).map_err(|error| unread(doing, error))?;
        if answers.len() != records.len() {
            let message = "the vendor has answered about another number of records than it was given";
            let error = Error::new(Class::Schema, operation, message)
                .with_delivery(Delivery::Answered)
                .with_context("records", records.len())
                .with_context("answers", answers.len());
            return Err(unread(doing, error));
        }
        let created = matches!(doing, Doing::Create);
        let outcome = |(answer, record): (Answered, &&Map<String, Value>)| {
            match answer.outcome(operation, created) {
                // It may have been deleted by the call whose answer was lost.
                Err(error) if again && fault::is_gone(&error) => {
                    Ok(Written { id: record.get("Id").and_then(text).unwrap_or_default(), created: false })
                }
                outcome => outcome,
            }
        };
        Ok(answers.into_iter().zip(records).map(outcome).collect())
    }

    async fn insert_many(&self, object: &str, records: &[&Map<String, Value>]) -> Result<Response> {
        self.api.insert_many(&self.cx, body(object, records)).await
    }
}

/// An answer that cannot be read says nothing of what was done.
fn unread(doing: Doing<'_>, error: Error) -> Error {
    if !matches!(doing, Doing::Create) {
        return error;
    }
    let message = "the vendor has answered, and its answer cannot be read: look before repeating it";
    Error::new(Class::Ambiguous, doing.operation(), message)
        .with_delivery(Delivery::Answered)
        .with_source(error)
}

fn read<T: Serialize>(
    operation: &'static str,
    records: impl IntoIterator<Item = T>,
) -> Result<Vec<Map<String, Value>>> {
    let read = |(index, one)| record(operation, one).map_err(|error| error.with_context("index", index));
    records.into_iter().enumerate().map(read).collect()
}

/// A field, whatever the case of its name.
fn field<'a>(record: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    record
        .get(name)
        .or_else(|| record.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// Checks that each record has an external id, and no two the same. The vendor compares without regard to case, unless the
/// field says otherwise; two that differ in case only are one to be careful with.
pub(super) fn distinct(
    operation: &'static str,
    external_field: &str,
    records: &[Map<String, Value>],
) -> Result<()> {
    let mut met: HashMap<String, usize> = HashMap::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let value = field(record, external_field).and_then(text).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            Error::config(operation, "a record has no external id")
                .with_context("field", external_field)
                .with_context("index", index)
        })?;
        if let Some(first) = met.insert(value, index) {
            return Err(Error::config(operation, "two records have the same external id: send each once")
                .with_context("field", external_field)
                .with_context("index", index)
                .with_context("first", first));
        }
    }
    Ok(())
}

/// The body of a call.
fn body(object: &str, records: &[&Map<String, Value>]) -> String {
    let typed = |record: &&Map<String, Value>| {
        let mut record = (*record).clone();
        record.insert("attributes".to_owned(), json!({ "type": object }));
        Value::Object(record)
    };
    let records: Vec<Value> = records.iter().map(typed).collect();
    json!({ "allOrNone": false, "records": records }).to_string()
}
