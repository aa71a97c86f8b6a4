//! Bulk API 2.0 jobs that write (Bulk API 2.0 guide, "Ingest").
//!
//! A job is made and gets its data first; nothing is written before it is closed, which [`Ingest::finish`] does. So a
//! program has the ids of the jobs in hand before the first record is written, and after a crash it asks for the same jobs
//! again, whose outcome the vendor keeps for seven days.

use std::{fmt, time::Duration};

use connector_sdk::{Class, Delivery, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Client, csv, many::distinct, name, record};
use crate::{api, fault};

/// Bytes of one job. The vendor takes 150 MB after base64, 100 MB as they are (bulk_api_2_limits); less is sent, because
/// the results of a job are read whole, and are larger than what was sent.
const MOST_BYTES: usize = 60 << 20;
/// What a result adds to a row, in bytes: its id, and the error it may have.
const RESULT_ADDS: usize = 200;
/// The first wait between two questions, and the longest.
const POLL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// How long a job is waited for unless the caller says otherwise.
const DEADLINE: Duration = Duration::from_secs(24 * 3_600);

/// What a job does with its records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestOperation {
    /// Adds them.
    Insert,
    /// Changes those that their field `Id` names.
    Update,
    /// Changes or adds them by this external id field.
    Upsert(String),
    /// Puts those that their field `Id` names into the recycle bin.
    Delete,
    /// Removes them for good; needs the permission "Bulk API Hard Delete".
    HardDelete,
}

impl IngestOperation {
    fn word(&self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert(_) => "upsert",
            Self::Delete => "delete",
            Self::HardDelete => "hardDelete",
        }
    }
}

/// Jobs that have their data. Nothing is written before [`finish`](Self::finish).
#[derive(Debug)]
#[must_use]
pub struct Ingest {
    client: Client,
    jobs: Vec<String>,
    deadline: Duration,
    keep: bool,
}

/// What became of the records of one or more jobs. Their order is the vendor's.
#[derive(Default)]
#[non_exhaustive]
pub struct Ingested {
    /// Written.
    pub saved: Vec<Saved>,
    /// Refused, each with its reason. A job is complete with them.
    pub failed: Vec<Failed>,
    /// Never looked at, because their job was stopped or failed as a whole.
    pub unprocessed: Vec<Map<String, Value>>,
    /// Why a job failed as a whole, or that it was stopped; its name is in the context.
    pub stopped: Vec<Error>,
}

/// A record that a job has written.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// Whether it is new.
    pub created: bool,
    /// What was sent, as texts.
    pub fields: Map<String, Value>,
}

/// A record that a job has refused.
#[non_exhaustive]
pub struct Failed {
    /// Why; its code is [`error_code`](crate::error_code).
    pub error: Error,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// What was sent, as texts.
    pub fields: Map<String, Value>,
}

// Records are personal data: Debug tells their number, ids and reasons.

impl fmt::Debug for Ingested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingested")
            .field("saved", &self.saved.len())
            .field("failed", &self.failed)
            .field("unprocessed", &self.unprocessed.len())
            .field("stopped", &self.stopped)
            .finish()
    }
}

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved").field("id", &self.id).field("created", &self.created).finish_non_exhaustive()
    }
}

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("id", &self.id).field("error", &self.error).finish_non_exhaustive()
    }
}

/// What the vendor says of a job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    id: String,
    state: String,
    number_records_processed: Option<u64>,
    error_message: Option<String>,
}

impl Client {
    /// Makes jobs for these records and uploads them, in as many as their size needs.
    ///
    /// # Errors
    /// Config when a record cannot stand in a CSV file, has no external id where one is needed, or shares it with another;
    /// Permanent when the vendor refuses the job; else as [`query`](Self::query). Jobs that were made before an
    /// error are stopped, and nothing was written.
    pub async fn ingest<T: Serialize>(
        &self,
        object: &str,
        operation: IngestOperation,
        records: impl IntoIterator<Item = T>,
    ) -> Result<Ingest> {
        name("ingest", object)?;
        let read = |(index, one)| record("ingest", one).map_err(|error| error.with_context("index", index));
        let records: Vec<_> = records.into_iter().enumerate().map(read).collect::<Result<_>>()?;
        if let IngestOperation::Upsert(field) = &operation {
            name("ingest", field)?;
            distinct("ingest", field, &records)?;
        }
        let mut columns = csv::Columns::default();
        for (index, record) in records.iter().enumerate() {
            columns.add(record).map_err(|error| error.with_context("index", index))?;
        }
        let mut ingest = self.resume(Vec::<String>::new());
        if columns.is_empty() {
            return Ok(ingest);
        }
        for part in parts(&columns, &records)? {
            if let Err(error) = ingest.add(object, &operation, part).await {
                ingest.stop().await;
                return Err(error);
            }
        }
        Ok(ingest)
    }

    /// Jobs that were made before, by their ids: to wait for them, or to go on after a crash.
    pub fn resume<T: Into<String>>(&self, jobs: impl IntoIterator<Item = T>) -> Ingest {
        let jobs = jobs.into_iter().map(Into::into).collect();
        Ingest { client: self.clone(), jobs, deadline: DEADLINE, keep: false }
    }
}

impl Ingest {
    /// The ids of the jobs: what a program keeps so that it can [`resume`](Client::resume).
    #[must_use]
    pub fn jobs(&self) -> &[String] {
        &self.jobs
    }

    /// Waits at most so long; a day without. The jobs go on at the vendor all the same.
    pub fn deadline(mut self, wait: Duration) -> Self {
        self.deadline = wait;
        self
    }

    /// Leaves the jobs where they are when they are finished. Without it they are deleted once their results are read.
    pub fn keep(mut self) -> Self {
        self.keep = true;
        self
    }

    /// Closes the jobs, waits for them, and reads what became of each record.
    ///
    /// # Errors
    /// Transient when the deadline passes first, or the rows are not as many as the vendor has processed; the ids are in
    /// the context, and asking again does nothing twice. Permanent when a job is not there (any more). Else as
    /// [`query`](Client::query).
    pub async fn finish(&self) -> Result<Ingested> {
        let named = |error: Error| error.with_context("jobs", self.jobs.join(", "));
        let clock = self.client.cx.clock();
        let ends_at = clock.monotonic().saturating_add(self.deadline);
        // All are closed before one is waited for: they run side by side.
        for id in &self.jobs {
            if self.job(id).await.map_err(named)?.state == "Open" {
                self.close(id).await.map_err(named)?;
            }
        }
        let mut ingested = Ingested::default();
        for id in &self.jobs {
            let job = self.ended(id, ends_at).await.map_err(named)?;
            self.read(&job, &mut ingested).await.map_err(named)?;
        }
        if !self.keep {
            for id in &self.jobs {
                if let Err(error) = self.client.api.delete_ingest(&self.client.cx, id).await {
                    // Its records are written and read; the vendor drops it by itself after seven days.
                    tracing::warn!(%error, job = %id, "a finished job could not be deleted");
                }
            }
        }
        Ok(ingested)
    }

    /// Stops the jobs. Records that were written stay.
    ///
    /// # Errors
    /// As the vendor answers.
    pub async fn abort(&self) -> Result<()> {
        let mut first = Ok(());
        for id in &self.jobs {
            let aborted = self.abort_one(id).await;
            first = first.and(aborted);
        }
        first
    }

    async fn abort_one(&self, id: &str) -> Result<()> {
        let job = self.job(id).await?;
        if !matches!(job.state.as_str(), "JobComplete" | "Failed" | "Aborted") {
            self.client.api.change_ingest(&self.client.cx, id, "Aborted").await?;
        }
        Ok(())
    }

    async fn stop(&self) {
        if let Err(error) = self.abort().await {
            tracing::warn!(%error, "a job without use could not be stopped; it holds data and writes nothing");
        }
    }

    async fn add(&mut self, object: &str, operation: &IngestOperation, csv: String) -> Result<()> {
        let (api, cx) = (&self.client.api, &self.client.cx);
        let mut wish = json!({
            "object": object, "operation": operation.word(), "contentType": "CSV", "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        });
        if let IngestOperation::Upsert(field) = operation {
            wish["externalIdFieldName"] = field.as_str().into();
        }
        let job: Job = api::decode(&api.make_ingest(cx, wish.to_string()).await?, "ingest")?;
        self.jobs.push(job.id.clone());
        match api.upload_ingest(cx, &job.id, csv.into_bytes()).await {
            Ok(_) => Ok(()),
            // The answer of our first upload was lost; the job takes one only.
            Err(error) if fault::says(&error, "multiple contents") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn close(&self, id: &str) -> Result<()> {
        match self.client.api.change_ingest(&self.client.cx, id, "UploadComplete").await {
            Ok(_) => Ok(()),
            // The answer may have been lost: what counts is whether it is closed.
            Err(error) => match self.job(id).await {
                Ok(job) if job.state != "Open" => Ok(()),
                _ => Err(error),
            },
        }
    }

    async fn job(&self, id: &str) -> Result<Job> {
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) || id.is_empty() {
            return Err(
                Error::config("ingest", "this is no id of a job").with_context("job", id.escape_debug())
            );
        }
        api::decode(&self.client.api.ingest_job(&self.client.cx, id).await?, "ingest")
    }

    /// Waits until the job has ended.
    async fn ended(&self, id: &str, ends_at: Duration) -> Result<Job> {
        let clock = self.client.cx.clock();
        let mut wait = POLL.0;
        loop {
            match self.job(id).await {
                Ok(job) if matches!(job.state.as_str(), "JobComplete" | "Failed" | "Aborted") => {
                    return Ok(job);
                }
                Ok(_) => {}
                Err(error) if error.class() == Class::Transient => {
                    tracing::info!(%error, job = id, "a job could not be asked for; it goes on");
                }
                Err(error) => return Err(error),
            }
            let left = ends_at.saturating_sub(clock.monotonic());
            if left.is_zero() || self.client.cx.is_stopping() {
                let message = "the job has not ended in time; it goes on at the vendor: resume it by its id";
                return Err(Error::transient("ingest", message)
                    .with_delivery(Delivery::Answered)
                    .with_context("job", id)
                    .into_exhausted());
            }
            clock.sleep(wait.min(left)).await;
            wait = (wait * 2).min(POLL.1);
        }
    }

    async fn rows(&self, id: &str, part: &str) -> Result<Vec<Map<String, Value>>> {
        csv::rows(&self.client.api.ingest_rows(&self.client.cx, id, part).await?.body)
    }

    async fn read(&self, job: &Job, into: &mut Ingested) -> Result<()> {
        let before = into.saved.len() + into.failed.len();
        for mut fields in self.rows(&job.id, "successfulResults").await? {
            let id = take(&mut fields, "sf__Id").unwrap_or_default();
            let created = take(&mut fields, "sf__Created").is_some_and(|text| text == "true");
            into.saved.push(Saved { id, created, fields });
        }
        for mut fields in self.rows(&job.id, "failedResults").await? {
            let complaint = fault::Complaint::of_row(&take(&mut fields, "sf__Error").unwrap_or_default());
            let error = fault::of_record("ingest", Some(&complaint));
            into.failed.push(Failed { error, id: take(&mut fields, "sf__Id"), fields });
        }
        let read = (into.saved.len() + into.failed.len() - before) as u64;
        if job.number_records_processed.is_some_and(|processed| processed != read) {
            let message = "the job has processed another number of records than its results have; ask again";
            return Err(Error::transient("ingest", message)
                .with_delivery(Delivery::Answered)
                .with_context("processed", job.number_records_processed.unwrap_or_default())
                .with_context("received", read));
        }
        if job.state != "JobComplete" {
            let said = job.error_message.as_deref().unwrap_or_default();
            let error = Error::permanent("ingest", format!("the job is {}", job.state.to_lowercase()));
            into.stopped.push(
                error
                    .with_delivery(Delivery::Answered)
                    .with_context("job", &job.id)
                    .with_context("vendor_says", fault::one_line(said)),
            );
            into.unprocessed.extend(self.rows(&job.id, "unprocessedrecords").await?);
        }
        Ok(())
    }
}

fn take(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    fields.remove(name).and_then(|value| value.as_str().map(str::to_owned))
}

/// The records as CSV, in parts that a job takes.
fn parts(columns: &csv::Columns, records: &[Map<String, Value>]) -> Result<Vec<String>> {
    let header = columns.header();
    let mut parts = Vec::new();
    let (mut part, mut rows) = (header.clone(), 0);
    for record in records {
        let before = part.len();
        columns.row(&mut part, record)?;
        if rows > 0 && part.len() + (rows + 1) * RESULT_ADDS > MOST_BYTES {
            let row = part.split_off(before);
            parts.push(std::mem::replace(&mut part, header.clone()));
            part.push_str(&row);
            rows = 0;
        }
        rows += 1;
    }
    parts.push(part);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_are_too_many_for_one_job_are_split_and_each_part_has_the_header() {
        let records: Vec<Map<String, Value>> = (0..400_000)
            .map(|index| Map::from_iter([("Key__c".to_owned(), Value::from(format!("k{index}")))]))
            .collect();
        let mut columns = csv::Columns::default();
        records.iter().for_each(|record| columns.add(record).unwrap());
        let parts = parts(&columns, &records).unwrap();
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|part| part.starts_with("Key__c\nk") && part.len() <= MOST_BYTES));
        let rows: usize = parts.iter().map(|part| part.lines().count() - 1).sum();
        assert_eq!(rows, records.len());
    }
}
