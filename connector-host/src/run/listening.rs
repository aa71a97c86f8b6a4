//! A run of a source that calls us: its listener beside the reads, from before the first claim until the stop.
//!
//! The stop reaches the listener first. When it has ended nothing is taken any more, and the reads give what is left and
//! end by themselves; then each stream commits, checkpoints, acknowledges and releases as ever. Who has to wait too long
//! for that is stopped like any other read: what was taken stays in the connector's journal, and the next run goes on.

use std::{pin::pin, time::Duration};

use connector_sdk::{Error, Result, clock::timeout, contract::Listener};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{Done, Job, run_streams, select::Selected};
use crate::report::{RunStatus, StreamReport};

/// Serves and reads until the stop, or until one of them ends.
pub(super) async fn run(job: &Job, listener: Box<dyn Listener>, selected: Vec<Selected>) -> Done {
    // Ends with the run's stop, and when nobody reads any more.
    let closing = job.cx.stop().child_token();
    // Ends the reads in the middle; the run's stop does not.
    let cut = CancellationToken::new();
    let reading = Job {
        cx: job.cx.with_stop(cut.clone()),
        options: super::RunOptions { stall: Duration::MAX, ..job.options.clone() },
        ..job.clone()
    };
    let addresses = listener.addresses();
    let clock = job.cx.clock();
    let task = AbortOnDropHandle::new(tokio::spawn(listener.serve(job.cx.with_stop(closing.clone()))));
    let late = async {
        closing.cancelled().await;
        clock.sleep(job.options.drain).await;
    };
    let mut served = pin!(async {
        tokio::select! {
            ended = task => flat(ended),
            () = late => Err(Error::bug("listen", "the listener does not stop")),
        }
    });
    for address in &addresses {
        tracing::info!(target: "connector_host::listening", listening = %address, "listening");
    }
    job.progress.listening(&addresses);
    let mut streams = pin!(run_streams(&reading, selected));
    let (mut reports, ended) = tokio::select! {
        ended = &mut served => {
            if let Err(error) = &ended {
                tracing::error!(%error, "nothing is taken any more; what was taken is read to its end");
            }
            let reports = match timeout(&**clock, job.options.drain, &mut streams).await {
                Ok(reports) => reports,
                Err(elapsed) => {
                    tracing::warn!(%elapsed, "not all that was taken has reached Bronze; the next run goes on");
                    cut.cancel();
                    streams.await
                }
            };
            (reports, ended)
        }
        reports = &mut streams => {
            // Nobody reads any more: taking would only fill the journal.
            closing.cancel();
            (reports, served.await)
        }
    };
    if job.cx.is_stopping() {
        reports.iter_mut().for_each(stopped);
    }
    (reports, ended.err())
}

/// A push source has no end: who has read all of it was stopped.
fn stopped(report: &mut StreamReport) {
    if report.status == RunStatus::Succeeded {
        report.status = RunStatus::Stopped;
    }
}

fn flat(ended: Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| {
        Err(Error::bug("listen", "the listener has panicked; please report it").with_source(error))
    })
}
