//! A query job at the vendor: made, looked at, deleted.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    http::{Method, Request, Response},
};
use serde::{Deserialize, Serialize};

use super::csv::Delimiter;
use crate::{
    api::{Api, PATIENCE, decode},
    config::ApiVersion,
    fault,
};

/// The operation whose answers are CSV.
pub(crate) const RESULTS: &str = "results";
/// The operation that makes a job.
pub(crate) const CREATE: &str = "create job";

/// Which job, and how it is reached: results are served to the API version only that made the job (Bulk API guide,
/// "Get Results for a Query Job").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobId {
    #[serde(deserialize_with = "id")]
    pub(crate) id: String,
    pub(crate) version: ApiVersion,
}

/// An id becomes part of a path.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_id(&id) { Ok(id) } else { Err(serde::de::Error::custom("this is no id of a job")) }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl JobId {
    /// `/services/data/v66.0/jobs/query/750…`.
    pub(crate) fn path(&self) -> String {
        format!("{}/jobs/query/{}", self.version.path(), self.id)
    }
}

/// What the vendor says of a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: Stage,
    /// Rows found so far; all of them once the job is complete.
    #[serde(default)]
    pub(crate) number_records_processed: Option<u64>,
    #[serde(default)]
    pub(crate) error_message: Option<String>,
    #[serde(default)]
    pub(crate) column_delimiter: Delimiter,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Stage {
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
    /// One that came with a later release: it is waited for like one in progress.
    #[serde(other)]
    Other,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewJob<'a> {
    operation: &'static str,
    query: &'a str,
    content_type: &'static str,
    column_delimiter: Delimiter,
    line_ending: &'static str,
}

#[derive(Serialize)]
struct Aborted {
    state: &'static str,
}

impl Api {
    /// `POST /jobs/query`. Making it twice costs one of the day's jobs and no data, so it may be repeated.
    pub(crate) async fn create_job(&self, cx: &Context, soql: &str, all: bool) -> Result<JobId> {
        let version = self.settings().api_version.clone();
        let job = NewJob {
            operation: if all { "queryAll" } else { "query" },
            query: soql,
            content_type: "CSV",
            column_delimiter: Delimiter::default(),
            line_ending: "LF",
        };
        let path = format!("{}/jobs/query", version.path());
        let request = self.json(Method::POST, CREATE, path, &job)?.idempotent();
        let job: Job = decode(&self.admitted(cx, request).await?, CREATE)?;
        if !is_id(&job.id) {
            return Err(Error::new(Class::Schema, CREATE, "the answer has no id of a job")
                .with_delivery(Delivery::Answered));
        }
        Ok(JobId { id: job.id, version })
    }

    /// `GET /jobs/query/{id}`; none when the vendor has none of that id (any more).
    pub(crate) async fn job(&self, cx: &Context, id: &JobId) -> Result<Option<Job>> {
        match self.admitted(cx, Request::get("poll job", id.path())).await {
            Ok(answer) => decode(&answer, "poll job").map(Some),
            Err(error) if fault::has_code(&error, "NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes a job with its results; one that still runs is stopped first. That it is gone already is fine.
    pub(crate) async fn delete_job(&self, cx: &Context, id: &JobId) -> Result<()> {
        if self.jobs_gone().contains(&id.id) {
            return Ok(());
        }
        let deleted = match self.delete_ended(cx, id).await {
            Err(error) if !is_gone(&error) && fault::is_refused(&error) => {
                let abort =
                    self.json(Method::PATCH, "abort job", id.path(), &Aborted { state: "Aborted" })?;
                match self.send(cx, abort.idempotent()).await {
                    Ok(_) => self.delete_ended(cx, id).await,
                    Err(error) => Err(error),
                }
            }
            deleted => deleted,
        };
        match deleted {
            Err(error) if !is_gone(&error) => Err(error),
            _ => {
                self.jobs_gone().insert(&id.id);
                Ok(())
            }
        }
    }

    async fn delete_ended(&self, cx: &Context, id: &JobId) -> Result<()> {
        // Asked for beyond our share of the quota too: what is left at the vendor is worse.
        self.send(cx, Request::new("delete job", Method::DELETE, id.path())).await.map(|_| ())
    }

    /// One page of results, or a list of pages.
    pub(crate) async fn results(&self, cx: &Context, path: &str, most: Option<u64>) -> Result<Response> {
        let mut request =
            Request::get(RESULTS, path.to_owned()).header("Accept", "text/csv").answer_within(PATIENCE);
        if let Some(most) = most {
            request = request.query("maxRecords", &most.to_string());
        }
        self.admitted(cx, request).await
    }

    /// The addresses of up to five pages of results (Bulk API guide, "Get Parallel Results for a Query Job").
    pub(crate) async fn listing(&self, cx: &Context, path: &str) -> Result<Listing> {
        decode(&self.admitted(cx, Request::get("list results", path.to_owned())).await?, "list results")
    }

    async fn admitted(&self, cx: &Context, request: Request) -> Result<Response> {
        self.quota().admit(request.operation(), cx)?;
        self.send(cx, request).await
    }

    fn json<T: Serialize>(
        &self,
        method: Method,
        operation: &'static str,
        path: String,
        body: &T,
    ) -> Result<Request> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::bug(operation, "the body does not serialise").with_source(error))?;
        Ok(Request::new(operation, method, path).body("application/json", body))
    }
}

/// Jobs that this process has deleted, so that an acknowledgement that comes again costs nothing.
#[derive(Debug, Default)]
pub(crate) struct JobsGone(Mutex<HashSet<String>>);

impl JobsGone {
    const MOST: usize = 10_000;

    fn contains(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn insert(&self, id: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.clear();
        }
        known.insert(id.to_owned());
    }
}

fn is_gone(error: &Error) -> bool {
    fault::has_code(error, "NOT_FOUND")
}

/// An answer of `resultPages`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listing {
    pub(crate) result_pages: Vec<ResultPage>,
    #[serde(default)]
    pub(crate) next_record_url: Option<String>,
    #[serde(default)]
    pub(crate) done: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultPage {
    pub(crate) result_url: String,
}
