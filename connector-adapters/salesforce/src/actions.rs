//! What a template or an agent can do in the org: the client's verbs as actions.
//!
//! The host keeps the answer of each idempotency key; here a key reaches the vendor only where it can be found again, in
//! an external id field (`key_field`): the vendor itself has no idempotency key.

mod input;

use std::sync::Arc;

use connector_sdk::{
    Class, Context, Error, Result,
    contract::{ActionOutcome, ActionRequest, ActionSpec, ActionStatus},
};
use futures_util::TryStreamExt;
use schemars::{JsonSchema, schema_for};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use self::input::{
    Create, CreateMany, Delete, DeleteMany, Many, ManyResult, Query, Rows, Touched, Update, UpdateMany,
    Upsert, UpsertMany,
};
use crate::{
    api::Api,
    client::{Client, Params, Written},
    fault,
};

/// Rows that the action `query` answers at most: they are held and handed on as one document.
const MOST_ROWS: usize = 10_000;

/// What is offered.
pub(crate) fn specs() -> Vec<ActionSpec> {
    vec![
        spec::<Query, Rows>("query").idempotent(),
        spec::<Create, Written>("create"),
        spec::<Update, Touched>("update").idempotent(),
        spec::<Upsert, Written>("upsert").idempotent(),
        spec::<Delete, Touched>("delete"),
        spec::<CreateMany, Many>("create_many"),
        spec::<UpdateMany, Many>("update_many").idempotent(),
        spec::<UpsertMany, Many>("upsert_many").idempotent(),
        spec::<DeleteMany, Many>("delete_many"),
    ]
}

fn spec<I: JsonSchema, O: JsonSchema>(name: &str) -> ActionSpec {
    ActionSpec::new(name, schema_for!(I), schema_for!(O))
}

/// Does one.
///
/// # Errors
/// Config when there is no such action or its input is wrong; Ambiguous when nobody knows whether it was done; else as
/// the vendor answers. What becomes of each of many records is in the outcome.
pub(crate) async fn act(api: &Arc<Api>, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
    let client = Client::over(Arc::clone(api), cx);
    let ActionRequest { name, input, idempotency_key: key, .. } = request;
    match name.as_str() {
        "query" => {
            let Query { soql, params } = read(input)?;
            let soql = Params::from_json(&params)?.bind(&soql)?;
            let mut found = client.rows(&soql);
            let mut rows = Vec::new();
            while let Some(row) = found.try_next().await? {
                if rows.len() == MOST_ROWS {
                    let message =
                        format!("the query has more than {MOST_ROWS} rows: add a LIMIT, or read the stream");
                    return Err(Error::config("query", message));
                }
                rows.push(row);
            }
            done(&Rows { total: rows.len(), records: rows })
        }
        "create" => {
            let Create { object, record, key_field } = read(input)?;
            match (key_field, key) {
                (Some(field), Some(key)) => done(&client.upsert(&object, &field, key, record).await?),
                _ => done(&client.create(&object, record).await?),
            }
        }
        "update" => {
            let Update { object, id, record } = read(input)?;
            client.update(&object, &id, record).await?;
            done(&Touched { id })
        }
        "upsert" => {
            let Upsert { object, external_id_field, external_id, record } = read(input)?;
            done(&client.upsert(&object, &external_id_field, external_id.text(), record).await?)
        }
        "delete" => {
            let Delete { object, id } = read(input)?;
            client.delete(&object, &id).await?;
            done(&Touched { id })
        }
        "create_many" => {
            let CreateMany { object, records, key_field } = read(input)?;
            many(match (key_field, key) {
                (Some(field), Some(key)) => {
                    client.upsert_many(&object, &field, keyed(records, &field, &key)?).await?
                }
                _ => client.create_many(&object, records).await?,
            })
        }
        "update_many" => {
            let UpdateMany { object, records } = read(input)?;
            many(client.update_many(&object, records).await?)
        }
        "upsert_many" => {
            let UpsertMany { object, external_id_field, records } = read(input)?;
            many(client.upsert_many(&object, &external_id_field, records).await?)
        }
        "delete_many" => {
            let DeleteMany { object, ids } = read(input)?;
            many(client.delete_many(&object, ids).await?)
        }
        other => {
            Err(Error::config("act", format!("this connector has no action `{}`", other.escape_debug())))
        }
    }
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T> {
    // The parser's words name a field, and may quote a value.
    serde_json::from_value(input).map_err(|error| {
        Error::config("act", "the input does not fit the action's schema").with_source(error)
    })
}

fn done(output: &impl Serialize) -> Result<ActionOutcome> {
    Ok(ActionOutcome::succeeded(written(output)?))
}

fn written(output: &impl Serialize) -> Result<Value> {
    serde_json::to_value(output)
        .map_err(|error| Error::bug("act", "the output cannot be written as JSON").with_source(error))
}

/// Each record with the key and its place, by which the vendor recognises it.
fn keyed(records: Vec<Map<String, Value>>, field: &str, key: &str) -> Result<Vec<Map<String, Value>>> {
    let own = |(index, mut record): (usize, Map<String, Value>)| {
        let value = format!("{key}/{index}");
        match record.insert(field.to_owned(), value.into()) {
            None => Ok(record),
            Some(_) => Err(Error::config("act", "a record has a value of its own in `key_field`")
                .with_context("field", field)
                .with_context("index", index)),
        }
    };
    records.into_iter().enumerate().map(own).collect()
}

/// The outcome of many: nobody knows of one, so nobody knows of all; else all, some, or none.
fn many(results: Vec<Result<Written>>) -> Result<ActionOutcome> {
    let total = results.len();
    let ambiguous = |error: &Error| error.class() == Class::Ambiguous;
    let unknown = results.iter().filter(|result| result.as_ref().is_err_and(ambiguous)).count();
    let succeeded = results.iter().filter(|result| result.is_ok()).count();
    let first = results.iter().find_map(|result| result.as_ref().err().filter(|error| ambiguous(error)));
    let first = first.or_else(|| results.iter().find_map(|result| result.as_ref().err())).cloned();
    let status = match (succeeded, unknown) {
        (all, _) if all == total => ActionStatus::Succeeded,
        (_, 1..) => ActionStatus::Ambiguous,
        (0, _) => ActionStatus::Failed,
        _ => ActionStatus::Partial,
    };
    let result = |(index, result): (usize, Result<Written>)| match result {
        Ok(Written { id, created }) => {
            Ok(ManyResult { index, id: Some(id), created: Some(created), code: None, error: None })
        }
        Err(error) => Ok(ManyResult {
            index,
            id: None,
            created: None,
            code: fault::error_code(&error).map(str::to_owned),
            error: Some(written(&error)?),
        }),
    };
    let results: Vec<_> = results.into_iter().enumerate().map(result).collect::<Result<_>>()?;
    let failed = total - succeeded - unknown;
    let mut outcome =
        ActionOutcome::succeeded(written(&Many { succeeded, failed, ambiguous: unknown, results })?);
    outcome.status = status;
    outcome.error = first;
    Ok(outcome)
}
