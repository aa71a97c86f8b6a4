//! Reading by Bulk API 2.0: a job at the vendor runs the query, its results are fetched as CSV.

mod columns;
pub(crate) mod csv;
mod job;
mod results;

mod read;
mod reader;

pub(crate) use columns::Columns;
pub(crate) use job::{JobsGone, RESULTS};
pub(crate) use read::{JobState, job_of, read};
pub(crate) use results::has_dots;
