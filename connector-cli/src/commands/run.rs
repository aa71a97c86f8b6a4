//! `connector run`: one run of the connection, or one after another.

use std::{sync::Arc, time::Duration};

use connector_bronze::Bronze;
use connector_host::{
    Connectors, RunReport, receipt,
    report::RunStatus,
    run::{self, Job, Progress, RunOptions, new_run_id},
};
use connector_sdk::{Class, Connector, Context, Result};
use indicatif::MultiProgress;
use tokio_util::sync::CancellationToken;

use crate::{
    args::RunArgs,
    connection::Connection,
    output::{Exit, Output},
    progress::{Bars, Lines},
    render, stop,
};

/// Whatever a source hints, the next run begins so long after the last at the earliest.
const REST: Duration = Duration::from_secs(1);

/// Runs the connection, prints the summary, and writes the receipt; with `--follow` until a signal comes.
pub(crate) async fn run(
    connectors: &Connectors,
    args: &RunArgs,
    bars: &MultiProgress,
    output: &Output,
) -> Result<Exit> {
    let stop = stop::on_signals()?;
    loop {
        let ran = once(connectors, args, bars, output, &stop).await?;
        let exit = exit(&ran.report);
        let hopeless = ran.report.error.as_ref().is_some_and(|error| needs_a_person(error.class()));
        if !args.follow || hopeless || stop.is_cancelled() {
            return Ok(exit);
        }
        until_next(&ran, args.every.0, &stop).await;
        if stop.is_cancelled() {
            return Ok(exit);
        }
    }
}

/// A run that was made, and the connector that can tell when the next is worth while.
struct Ran {
    report: RunReport,
    connector: Arc<dyn Connector>,
    cx: Context,
}

/// What goes wrong in each run until somebody changes something.
fn needs_a_person(class: Class) -> bool {
    matches!(class, Class::Config | Class::Auth | Class::Bug)
}

/// Waits for a hint or for the interval, and a little in any case.
async fn until_next(ran: &Ran, every: Duration, stop: &CancellationToken) {
    let clock = ran.cx.clock();
    let hinted = async {
        if let Err(error) = ran.connector.changed(&ran.cx).await {
            tracing::debug!(%error, "no hint of something new; it is read at the interval");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => return,
        () = hinted => (),
        () = clock.sleep(every) => (),
    }
    tokio::select! {
        biased;
        () = stop.cancelled() => (),
        () = clock.sleep(REST) => (),
    }
}

async fn once(
    connectors: &Connectors,
    args: &RunArgs,
    bars: &MultiProgress,
    output: &Output,
    stop: &CancellationToken,
) -> Result<Ran> {
    let connection = Connection::load(&args.file).await?;
    let bronze = Arc::new(Bronze::new(connection.bronze()?));
    let registry = connection.registry().await?;
    let id = new_run_id(&connection.context(None, None, stop.clone())?);
    let cx = connection.context(Some(&registry), Some(id), stop.clone())?;
    let open = connection.open(connectors, cx).await?;
    connection.remember(connectors, &*registry).await?;

    let mut options = RunOptions::default();
    options.commit_bytes = bronze.config().commit.bytes.0;
    options.commit_interval = bronze.config().commit.interval.0;
    options.delete_cap = args.delete_cap;
    let folder = bronze.folder(open.cx.tenant(), open.cx.connection());
    options.work = Some(folder.join("_generations"));
    let progress: Arc<dyn Progress> =
        if output.is_watched() { Arc::new(Bars::new(bars.clone())) } else { Arc::new(Lines) };
    let mut report = run::run(Job {
        cx: open.cx.clone(),
        connector: open.connector.clone(),
        manifest: open.manifest.clone(),
        registry: registry.clone(),
        sink: bronze.clone(),
        streams: connection.settings.streams.clone(),
        options,
        progress,
    })
    .await;
    let root = &bronze.config().path;
    if let Err(error) = receipt::write(&mut report, &open.manifest, root, &folder, &*registry).await {
        receipt::note_failure(&mut report, error);
    }
    // The summary says the same, and stays.
    let _ = bars.clear();
    output.result(&report, || render::run(&report, root))?;
    if let Some(error) = report.error.as_deref().filter(|_| !output.json) {
        output.complain(error);
    }
    Ok(Ran { report, connector: open.connector, cx: open.cx })
}

/// A run that read what there was, or was stopped with all of it durable, has done what it was asked.
fn exit(report: &RunReport) -> Exit {
    match (report.status, &report.error) {
        (RunStatus::Succeeded | RunStatus::Stopped, None) => Exit::Done,
        (RunStatus::Failed, Some(error)) => Exit::of(Some(error.class())),
        _ => Exit::Failed,
    }
}
