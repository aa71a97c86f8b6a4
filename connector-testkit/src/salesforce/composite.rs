//! `POST …/composite`: up to 25 requests in one, each able to use what those before it answered
//! (REST guide, resources_composite_composite).

use std::collections::HashMap;

use axum::body::to_bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::org::Org;
use super::sobjects::{self, Outcome};
use super::{collections, query};

/// Requests in one call.
const MOST: usize = 25;

/// Does the parts in their order.
pub(super) async fn answer(org: &Org, version: &str, body: &[u8]) -> Outcome {
    let bad = |code: &str, message: &str| Outcome::error(StatusCode::BAD_REQUEST, code, message);
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return bad("JSON_PARSER_ERROR", "The HTTP entity body is no JSON");
    };
    let Some(parts) = body["compositeRequest"].as_array().filter(|parts| !parts.is_empty()) else {
        return bad("INVALID_INPUT", "compositeRequest is required");
    };
    if parts.len() > MOST {
        return bad("INVALID_INPUT", "The number of subrequests exceeds the limit of 25");
    }
    let all_or_none = body["allOrNone"].as_bool().unwrap_or(false);
    let before = all_or_none.then(|| org.data().tables());
    let mut answers: HashMap<String, Value> = HashMap::new();
    let mut done: Vec<(String, Outcome)> = Vec::new();
    for part in parts {
        let reference = part["referenceId"].as_str().unwrap_or_default().to_owned();
        if reference.is_empty() || done.iter().any(|(other, _)| *other == reference) {
            return bad("INVALID_INPUT", "Each referenceId has to be there, and once");
        }
        let outcome = match filled(part, &answers) {
            Ok(part) => one(org, version, &part).await,
            Err(missing) => {
                let message = format!("Invalid reference specified. No value for {missing}");
                bad("PROCESSING_HALTED", &message)
            }
        };
        let failed = !outcome.status.is_success();
        if !failed && let Some(body) = &outcome.body {
            answers.insert(reference.clone(), body.clone());
        }
        done.push((reference, outcome));
        if failed && all_or_none {
            break;
        }
    }
    let failed = done.last().filter(|(_, outcome)| all_or_none && !outcome.status.is_success());
    let failed = failed.map(|(reference, _)| reference.clone());
    if let Some(tables) = before.filter(|_| failed.is_some()) {
        org.data().roll_back(tables);
    }
    let halted = || {
        bad(
            "PROCESSING_HALTED",
            "The transaction was rolled back since another operation in the same transaction failed.",
        )
    };
    let mut done: HashMap<String, Outcome> = done.into_iter().collect();
    let responses: Vec<Value> = parts
        .iter()
        .map(|part| {
            let reference = part["referenceId"].as_str().unwrap_or_default();
            let own = done.remove(reference);
            let outcome = match &failed {
                Some(culprit) if culprit != reference => halted(),
                _ => own.unwrap_or_else(halted),
            };
            json!({
                "body": outcome.body,
                "httpHeaders": {},
                "httpStatusCode": outcome.status.as_u16(),
                "referenceId": reference,
            })
        })
        .collect();
    Outcome::new(StatusCode::OK, json!({ "compositeResponse": responses }))
}

async fn one(org: &Org, version: &str, part: &Value) -> Outcome {
    let method = part["method"].as_str().and_then(|method| Method::try_from(method).ok()).unwrap_or_default();
    let url = part["url"].as_str().unwrap_or_default();
    let (path, parameters) = url.split_once('?').unwrap_or((url, ""));
    let body = part["body"].to_string();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let ["services", "data", _, rest @ ..] = segments.as_slice() else {
        return not_found();
    };
    match rest {
        ["query"] if method == Method::GET => {
            let response = query::run(org, version, &HeaderMap::new(), parameters, false);
            let status = response.status();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
            Outcome::new(status, serde_json::from_slice(&body).unwrap_or_default())
        }
        ["composite", "sobjects", rest @ ..] => {
            collections::answer(org, &mut org.data(), &method, rest, parameters, body.as_bytes())
        }
        ["sobjects", rest @ ..] if !rest.is_empty() => {
            sobjects::answer(org, &mut org.data(), &method, version, rest, parameters, body.as_bytes())
        }
        _ => not_found(),
    }
}

fn not_found() -> Outcome {
    Outcome::error(StatusCode::NOT_FOUND, "NOT_FOUND", "The requested resource does not exist")
}

/// The part with every `@{reference.path}` replaced; else the reference that has no value.
fn filled(part: &Value, answers: &HashMap<String, Value>) -> Result<Value, String> {
    Ok(match part {
        Value::String(text) => Value::String(replaced(text, answers)?),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| filled(item, answers)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), filled(value, answers)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}

fn replaced(text: &str, answers: &HashMap<String, Value>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let Some((path, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&looked_up(path, answers).ok_or_else(|| path.to_owned())?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// `refAccount.id`, `refQuery.records[0].Id`.
fn looked_up(path: &str, answers: &HashMap<String, Value>) -> Option<String> {
    let (reference, path) = path.split_once('.')?;
    let mut value = answers.get(reference)?;
    for step in path.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        value = value.get(name)?;
        if let Some(index) = index {
            value = value.get(index)?;
        }
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
