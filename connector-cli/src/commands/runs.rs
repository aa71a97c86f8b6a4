//! `connector runs`: what the registry knows of past runs.

use connector_host::registry::RunRecord;
use connector_sdk::Result;
use serde_json::{Value, json};

use crate::{
    args::FileArgs,
    connection::Connection,
    output::{Exit, Output},
    render,
};

/// Lists the runs, newest first.
pub(crate) async fn runs(args: &FileArgs, limit: usize, output: &Output) -> Result<Exit> {
    let connection = Connection::load(args).await?;
    let registry = connection.registry().await?;
    let runs = registry.runs(&connection.settings.tenant, &connection.settings.connection, limit).await?;
    let documents: Vec<Value> = runs.into_iter().map(document).collect();
    output.result(&json!({ "runs": documents }), || render::runs(&documents))?;
    Ok(Exit::Done)
}

/// A run that goes on, or that died, has no document yet: what its row says stands in for it.
fn document(run: RunRecord) -> Value {
    if run.document.is_object() {
        return run.document;
    }
    json!({
        "run_id": run.run,
        "tenant": run.tenant,
        "connection": run.connection,
        "status": run.status,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    })
}
