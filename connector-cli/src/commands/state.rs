//! `connector state`: where the streams of a connection stand.

use std::time::Duration;

use connector_host::{
    registry::{StoredState, StreamKey},
    template::nearest,
};
use connector_sdk::{Error, Result, State, StreamId};
use serde_json::{Value, json};

use crate::{
    args::FileArgs,
    connection::Connection,
    output::{Exit, Output},
    render,
};

/// A reset takes less than this; nobody waits longer for one that died.
const LEASE: Duration = Duration::from_secs(30);

/// Shows where each partition stands; the stream's own state has no partition.
pub(crate) async fn show(args: &FileArgs, streams: &[String], output: &Output) -> Result<Exit> {
    let connection = Connection::load(args).await?;
    let registry = connection.registry().await?;
    let stored = registry.states(&connection.settings.tenant, &connection.settings.connection).await?;
    for name in streams {
        known(name, &stored)?;
    }
    let wanted = |stored: &&StoredState| {
        streams.is_empty() || streams.iter().any(|name| name == stored.stream.as_str())
    };
    let states: Vec<Value> = stored.iter().filter(wanted).flat_map(rows).collect();
    output.result(&json!({ "states": states }), || render::states(&states))?;
    Ok(Exit::Done)
}

fn rows(stored: &StoredState) -> Vec<Value> {
    let updated = |partition: Option<&str>| {
        let row =
            stored.updated_at.iter().find(|(name, _)| name.as_ref().map(|name| name.as_str()) == partition);
        row.map(|(_, at)| *at)
    };
    let row = |partition: Option<&str>, epoch: u64, sequence: Option<u64>, state: Option<&State>| {
        json!({
            "stream": stored.stream,
            "partition": partition,
            "version": state.map(State::version),
            "cursor": state.map(State::cursor),
            "sequence": sequence,
            "updated_at": updated(partition),
            "epoch": epoch,
            "generation": stored.state.generation,
            "complete": state.is_some_and(State::is_complete),
        })
    };
    let own = stored.state.state.as_ref().map(|state| row(None, stored.state.epoch, None, Some(state)));
    let partitions = stored.state.partitions.iter().map(|(name, partition)| {
        row(Some(name.as_str()), partition.epoch, Some(partition.sequence), partition.state.as_ref())
    });
    own.into_iter().chain(partitions).collect()
}

/// Forgets where the streams stand. A stream is claimed for it, as a run does.
pub(crate) async fn reset(args: &FileArgs, streams: &[String], output: &Output) -> Result<Exit> {
    let connection = Connection::load(args).await?;
    let registry = connection.registry().await?;
    let (tenant, name) = (&connection.settings.tenant, &connection.settings.connection);
    let stored = registry.states(tenant, name).await;
    let streams: Vec<StreamId> = match stored {
        Ok(stored) if streams.is_empty() => stored.into_iter().map(|stored| stored.stream).collect(),
        Ok(stored) => streams.iter().map(|name| known(name, &stored)).collect::<Result<_>>()?,
        // A state that cannot be read is a reason to reset it; which one, the caller has to say.
        Err(error) if streams.is_empty() => return Err(error),
        Err(_) => streams.iter().map(|name| name.as_str().into()).collect(),
    };
    let owner = format!("`connector state reset` of process {}", std::process::id());
    for stream in &streams {
        let key = StreamKey { tenant: tenant.clone(), connection: name.clone(), stream: stream.clone() };
        let claim = registry.claim(&key, &owner, LEASE).await?;
        let reset = registry.reset(&claim.lease).await;
        registry.release(&claim.lease).await?;
        reset?;
    }
    output.result(&json!({ "reset": streams }), || match streams.as_slice() {
        [] => "there is nothing to reset\n".to_owned(),
        some => some.iter().map(|stream| format!("{stream} is read anew by the next run\n")).collect(),
    })?;
    Ok(Exit::Done)
}

/// The stream of that name, if it has a state.
fn known(name: &str, stored: &[StoredState]) -> Result<StreamId> {
    if let Some(stored) = stored.iter().find(|stored| stored.stream.as_str() == name) {
        return Ok(stored.stream.clone());
    }
    let near = nearest(name, stored.iter().map(|stored| stored.stream.as_str()));
    let hint = near.map_or_else(|| "it was never read".to_owned(), |near| format!("did you mean `{near}`?"));
    Err(Error::config("find state", format!("the stream `{name}` has no state; {hint}")))
}
