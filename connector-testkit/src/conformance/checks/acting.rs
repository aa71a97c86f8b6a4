//! That what is done at the vendor is done once.

use connector_sdk::{
    Class,
    contract::{ActionOutcome, ActionRequest, ActionStatus},
    manifest::Capability,
};

use super::super::{
    Begin, Bench, Doing, Failure, Verdict, World,
    failure::{ensure, equal},
};
use crate::fault::Fault;

/// The answers that are lost are those of things that were done. With a key the thing is asked for again until its
/// answer comes; without one nobody knows, and that is what is said.
pub(crate) async fn c_40_an_action_whose_answer_is_lost_is_not_done_twice(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    if !bench.claims(Capability::Actions) {
        return Ok(());
    }
    let Some(doing) = bench.fixture.doing() else {
        return Err(Failure::new("an action to try, where actions are claimed", "`Fixture::doing` has none"));
    };
    let act = async |key: Option<&str>| {
        let request = ActionRequest::new(&doing.action, doing.input.clone());
        let request = match key {
            Some(key) => request.with_idempotency_key(key),
            None => request,
        };
        let before = bench.fixture.done();
        let outcome = bench.connector.act(&bench.cx, request).await;
        (outcome, bench.fixture.done() - before)
    };
    let (outcome, done) = act(None).await;
    succeeded(&outcome, "an action without a key")?;
    equal(&done, &1, "how often an action without a key was done")?;

    lose(&bench, &doing, 1);
    let (outcome, done) = act(None).await;
    let ambiguous = match &outcome {
        Ok(outcome) => outcome.status == ActionStatus::Ambiguous,
        Err(error) => error.class() == Class::Ambiguous,
    };
    ensure(ambiguous, "that nobody knows, when the answer is lost and there is no key", || said(&outcome))?;
    equal(&done, &1, "how often an action was done whose answer was lost, without a key")?;

    // Lost more often than it is tried within a call; then asked for again.
    lose(&bench, &doing, 4);
    let (first, done) = act(Some("key-1")).await;
    ensure(done <= 1, "an action with a key, done once while its answers are lost", || done.to_string())?;
    bench.fixture.faults().clear();
    let (second, more) = act(Some("key-1")).await;
    succeeded(&second, "the same key again, after the answer was lost")?;
    equal(&(done + more), &1, "how often it was done with one key")?;
    let (third, more) = act(Some("key-1")).await;
    succeeded(&third, "the same key once more")?;
    equal(&more, &0, "how often it was done more, with the same key")?;
    let (other, more) = act(Some("key-2")).await;
    succeeded(&other, "another key")?;
    equal(&more, &1, "how often it was done with another key")?;
    drop(first);
    Ok(())
}

fn lose(bench: &Bench, doing: &Doing, times: u64) {
    let matcher = doing.requests.clone();
    bench.fixture.faults().on(matcher).times(times).then(Fault::ResetAfter { bytes: 0 });
}

fn succeeded(outcome: &connector_sdk::Result<ActionOutcome>, what: &str) -> Verdict {
    let is_so = outcome.as_ref().is_ok_and(|outcome| outcome.status == ActionStatus::Succeeded);
    ensure(is_so, format!("{what} succeeds"), || said(outcome))
}

fn said(outcome: &connector_sdk::Result<ActionOutcome>) -> String {
    match outcome {
        Ok(outcome) => format!("{:?}", outcome.status),
        Err(error) => format!("{:?}: {error}", error.class()),
    }
}
