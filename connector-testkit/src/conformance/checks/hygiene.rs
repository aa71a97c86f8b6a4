//! Secrets, and honesty.

use connector_sdk::{StreamState, manifest::Capability};

use connector_host::receipt;
use tokio::runtime::Handle;

use super::super::{Begin, Bench, Failure, Verdict, World, bench::said, failure::ensure, heard::Heard};
use crate::fault::Fault;

/// The connector runs in a thread of its own, whose runtime has no other, so that all that it logs and measures is
/// heard. The vendor does not: it may log what it is sent.
pub(crate) async fn c_32_no_secret_is_seen_anywhere(begin: Begin, seed: u64) -> Verdict {
    let here = Handle::current();
    let looking = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new("a runtime", error.to_string()))?;
        Heard::listening(|heard| runtime.block_on(seen(&here, begin, seed, heard)))
    });
    looking.await.unwrap_or_else(|error| Err(Failure::new("an outcome", error.to_string())))
}

async fn seen(here: &Handle, begin: Begin, seed: u64, heard: &Heard) -> Verdict {
    let mut bench = vendor_elsewhere(here, begin, seed).await?;
    let mut shown = vec![("Debug of the context", format!("{:?}", bench.cx))];
    shown.push(("the catalog", format!("{:?}", bench.connector.discover(&bench.cx, None).await)));
    shown.push(("the identity", format!("{:?}", bench.connector.authenticate(&bench.cx).await)));
    let report = bench.run().await;
    let written = serde_json::to_string(&report).unwrap_or_default();
    shown.push(("the run's report", format!("{} {written}", said(&report))));
    let receipt = receipt::document(&report, bench.fixture.factory().manifest());
    shown.push(("the run's receipt", format!("{receipt:?}")));
    for fault in [
        Fault::Unauthorized,
        Fault::status(500).with_body("{\"error\": \"no\"}"),
        Fault::status(400).with_body("<html>"),
        Fault::MalformedJson,
        Fault::ResetBefore,
    ] {
        let mut bench = vendor_elsewhere(here, begin, seed).await?;
        bench.fixture.faults().on(bench.fixture.pages()).skip(1).always().then(fault);
        let report = bench.run().await;
        shown.push(("the report of a run that failed", format!("{report:?} {}", said(&report))));
        let receipt = receipt::document(&report, bench.fixture.factory().manifest());
        shown.push(("the receipt of a run that failed", format!("{receipt:?}")));
        shown.push(("the registry", format!("{:?}", bench.state().await?)));
        bench.restart()?;
        shown.extend(heard.taken());
        look(&*bench.fixture, &shown)?;
    }
    let state: StreamState = bench.state().await?;
    shown.push(("the registry", serde_json::to_string(&state).unwrap_or_default()));
    for record in bench.bronze() {
        shown.push(("Bronze", format!("{} {}", record.key, record.record)));
    }
    bench.restart()?;
    shown.extend(heard.taken());
    look(&*bench.fixture, &shown)
}

/// A bench whose vendor runs elsewhere.
async fn vendor_elsewhere(here: &Handle, begin: Begin, seed: u64) -> Result<Bench, Failure> {
    let fixture = here.spawn(begin(World::new(seed).rows(23))).await;
    Bench::over(fixture.map_err(|error| Failure::new("a world", error.to_string()))?)
}

fn look(fixture: &dyn super::super::Fixture, shown: &[(&'static str, String)]) -> Verdict {
    for secret in fixture.secrets() {
        for (what, text) in shown {
            // The secret itself is not shown here either.
            if text.contains(&secret) {
                return Err(Failure::new("no secret", format!("one of {} letters, in {what}", secret.len())));
            }
        }
    }
    Ok(())
}

pub(crate) async fn c_33_a_cost_is_estimated_where_it_is_claimed_and_is_about_right(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed).rows(200)).await?;
    let selection = bench.selection().await?;
    let estimate = bench.connector.estimate_cost(&bench.cx, &selection).await;
    let estimate = estimate.map_err(|error| Failure::new("an estimate", error.to_string()))?;
    let claimed = bench.claims(Capability::CostEstimate);
    let known = estimate.records.is_some() || estimate.requests.is_some() || estimate.bytes.is_some();
    ensure(known == claimed, format!("an estimate: {claimed}, as the manifest says"), || {
        format!("{estimate:?}")
    })?;
    match estimate.records {
        Some(records) => {
            let there = bench.fixture.rows().len() as u64;
            let about = there - there / 10..=there + there / 10;
            ensure(about.contains(&records), format!("about {there} records"), || records.to_string())
        }
        None => Ok(()),
    }
}
