//! Preflight: everything that can be wrong with a connection, found before it runs, a verdict per probe.
//!
//! The probes stand in one order. One that fails makes those that need it be skipped, with the reason;
//! those that do not need it (Bronze, the registry) are made all the same, so that a person sees at once
//! all there is to mend.

mod catalog;
mod reach;
mod report;
mod storage;

use std::{collections::BTreeSet, fmt, future::Future, sync::Arc, time::Duration};

use connector_sdk::{
    Catalog, Class, Clock, Connector, Context, Delivery, Error, Identity, Manifest, Result, StreamId,
    clock::{Elapsed, timeout},
    manifest::{AuthMethod, Capability},
};

pub use report::{CheckReport, CheckStatus, Probe, ProbeName, ProbeStatus, StreamEstimate};

use crate::{
    Registry,
    run::{StreamChoice, select::select},
};

/// How long one probe may take.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(60);

/// Tries out whether Bronze can be written: the sink knows how. It may block.
pub type BronzeProbe = Box<dyn FnOnce() -> Result<()> + Send>;

/// What is to be probed. What could not even be made is handed over as the error that it was.
pub struct Preflight<'a> {
    /// The connection's context.
    pub cx: &'a Context,
    /// The connector, connected.
    pub connector: Result<Target<'a>>,
    /// The chosen streams; none: the whole catalog.
    pub streams: Option<&'a [StreamChoice]>,
    /// How to try out the sink, where the connection has one.
    pub bronze: Option<BronzeProbe>,
    /// The registry, opened.
    pub registry: Result<Arc<dyn Registry>>,
    /// How long one probe may take.
    pub deadline: Duration,
    /// How long the connector may take to tell what a run would cost, for each stream; none: it is not asked. It may
    /// have to ask a vendor who answers once a minute.
    pub estimates: Option<Duration>,
}

/// A connector and what it declares.
#[derive(Clone)]
pub struct Target<'a> {
    /// The connector, connected.
    pub connector: Arc<dyn Connector>,
    /// What it declares.
    pub manifest: &'a Manifest,
    /// The way to sign in that the configuration chooses, where it says so.
    pub auth_method: Option<&'a str>,
}

impl fmt::Debug for Preflight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preflight")
            .field("cx", &self.cx)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("connector", &self.manifest.id()).finish_non_exhaustive()
    }
}

/// Makes all probes. It changes nothing at the vendor, and nothing in Bronze and registry that stays.
pub async fn check(mut preflight: Preflight<'_>) -> CheckReport {
    let bronze = preflight.bronze.take();
    let mut probes = match &preflight.connector {
        Ok(target) => {
            let mut probes =
                vec![Probe::pass(ProbeName::Config, format!("a connection of {}", target.manifest.id()))];
            probes.extend(outside(&preflight, target).await);
            probes
        }
        Err(error) => {
            let mut probes = vec![Probe::fail(ProbeName::Config, error)];
            skip_from(&mut probes, ProbeName::Network, "the configuration has to be right first");
            probes
        }
    };
    let clock = &**preflight.cx.clock();
    probes.push(storage::bronze(bronze, clock, preflight.deadline).await);
    probes.push(storage::registry(&preflight).await);
    let mut report = CheckReport::of(probes);
    if let (CheckStatus::Passed, Some(deadline), Ok(target)) =
        (report.status, preflight.estimates, &preflight.connector)
    {
        report.estimates = Some(estimates(&preflight, target, deadline).await);
    }
    crate::settled(preflight.cx).await;
    report
}

/// What each chosen stream will cost. One that cannot be told says why; the others are told all the same.
async fn estimates(
    preflight: &Preflight<'_>,
    target: &Target<'_>,
    deadline: Duration,
) -> Vec<StreamEstimate> {
    let cx = preflight.cx;
    let clock = &**cx.clock();
    let names: Option<Vec<_>> =
        preflight.streams.map(|streams| streams.iter().map(|choice| choice.name.clone()).collect());
    let discovery = target.connector.discover(cx, names.as_deref());
    let catalog = within(clock, preflight.deadline, "discover", discovery).await;
    let selected = match catalog.and_then(|catalog| select(&catalog, preflight.streams)) {
        Ok(selected) => selected,
        Err(error) => {
            let streams = names.unwrap_or_default().into_iter();
            return streams.map(|name| StreamEstimate::of(name, &Err(error.clone()))).collect();
        }
    };
    let mut estimates = Vec::new();
    for (selection, _) in selected {
        let cost = target.connector.estimate_cost(cx, &selection);
        let cost = within(clock, deadline, "estimate", cost).await;
        estimates.push(StreamEstimate::of(selection.spec.name.clone(), &cost));
    }
    estimates
}

/// The probes that talk to the outside system.
const OUTSIDE: [ProbeName; 6] = [
    ProbeName::Network,
    ProbeName::Tls,
    ProbeName::Authenticate,
    ProbeName::Scopes,
    ProbeName::Discover,
    ProbeName::Schema,
];

async fn outside(preflight: &Preflight<'_>, target: &Target<'_>) -> Vec<Probe> {
    let mut probes = Vec::new();
    let rotates = method(target).is_some_and(|method| method.rotates);
    if rotates && preflight.registry.is_err() {
        let reason = "signing in may change the token, and without the registry the new one would be lost";
        skip_from(&mut probes, ProbeName::Network, reason);
        return probes;
    }
    let cx = preflight.cx;
    let clock = &**cx.clock();
    let before = reach::sent(cx);
    let signed_in =
        within(clock, preflight.deadline, "authenticate", target.connector.authenticate(cx)).await;
    probes.extend(reach::verdicts(cx, before, &signed_in));
    let identity = match signed_in {
        Err(_) => {
            let next = probes.last().map_or(ProbeName::Network, |probe| probe.name);
            let reason = format!("{} has to be right first", next.as_str());
            skip_after(&mut probes, next, &reason);
            return probes;
        }
        Ok(identity) => identity,
    };
    probes.push(Probe::pass(ProbeName::Authenticate, who(&identity)));
    probes.push(scopes(preflight, target, &identity));
    let names: Option<Vec<_>> =
        preflight.streams.map(|streams| streams.iter().map(|choice| choice.name.clone()).collect());
    let discovery = target.connector.discover(cx, names.as_deref());
    match within(clock, preflight.deadline, "discover", discovery).await {
        Err(error) => {
            probes.push(Probe::fail(ProbeName::Discover, &error));
            skip_from(&mut probes, ProbeName::Schema, "discover has to be right first");
        }
        Ok(catalog) => {
            probes.push(Probe::pass(ProbeName::Discover, format!("{} streams", catalog.streams.len())));
            if only_acts(preflight, target, &catalog) {
                probes.push(Probe::skip(
                    ProbeName::Schema,
                    "there is nothing to read: the connector only acts",
                ));
                return probes;
            }
            let all = || within(clock, preflight.deadline, "discover", target.connector.discover(cx, None));
            probes.push(match catalog::fits(&catalog, preflight.streams, all).await {
                Ok(message) => Probe::pass(ProbeName::Schema, message),
                Err(error) => Probe::fail(ProbeName::Schema, &error),
            });
        }
    }
    probes
}

fn skip_from(probes: &mut Vec<Probe>, first: ProbeName, reason: &str) {
    probes.extend(OUTSIDE.into_iter().filter(|name| *name >= first).map(|name| Probe::skip(name, reason)));
}

fn skip_after(probes: &mut Vec<Probe>, last: ProbeName, reason: &str) {
    probes.extend(OUTSIDE.into_iter().filter(|name| *name > last).map(|name| Probe::skip(name, reason)));
}

fn who(identity: &Identity) -> String {
    match &identity.account {
        Some(account) => format!("signed in as {} of {account}", identity.subject),
        None => format!("signed in as {}", identity.subject),
    }
}

/// Whether the connector is none to be read, such as one that sends mail: it declares actions, and nothing else.
fn only_acts(preflight: &Preflight<'_>, target: &Target<'_>, catalog: &Catalog) -> bool {
    let declared = target.manifest.capabilities.as_slice();
    declared == [Capability::Actions] && catalog.streams.is_empty() && preflight.streams.is_none()
}

/// The declared way to sign in that this connection uses, where that can be told.
fn method<'a>(target: &Target<'a>) -> Option<&'a AuthMethod> {
    match (target.auth_method, target.manifest.auth.as_slice()) {
        (Some(name), declared) => declared.iter().find(|method| method.name == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// What the way to sign in needs, and what reading the selected streams takes; without a selection, all that are declared.
fn needed(preflight: &Preflight<'_>, target: &Target<'_>) -> Vec<String> {
    let mut needed = method(target).map(|method| method.scopes.clone()).unwrap_or_default();
    let of_stream = |stream: &StreamId| target.connector.scopes(stream);
    match preflight.streams {
        Some(streams) => needed.extend(streams.iter().flat_map(|choice| of_stream(&choice.name))),
        None => {
            let declared = target.manifest.streams.iter().map(|stream| StreamId::from(stream.name.as_str()));
            needed.extend(declared.flat_map(|stream| of_stream(&stream)));
        }
    }
    let mut met = BTreeSet::new();
    needed.retain(|scope| met.insert(scope.clone()));
    needed
}

fn scopes(preflight: &Preflight<'_>, target: &Target<'_>, identity: &Identity) -> Probe {
    let name = ProbeName::Scopes;
    let needed = needed(preflight, target);
    if needed.is_empty() {
        return Probe::skip(name, "the connector declares no scopes for this way to sign in");
    }
    if identity.scopes.is_empty() {
        return Probe::skip(
            name,
            format!("the vendor does not say which scopes we have; needed are {}", needed.join(", ")),
        );
    }
    let missing: Vec<&str> =
        needed.iter().filter(|scope| !identity.scopes.contains(scope)).map(String::as_str).collect();
    if missing.is_empty() {
        return Probe::pass(name, needed.join(", "));
    }
    let message = format!(
        "the credential lacks the scopes {}: add them to the app and authorise again",
        missing.join(", ")
    );
    Probe::fail(name, &Error::new(Class::Auth, "check scopes", message))
}

/// A call that ends by the deadline.
async fn within<T>(
    clock: &dyn Clock,
    deadline: Duration,
    operation: &'static str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let late = |elapsed: Elapsed| {
        Err(Error::transient(operation, elapsed.to_string()).with_delivery(Delivery::Unknown))
    };
    timeout(clock, deadline, call).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests;
