//! Who we are to the vendor, and what becomes of it when that ends.

use connector_host::report::RunStatus;
use connector_sdk::{Class, contract::HealthStatus};

use super::super::{
    Begin, Bench, Failure, Held, Outcome, World,
    bench::said,
    failure::{ensure, equal},
};
use crate::fault::Fault;

pub(crate) async fn c_11_it_says_who_it_is_signed_in_as(begin: Begin, seed: u64) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let identity = bench.connector.authenticate(&bench.cx).await;
    let identity = identity.map_err(|error| Failure::new("an identity", error.to_string()))?;
    ensure(!identity.subject.trim().is_empty(), "the name of a user or app", || "an empty one".to_owned())?;
    if bench.fixture.asks_nobody() {
        return Ok(Held::but("the vendor is asked, as `asks_nobody` is true"));
    }
    let asked = bench.fixture.requests();
    ensure(asked > 0, "the vendor is asked", || "it is not".to_owned())?;
    Ok(Held::default())
}

pub(crate) async fn c_12_a_credential_that_is_refused_is_of_class_auth(begin: Begin, seed: u64) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    if bench.fixture.asks_nobody() {
        return Ok(Held::but("who could refuse us, as `asks_nobody` is true"));
    }
    bench.fixture.faults().on(bench.fixture.whoami()).always().then(Fault::Unauthorized);
    bench.fixture.faults().on(bench.fixture.pages()).always().then(Fault::Unauthorized);
    match bench.connector.authenticate(&bench.cx).await {
        Err(error) => equal(&error.class(), &Class::Auth, "the class of a refused credential")?,
        Ok(identity) => {
            return Err(Failure::new("an error of class Auth", format!("the identity {}", identity.subject)));
        }
    }
    let report = bench.run().await;
    ensure(report.status == RunStatus::Failed, "a run that fails", || said(&report))?;
    equal(&bench.bronze().len(), &0, "records in Bronze")?;
    Ok(Held::default())
}

pub(crate) async fn c_13_health_is_what_is_so(begin: Begin, seed: u64) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let health = async || {
        let health = bench.connector.health(&bench.cx).await;
        health.map_err(|error| Failure::new("health answers", error.to_string()))
    };
    let well = health().await?;
    ensure(well.status == HealthStatus::Pass, "pass where all is well", || format!("{well:?}"))?;
    if bench.fixture.asks_nobody() {
        return Ok(Held::but("while the vendor is down, as `asks_nobody` is true"));
    }
    let rule = bench.fixture.faults().on(bench.fixture.whoami()).always().then(Fault::status(503));
    let ill = health().await?;
    ensure(ill.status == HealthStatus::Fail, "fail while the vendor is down", || format!("{ill:?}"))?;
    bench.fixture.faults().remove(rule);
    Ok(Held::default())
}

pub(crate) async fn c_14_a_session_that_ends_in_the_middle_of_a_read_is_renewed_once(
    begin: Begin,
    seed: u64,
) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    if !bench.fixture.expire_tokens() {
        return Ok(Held::but("no hook `expire_tokens`"));
    }
    bench.fixture.faults().on(bench.fixture.pages()).nth(3).then(Fault::Unauthorized);
    bench.succeed().await?;
    equal(&bench.fixture.faults().fired(), &1, "pages that were refused")?;
    bench.complete_and_no_more()?;
    bench.nothing_twice()?;
    // One to begin with, and one for the session that ended.
    equal(&bench.fixture.sign_ins(), &2, "sign-ins")?;
    Ok(Held::default())
}
