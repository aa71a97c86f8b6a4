//! Secrets, and honesty.

use connector_sdk::{StreamState, manifest::Capability};

use connector_host::receipt;
use serde_json::Value;
use tokio::runtime::Handle;

use super::super::{
    Begin, Bench, Failure, Held, Outcome, Verdict, World, bench::said, disguise::Secret, failure::ensure,
    heard::Heard,
};
use crate::fault::Fault;

/// The connector runs in a thread of its own, whose runtime has no other: what it logs and measures there is heard, and in
/// the tasks that it spawns. What it logs in threads that it starts itself is not, nor what it prints: standard output and
/// error of the tests are searched by `test.sh`. The vendor runs elsewhere: it may log what it is sent.
pub(crate) async fn c_32_no_secret_is_seen_anywhere(begin: Begin, seed: u64) -> Outcome {
    let here = Handle::current();
    let looking = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new("a runtime", error.to_string()))?;
        Heard::listening(|heard| runtime.block_on(seen(&here, begin, seed, heard)))
    });
    looking.await.unwrap_or_else(|error| Err(Failure::new("an outcome", error.to_string())))
}

async fn seen(here: &Handle, begin: Begin, seed: u64, heard: &Heard) -> Outcome {
    let mut bench = vendor_elsewhere(here, begin, seed).await?;
    if bench.fixture.secrets().is_empty() {
        // Who has nothing to hide names nothing; who has, must.
        let has_some = names_a_secret(bench.fixture.factory().config_schema().as_value());
        let expected = "the secrets of the configuration, whose schema has some, in `Fixture::secrets`";
        ensure(!has_some, expected, || "none".to_owned())?;
        return Ok(Held::but("no secrets in `Fixture::secrets`"));
    }
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
    look(&*bench.fixture, &shown)?;
    Ok(Held::default())
}

/// A bench whose vendor runs elsewhere.
async fn vendor_elsewhere(here: &Handle, begin: Begin, seed: u64) -> Result<Bench, Failure> {
    let fixture = here.spawn(begin(World::new(seed).rows(23))).await;
    Bench::over(fixture.map_err(|error| Failure::new("a world", error.to_string()))?)
}

fn look(fixture: &dyn super::super::Fixture, shown: &[(&'static str, String)]) -> Verdict {
    for plain in fixture.secrets() {
        let secret = Secret::new(&plain);
        for (what, text) in shown {
            // The secret itself is not shown here either.
            if let Some(shape) = secret.shape_in(text) {
                let came = format!("one of {} letters, {shape}, in {what}", plain.len());
                return Err(Failure::new("no secret", came));
            }
        }
    }
    Ok(())
}

/// Whether a schema marks anything as secret.
fn names_a_secret(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.get("writeOnly") == Some(&Value::Bool(true))
                || map.get("format").and_then(Value::as_str) == Some("password")
                || map.values().any(names_a_secret)
        }
        Value::Array(list) => list.iter().any(names_a_secret),
        _ => false,
    }
}

pub(crate) async fn c_33_a_cost_is_estimated_where_it_is_claimed_and_is_about_right(
    begin: Begin,
    seed: u64,
) -> Outcome {
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
            ensure(about.contains(&records), format!("about {there} records"), || records.to_string())?;
            Ok(Held::default())
        }
        None if claimed => Ok(Held::but("whether it is about right, as it estimates no records")),
        None => Ok(Held::default()),
    }
}
