//! Bulk API 2.0, query jobs: `…/jobs/query` and what lies below.
//!
//! What it does: a job's rows are fixed when it is made; it moves on with each time it is asked for, not with
//! time; its results come as CSV in pages by opaque locators, or as up to five page addresses at a time
//! (v58 and later); jobs are listed, aborted and deleted; the daily quotas run down and refuse. By
//! [`FakeOrg::end_bulk_jobs`](super::FakeOrg::end_bulk_jobs) and its neighbours a test makes jobs fail, hang or
//! vanish.
//!
//! What it does not: no time limit on a job, no retries by the service (`retries` is always 0), no page
//! limit by bytes, and `GET …/jobs/query` puts all jobs on one page and knows no Bulk 1.0 jobs. Nothing is
//! refused for its `Content-Type` or `Accept`.
//!
//! Sources: guide "Bulk API 2.0" (query_create_job, query_get_one_job, query_get_job_results,
//! query_get_parallel_job_results, query_delete_job, query_abort_job, query_get_all_jobs).

mod control;
mod create;
mod csv;
mod job;
mod results;

use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::json;

use super::org::Org;
use super::{reply, server};
use job::Job;

pub use control::{BulkEnd, BulkJob};
pub(super) use job::Jobs;

/// Query jobs came with v47 (guide, availability).
const FIRST: u32 = 47;
/// Bytes of a job's description that are read: a query has at most 100,000 characters.
const MAX_BODY: usize = 1024 * 1024;

/// How the org answers Bulk query jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Whether the org has the Bulk API at all; without, "Async API not enabled".
    pub enabled: bool,
    /// How often a job may be asked for before it is over: with 1 the first poll finds it `InProgress`, the
    /// second one `JobComplete`; with 0 the first poll finds it over.
    pub polls_until_done: u32,
    /// Gives rows in no order, as chunks by primary key arrive, unless the query has `ORDER BY` or `LIMIT`.
    pub shuffled: bool,
    /// Rows of a result page where the client names no number: the vendor decides that.
    pub page_rows: usize,
    /// Writes nothing between the delimiters for null, instead of `""`.
    pub bare_nulls: bool,
    /// Writes numbers without decimal places as `42.0`.
    pub decimals_on_whole: bool,
    /// Puts a NUL byte behind the first character of every text.
    pub with_nul: bool,
}

impl Default for Bulk {
    fn default() -> Self {
        Self {
            enabled: true,
            polls_until_done: 1,
            shuffled: true,
            page_rows: 1000,
            bare_nulls: false,
            decimals_on_whole: false,
            with_nul: false,
        }
    }
}

/// Answers everything below `…/jobs/query`.
pub(super) async fn answer(
    org: &Org,
    head: &Parts,
    version: &str,
    rest: &[&str],
    query: &str,
    body: Body,
) -> Response {
    let number = version.trim_start_matches('v').split('.').next().and_then(|number| number.parse().ok());
    let number: u32 = number.unwrap_or_default();
    if number < FIRST {
        return reply::not_found();
    }
    match (&head.method, rest) {
        (&Method::POST, []) => match server::whole(body, MAX_BODY).await {
            Ok(body) => create::create(org, number, &body),
            Err(response) => response,
        },
        (&Method::GET, []) => list(org),
        (_, []) => reply::not_allowed(&head.method, "GET,POST"),
        (&Method::GET, [id]) => poll(org, id),
        (&Method::PATCH, [id]) => match server::whole(body, MAX_BODY).await {
            Ok(body) => abort(org, id, &body),
            Err(response) => response,
        },
        (&Method::DELETE, [id]) => delete(org, id),
        (_, [_]) => reply::not_allowed(&head.method, "DELETE,GET,PATCH"),
        (&Method::GET, [id, "results"]) => results::page(org, number, id, query),
        (&Method::GET, [id, "resultPages"]) => results::pages(org, number, id, query),
        (_, [_, "results" | "resultPages"]) => reply::not_allowed(&head.method, "GET"),
        _ => reply::not_found(),
    }
}

/// One page whatever the number of jobs.
fn list(org: &Org) -> Response {
    let jobs = org.bulk();
    let records: Vec<_> = jobs.known().map(Job::described).collect();
    reply::json(StatusCode::OK, &json!({"done": true, "records": records, "nextRecordsUrl": null}))
}

fn poll(org: &Org, id: &str) -> Response {
    let now = org.clock.now();
    let mut jobs = org.bulk();
    jobs.poll(id, now);
    match jobs.find(id) {
        Some(job) => reply::json(StatusCode::OK, &job.described()),
        None => reply::not_found(),
    }
}

fn abort(org: &Org, id: &str, body: &[u8]) -> Response {
    let now = org.clock.now();
    let asked: Result<serde_json::Value, _> = serde_json::from_slice(body);
    let wanted = asked.is_ok_and(|asked| asked.get("state").is_some_and(|state| state == "Aborted"));
    if !wanted {
        // Text not recorded.
        return api_error("a query job can only be set to the state Aborted");
    }
    let mut jobs = org.bulk();
    match jobs.find_mut(id) {
        None => reply::not_found(),
        // Text not recorded.
        Some(job) if job.is_over() => api_error("Error encountered when aborting the job because it is over"),
        Some(job) => {
            job.abort(now);
            reply::json(StatusCode::OK, &job.described())
        }
    }
}

fn delete(org: &Org, id: &str) -> Response {
    let mut jobs = org.bulk();
    match jobs.find_mut(id) {
        None => reply::not_found(),
        Some(job) if job.is_over() => {
            job.delete();
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        // Text of the guide (query_delete_job).
        Some(_) => api_error("Error encountered when deleting the job because the job is not terminated"),
    }
}

fn api_error(message: &str) -> Response {
    reply::error(StatusCode::BAD_REQUEST, "API_ERROR", message)
}
