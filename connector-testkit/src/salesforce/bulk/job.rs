//! Jobs: their rows, their states, and how much of them the day still allows.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::random::Random;

use super::super::datetime;
use super::super::id;
use super::super::objects;
use super::super::row::Row;
use super::super::soql::{Column, Found, Refusal};
use super::Bulk;
use super::control::{BulkEnd, BulkJob};
use super::csv::{self, Dialect};

/// Query jobs in 24 hours (bulk_api_2_limits).
pub(super) const JOBS_A_DAY: u64 = 10_000;
/// Results of query jobs in 24 hours: 1,000,000,000 kB.
pub(super) const BYTES_A_DAY: u64 = MEGABYTE * MEGABYTES_A_DAY;
/// As `/limits` counts it.
pub(super) const MEGABYTES_A_DAY: u64 = 976_562;
pub(super) const MEGABYTE: u64 = 1024 * 1024;
/// Rows that the size of a whole result is guessed from.
const SAMPLE: usize = 200;

/// The rows of a job as they were when it was made.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Vec<Column>,
    relations: usize,
    found: Found,
    /// In which order they are given; as found where there is none.
    order: Vec<u32>,
}

impl Rows {
    pub(super) fn new(columns: Vec<Column>, relations: usize, found: Found) -> Self {
        Self { columns, relations, found, order: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.found.rows.len()
    }

    fn shuffle(&mut self, mut random: Random) {
        let mut order: Vec<u32> = (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, usize::try_from(random.below(place as u64 + 1)).unwrap_or_default());
        }
        self.order = order;
    }

    /// Appends the rows from `start` on, `count` of them.
    pub(super) fn write(&self, out: &mut Vec<u8>, start: usize, count: usize, dialect: Dialect, how: &Bulk) {
        for place in start..(start + count).min(self.len()) {
            let (row, parents) = self.at(place);
            csv::row(out, &self.columns, row, parents, dialect, how);
        }
    }

    fn at(&self, place: usize) -> (&Row, &[Option<Row>]) {
        let index = self.order.get(place).map_or(place, |index| *index as usize);
        let parents = self.found.parents.get(index * self.relations..(index + 1) * self.relations);
        (&self.found.rows[index], parents.unwrap_or_default())
    }

    /// About how many bytes all of them are.
    fn size(&self, dialect: Dialect, how: &Bulk) -> u64 {
        let mut out = Vec::new();
        let sampled = self.len().min(SAMPLE);
        self.write(&mut out, 0, sampled, dialect, how);
        out.len() as u64 * self.len() as u64 / sampled.max(1) as u64
    }
}

/// What a client asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) operation: &'static str,
    pub(super) object: String,
    pub(super) version: u32,
    pub(super) dialect: Dialect,
    pub(super) chunked: bool,
}

/// The states of a query job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) asked: Asked,
    /// Gone with the job.
    pub(super) rows: Arc<Rows>,
    pub(super) state: State,
    created: i64,
    changed: i64,
    polls: u32,
    /// How it is to end, where a test has said so.
    end: Option<BulkEnd>,
    message: Option<String>,
    deleted: bool,
    dropped: bool,
}

impl Job {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::JobComplete | State::Failed | State::Aborted)
    }

    fn is_known(&self) -> bool {
        !self.deleted && !self.dropped
    }

    pub(super) fn abort(&mut self, now: i64) {
        self.state = State::Aborted;
        self.changed = now;
    }

    pub(super) fn delete(&mut self) {
        self.deleted = true;
        self.forget();
    }

    fn drop_it(&mut self) {
        self.dropped = true;
        self.forget();
    }

    fn forget(&mut self) {
        self.rows = Arc::new(Rows::new(Vec::new(), 0, Found { rows: Vec::new(), parents: Vec::new() }));
    }

    /// What the creation is answered with.
    pub(super) fn created(&self) -> Value {
        json!({
            "id": self.id,
            "operation": self.asked.operation,
            "object": self.asked.object,
            "createdById": objects::integration_user(),
            "createdDate": datetime::text(self.created),
            "systemModstamp": datetime::text(self.changed),
            "state": self.state.name(),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": f64::from(self.asked.version),
            "lineEnding": if self.asked.dialect.crlf { "CRLF" } else { "LF" },
            "columnDelimiter": self.asked.dialect.delimiter.name(),
        })
    }

    /// What it is shown as later.
    pub(super) fn described(&self) -> Value {
        let mut job = self.created();
        let complete = self.state == State::JobComplete;
        job["jobType"] = "V2Query".into();
        job["isPkChunkingSupported"] = self.asked.chunked.into();
        job["retries"] = 0.into();
        job["totalProcessingTime"] = u64::from(self.polls).saturating_mul(100).into();
        job["numberRecordsProcessed"] = if complete { self.rows.len().into() } else { 0.into() };
        if let Some(message) = &self.message {
            job["errorMessage"] = message.as_str().into();
        }
        job
    }

    fn shown(&self) -> BulkJob {
        BulkJob {
            id: self.id.clone(),
            state: self.state.name(),
            object: self.asked.object.clone(),
            operation: self.asked.operation,
            deleted: self.deleted,
            dropped: self.dropped,
        }
    }
}

/// All jobs the org ever had, and what the day still allows.
#[derive(Debug)]
pub(in super::super) struct Jobs {
    pub(in super::super) settings: Bulk,
    jobs: Vec<Job>,
    pub(super) end: BulkEnd,
    /// How the next jobs end, first come first served.
    pub(super) ends: VecDeque<BulkEnd>,
    pub(super) unsupported: BTreeSet<String>,
    pub(super) jobs_left: u64,
    pub(super) bytes_left: u64,
}

impl Jobs {
    pub(in super::super) fn new(settings: Bulk) -> Self {
        Self {
            settings,
            jobs: Vec::new(),
            end: BulkEnd::Complete,
            ends: VecDeque::new(),
            unsupported: BTreeSet::new(),
            jobs_left: JOBS_A_DAY,
            bytes_left: BYTES_A_DAY,
        }
    }

    /// The entries of `/limits`: name, maximum, what is left.
    pub(in super::super) fn limits(&self) -> [(&'static str, u64, u64); 2] {
        [
            ("DailyBulkV2QueryFileStorageMB", MEGABYTES_A_DAY, self.bytes_left / MEGABYTE),
            ("DailyBulkV2QueryJobs", JOBS_A_DAY, self.jobs_left),
        ]
    }

    /// Whether one more job may be made at all.
    ///
    /// The texts are as clients recorded them (AB-SF, ES). The code of the missing feature is the guide's
    /// `FeatureNotEnabled`, in capitals as this API writes `INVALIDENTITY`.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if !self.settings.enabled {
            return Err(Refusal::new("FEATURENOTENABLED", "Async API not enabled"));
        }
        if self.jobs_left == 0 {
            let message = format!(
                "Max bulk v2 query jobs ({JOBS_A_DAY}) per 24 hrs has been reached ({})",
                JOBS_A_DAY + 1
            );
            return Err(Refusal::new("LIMIT_EXCEEDED", message));
        }
        if self.bytes_left < MEGABYTE {
            let message = "Max bulk v2 query result size stored (1000000000) kb per 24 hrs has been exceeded \
                           (1000000001)";
            return Err(Refusal::new("LIMIT_EXCEEDED", message));
        }
        Ok(())
    }

    /// Whether this object is read in bulk.
    pub(super) fn supports(&self, object: &str) -> Result<(), Refusal> {
        if self.unsupported.contains(&object.to_lowercase()) {
            let message = format!("Entity '{object}' is not supported by the Bulk API.");
            return Err(Refusal::new("INVALIDENTITY", message));
        }
        Ok(())
    }

    pub(super) fn add(&mut self, asked: Asked, mut rows: Rows, seed: u64, now: i64) -> &Job {
        let number = u32::try_from(self.jobs.len() + 1).unwrap_or(u32::MAX);
        if asked.chunked && self.settings.shuffled {
            rows.shuffle(Random::new(seed.wrapping_mul(1009).wrapping_add(u64::from(number))));
        }
        self.jobs_left = self.jobs_left.saturating_sub(1);
        let end = self.ends.pop_front();
        let place = self.jobs.len();
        self.jobs.push(Job {
            id: id::record_id("750", number),
            asked,
            rows: Arc::new(rows),
            state: State::UploadComplete,
            created: now,
            changed: now,
            polls: 0,
            end,
            message: None,
            deleted: false,
            dropped: false,
        });
        &self.jobs[place]
    }

    /// The jobs that a client can still see.
    pub(super) fn known(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.is_known())
    }

    pub(super) fn find(&self, id: &str) -> Option<&Job> {
        let id = id::full_length(id)?;
        self.known().find(|job| job.id == id)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Job> {
        let id = id::full_length(id)?;
        self.jobs.iter_mut().find(|job| job.is_known() && job.id == id)
    }

    /// A job is asked for: it moves on.
    pub(super) fn poll(&mut self, id: &str, now: i64) {
        let (how, end) = (self.settings.clone(), self.end.clone());
        let Some(job) = self.find_mut(id) else { return };
        if job.is_over() {
            return;
        }
        job.polls += 1;
        job.changed = now;
        let end = job.end.clone().unwrap_or(end);
        match end {
            BulkEnd::Vanish => job.drop_it(),
            // Where there is time for it, the first poll finds it waiting still.
            _ if job.polls == 1 && how.polls_until_done > 1 => {}
            BulkEnd::Never => job.state = State::InProgress,
            _ if job.polls <= how.polls_until_done => job.state = State::InProgress,
            BulkEnd::Complete => {
                job.state = State::JobComplete;
                let size = job.rows.size(job.asked.dialect, &how);
                self.bytes_left = self.bytes_left.saturating_sub(size);
            }
            BulkEnd::Failed(message) => {
                job.state = State::Failed;
                job.message = message;
            }
            BulkEnd::Aborted => job.state = State::Aborted,
        }
    }

    pub(super) fn end_one(&mut self, id: &str, end: BulkEnd) -> bool {
        match self.find_mut(id) {
            Some(job) => {
                job.end = Some(end);
                true
            }
            None => false,
        }
    }

    pub(super) fn drop_all(&mut self) {
        self.jobs.iter_mut().filter(|job| job.is_known()).for_each(Job::drop_it);
    }

    pub(super) fn all(&self) -> Vec<BulkJob> {
        self.jobs.iter().map(Job::shown).collect()
    }
}
