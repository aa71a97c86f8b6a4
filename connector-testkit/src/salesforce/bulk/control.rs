//! What a test does to the Bulk jobs of a running org, and what it is shown of them.

use super::super::org::FakeOrg;
use super::Bulk;
use super::job::MEGABYTE;

/// How a Bulk job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BulkEnd {
    /// `JobComplete`.
    Complete,
    /// `Failed`, with or without an `errorMessage`: the vendor often gives none.
    Failed(Option<String>),
    /// `Aborted`, as by an administrator.
    Aborted,
    /// It stays `InProgress`.
    Never,
    /// From its first poll on nobody knows it: 404.
    Vanish,
}

/// One Bulk job that was ever made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkJob {
    /// Its id, 18 characters.
    pub id: String,
    /// `UploadComplete`, `InProgress`, `JobComplete`, `Failed` or `Aborted`; after its end the last one it had.
    pub state: &'static str,
    /// The object it reads.
    pub object: String,
    /// `query` or `queryAll`.
    pub operation: &'static str,
    /// A client deleted it.
    pub deleted: bool,
    /// The org dropped it, as after seven days.
    pub dropped: bool,
}

impl BulkJob {
    /// Whether it still takes room in the org, or works: neither deleted, dropped nor aborted.
    #[must_use]
    pub fn is_left(&self) -> bool {
        !self.deleted && !self.dropped && self.state != "Aborted"
    }
}

impl FakeOrg {
    /// Every Bulk query job that was ever made, oldest first, those that are gone too.
    #[must_use]
    pub fn bulk_jobs(&self) -> Vec<BulkJob> {
        self.org.bulk().all()
    }

    /// Changes how the org answers Bulk jobs, those under way too.
    pub fn change_bulk(&self, change: impl FnOnce(&mut Bulk)) {
        change(&mut self.org.bulk().settings);
    }

    /// Whether texts of Bulk results get a NUL byte behind their first character.
    pub fn with_nul(&self, with_nul: bool) {
        self.change_bulk(|bulk| bulk.with_nul = with_nul);
    }

    /// How jobs end from now on, those under way too, unless a job was told otherwise.
    pub fn end_bulk_jobs(&self, end: BulkEnd) {
        self.org.bulk().end = end;
    }

    /// How the next job that is made ends; told several times, how the ones after it end.
    pub fn end_next_bulk_job(&self, end: BulkEnd) {
        self.org.bulk().ends.push_back(end);
    }

    /// How this job ends. Says whether there is such a job.
    pub fn end_bulk_job(&self, id: &str, end: BulkEnd) -> bool {
        self.org.bulk().end_one(id, end)
    }

    /// Lets all jobs fail from now on, with this message or, as the vendor often does, with none.
    pub fn fail_bulk_jobs(&self, message: Option<&str>) {
        self.end_bulk_jobs(BulkEnd::Failed(message.map(str::to_owned)));
    }

    /// Drops all jobs with their results, as the vendor does after seven days: 404.
    pub fn drop_bulk_jobs(&self) {
        self.org.bulk().drop_all();
    }

    /// The objects that Bulk jobs are refused for; those named before are read again.
    pub fn unsupported_in_bulk<S: AsRef<str>>(&self, objects: impl IntoIterator<Item = S>) {
        self.org.bulk().unsupported =
            objects.into_iter().map(|object| object.as_ref().to_lowercase()).collect();
    }

    /// Sets what is left of the day's Bulk quotas: query jobs, and megabytes of results. At 0 of either no
    /// job can be made.
    pub fn set_bulk_quota(&self, jobs_left: u64, megabytes_left: u64) {
        let mut jobs = self.org.bulk();
        jobs.jobs_left = jobs_left;
        jobs.bytes_left = megabytes_left.saturating_mul(MEGABYTE);
    }
}
