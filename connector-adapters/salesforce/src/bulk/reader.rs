//! What a read knows of its job: the job, the page, the row, and how each is got.

use std::sync::Arc;

use connector_sdk::{Batch, Class, Context, Delivery, Error, ReadRequest, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    columns::{Columns, Rows},
    csv::Delimiter,
    job::{Job, RESULTS, Stage},
    read::{FIRST_WAIT, JobState, Wait},
    results::{PageAt, ResultPage, Results},
};
use crate::{api::Api, fault, query, selection::Selection, walk::Walk};

/// How often in one read a job is made again in place of one that is gone.
const RESTARTS: u32 = 2;
/// How often a page that came broken is fetched again.
const PAGE_ATTEMPTS: u32 = 3;

/// What looking at a job has found.
pub(super) enum Polled {
    Done(Job),
    /// So many rows so far.
    Runs(Option<u64>),
    Lost,
}

/// One read of a partition by a job.
pub(super) struct Reader {
    api: Arc<Api>,
    cx: Context,
    selection: Selection,
    columns: Arc<Columns>,
    delimiter: Delimiter,
    pub(super) walk: Walk,
    restarts: u32,
    /// Whether pages are asked for one after the other, in a size of our choice.
    chooses_pages: bool,
}

/// A page that is being read.
pub(super) struct Open {
    page: ResultPage,
    rows: Rows,
    attempts: u32,
}

impl Reader {
    pub(super) fn open(api: &Arc<Api>, request: &ReadRequest) -> Result<Self> {
        let selection = Selection::of(api.settings(), &request.stream)?;
        let walk = match query::walk(&selection, request)? {
            // The results of a job have an order of their own, and it stays.
            Walk::Pass => query::keyset(request)?,
            walk => walk,
        };
        Ok(Self {
            api: Arc::clone(api),
            cx: request.cx.clone(),
            columns: Arc::new(selection.columns(&api.settings().api_version)),
            selection,
            delimiter: Delimiter::default(),
            walk,
            restarts: 0,
            chooses_pages: false,
        })
    }

    /// Makes the job.
    pub(super) async fn make(&mut self) -> Result<()> {
        let soql = self.soql()?;
        let job = self.api.create_job(&self.cx, &soql, self.selection.all).await;
        let job = job.map_err(|error| error.with_context("object", self.selection.object()))?;
        tracing::info!(object = self.selection.object(), job = job.id, "a Bulk job was made");
        self.walk.set_job(Some(JobState { job, query: self.query()?, at: None, row: 0, rows: 0 }));
        Ok(())
    }

    fn soql(&self) -> Result<String> {
        let query = match self.walk {
            Walk::Window(_) => self.selection.select()?,
            Walk::Keyset(_) | Walk::Pass => self.selection.bounded(self.selection.select()?)?,
        };
        Ok(self.walk.rest(query)?.to_string())
    }

    /// The query and how it is put, as a hash that stays the same from version to version.
    fn query(&self) -> Result<u64> {
        Ok(xxh3_64(format!("{} {}", self.selection.all, self.soql()?).as_bytes()))
    }

    /// Whether the job that the state speaks of was made for what is wanted now.
    pub(super) fn is_of_this_query(&self) -> Result<bool> {
        let wanted = self.query()?;
        Ok(self.walk.job().is_none_or(|job| job.query == wanted))
    }

    fn job(&self) -> Result<&JobState> {
        self.walk.job().ok_or_else(|| Error::bug("read", "there is no job"))
    }

    /// Rows of the job taken so far.
    pub(super) fn received(&self) -> u64 {
        self.walk.job().map_or(0, |job| job.rows)
    }

    /// Looks how far the job is.
    pub(super) async fn poll(&mut self) -> Result<Polled> {
        let Some(job) = self.api.job(&self.cx, &self.job()?.job).await? else { return Ok(Polled::Lost) };
        match job.state {
            Stage::JobComplete => Ok(Polled::Done(job)),
            Stage::Failed => Err(self.failed(job).await),
            // Somebody has stopped it, or we have and died before we could tell.
            Stage::Aborted => Ok(Polled::Lost),
            Stage::UploadComplete | Stage::InProgress | Stage::Other => {
                Ok(Polled::Runs(job.number_records_processed))
            }
        }
    }

    /// Why a job failed. The vendor often does not say, but answers the same query by REST with the reason.
    async fn failed(&mut self, job: Job) -> Error {
        let id = self.walk.job().map(|state| state.job.clone());
        self.walk.set_job(None);
        if let Some(id) = id
            && let Err(error) = self.api.delete_job(&self.cx, &id).await
        {
            tracing::info!(%error, "a failed job stays at the vendor");
        }
        let said = job.error_message.filter(|message| !message.trim().is_empty());
        let error = match (&said, self.soql()) {
            (None, Ok(soql)) => {
                self.api.query(&self.cx, &format!("{soql} LIMIT 1"), self.selection.all, 200).await.err()
            }
            _ => None,
        };
        match error {
            Some(error) if fault::is_refused(&error) => error,
            _ => fault::elsewhere(
                "read",
                "the vendor's Bulk job failed: use `salesforce/auto` or `salesforce/rest`",
                said.as_deref(),
            ),
        }
        .with_context("job", job.id)
        .with_context("object", self.selection.object())
    }

    /// The job cannot be used any more: what is left is asked for anew (rule D-13).
    pub(super) async fn restart(&mut self, why: &'static str) -> Result<()> {
        let state = self.job()?.clone();
        self.restarts += 1;
        let exhausted = self.restarts > RESTARTS;
        tracing::warn!(
            object = self.selection.object(),
            job = state.job.id,
            rows = state.rows,
            "the Bulk job {why}; it is made again, and rows that it had delivered are delivered again"
        );
        if let Err(error) = self.api.delete_job(&self.cx, &state.job).await {
            tracing::info!(%error, "the job stays at the vendor");
        }
        self.walk.set_job(None);
        if exhausted {
            return Err(Error::transient(
                "read",
                format!("the Bulk job {why}, and so were those made in its place; run again"),
            )
            .with_delivery(Delivery::Answered)
            .with_context("object", self.selection.object())
            .into_exhausted());
        }
        Ok(())
    }

    pub(super) fn wait(&self) -> Wait {
        let clock = self.cx.clock();
        Wait {
            cx: self.cx.clone(),
            next: FIRST_WAIT,
            until: clock.monotonic() + self.api.settings().job_timeout,
        }
    }

    /// The pages of the job from where the read is.
    pub(super) fn results(&mut self, job: &Job) -> Result<Results> {
        self.delimiter = job.column_delimiter;
        let state = self.job()?;
        let at = state.at.clone().or_else(|| self.chooses_pages.then(PageAt::first_located));
        Ok(Results::from(&self.api, &self.cx, &state.job, at))
    }

    /// The next rows, of this page or the one after it; none at the end of the last one.
    pub(super) async fn next(
        &mut self,
        page: &mut Option<Open>,
        results: &mut Results,
        records: usize,
    ) -> Result<Option<Batch>> {
        loop {
            if page.is_none() {
                *page = self.page(results).await?;
            }
            let Some(open) = page.as_mut() else { return Ok(None) };
            match self.batch(open, results, records.max(1)).await? {
                Some(batch) => return Ok(Some(batch)),
                None => *page = None,
            }
        }
    }

    /// From now on the size of pages is our choice. Whether it was the vendor's before.
    pub(super) fn chooses_pages_now(&mut self) -> bool {
        !std::mem::replace(&mut self.chooses_pages, true)
    }

    /// The next page, with the rows passed over that were taken before.
    async fn page(&self, results: &mut Results) -> Result<Option<Open>> {
        let Some(page) = results.next().await? else { return Ok(None) };
        let state = self.job()?;
        let taken = if state.at.as_ref() == Some(&page.at) { state.row } else { 0 };
        self.rows(page, results, taken, 1).await.map(Some)
    }

    /// Opens a page, fetching it again where it is broken already there.
    async fn rows(
        &self,
        mut page: ResultPage,
        results: &mut Results,
        taken: u64,
        mut attempts: u32,
    ) -> Result<Open> {
        loop {
            let opened = if page.document.is_empty() && page.promised == Some(0) {
                Ok(Rows::none(&self.columns))
            } else {
                Rows::open(page.document.clone(), self.delimiter, &self.columns)
                    .and_then(|mut rows| rows.skip(taken).map(|()| rows))
                    .and_then(|rows| {
                        let is_short = rows.taken() < taken;
                        if is_short {
                            Err(fault::gone(RESULTS, "a page of results is shorter than it was"))
                        } else {
                            Ok(rows)
                        }
                    })
            };
            match opened {
                Ok(rows) => return Ok(Open { page, rows, attempts }),
                Err(error) if error.class() == Class::Transient && attempts < PAGE_ATTEMPTS => {
                    tracing::info!(%error, attempts, "a page of results came broken, asked for again");
                    attempts += 1;
                    page = results.again(&page.at).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next rows of a page; none at its end, when it had as many as it said (rule D-12).
    async fn batch(
        &mut self,
        open: &mut Open,
        results: &mut Results,
        records: usize,
    ) -> Result<Option<Batch>> {
        loop {
            let taken = open.rows.taken();
            let batch = match open.rows.batch(records) {
                Ok(Some(batch)) => batch,
                Ok(None) if open.page.promised.is_none_or(|promised| promised == taken) => return Ok(None),
                broken => {
                    let error = broken.err().unwrap_or_else(|| {
                        Error::transient(
                            "results",
                            "a page of results has another number of rows than it says",
                        )
                        .with_delivery(Delivery::Answered)
                        .with_context("promised", open.page.promised.unwrap_or_default())
                        .with_context("received", taken)
                    });
                    if error.class() != Class::Transient || open.attempts >= PAGE_ATTEMPTS {
                        return Err(error);
                    }
                    tracing::info!(%error, "a page of results came broken, asked for again");
                    let page = results.again(&open.page.at).await?;
                    *open = self.rows(page, results, taken, open.attempts + 1).await?;
                    continue;
                }
            };
            let rows = batch.len() as u64;
            let mut state = self.job()?.clone();
            state.at = Some(open.page.at.clone());
            state.row = taken + rows;
            state.rows += rows;
            self.walk.set_job(Some(state));
            return Ok(Some(self.walk.take_unordered(batch)));
        }
    }
}
