//! `…/composite/sobjects`: up to 200 records in one call (REST guide, resources_composite_sobjects_collections).
//!
//! The outer status is 200 whatever became of the records; results come in the order of the records.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::dml::{self, Record, Rejected};
use super::org::{Data, Org};
use super::sobjects::{Outcome, decoded};

/// Records in one call.
const MOST: usize = 200;

/// A request for a collection; segments behind `composite/sobjects`.
pub(super) fn answer(
    org: &Org,
    data: &mut Data,
    method: &Method,
    segments: &[&str],
    query: &str,
    body: &[u8],
) -> Outcome {
    let segments: Vec<String> = segments.iter().map(|segment| decoded(segment)).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let done = match (method.as_str(), segments.as_slice()) {
        ("DELETE", []) => delete(org, data, query),
        ("POST", []) => many(org, data, body, |data, object, record| {
            let id = dml::insert(org, data, object, record)?;
            Ok(json!({ "id": id, "success": true, "errors": [] }))
        }),
        ("PATCH", []) => many(org, data, body, |data, object, record| {
            let (id, record) = split(record, "Id");
            let id =
                id.ok_or_else(|| Rejected::new("MISSING_ARGUMENT", "Id not specified in an update call"))?;
            let id = dml::update(org, data, object, &id, &record)?;
            Ok(json!({ "id": id, "success": true, "errors": [] }))
        }),
        ("PATCH", [_, field]) => many(org, data, body, |data, object, record| {
            let (value, record) = split(record, field);
            let value = value.unwrap_or_default();
            let (id, created) = dml::upsert(org, data, object, (field, &value), &record)?;
            Ok(json!({ "id": id, "success": true, "errors": [], "created": created }))
        }),
        _ => Err(Rejected {
            status: StatusCode::METHOD_NOT_ALLOWED,
            ..Rejected::new("METHOD_NOT_ALLOWED", format!("HTTP Method '{method}' not allowed"))
        }),
    };
    match done {
        Ok(results) => Outcome::new(StatusCode::OK, results.into()),
        Err(rejected) => Outcome::rejected(&rejected),
    }
}

fn delete(org: &Org, data: &mut Data, query: &str) -> Result<Vec<Value>, Rejected> {
    let parameter = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let ids = parameter("ids");
    let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
    let all_or_none = parameter("allOrNone").eq_ignore_ascii_case("true");
    together(data, ids, all_or_none, |data, id| {
        let prefix = id.get(..3).unwrap_or_default();
        let object = data.objects().find(|object| object.prefix == prefix).map(|object| object.name.clone());
        let malformed = || Rejected::new("MALFORMED_ID", format!("malformed id {id}"));
        let id = dml::delete(org, data, &object.ok_or_else(malformed)?, id, false)?;
        Ok(json!({ "id": id, "success": true, "errors": [] }))
    })
}

fn many(
    _org: &Org,
    data: &mut Data,
    body: &[u8],
    one: impl Fn(&mut Data, &str, &Record) -> Result<Value, Rejected>,
) -> Result<Vec<Value>, Rejected> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Rejected::new("JSON_PARSER_ERROR", error.to_string()))?;
    let records = body["records"]
        .as_array()
        .ok_or_else(|| Rejected::new("INVALID_INPUT", "No records were specified"))?;
    let all_or_none = body["allOrNone"].as_bool().unwrap_or(false);
    together(data, records.iter().collect(), all_or_none, |data, record| {
        let object = record["attributes"]["type"].as_str().ok_or_else(|| {
            Rejected::new("INVALID_INPUT", "Include an entity type in the attributes of each record")
        })?;
        let Value::Object(record) = record else {
            return Err(Rejected::new("JSON_PARSER_ERROR", "A record is an object"));
        };
        one(data, object, record)
    })
}

/// One result for each; with `all_or_none` and a failure nothing stays.
fn together<T>(
    data: &mut Data,
    items: Vec<T>,
    all_or_none: bool,
    one: impl Fn(&mut Data, T) -> Result<Value, Rejected>,
) -> Result<Vec<Value>, Rejected> {
    if items.len() > MOST {
        let message = format!("record limit reached. cannot submit more than {MOST} records in this request");
        return Err(Rejected::new("EXCEEDED_ID_LIMIT", message));
    }
    let before = all_or_none.then(|| data.tables());
    let results: Vec<_> = items.into_iter().map(|item| one(data, item)).collect();
    let failed = results.iter().any(Result::is_err);
    let rolled_back = before.filter(|_| failed).map(|tables| data.roll_back(tables)).is_some();
    let result = |result: Result<Value, Rejected>| {
        match result {
        Err(rejected) => rejected.as_result(),
        Ok(_) if rolled_back => Rejected::new(
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "Record rolled back because not all records were valid and the request was using AllOrNone header",
        )
        .as_result(),
        Ok(done) => done,
    }
    };
    Ok(results.into_iter().map(result).collect())
}

/// A field taken out of a record, whatever the case of its name.
pub(super) fn split(record: &Record, field: &str) -> (Option<String>, Record) {
    let (found, rest): (Record, Record) =
        record.clone().into_iter().partition(|(name, _)| name.eq_ignore_ascii_case(field));
    let value = found.into_iter().next().map(|(_, value)| match value {
        Value::String(text) => text,
        other => other.to_string(),
    });
    (value, rest)
}
