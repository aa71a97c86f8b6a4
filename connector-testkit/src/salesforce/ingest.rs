//! `…/jobs/ingest`: Bulk API 2.0 jobs that write (Bulk API 2.0 guide, "Ingest").
//!
//! A job is `Open` until its data are closed, then `UploadComplete`, `InProgress`, and `JobComplete`. How often it is
//! asked for decides: the org has no workers, and a test no patience. A complete job may hold failed rows.

use std::collections::BTreeMap;

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value, json};

mod table;

use super::datetime;
use super::dml::{self, Record, Rejected};
use super::field::Kind;
use super::id;
use super::objects;
use super::org::{Data, FakeOrg, Org};
use super::reply;
use super::sobjects::Outcome;

/// All jobs, by their ids, and how often one is asked for before it is complete.
#[derive(Debug)]
pub(super) struct Loads {
    jobs: BTreeMap<String, Job>,
    made: u32,
    polls: u32,
}

impl Default for Loads {
    fn default() -> Self {
        Self { jobs: BTreeMap::new(), made: 0, polls: 2 }
    }
}

#[derive(Debug, Clone)]
struct Job {
    info: Record,
    upload: Option<String>,
    polls: u32,
    succeeded: String,
    failed: String,
    unprocessed: String,
}

impl FakeOrg {
    /// A job that writes is complete when it has been asked for this often since its data were closed; 2 without.
    pub fn set_ingest_polls(&self, polls: u32) {
        self.org.data().ingest.polls = polls;
    }

    /// The states of the jobs that write, by their ids.
    #[must_use]
    pub fn ingest_jobs(&self) -> BTreeMap<String, String> {
        let data = self.org.data();
        data.ingest.jobs.iter().map(|(id, job)| (id.clone(), job.state().to_owned())).collect()
    }
}

impl Job {
    fn state(&self) -> &str {
        self.text("state")
    }

    fn text(&self, key: &str) -> &str {
        self.info.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.info.insert(key.to_owned(), value.into());
    }

    fn delimiter(&self) -> char {
        match self.text("columnDelimiter") {
            "BACKQUOTE" => '`',
            "CARET" => '^',
            "PIPE" => '|',
            "SEMICOLON" => ';',
            "TAB" => '\t',
            _ => ',',
        }
    }
}

/// A request for jobs; segments behind `jobs/ingest`.
pub(super) fn answer(
    org: &Org,
    data: &mut Data,
    method: &Method,
    version: &str,
    segments: &[&str],
    body: &[u8],
) -> Response {
    let outcome = match (method.as_str(), segments) {
        ("POST", []) => create(org, data, version, body),
        ("GET", []) => {
            let records: Vec<Value> = data.ingest.jobs.values().map(|job| job.info.clone().into()).collect();
            Ok(Outcome::new(
                StatusCode::OK,
                json!({ "done": true, "nextRecordsUrl": null, "records": records }),
            ))
        }
        ("PUT", [id, "batches"]) => upload(data, id, body),
        ("PATCH", [id]) => close(data, id, body),
        ("GET", [id]) => poll(org, data, id),
        ("DELETE", [id]) => remove(data, id),
        ("GET", [id, part]) => match rows(data, id, part) {
            Ok(rows) => return reply::body(StatusCode::OK, "text/csv;charset=UTF-8", rows),
            Err(rejected) => Err(rejected),
        },
        _ => Err(Rejected::not_found("NOT_FOUND", "The requested resource does not exist")),
    };
    outcome.unwrap_or_else(|rejected| Outcome::rejected(&rejected)).response()
}

fn job<'a>(data: &'a mut Data, id: &str) -> Result<&'a mut Job, Rejected> {
    let job = data.ingest.jobs.get_mut(id);
    job.ok_or_else(|| Rejected::not_found("NOT_FOUND", "The requested resource does not exist"))
}

fn create(org: &Org, data: &mut Data, version: &str, body: &[u8]) -> Result<Outcome, Rejected> {
    let wish = super::sobjects::record(body)?;
    let text = |key: &str| wish.get(key).and_then(Value::as_str).unwrap_or_default();
    let (object, operation) = (text("object").to_owned(), text("operation").to_owned());
    if !matches!(operation.as_str(), "insert" | "update" | "upsert" | "delete" | "hardDelete") {
        return Err(Rejected::new("INVALIDJOB", format!("Unknown operation {operation}")));
    }
    let table = data.table(&object).ok_or_else(|| {
        let message = format!("InvalidBatch : Unable to find object: {object}");
        Rejected::new("INVALIDJOB", message)
    })?;
    let external = text("externalIdFieldName").to_owned();
    if operation == "upsert" && !external.eq_ignore_ascii_case("Id") {
        dml::external(table, &external).map_err(|_| {
            Rejected::new(
                "INVALIDJOB",
                format!("InvalidJob : Field name provided, {external} does not match an External ID"),
            )
        })?;
    }
    data.ingest.made += 1;
    let id = id::record_id("750", data.ingest.made);
    let at = datetime::text(org.clock.stamp());
    let number = version.trim_start_matches('v');
    let mut info = json!({
        "id": id, "operation": operation, "object": object, "createdById": objects::integration_user(),
        "createdDate": at, "systemModstamp": at, "state": "Open", "concurrencyMode": "Parallel",
        "contentType": "CSV", "apiVersion": number.parse::<f64>().unwrap_or_default(),
        "contentUrl": format!("services/data/{version}/jobs/ingest/{id}/batches"), "jobType": "V2Ingest",
        "lineEnding": wish.get("lineEnding").cloned().unwrap_or_else(|| "LF".into()),
        "columnDelimiter": wish.get("columnDelimiter").cloned().unwrap_or_else(|| "COMMA".into()),
    });
    if operation == "upsert" {
        info["externalIdFieldName"] = external.into();
    }
    let Value::Object(info) = info else { return Err(Rejected::new("UNKNOWN_EXCEPTION", "no job")) };
    let answer = Outcome::new(StatusCode::OK, info.clone().into());
    let empty = String::new;
    let job = Job { info, upload: None, polls: 0, succeeded: empty(), failed: empty(), unprocessed: empty() };
    data.ingest.jobs.insert(id, job);
    Ok(answer)
}

fn upload(data: &mut Data, id: &str, body: &[u8]) -> Result<Outcome, Rejected> {
    let job = job(data, id)?;
    if job.upload.is_some() || job.state() != "Open" {
        let message = format!(
            "InvalidBatch : Found multiple contents for job: <{id}>, please 'Close' / 'Abort' / 'Delete' the current Job \
             then create a new Job and make sure you only do 'PUT' once on a given Job."
        );
        return Err(Rejected::new("CLIENTINPUTERROR", message));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| Rejected::new("CLIENTINPUTERROR", "InvalidBatch : the data are not UTF-8"))?;
    job.upload = Some(text.to_owned());
    Ok(Outcome { status: StatusCode::CREATED, body: None })
}

fn close(data: &mut Data, id: &str, body: &[u8]) -> Result<Outcome, Rejected> {
    let wish = super::sobjects::record(body)?;
    let state = wish.get("state").and_then(Value::as_str).unwrap_or_default();
    let job = job(data, id)?;
    let allowed = match state {
        "UploadComplete" => job.state() == "Open" && job.upload.is_some(),
        "Aborted" => matches!(job.state(), "Open" | "UploadComplete" | "InProgress"),
        _ => false,
    };
    if !allowed {
        let message = format!("InvalidJobState : a job that is {} cannot become {state}", job.state());
        return Err(Rejected::new("INVALIDJOBSTATE", message));
    }
    if state == "Aborted" {
        job.unprocessed = job.upload.clone().unwrap_or_default();
    }
    job.set("state", state);
    Ok(Outcome::new(StatusCode::OK, job.info.clone().into()))
}

fn poll(org: &Org, data: &mut Data, id: &str) -> Result<Outcome, Rejected> {
    let polls = data.ingest.polls;
    let job = job(data, id)?;
    if matches!(job.state(), "UploadComplete" | "InProgress") {
        job.polls += 1;
        if job.polls >= polls {
            let mut done = job.clone();
            process(org, data, &mut done);
            data.ingest.jobs.insert(id.to_owned(), done.clone());
            return Ok(Outcome::new(StatusCode::OK, done.info.into()));
        }
        if job.polls > 1 {
            job.set("state", "InProgress");
        }
    }
    Ok(Outcome::new(StatusCode::OK, job.info.clone().into()))
}

fn remove(data: &mut Data, id: &str) -> Result<Outcome, Rejected> {
    if !matches!(job(data, id)?.state(), "UploadComplete" | "JobComplete" | "Aborted" | "Failed") {
        return Err(Rejected::new("INVALIDJOBSTATE", "InvalidJobState : the job has to be closed first"));
    }
    data.ingest.jobs.remove(id);
    Ok(Outcome::empty())
}

fn rows(data: &mut Data, id: &str, part: &str) -> Result<String, Rejected> {
    let job = job(data, id)?;
    Ok(match part {
        "successfulResults" => job.succeeded.clone(),
        "failedResults" => job.failed.clone(),
        "unprocessedrecords" | "unprocessedRecords" => job.unprocessed.clone(),
        _ => return Err(Rejected::not_found("NOT_FOUND", "The requested resource does not exist")),
    })
}

/// Writes the rows of a job, each by itself.
fn process(org: &Org, data: &mut Data, job: &mut Job) {
    let delimiter = job.delimiter();
    let upload = job.upload.clone().unwrap_or_default();
    let mut lines = table::parse(&upload, delimiter).into_iter();
    let Some(header) = lines.next() else {
        job.set("state", "Failed");
        job.set("errorMessage", "InvalidBatch : The upload is empty");
        return;
    };
    let mut succeeded = table::Writer::new(delimiter, &["sf__Id", "sf__Created"], &header);
    let mut failed = table::Writer::new(delimiter, &["sf__Id", "sf__Error"], &header);
    let unprocessed = table::Writer::new(delimiter, &[], &header);
    let (mut processed, mut errors) = (0, 0);
    for line in lines {
        processed += 1;
        let written = if line.len() == header.len() {
            write(org, data, job, &header, &line)
        } else {
            Err(Rejected::new("INVALID_INPUT", "the row has another number of columns than the header"))
        };
        match written {
            Ok((id, created)) => succeeded.row(&[&id, if created { "true" } else { "false" }], &line),
            Err(Rejected { code, message, fields, .. }) => {
                errors += 1;
                let fields = if fields.is_empty() { "--".to_owned() } else { fields.join(",") };
                failed.row(&["", &format!("{code}:{message}:{fields}")], &line);
            }
        }
    }
    job.succeeded = succeeded.text();
    job.failed = failed.text();
    job.unprocessed = unprocessed.text();
    job.set("state", "JobComplete");
    job.set("numberRecordsProcessed", processed);
    job.set("numberRecordsFailed", errors);
    job.set("retries", 0);
    job.set("totalProcessingTime", 1);
}

/// One row. An empty field leaves what is there, `#N/A` empties it (Bulk guide, datafiles_prepare_csv).
fn write(
    org: &Org,
    data: &mut Data,
    job: &Job,
    header: &[String],
    line: &[String],
) -> Result<(String, bool), Rejected> {
    let object = job.text("object").to_owned();
    let table = dml::table(data, &object)?;
    let mut record = Record::new();
    for (name, text) in header.iter().zip(line).filter(|(_, text)| !text.is_empty()) {
        let kind = table.object.column(name).map(|column| table.object.fields[column].kind);
        let value = match (text.as_str(), kind) {
            ("#N/A", _) => Value::Null,
            ("true" | "TRUE" | "1", Some(Kind::Boolean)) => true.into(),
            ("false" | "FALSE" | "0", Some(Kind::Boolean)) => false.into(),
            (text, _) => text.into(),
        };
        record.insert(name.clone(), value);
    }
    let take = |record: &mut Record, field: &str| {
        let (value, rest) = super::collections::split(record, field);
        *record = rest;
        value.ok_or_else(|| Rejected::new("MISSING_ARGUMENT", format!("{field} not specified")))
    };
    match job.text("operation") {
        "insert" => dml::insert(org, data, &object, &record).map(|id| (id, true)),
        "update" => {
            let id = take(&mut record, "Id")?;
            dml::update(org, data, &object, &id, &record).map(|id| (id, false))
        }
        "upsert" => {
            let field = job.text("externalIdFieldName").to_owned();
            let value = take(&mut record, &field)?;
            dml::upsert(org, data, &object, (&field, &value), &record)
        }
        operation => {
            let id = take(&mut record, "Id")?;
            dml::delete(org, data, &object, &id, operation == "hardDelete").map(|id| (id, false))
        }
    }
}
