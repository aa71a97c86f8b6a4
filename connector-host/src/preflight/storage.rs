//! Can Bronze be written, and the registry be read?

use std::time::Duration;

use connector_sdk::{Clock, Error};

use super::{BronzeProbe, Preflight, Probe, ProbeName, within};

/// Lets the sink try out its folder.
pub(super) async fn bronze(sink: Option<BronzeProbe>, clock: &dyn Clock, deadline: Duration) -> Probe {
    let name = ProbeName::Bronze;
    let Some(try_out) = sink else {
        return Probe::skip(name, "the connection has no `bronze`");
    };
    let probing = async move {
        tokio::task::spawn_blocking(try_out)
            .await
            .map_err(|error| Error::bug("check bronze", "the work was cut off").with_source(error))?
    };
    match within(clock, deadline, "check bronze", probing).await {
        Ok(()) => Probe::pass(name, "the folder can be written"),
        Err(error) => Probe::fail(name, &error),
    }
}

/// Reads what the registry knows of the connection.
pub(super) async fn registry(preflight: &Preflight<'_>) -> Probe {
    let name = ProbeName::Registry;
    let registry = match &preflight.registry {
        Ok(registry) => registry,
        Err(error) => return Probe::fail(name, error),
    };
    let cx = preflight.cx;
    let reading = registry.states(cx.tenant(), cx.connection());
    match within(&**cx.clock(), preflight.deadline, "check registry", reading).await {
        Ok(states) if states.is_empty() => Probe::pass(name, "open; the connection has not been read yet"),
        Ok(states) => Probe::pass(name, format!("open; it has states of {} streams", states.len())),
        Err(error) => Probe::fail(name, &error),
    }
}
