//! `connector act`: does something in the outside system.

use std::io::Read;

use connector_host::{Connectors, action};
use connector_sdk::{
    Error, Result,
    contract::{ActionRequest, ActionStatus},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    args::ActArgs,
    connection::Connection,
    output::{Exit, Output},
};

/// The largest input that is taken in, in bytes.
const MAX_INPUT_BYTES: u64 = 64 << 20;

/// Does the action, once for its idempotency key, and prints what came of it.
pub(crate) async fn act(connectors: &Connectors, args: &ActArgs, output: &Output) -> Result<Exit> {
    let connection = Connection::load(&args.file).await?;
    let input = input(&args.input)?;
    let registry = connection.registry().await?;
    let cx = connection.context(Some(&registry), None, CancellationToken::new())?;
    let open = connection.open(connectors, cx).await?;
    connection.remember(connectors, &*registry).await?;
    let mut request = ActionRequest::new(args.name.as_str(), input);
    if let Some(key) = &args.idempotency_key {
        request = request.with_idempotency_key(key.as_str());
    }
    let report = action::act(&*registry, &*open.connector, &open.cx, request).await?;
    // What the vendor answered is JSON, for people too.
    output.document(&report)?;
    let misused = report.error.as_ref().is_some_and(|error| error["class"] == "Config");
    Ok(match report.status {
        ActionStatus::Succeeded | ActionStatus::Accepted => Exit::Done,
        ActionStatus::Failed if misused => Exit::Misused,
        ActionStatus::Partial | ActionStatus::Failed | ActionStatus::Ambiguous => Exit::Failed,
    })
}

fn input(text: &str) -> Result<Value> {
    let refused = |what: String| Error::config("read input", what);
    let text = match (text, text.strip_prefix('@')) {
        ("-", _) => read(std::io::stdin().lock(), "standard input")?,
        (_, Some(path)) => {
            let file = std::fs::File::open(path)
                .map_err(|error| refused(format!("cannot read `{path}`: {error}")))?;
            read(file, path)?
        }
        (text, None) => text.to_owned(),
    };
    // The parser's words about a mistake name its line and column, and no value.
    serde_json::from_str(&text).map_err(|error| {
        refused(format!("the input is no JSON: line {}, column {}", error.line(), error.column()))
    })
}

fn read(source: impl Read, name: &str) -> Result<String> {
    let mut text = String::new();
    let read = source.take(MAX_INPUT_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| Error::config("read input", format!("cannot read {name}: {error}")))?;
    if text.len() as u64 > MAX_INPUT_BYTES {
        return Err(Error::config("read input", format!("{name} holds more than 64 MiB")));
    }
    Ok(text)
}
