//! `connector check`: can the connection run?

use std::time::Duration;

use connector_bronze::Bronze;
use connector_host::{
    Connectors,
    preflight::{self, BronzeProbe, CheckReport, CheckStatus, PROBE_DEADLINE, Preflight, Target},
};
use connector_sdk::Result;
use tokio_util::sync::CancellationToken;

use crate::{
    args::CheckArgs,
    connection::Connection,
    output::{Exit, Output},
    render,
};

/// How long the estimate of a stream may take: a few requests to a vendor who answers one a minute.
const ESTIMATE_DEADLINE: Duration = Duration::from_secs(600);

/// Makes all probes and prints the verdicts.
pub(crate) async fn check(connectors: &Connectors, args: &CheckArgs, output: &Output) -> Result<Exit> {
    let report = match Connection::load(&args.file).await {
        Ok(connection) => probe(connectors, &connection, args.estimate.then_some(ESTIMATE_DEADLINE)).await?,
        Err(error) => CheckReport::not_begun(&error),
    };
    output.result(&report, || render::check(&report))?;
    Ok(match report.status {
        CheckStatus::Passed => Exit::Done,
        CheckStatus::Failed => Exit::of(report.class()),
    })
}

async fn probe(
    connectors: &Connectors,
    connection: &Connection,
    estimates: Option<Duration>,
) -> Result<CheckReport> {
    let mut registry = connection.registry().await;
    // Without its key the registry cannot keep a token: as good as none.
    let stop = CancellationToken::new();
    let cx = match connection.context(registry.as_ref().ok(), None, stop.clone()) {
        Ok(cx) => cx,
        Err(error) => {
            registry = Err(error);
            connection.context(None, None, stop)?
        }
    };
    let open = connection.open(connectors, cx.clone()).await;
    let connector = open.as_ref().map(|open| Target {
        connector: open.connector.clone(),
        manifest: &open.manifest,
        auth_method: connection.template.auth_method(),
    });
    let bronze = connection
        .bronze()
        .ok()
        .map(|config| -> BronzeProbe { Box::new(move || Bronze::new(config).check()) });
    let probes = Preflight {
        cx: &cx,
        connector: connector.map_err(Clone::clone),
        streams: connection.settings.streams.as_deref(),
        bronze,
        registry,
        deadline: PROBE_DEADLINE,
        estimates,
    };
    Ok(preflight::check(probes).await)
}
