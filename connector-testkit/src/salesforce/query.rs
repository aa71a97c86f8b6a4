//! `GET …/query?q=`, `…/queryAll?q=` and the pages that follow.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::cursor::{Cursor, Place};
use super::objects;
use super::org::{Data, Org, TooMuch};
use super::render::Template;
use super::reply;
use super::soql::{self, Found, Plan, Refusal, Select};

/// Rows per page without and with the header's wish (REST guide, headers_queryoptions).
const BATCH: std::ops::RangeInclusive<usize> = 200..=2000;
/// Bytes a rendered record is guessed at, to make room for a page at once.
const RECORD_GUESS: usize = 1024;

/// Runs a query and answers its first page.
pub(super) fn run(org: &Org, version: &str, headers: &HeaderMap, query: &str, deleted_too: bool) -> Response {
    let soql = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q").map(|(_, soql)| soql);
    let answer = soql
        .filter(|soql| !soql.trim().is_empty())
        .ok_or_else(|| Refusal::new("MALFORMED_QUERY", "A query string has to be specified"))
        .and_then(|soql| first_page(org, version, batch(headers), &soql, deleted_too));
    match answer {
        Ok(response) => response,
        Err(refusal) => reply::refused(&refusal),
    }
}

/// Answers a later page. `queryAll` goes on here too: its cursor knows that it shows deleted rows.
pub(super) fn more(org: &Org, version: &str, locator: &str) -> Response {
    let found = org.data().cursors.find(objects::integration_user(), locator);
    match found {
        Some((cursor, place)) => page(org, version, &cursor, place),
        None => reply::error(StatusCode::BAD_REQUEST, "INVALID_QUERY_LOCATOR", "invalid query locator"),
    }
}

fn first_page(
    org: &Org,
    version: &str,
    batch: usize,
    soql: &str,
    deleted_too: bool,
) -> Result<Response, Refusal> {
    let parsed = soql::parse(soql)?;
    let now = org.clock.now();
    let mut data = org.data();
    data.settle(now);
    let plan = soql::bind(soql, &parsed, &|name| data.object(name))?;
    let found = soql::run(&data, &plan, deleted_too);
    org.log.count(|counters| counters.queries += 1);
    match &plan.select {
        Select::Count => {
            let size = found.rows.len();
            Ok(reply::json(StatusCode::OK, &json!({"totalSize": size, "done": true, "records": []})))
        }
        Select::Aggregates(list) => {
            let mut record = Map::new();
            record.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
            for (name, function, of) in list {
                let value = soql::aggregate(&data, &plan, &found, *function, *of);
                record.insert(name.clone(), serde_json::from_str(&value).unwrap_or(Value::Null));
            }
            Ok(reply::json(StatusCode::OK, &json!({"totalSize": 1, "done": true, "records": [record]})))
        }
        Select::Rows(fields) => {
            too_much(data.too_much, fields.len(), found.rows.len())?;
            Ok(rows(org, version, data, batch, plan, found))
        }
    }
}

fn too_much(bounds: TooMuch, fields: usize, rows: usize) -> Result<(), Refusal> {
    if bounds.fields.is_some_and(|most| fields > most) {
        let message =
            "Query is either selecting too many fields or the filter conditions are too complicated.";
        return Err(Refusal::new("QUERY_TOO_COMPLICATED", message));
    }
    match bounds.rows {
        Some((most, code)) if rows > most => {
            Err(Refusal::new(code, "Your query request was running for too long."))
        }
        _ => Ok(()),
    }
}

fn rows(
    org: &Org,
    version: &str,
    mut data: std::sync::MutexGuard<'_, Data>,
    batch: usize,
    plan: Plan,
    found: Found,
) -> Response {
    let cursor = data.cursors.make(objects::integration_user(), batch, plan, found);
    let first = cursor.page_rows(Place::default(), org.settings.wire.ragged_pages);
    if first < cursor.found.rows.len() {
        data.cursors.keep(std::sync::Arc::clone(&cursor));
    }
    drop(data);
    page(org, version, &cursor, Place::default())
}

fn page(org: &Org, version: &str, cursor: &Cursor, place: Place) -> Response {
    let all = &cursor.found.rows;
    let count = cursor.page_rows(place, org.settings.wire.ragged_pages);
    let end = place.row + count;
    let done = end == all.len();
    let mut out = Vec::with_capacity(256 + count * RECORD_GUESS);
    out.extend_from_slice(format!(r#"{{"totalSize":{},"done":{done},"#, all.len()).as_bytes());
    if !done {
        let next = Place { row: end, repeat: if count == 0 { place.repeat + 1 } else { 0 } };
        let next = cursor.locator(next);
        // The address has /query/ in it even where the query was queryAll (REST guide, dome_queryall).
        out.extend_from_slice(
            format!(r#""nextRecordsUrl":"/services/data/{version}/query/{next}","#).as_bytes(),
        );
    }
    out.extend_from_slice(br#""records":["#);
    let template = Template::of(&cursor.plan, version);
    for (index, row) in all.iter().enumerate().take(end).skip(place.row) {
        if index > place.row {
            out.push(b',');
        }
        template.record(&mut out, row, &cursor.found.parents, index);
    }
    out.extend_from_slice(b"]}");
    org.log.count(|counters| {
        counters.pages += 1;
        counters.records += count as u64;
    });
    reply::rendered(out)
}

/// `Sforce-Query-Options: batchSize=500`, held to what the vendor takes.
fn batch(headers: &HeaderMap) -> usize {
    let options =
        headers.get("sforce-query-options").and_then(|value| value.to_str().ok()).unwrap_or_default();
    options
        .split([',', ';'])
        .filter_map(|option| option.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("batchSize"))
        .and_then(|(_, size)| size.trim().parse().ok())
        .map_or(*BATCH.end(), |size: usize| size.clamp(*BATCH.start(), *BATCH.end()))
}
