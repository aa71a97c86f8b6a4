//! `POST …/jobs/query`: what is refused, and the job that comes of the rest.

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use super::super::org::Org;
use super::super::reply;
use super::super::soql::{self, Refusal};
use super::csv::{Delimiter, Dialect};
use super::job::{Asked, Rows};

/// What the body of a creation says.
struct Wish {
    operation: &'static str,
    query: String,
    dialect: Dialect,
}

pub(super) fn create(org: &Org, version: u32, body: &[u8]) -> Response {
    match wish(body).and_then(|wish| make(org, version, &wish)) {
        Ok(response) => response,
        Err(refusal) => reply::refused(&refusal),
    }
}

fn make(org: &Org, version: u32, wish: &Wish) -> Result<Response, Refusal> {
    org.bulk().admit()?;
    soql::refuse_in_bulk(&wish.query)?;
    let query = soql::parse(&wish.query)?;
    let now = org.clock.now();
    let (plan, columns, found) = {
        let mut data = org.data();
        data.settle(now);
        let plan = soql::bind(&wish.query, &query, &|name| data.object(name))?;
        org.bulk().supports(&plan.object.name)?;
        if !plan.asks_for_rows() {
            return Err(Refusal::new(
                "FUNCTIONALITY_NOT_ENABLED",
                "Aggregates are not supported in Bulk Query",
            ));
        }
        let columns = soql::columns(&query, &plan)?;
        let found = soql::run(&data, &plan, wish.operation == "queryAll");
        (plan, columns, found)
    };
    org.log.count(|counters| counters.queries += 1);
    let chunked = plan.may_be_chunked();
    let rows = Rows::new(columns, plan.relations.len(), found);
    let asked = Asked {
        operation: wish.operation,
        object: plan.object.name.clone(),
        version,
        dialect: wish.dialect,
        chunked,
    };
    let mut jobs = org.bulk();
    let job = jobs.add(asked, rows, org.settings.seed, now);
    Ok(reply::json(StatusCode::OK, &job.created()))
}

/// Reads the body. The texts of these refusals were not recorded.
fn wish(body: &[u8]) -> Result<Wish, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::new("JSON_PARSER_ERROR", format!("The HTTP entity body is no JSON: {error}"))
    })?;
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let invalid = |key: &str, value: &str| {
        Err(Refusal::new("API_ERROR", format!("the value '{value}' of '{key}' is not valid for a query job")))
    };
    let operation = match text("operation") {
        Some("query") => "query",
        Some("queryAll") => "queryAll",
        other => return invalid("operation", other.unwrap_or_default()),
    };
    let query = text("query").filter(|query| !query.trim().is_empty());
    let query = query
        .ok_or_else(|| Refusal::new("MALFORMED_QUERY", "A query string has to be specified"))?
        .to_owned();
    if let Some(other) = text("contentType").filter(|kind| *kind != "CSV") {
        return invalid("contentType", other);
    }
    let wanted = text("columnDelimiter").unwrap_or("COMMA");
    let Some(delimiter) = Delimiter::named(wanted) else { return invalid("columnDelimiter", wanted) };
    let crlf = match text("lineEnding") {
        None | Some("LF") => false,
        Some("CRLF") => true,
        Some(other) => return invalid("lineEnding", other),
    };
    Ok(Wish { operation, query, dialect: Dialect { delimiter, crlf } })
}
