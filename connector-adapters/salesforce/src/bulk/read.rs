//! Reading a partition by a job: made, waited for, fetched, and a state after each batch.
//!
//! ```text
//!  no job ──make──▶ runs ──poll──▶ complete ──pages──▶ read ──last state durable──▶ deleted (see `acknowledge`)
//!     ▲              │               │
//!     └── lost, or ended otherwise ──┘
//! ```
//!
//! The id of the job stands in the state from the moment it is made, and with it the page and the row: a run that died
//! goes on in the same results. A job that is gone is made again, and what it had delivered is delivered again.

use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Context, Delivery, Error, Message, ReadRequest, Result, State, contract::Estimate,
};
use futures_util::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};

use super::{
    job::{CREATE, JobId},
    reader::{Polled, Reader},
    results::{self, PageAt},
};
use crate::{
    api::Api,
    fault::{self, Then},
    query,
};

/// The wait between two looks at a job: at first, and at most.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobState {
    pub(crate) job: JobId,
    /// What it was asked for, as a hash: the results of another query are no use.
    #[serde(default)]
    pub(super) query: u64,
    /// The page that is being read; none: the first.
    #[serde(default)]
    pub(super) at: Option<PageAt>,
    /// Rows of that page that were taken.
    #[serde(default)]
    pub(super) row: u64,
    /// Rows of all pages that were taken.
    #[serde(default)]
    pub(super) rows: u64,
}

/// The job that a partition's state speaks of, whatever else it says.
pub(crate) fn job_of(state: &State) -> Option<JobId> {
    #[derive(Deserialize)]
    struct Known {
        job: Option<JobState>,
    }
    serde_json::from_str::<Known>(state.cursor().get()).ok()?.job.map(|state| state.job)
}

/// Reads one partition. Where `or_rest` is set, what the Bulk API does not serve is read by REST.
pub(crate) fn read(
    api: Arc<Api>,
    request: ReadRequest,
    or_rest: bool,
) -> BoxStream<'static, Result<Message>> {
    let messages = async_stream::stream! {
        let mut job = jobs(Arc::clone(&api), request.clone());
        let mut state = request.state.clone();
        while let Some(message) = job.next().await {
            match message {
                Err(error) if or_rest && serves_elsewhere(&error) => {
                    tracing::info!(stream = %request.stream.spec.name, %error, "read by REST instead of a Bulk job");
                    if let Some(job) = state.as_ref().and_then(job_of)
                        && let Err(error) = api.delete_job(&request.cx, &job).await
                    {
                        tracing::info!(%error, "a Bulk job stays at the vendor");
                    }
                    let request = request.clone().with_state(state.take());
                    let mut pages = query::read(Arc::clone(&api), request);
                    while let Some(message) = pages.next().await {
                        yield message;
                    }
                    return;
                }
                message => {
                    if let Ok(Message::State(covered)) = &message {
                        state = Some(covered.clone());
                    }
                    yield message;
                }
            }
        }
    };
    messages
        .map(|message| match message {
            // Not served here: the run names it and goes on with the others.
            Err(error) if fault::then(&error) == Then::Elsewhere && error.class() != Class::RateLimited => {
                Ok(Message::Skip(error))
            }
            message => message,
        })
        .boxed()
}

/// Whether REST may still serve what a job does not.
fn serves_elsewhere(error: &Error) -> bool {
    match fault::then(error) {
        // What is too much for one query too, REST reads in parts.
        Then::Elsewhere | Then::Shrink | Then::Split => true,
        // Whatever else the vendor has against this job, REST has its own word on the object.
        _ => {
            error.operation() == CREATE
                && fault::is_refused(error)
                && matches!(error.class(), Class::Config | Class::Permanent)
        }
    }
}

fn jobs(api: Arc<Api>, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
    let messages = async_stream::try_stream! {
        let mut reader = Reader::open(&api, &request)?;
        if !reader.is_of_this_query()? {
            reader.restart("was made for another choice of fields or rows").await?;
        }
        loop {
            if reader.walk.job().is_none() {
                reader.make().await?;
                // The job is at the vendor now: whoever comes after us has to know of it.
                yield Message::State(reader.walk.last_known()?.promptly());
            }
            let mut wait = reader.wait();
            let done = loop {
                match reader.poll().await? {
                    Polled::Done(job) => break Some(job),
                    Polled::Lost => break None,
                    Polled::Runs(rows) => {
                        // Also a sign of life: jobs may take hours.
                        yield Message::Estimate(Estimate { records: rows, bytes: None });
                        wait.sleep().await?;
                    }
                }
            };
            let Some(job) = done else {
                reader.restart("is gone, or was stopped").await?;
                continue;
            };
            let promised = job.number_records_processed;
            let left = promised.map(|promised| promised.saturating_sub(reader.received()));
            yield Message::Estimate(Estimate { records: left, bytes: None });
            let mut results = reader.results(&job)?;
            let mut page = None;
            let lost = loop {
                match reader.next(&mut page, &mut results, request.batch_records).await {
                    Ok(Some(batch)) => {
                        // On their way while this one is consumed.
                        results.advance().await;
                        let records = batch.len() as u64;
                        if records > 0 {
                            yield Message::Batch(batch);
                        }
                        yield Message::State(reader.walk.last_known()?.covering(records));
                    }
                    Ok(None) => break None,
                    Err(error) if fault::has_code(&error, "NOT_FOUND") => break Some("is gone"),
                    Err(error) if results::is_too_large(&error) && reader.chooses_pages_now() => {
                        tracing::info!(%error, "pages of a size of our choice are asked for");
                        break Some("has pages that are too large");
                    }
                    Err(error) => Err(error)?,
                }
            };
            if let Some(why) = lost {
                reader.restart(why).await?;
            } else if promised.is_some_and(|promised| promised != reader.received()) {
                reader.restart("held another number of rows than it said").await?;
            } else {
                break;
            }
        }
        yield Message::State(reader.walk.last_known()?.completing());
    };
    query::as_messages(messages.boxed())
}

/// The waits between looks at a job.
pub(super) struct Wait {
    pub(super) cx: Context,
    pub(super) next: Duration,
    /// By the monotonic clock.
    pub(super) until: Duration,
}

impl Wait {
    async fn sleep(&mut self) -> Result<()> {
        let left = self.until.saturating_sub(self.cx.clock().monotonic());
        if left.is_zero() {
            return Err(Error::transient(
                "poll job",
                "the Bulk job runs longer than `job_timeout`; the next run goes on with it",
            )
            .with_delivery(Delivery::Answered)
            .into_exhausted());
        }
        self.cx.clock().sleep(self.next.min(left)).await;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_of_a_job_is_read_back_as_it_was_written() {
        let state: JobState = serde_json::from_str(
            r#"{"job":{"id":"750x","version":"v66.0"},"at":{"listed":{"list":null,"page":3}},"row":7,"rows":3007}"#,
        )
        .unwrap();
        assert_eq!(serde_json::from_str::<JobState>(&serde_json::to_string(&state).unwrap()).unwrap(), state);
        assert_eq!(state.job.path(), "/services/data/v66.0/jobs/query/750x");
        for bad in [
            r#"{"job":{"id":"750x","version":"../../x"}}"#,
            r#"{"job":{"id":"../../x","version":"v66.0"}}"#,
            r#"{"job":{"id":"","version":"v66.0"}}"#,
        ] {
            assert!(serde_json::from_str::<JobState>(bad).is_err(), "{bad}");
        }
    }
}
