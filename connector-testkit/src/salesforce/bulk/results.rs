//! `GET …/results` and `GET …/resultPages`: what a finished job found.
//!
//! A locator holds the job's number and the row a page starts with, so it is good as long as the job is, in
//! any order and at the same time.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;
use url::form_urlencoded;

use super::super::org::Org;
use super::super::reply;
use super::csv::{self, Dialect};
use super::job::{Job, Rows, State};
use super::{Bulk, api_error};

/// `Sforce-NumberOfRecords` (query_get_job_results).
const NUMBER_OF_RECORDS: HeaderName = HeaderName::from_static("sforce-numberofrecords");
/// `Sforce-Locator` (query_get_job_results).
const LOCATOR: HeaderName = HeaderName::from_static("sforce-locator");
/// Parallel pages came with v58 (query_get_parallel_job_results).
const FIRST_WITH_PAGES: u32 = 58;
/// Page addresses in one answer.
const PAGES: usize = 5;
/// Bytes a row is guessed at, to make room for a page at once.
const ROW_GUESS: usize = 512;

/// One page of CSV.
pub(super) fn page(org: &Org, version: u32, id: &str, query: &str) -> Response {
    let Opened { rows, dialect, how, id } = match open(org, version, id) {
        Ok(opened) => opened,
        Err(stop) => return stop.response(),
    };
    let wanted = match parameter(query, "maxRecords") {
        None => how.page_rows,
        Some(text) => match text.parse() {
            Ok(wanted) if wanted > 0 => wanted,
            _ => return api_error("maxRecords must be a number above 0"),
        },
    };
    let Some(start) = place(&id, query, rows.len()) else { return invalid_locator() };
    let count = wanted.min(rows.len() - start);
    let mut out = Vec::with_capacity(1024 + count * ROW_GUESS);
    csv::header(&mut out, &rows.columns, dialect);
    rows.write(&mut out, start, count, dialect, &how);
    org.log.count(|counters| {
        counters.pages += 1;
        counters.records += count as u64;
    });
    let end = start + count;
    let next = if end < rows.len() { locator(&id, end) } else { "null".to_owned() };
    let mut response = reply::body(StatusCode::OK, "text/csv; charset=UTF-8", out);
    response.headers_mut().insert(NUMBER_OF_RECORDS, HeaderValue::from(count));
    if let Ok(next) = HeaderValue::try_from(next) {
        response.headers_mut().insert(LOCATOR, next);
    }
    response
}

/// The addresses of up to five pages. A job without rows has one page, with nothing but the header (choice:
/// no recording tells).
pub(super) fn pages(org: &Org, version: u32, id: &str, query: &str) -> Response {
    if version < FIRST_WITH_PAGES {
        return reply::not_found();
    }
    let Opened { rows, how, id, .. } = match open(org, version, id) {
        Ok(opened) => opened,
        Err(stop) => return stop.response(),
    };
    let Some(start) = place(&id, query, rows.len()) else { return invalid_locator() };
    let base = format!("/services/data/v{version}.0/jobs/query/{id}");
    let size = how.page_rows.max(1);
    let starts: Vec<usize> = (start..rows.len().max(start + 1)).step_by(size).take(PAGES).collect();
    let next = starts.len() * size + start;
    let pages: Vec<_> = starts
        .iter()
        .map(|start| json!({"resultUrl": format!("{base}/results?locator={}", locator(&id, *start))}))
        .collect();
    let done = next >= rows.len();
    let next = if done { None } else { Some(format!("{base}/resultPages?locator={}", locator(&id, next))) };
    reply::json(StatusCode::OK, &json!({"resultPages": pages, "nextRecordUrl": next, "done": done}))
}

/// A finished job, ready to be read without holding the others up.
struct Opened {
    rows: Arc<Rows>,
    dialect: Dialect,
    how: Bulk,
    id: String,
}

/// Why there is nothing to read.
enum Stop {
    Unknown,
    /// Made with this API version, which is not the one it is read with.
    OtherVersion(u32),
    NotComplete,
}

impl Stop {
    fn response(self) -> Response {
        match self {
            Self::Unknown => reply::not_found(),
            // The status is the guide's, the text is ours.
            Self::OtherVersion(made) => {
                let message = format!("the job was made with API version {made}.0");
                reply::error(StatusCode::CONFLICT, "API_ERROR", &message)
            }
            // "If the request is not successful, the status code is 204" (guide, v48 and later; v46 said 412).
            Self::NotComplete => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
        }
    }
}

fn open(org: &Org, version: u32, id: &str) -> Result<Opened, Stop> {
    let jobs = org.bulk();
    let job: &Job = jobs.find(id).ok_or(Stop::Unknown)?;
    if job.asked.version != version {
        return Err(Stop::OtherVersion(job.asked.version));
    }
    if job.state != State::JobComplete {
        return Err(Stop::NotComplete);
    }
    Ok(Opened {
        rows: Arc::clone(&job.rows),
        dialect: job.asked.dialect,
        how: jobs.settings.clone(),
        id: job.id.clone(),
    })
}

fn parameter(query: &str, wanted: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}

fn locator(id: &str, start: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{start}", &id[11..15]))
}

/// The row the page starts with; none for a locator of another job, or of none.
fn place(id: &str, query: &str, rows: usize) -> Option<usize> {
    let Some(text) = parameter(query, "locator") else { return Some(0) };
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (job, start) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    let start: usize = start.parse().ok()?;
    (job == id.get(11..15)? && (start < rows || start == 0)).then_some(start)
}

/// Text not recorded.
fn invalid_locator() -> Response {
    api_error("the locator is not one of this job's results")
}
