//! Actions: the intent is noted before the call, the answer after it, so that nothing is done twice.

use connector_sdk::{
    Class, Connector, Context, Error, Result,
    contract::{ActionRequest, ActionStatus},
};
use serde::Serialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::{Registry, registry::ActionRecord, template::suggestion};

/// The status of an action whose call has been decided on and whose answer is not known.
const INTENDED: &str = "intended";

/// What came of an action: the document of the interface.
#[derive(Debug, Serialize)]
pub struct ActionReport {
    /// In one word.
    pub status: ActionStatus,
    /// What the vendor answered; names what was touched.
    pub output: Value,
    /// Why it did not succeed: an error as the interface writes it.
    pub error: Option<Value>,
    /// The answer is that of an earlier call with the same key; nothing was called now.
    #[serde(skip)]
    pub repeated: bool,
}

/// Does an action once for its idempotency key, however often it is asked for.
///
/// The same key again answers what the first call answered, without a call. Where the first call's answer
/// is not known (the process died in it), an action that is idempotent by itself is done again, one that
/// finds out by itself what came of it is asked to, and any other is ambiguous: it is never sent twice.
///
/// # Errors
/// Config when there is no such action, its input does not fit, or the key was used with another input;
/// as the registry answers when it cannot note the intent, and then nothing was called. What the vendor
/// answers is no error here: it is in the report.
pub async fn act(
    registry: &dyn Registry,
    connector: &dyn Connector,
    cx: &Context,
    mut request: ActionRequest,
) -> Result<ActionReport> {
    let offered = connector.actions();
    let spec = offered.iter().find(|spec| spec.name == request.name).ok_or_else(|| {
        let known: Vec<&str> = offered.iter().map(|spec| spec.name.as_str()).collect();
        let hint = suggestion(&request.name, known);
        Error::config("act", format!("this connector has no action `{}`; {hint}", request.name))
    })?;
    fits(spec.input.as_value(), &request.input)?;
    let key = request.idempotency_key.clone().unwrap_or_else(|| made_up_key(cx));
    let mut record = ActionRecord {
        tenant: cx.tenant().clone(),
        connection: cx.connection().clone(),
        key,
        name: request.name.clone(),
        input_hash: format!("{:032x}", xxh3_128(request.input.to_string().as_bytes())),
        status: INTENDED.to_owned(),
        answer: None,
        started_at: cx.clock().now(),
        finished_at: None,
    };
    if let Some(known) = registry.begin_action(&record).await? {
        if known.name != record.name || known.input_hash != record.input_hash {
            return Err(Error::config(
                "act",
                "this idempotency key was used for another action or another input",
            )
            .with_context("key", &known.key)
            .with_context("action", &known.name));
        }
        match unresolved(&known) {
            false => return earlier(known),
            true if spec.resolves => {
                tracing::info!(action = %known.name, "the answer of an earlier call is not known; the action finds out");
                request = request.after_unknown(known.started_at);
                record.started_at = known.started_at;
            }
            true if known.status != INTENDED => return earlier(known),
            true if spec.idempotent => {
                tracing::info!(action = %known.name, "the answer of the first call is not known; the action is idempotent and is done again");
            }
            true => return Ok(unknown_outcome(&known)),
        }
    }
    let report = match connector.act(cx, request).await {
        Ok(outcome) => ActionReport {
            status: outcome.status,
            output: outcome.output,
            error: as_value(outcome.error.as_ref()),
            repeated: false,
        },
        Err(error) => {
            let ambiguous = error.class() == Class::Ambiguous;
            let status = if ambiguous { ActionStatus::Ambiguous } else { ActionStatus::Failed };
            ActionReport { status, output: Value::Null, error: as_value(Some(&error)), repeated: false }
        }
    };
    record.status = word(report.status);
    record.answer = serde_json::to_value(&report).ok();
    record.finished_at = Some(cx.clock().now());
    if let Err(error) = registry.finish_action(&record).await {
        // It was done: an error here would invite the caller to do it again.
        tracing::error!(%error, action = %record.name, "the answer of the action could not be noted; the same key will answer `ambiguous`");
    }
    crate::settled(cx).await;
    Ok(report)
}

/// Checks an action's input against its schema, naming the place.
fn fits(schema: &Value, input: &Value) -> Result<()> {
    let validator = jsonschema::validator_for(schema).map_err(|error| {
        Error::bug("act", format!("the action's input schema is no schema: {}", error.masked()))
    })?;
    match validator.iter_errors(input).next() {
        None => Ok(()),
        Some(error) => {
            let place = error.instance_path().as_str();
            let place = if place.is_empty() { "/" } else { place };
            Err(Error::config("act", format!("the input does not fit: {}", error.masked_with("it")))
                .with_context("place", place))
        }
    }
}

/// Whether nobody knows what came of it.
fn unresolved(known: &ActionRecord) -> bool {
    known.status == INTENDED || known.status == word(ActionStatus::Ambiguous)
}

fn earlier(known: ActionRecord) -> Result<ActionReport> {
    let damaged =
        || Error::bug("act", "the answer kept for this key cannot be read").with_context("key", &known.key);
    let answer = known.answer.as_ref().ok_or_else(damaged)?;
    let field = |name: &str| answer.get(name).cloned().unwrap_or_default();
    let status = serde_json::from_value(field("status")).map_err(|_| damaged())?;
    Ok(ActionReport {
        status,
        output: field("output"),
        error: Some(field("error")).filter(|error| !error.is_null()),
        repeated: true,
    })
}

fn unknown_outcome(known: &ActionRecord) -> ActionReport {
    let error = Error::new(
        Class::Ambiguous,
        "act",
        "an earlier call with this idempotency key began and its answer is not known: look at the vendor whether it \
         happened, then use a new key or none",
    )
    .with_delivery(connector_sdk::Delivery::Unknown)
    .with_context("key", &known.key)
    .with_context("started_at", known.started_at);
    ActionReport {
        status: ActionStatus::Ambiguous,
        output: Value::Null,
        error: as_value(Some(&error)),
        repeated: true,
    }
}

/// A key for a call that came without one, so that its intent and answer are in the books all the same.
fn made_up_key(cx: &Context) -> String {
    format!("call-{}", crate::run::new_run_id(cx))
}

fn as_value(error: Option<&Error>) -> Option<Value> {
    error.and_then(|error| serde_json::to_value(error).ok())
}

fn word(status: ActionStatus) -> String {
    serde_json::to_value(status).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
