//! `…/sobjects/X` and `…/sobjects/X/{id}` or `…/{external id field}/{value}`: one row
//! (REST guide, resources_sobject_basic_info, _retrieve, _upsert_patch).

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::dml::{self, Record, Rejected};
use super::field::Kind;
use super::org::{Data, Org};
use super::render;
use super::reply;
use super::row::Row;
use super::table::Table;

/// From this version on an upsert answers a body when it has updated, too.
const UPSERT_ANSWERS: u32 = 46;

/// What is answered, before it is put on the wire or into a part of a composite.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
}

impl Outcome {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body) }
    }

    pub(super) fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None }
    }

    pub(super) fn rejected(rejected: &Rejected) -> Self {
        Self::new(rejected.status, rejected.as_answer())
    }

    pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Self {
        Self::new(status, json!([{ "message": message, "errorCode": code }]))
    }

    pub(super) fn response(self) -> Response {
        match self.body {
            Some(body) => reply::json(self.status, &body),
            None => {
                let mut response = Response::default();
                *response.status_mut() = self.status;
                response
            }
        }
    }
}

/// A request for one row; segments and body as they came.
pub(super) fn answer(
    org: &Org,
    data: &mut Data,
    method: &Method,
    version: &str,
    segments: &[&str],
    query: &str,
    body: &[u8],
) -> Outcome {
    let segments: Vec<String> = segments.iter().map(|segment| decoded(segment)).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let done = match (method.as_str(), segments.as_slice()) {
        ("POST", [object]) => create(org, data, object, body),
        ("GET", [object, id]) => retrieve(data, version, object, ("Id", id), query),
        ("GET", [object, field, value]) => retrieve(data, version, object, (field, value), query),
        ("PATCH", [object, id]) => record(body).and_then(|record| {
            unnamed(&record, "Id")?;
            dml::update(org, data, object, id, &record).map(|_| Outcome::empty())
        }),
        ("PATCH", [object, field, value]) => upsert(org, data, version, object, (field, value), body),
        ("DELETE", [object, id]) => dml::delete(org, data, object, id, false).map(|_| Outcome::empty()),
        ("DELETE", [object, field, value]) => find(data, object, (field, value))
            .and_then(|id| dml::delete(org, data, object, &id, false).map(|_| Outcome::empty())),
        _ => {
            let message = format!("HTTP Method '{method}' not allowed. Allowed are GET,PATCH,DELETE,POST");
            return Outcome::error(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message);
        }
    };
    done.unwrap_or_else(|rejected| Outcome::rejected(&rejected))
}

fn create(org: &Org, data: &mut Data, object: &str, body: &[u8]) -> Result<Outcome, Rejected> {
    let id = dml::insert(org, data, object, &record(body)?)?;
    Ok(Outcome::new(StatusCode::CREATED, json!({ "id": id, "success": true, "errors": [] })))
}

fn upsert(
    org: &Org,
    data: &mut Data,
    version: &str,
    object: &str,
    (field, value): (&str, &str),
    body: &[u8],
) -> Result<Outcome, Rejected> {
    let record = record(body)?;
    unnamed(&record, field)?;
    unnamed(&record, "Id")?;
    let table = dml::table(data, object)?;
    let several = dml::external(table, field).map(|column| dml::matches(table, column, value))?;
    if several.len() > 1 {
        let urls: Vec<String> = several
            .iter()
            .map(|id| format!("/services/data/{version}/sobjects/{}/{id}", table.object.name))
            .collect();
        return Ok(Outcome::new(StatusCode::MULTIPLE_CHOICES, json!(urls)));
    }
    let (id, created) = dml::upsert(org, data, object, (field, value), &record)?;
    let number = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    let answers = number.parse::<u32>().is_ok_and(|number| number >= UPSERT_ANSWERS);
    Ok(match (created, answers) {
        (false, false) => Outcome::empty(),
        (true, false) => {
            Outcome::new(StatusCode::CREATED, json!({ "id": id, "success": true, "errors": [] }))
        }
        (_, true) => Outcome::new(
            if created { StatusCode::CREATED } else { StatusCode::OK },
            json!({ "id": id, "success": true, "errors": [], "created": created }),
        ),
    })
}

fn retrieve(
    data: &mut Data,
    version: &str,
    object: &str,
    key: (&str, &str),
    query: &str,
) -> Result<Outcome, Rejected> {
    let id = find(data, object, key)?;
    let table = dml::table(data, object)?;
    let (_, row) = dml::living(table, &id)?;
    let wanted = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "fields");
    let wanted: Option<Vec<String>> =
        wanted.map(|(_, fields)| fields.split(',').map(|field| field.trim().to_owned()).collect());
    shown(table, &row, version, wanted.as_deref()).map(|row| Outcome::new(StatusCode::OK, row))
}

/// A row as JSON: all its fields, or these.
pub(super) fn shown(
    table: &Table,
    row: &Row,
    version: &str,
    wanted: Option<&[String]>,
) -> Result<Value, Rejected> {
    let object = &table.object;
    let columns: Vec<usize> = match wanted {
        None => object.visible().map(|(column, _)| column).collect(),
        Some(names) => names
            .iter()
            .map(|name| {
                object.column(name).ok_or_else(|| {
                    let message = format!("No such column '{name}' on sobject of type {}", object.name);
                    Rejected::new("INVALID_FIELD", message)
                })
            })
            .collect::<Result<_, _>>()?,
    };
    let id = row.plain(table.columns.id);
    let url = format!("/services/data/{version}/sobjects/{}/{id}", object.name);
    let mut out = Map::new();
    out.insert("attributes".to_owned(), json!({ "type": object.name, "url": url }));
    for column in columns {
        let field = &object.fields[column];
        let mut text = Vec::new();
        if field.kind == Kind::Compound {
            render::compound(&mut text, row, &object.parts(field));
        } else {
            text.extend_from_slice(row.value(column));
        }
        out.insert(field.name.clone(), serde_json::from_slice(&text).unwrap_or_default());
    }
    Ok(out.into())
}

/// The id of the row that this names.
fn find(data: &mut Data, object: &str, (field, value): (&str, &str)) -> Result<String, Rejected> {
    let table = dml::table(data, object)?;
    if field.eq_ignore_ascii_case("Id") {
        return dml::living(table, value).map(|(_, row)| row.plain(table.columns.id).to_owned());
    }
    let found = dml::matches(table, dml::external(table, field)?, value);
    match found.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(Rejected::not_found("NOT_FOUND", "The requested resource does not exist")),
        _ => Err(Rejected {
            status: StatusCode::MULTIPLE_CHOICES,
            ..Rejected::new("DUPLICATE_EXTERNAL_ID", "several records have this external id")
        }),
    }
}

/// The body as a record.
pub(super) fn record(body: &[u8]) -> Result<Record, Rejected> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(record)) => Ok(record),
        Ok(_) => Err(Rejected::new("JSON_PARSER_ERROR", "The HTTP entity body is required to be an object")),
        Err(error) => Err(Rejected::new("JSON_PARSER_ERROR", format!("{error} at [line:1, column:1]"))),
    }
}

/// What names the row stands in the path only.
fn unnamed(record: &Record, field: &str) -> Result<(), Rejected> {
    if record.keys().any(|name| name.eq_ignore_ascii_case(field)) {
        let message = format!("The {field} field should not be specified in the sobject data.");
        return Err(Rejected::new("INVALID_FIELD", message));
    }
    Ok(())
}

/// A segment of a path without its percent-encoding.
pub(super) fn decoded(segment: &str) -> String {
    // A plus is a plus in a path, and a space in a form.
    let form = format!("x={}", segment.replace('+', "%2B"));
    form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
