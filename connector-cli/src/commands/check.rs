//! `connector check`: can the connection run?

use connector_bronze::Bronze;
use connector_host::{
    Connectors,
    preflight::{self, BronzeProbe, CheckReport, CheckStatus, PROBE_DEADLINE, Preflight, Target},
};
use connector_sdk::Result;
use tokio_util::sync::CancellationToken;

use crate::{
    args::FileArgs,
    connection::Connection,
    output::{Exit, Output},
    render,
};

/// Makes all probes and prints the verdicts.
pub(crate) async fn check(connectors: &Connectors, args: &FileArgs, output: &Output) -> Result<Exit> {
    let report = match Connection::load(args).await {
        Ok(connection) => probe(connectors, &connection).await?,
        Err(error) => CheckReport::not_begun(&error),
    };
    output.result(&report, || render::check(&report))?;
    Ok(match report.status {
        CheckStatus::Passed => Exit::Done,
        CheckStatus::Failed => Exit::of(report.class()),
    })
}

async fn probe(connectors: &Connectors, connection: &Connection) -> Result<CheckReport> {
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
    };
    Ok(preflight::check(probes).await)
}
