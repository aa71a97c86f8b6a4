//! `connector run`: one run of the connection.

use std::sync::Arc;

use connector_bronze::Bronze;
use connector_host::{
    Connectors, RunReport, receipt,
    report::RunStatus,
    run::{self, Job, Progress, RunOptions, new_run_id},
};
use connector_sdk::Result;
use indicatif::MultiProgress;

use crate::{
    args::FileArgs,
    connection::Connection,
    output::{Exit, Output},
    progress::{Bars, Lines},
    render, stop,
};

/// Runs the connection once, prints the summary, and writes the receipt.
pub(crate) async fn run(
    connectors: &Connectors,
    args: &FileArgs,
    delete_cap: f64,
    bars: MultiProgress,
    output: &Output,
) -> Result<Exit> {
    let connection = Connection::load(args).await?;
    let bronze = Arc::new(Bronze::new(connection.bronze()?));
    let registry = connection.registry().await?;
    let stop = stop::on_signals()?;
    let id = new_run_id(&connection.context(None, None, stop.clone())?);
    let cx = connection.context(Some(&registry), Some(id), stop)?;
    let open = connection.open(connectors, cx).await?;
    connection.remember(connectors, &*registry).await?;

    let mut options = RunOptions::default();
    options.commit_bytes = bronze.config().commit.bytes.0;
    options.commit_interval = bronze.config().commit.interval.0;
    options.delete_cap = delete_cap;
    let folder = bronze.folder(open.cx.tenant(), open.cx.connection());
    options.work = Some(folder.join("_generations"));
    let progress: Arc<dyn Progress> =
        if output.is_watched() { Arc::new(Bars::new(bars.clone())) } else { Arc::new(Lines) };
    let mut report = run::run(Job {
        cx: open.cx,
        connector: open.connector,
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
    Ok(exit(&report))
}

/// A run that read what there was, or was stopped with all of it durable, has done what it was asked.
fn exit(report: &RunReport) -> Exit {
    match (report.status, &report.error) {
        (RunStatus::Succeeded | RunStatus::Stopped, None) => Exit::Done,
        (RunStatus::Failed, Some(error)) => Exit::of(Some(error.class())),
        _ => Exit::Failed,
    }
}
