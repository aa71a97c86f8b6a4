//! The typed client: an org as a library user talks to it.

mod composite;
mod csv;
mod ingest;
mod many;
mod params;
mod query;

use std::sync::Arc;

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    http::Response,
    resilience::{Backoff, Jitter},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    api::{self, Api},
    config::SalesforceConfig,
    door::Door,
    fault,
};

pub use composite::Composite;
pub use ingest::{Failed, Ingest, IngestOperation, Ingested, Saved};
pub use params::{Param, Params};

/// One org, for programs that read and write it by themselves.
///
/// It goes out by the same way as the connector's doors: the same sign-in, retries, breaker, pace and quota. A clone is
/// cheap.
///
/// ```no_run
/// use connector_salesforce::{Client, Params, SalesforceConfig};
/// use connector_sdk::{Context, Result};
/// use serde_json::json;
///
/// async fn example(config: &SalesforceConfig, cx: &Context) -> Result<()> {
///     let salesforce = Client::connect(config, cx)?;
///     let rows = salesforce.query("SELECT Id, Name FROM Contact LIMIT 10").await?;
///     let params = Params::new().set("name", "O'Brien");
///     let found = salesforce.query_with("SELECT Id FROM Contact WHERE LastName = :name", &params).await?;
///     let lead = salesforce.create("Lead", json!({ "LastName": "Doe", "Company": "Acme" })).await?;
///     salesforce.update("Lead", &lead.id, json!({ "Phone": null })).await?;
///     salesforce.upsert("Contact", "External_Id__c", "c-1", json!({ "LastName": "Doe" })).await?;
///     salesforce.delete("Lead", &lead.id).await?;
///     drop((rows, found));
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    api: Arc<Api>,
    cx: Context,
    jitter: Arc<Jitter>,
}

/// A record that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Written {
    /// Its id.
    pub id: String,
    /// Whether it is new.
    pub created: bool,
}

/// What the vendor answers about one record.
#[derive(Debug, Deserialize)]
struct Answered {
    /// None where a record of many was refused, which then says `success: false`.
    id: Option<String>,
    #[serde(default)]
    success: bool,
    #[serde(default)]
    created: Option<bool>,
    #[serde(default)]
    errors: Vec<fault::Complaint>,
}

impl Client {
    /// Checks the configuration and prepares. No I/O.
    ///
    /// # Errors
    /// Config when a field does not fit, naming it.
    pub fn connect(config: &SalesforceConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx.network(), Door::Rest)?;
        Ok(Self::over(Arc::new(Api::new(&config.auth, settings, cx)?), cx))
    }

    /// The same over an API that is there already.
    pub(crate) fn over(api: Arc<Api>, cx: &Context) -> Self {
        Self { api, cx: cx.clone(), jitter: Arc::new(Jitter::new(cx.seed())) }
    }

    /// Adds a record.
    ///
    /// It is sent once: the vendor has no idempotency key, and a second one would be a second record. A program that
    /// has to be able to send again uses [`upsert`](Self::upsert) with an external id.
    ///
    /// # Errors
    /// Ambiguous when nobody knows whether it was added; Permanent when the vendor refuses it, with the `code` and the
    /// `fields` that it names; else as [`query`](Self::query).
    pub async fn create(&self, object: &str, fields: impl Serialize) -> Result<Written> {
        name("create", object)?;
        let fields = record("create", fields)?.into();
        let mut attempt = 1;
        loop {
            let error = match self.api.insert(&self.cx, object, &fields).await {
                Ok(response) => return written(&response, "create", true),
                Err(error) => error,
            };
            if !fault::is_locked(&error) {
                return Err(error);
            }
            // The vendor has answered that it did nothing.
            if attempt >= self.cx.resilience().max_attempts {
                return Err(error.with_class(Class::Transient).into_exhausted());
            }
            self.wait(attempt).await;
            attempt += 1;
        }
    }

    /// All fields of a record, or these.
    ///
    /// # Errors
    /// Permanent when there is none; else as [`query`](Self::query).
    pub async fn retrieve(&self, object: &str, id: &str, fields: &[&str]) -> Result<Value> {
        name("retrieve", object)?;
        self::id("retrieve", id)?;
        for field in fields {
            name("retrieve", field)?;
        }
        api::decode(&self.api.retrieve(&self.cx, object, id, fields).await?, "retrieve")
    }

    /// Changes fields of a record. `null` empties one; what is not named stays.
    ///
    /// # Errors
    /// Permanent when the vendor refuses it; else as [`query`](Self::query).
    pub async fn update(&self, object: &str, id: &str, fields: impl Serialize) -> Result<()> {
        name("update", object)?;
        self::id("update", id)?;
        let mut fields = record("update", fields)?;
        own(&mut fields, "update", "Id", id)?;
        self.api.update(&self.cx, object, id, &fields.into()).await.map(drop)
    }

    /// Changes the record that has this value in an external id field, or adds it. Sent again when its answer is lost.
    ///
    /// # Errors
    /// Permanent when several records have this external id (`matches` says how many), or the vendor refuses it; else
    /// as [`query`](Self::query).
    pub async fn upsert(
        &self,
        object: &str,
        external_field: &str,
        value: impl Into<ExternalId>,
        fields: impl Serialize,
    ) -> Result<Written> {
        name("upsert", object)?;
        name("upsert", external_field)?;
        let ExternalId(value) = value.into();
        if value.is_empty() {
            return Err(
                Error::config("upsert", "the external id is empty").with_context("field", external_field)
            );
        }
        if matches!(value.as_str(), "." | "..") {
            // A path takes these for its own, however they are encoded.
            return Err(Error::config("upsert", "an external id cannot be `.` or `..`")
                .with_context("field", external_field));
        }
        let mut fields = record("upsert", fields)?;
        own(&mut fields, "upsert", external_field, &value)?;
        let fields = fields.into();
        let response = self.api.upsert(&self.cx, object, (external_field, &value), &fields).await?;
        if !response.body.is_empty() {
            return written(&response, "upsert", response.status.as_u16() == 201);
        }
        // Up to v45.0 an update answers nothing.
        let found: Value =
            api::decode(&self.api.find(&self.cx, object, external_field, &value).await?, "upsert")?;
        let id = found.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Written { id, created: false })
    }

    /// Puts a record into the recycle bin.
    ///
    /// A lost answer is asked for again; that the record is gone then is what was wanted. That it is not there at the
    /// first time is an error.
    ///
    /// # Errors
    /// Permanent when there is no such record; Transient when it is not known whether it is deleted; else as
    /// [`query`](Self::query).
    pub async fn delete(&self, object: &str, id: &str) -> Result<()> {
        name("delete", object)?;
        self::id("delete", id)?;
        let done = self.again(|| self.api.delete(&self.cx, object, id)).await;
        match done {
            (Ok(_), _) => Ok(()),
            (Err(error), true) if fault::is_gone(&error) => Ok(()),
            (Err(error), _) => Err(error),
        }
    }

    /// Does what may be done twice until its answer is known, and says whether it may have been done more than once.
    async fn again<F: Future<Output = Result<Response>>>(
        &self,
        mut ask: impl FnMut() -> F,
    ) -> (Result<Response>, bool) {
        let mut attempt = 1;
        loop {
            let error = match ask().await {
                Ok(response) => return (Ok(response), attempt > 1),
                Err(error) if error.class() == Class::Ambiguous => error,
                Err(error) => return (Err(error), attempt > 1),
            };
            if attempt >= self.cx.resilience().max_attempts || self.cx.is_stopping() {
                let message = format!("{}; it may be repeated", error.message());
                let last = Error::new(Class::Transient, error.operation().to_owned(), message)
                    .with_delivery(error.delivery())
                    .with_context("attempts", attempt)
                    .with_source(error)
                    .into_exhausted();
                return (Err(last), attempt > 1);
            }
            self.wait(attempt).await;
            attempt += 1;
        }
    }

    /// Waits before the next attempt.
    async fn wait(&self, attempt: u32) {
        let settings = self.cx.resilience();
        let backoff = Backoff { base: settings.base_delay, cap: settings.max_delay };
        self.cx.clock().sleep(backoff.wait(attempt, self.jitter.draw())).await;
    }
}

/// The value of an external id: a text or a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId(String);

impl From<&str> for ExternalId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ExternalId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&String> for ExternalId {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<i64> for ExternalId {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

/// What the vendor says of one record that was written. That it was, is known; so an answer that cannot be read is no
/// reason to send again.
fn written(response: &Response, operation: &'static str, created: bool) -> Result<Written> {
    let answer: Answered = api::decode(response, operation).map_err(|error| {
        let message = "the vendor has answered, and its answer cannot be read: look before repeating it";
        Error::new(Class::Ambiguous, operation, message).with_delivery(Delivery::Answered).with_source(error)
    })?;
    answer.outcome(operation, created)
}

impl Answered {
    /// `created` is what is meant where the vendor does not say it.
    fn outcome(self, operation: &'static str, created: bool) -> Result<Written> {
        match (self.success, self.id) {
            (true, Some(id)) => Ok(Written { id, created: self.created.unwrap_or(created) }),
            _ => Err(fault::of_record(operation, self.errors.first())),
        }
    }
}

/// A record as the vendor takes it.
fn record(operation: &'static str, fields: impl Serialize) -> Result<Map<String, Value>> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(_) => Err(Error::config(operation, "a record is an object: its fields by their names")),
        Err(error) => {
            Err(Error::config(operation, "the record cannot be written as JSON").with_source(error))
        }
    }
}

/// Takes what names the record out of its fields, where it would be refused. It must not name another.
fn own(fields: &mut Map<String, Value>, operation: &'static str, field: &str, value: &str) -> Result<()> {
    let named = fields.keys().find(|name| name.eq_ignore_ascii_case(field)).cloned();
    let Some(other) = named.and_then(|name| fields.remove(&name)) else { return Ok(()) };
    if text(&other).is_some_and(|other| other == value) {
        return Ok(());
    }
    Err(Error::config(operation, "the record has another value in the field that names it")
        .with_context("field", field))
}

/// A value that names a record, as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Checks a name that becomes part of a path.
fn name(operation: &'static str, name: &str) -> Result<()> {
    if crate::connector::is_name(name) {
        return Ok(());
    }
    let message = format!("`{}` is no name of an object or field", name.escape_debug());
    Err(Error::config(operation, message))
}

/// Checks an id, which becomes part of a path.
fn id(operation: &'static str, id: &str) -> Result<()> {
    if matches!(id.len(), 15 | 18) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let message = format!("`{}` is no id of a record: it has 15 or 18 letters and digits", id.escape_debug());
    Err(Error::config(operation, message))
}

/// Rows as this type.
fn typed<T: DeserializeOwned>(rows: Vec<Value>) -> Result<Vec<T>> {
    let read = |(index, row)| {
        serde_json::from_value(row).map_err(|error| {
            Error::new(
                Class::Schema,
                "query",
                // The reason quotes the value: who wants it takes the source.
                format!("row {index} does not fit the type asked for"),
            )
            .with_delivery(Delivery::Answered)
            .with_source(error)
        })
    };
    rows.into_iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests;
