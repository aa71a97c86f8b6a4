//! `connector discover`: what can be read?

use std::io::IsTerminal;

use connector_host::Connectors;
use connector_sdk::{Error, Result, StreamId};
use tokio_util::sync::CancellationToken;

use crate::{
    args::FileArgs,
    connection::Connection,
    output::{Exit, Output},
    render,
};

/// Prints the catalog: a table on a terminal, JSON otherwise.
pub(crate) async fn discover(
    connectors: &Connectors,
    args: &FileArgs,
    streams: &[String],
    output: &Output,
) -> Result<Exit> {
    let connection = Connection::load(args).await?;
    let registry = connection.registry().await?;
    let cx = connection.context(Some(&registry), None, CancellationToken::new())?;
    let open = connection.open(connectors, cx).await?;
    let names: Vec<StreamId> = streams.iter().map(|name| name.as_str().into()).collect();
    let wanted = if names.is_empty() { None } else { Some(names.as_slice()) };
    let catalog = open.connector.discover(&open.cx, wanted).await?;
    if let Some(missing) = names.iter().find(|name| catalog.stream(name.as_str()).is_none()) {
        return Err(Error::config("discover", format!("there is no stream `{missing}` that may be read")));
    }
    if output.json || !std::io::stdout().is_terminal() {
        output.document(&catalog)?;
    } else {
        output.text(&render::catalog(&catalog))?;
    }
    Ok(Exit::Done)
}
