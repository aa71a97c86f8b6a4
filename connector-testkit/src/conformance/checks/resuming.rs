//! That a read which was interrupted goes on where it was, and nowhere else.

use std::collections::BTreeMap;

use connector_host::report::RunStatus;
use connector_sdk::{Class, Message, ReadRequest, State, SyncMode, manifest::Capability};
use futures_util::StreamExt;
use serde_json::{Value, value::RawValue};

use super::super::{
    Begin, Bench, Failure, Verdict, World,
    bench::{keys_of, said},
    failure::{ensure, equal},
};
use crate::{fault::Fault, memory::Faults as SinkFaults};

/// The keys that a read sends from a state on, as far as they are covered.
pub(super) async fn rest(bench: &Bench, request: ReadRequest) -> Result<Vec<(Vec<String>, State)>, Failure> {
    let mut read = bench.connector.read(request);
    let (mut pages, mut keys) = (Vec::new(), Vec::new());
    while let Some(message) = read.next().await {
        match message.map_err(|error| Failure::new("a read without an error", error.to_string()))? {
            Message::Batch(batch) => keys.extend(keys_of(&batch)),
            Message::State(state) => pages.push((std::mem::take(&mut keys), state)),
            _ => {}
        }
    }
    Ok(pages)
}

pub(crate) async fn c_21_every_state_resumes_with_exactly_the_rest(begin: Begin, seed: u64) -> Verdict {
    resumes(begin, seed, |state| Ok(state.clone())).await
}

pub(crate) async fn c_23_a_state_survives_being_written_down(begin: Begin, seed: u64) -> Verdict {
    resumes(begin, seed, |state| {
        let text = serde_json::to_string(state)
            .map_err(|error| Failure::new("a state as JSON", error.to_string()))?;
        serde_json::from_str(&stored(&text))
            .map_err(|error| Failure::new("a state out of JSON", error.to_string()))
    })
    .await
}

/// The same JSON as a database writes it that keeps JSON and no text, PostgreSQL's `jsonb` for one: shorter keys first
/// (postgresql.org/docs/current/datatype-json.html: neither spaces nor the order of keys are kept), with spaces.
fn stored(json: &str) -> String {
    if let Ok(map) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(json) {
        let mut fields: Vec<_> = map.into_iter().collect();
        fields.sort_by(|(one, _), (other, _)| (one.len(), one).cmp(&(other.len(), other)));
        let field = |(name, value): &(String, Box<RawValue>)| {
            format!("{}: {}", Value::from(name.as_str()), stored(value.get()))
        };
        return format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "));
    }
    if let Ok(list) = serde_json::from_str::<Vec<Box<RawValue>>>(json) {
        return format!("[{}]", list.iter().map(|value| stored(value.get())).collect::<Vec<_>>().join(", "));
    }
    json.trim().to_owned()
}

/// Reads each partition through, and again from each of its states on: what comes has to be what came after it.
async fn resumes(begin: Begin, seed: u64, carry: impl Fn(&State) -> Result<State, Failure>) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    for request in bench.opening().await? {
        resumes_in(&mut bench, request, &carry).await?;
    }
    Ok(())
}

/// The same for one partition. Answers how many states it has before its last one.
async fn resumes_in(
    bench: &mut Bench,
    request: ReadRequest,
    carry: impl Fn(&State) -> Result<State, Failure>,
) -> Result<usize, Failure> {
    let stream_state = request.stream_state.as_ref().map(&carry).transpose()?;
    let request = request.with_stream_state(stream_state);
    let whole = rest(bench, request.clone()).await?;
    for (index, (_, state)) in whole.iter().enumerate() {
        // What comes after the end is another plan's affair.
        if state.is_complete() {
            continue;
        }
        // A reader keeps nothing: another process goes on.
        bench.restart()?;
        let again = rest(bench, request.clone().with_state(Some(carry(state)?))).await?;
        let expected: Vec<&String> = whole[index + 1..].iter().flat_map(|(keys, _)| keys).collect();
        let came: Vec<&String> = again.iter().flat_map(|(keys, _)| keys).collect();
        let what =
            format!("after state {} of {} of `{}`: keys", index + 1, whole.len(), request.partition.id);
        equal(&came, &expected, &what)?;
    }
    Ok(whole.iter().filter(|(_, state)| !state.is_complete()).count())
}

/// Claimed: a full read has states in the middle, each of which resumes with exactly the rest. Not claimed: it has
/// none, because whoever sends one is resumed from it.
pub(crate) async fn c_34_a_full_read_is_resumed_where_it_is_claimed_and_has_no_state_in_the_middle_elsewhere(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    if !bench.spec().await?.modes.contains(&SyncMode::Full) {
        return Ok(());
    }
    bench.mode = Some(SyncMode::Full);
    let mut between = 0;
    for request in bench.opening().await? {
        between += resumes_in(&mut bench, request, |state| Ok(state.clone())).await?;
    }
    let claimed = bench.claims(Capability::ResumableFull);
    let expected = format!("states in the middle of a full read: {claimed}, as the manifest says");
    ensure(claimed == (between > 0), expected, || between.to_string())
}

pub(crate) async fn c_22_a_crash_before_or_after_any_commit_loses_nothing_and_repeats_nothing(
    begin: Begin,
    seed: u64,
) -> Verdict {
    for published in [false, true] {
        for commits in 0.. {
            let mut bench = Bench::begin(begin, World::new(seed).rows(33)).await?;
            let strike = Some(commits);
            bench.sink.set_faults(if published {
                SinkFaults { lose_commit_answer_after: strike, ..SinkFaults::default() }
            } else {
                SinkFaults { fail_commit_after: strike, ..SinkFaults::default() }
            });
            let crashed = bench.run().await;
            bench.sink.set_faults(SinkFaults::default());
            if crashed.status == RunStatus::Succeeded {
                // There were fewer commits.
                ensure(commits > 0, "at least one commit", || "none".to_owned())?;
                break;
            }
            bench.restart()?;
            let what = if published { "answered" } else { "made" };
            let at = |failure: Failure| {
                Failure::new(
                    failure.expected,
                    format!("{} (commit {} was not {what})", failure.came, commits + 1),
                )
            };
            bench.succeed().await.map_err(at)?;
            bench.complete_and_no_more().map_err(at)?;
            bench.nothing_twice().map_err(at)?;
        }
    }
    Ok(())
}

pub(crate) async fn c_24_a_state_of_a_newer_version_is_refused_and_nothing_is_read(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let request = bench.first().await?;
    let newer = State::encode(u32::MAX, &serde_json::json!({"of": "the future"}))
        .map_err(|error| Failure::new("a state", error.to_string()))?;
    let request = request.with_state(Some(newer));
    let before = bench.fixture.requests();
    let first = bench.connector.read(request).next().await;
    match first {
        Some(Err(error)) => equal(&error.class(), &Class::Config, "the class of a state of a newer version")?,
        other => return Err(Failure::new("an error", format!("{other:?}"))),
    }
    equal(&bench.fixture.requests(), &before, "requests for a state that cannot be read: none more")
}

pub(crate) async fn c_25_a_page_that_keeps_failing_fails_the_read_and_no_state_covers_it(
    begin: Begin,
    seed: u64,
) -> Verdict {
    for skip in 0..4 {
        let mut bench = Bench::begin(begin, World::new(seed)).await?;
        let pages = bench.fixture.pages();
        let rule = bench.fixture.faults().on(pages).skip(skip).always().then(Fault::status(500));
        let report = bench.run().await;
        ensure(report.status != RunStatus::Succeeded, "a run that does not succeed", || said(&report))?;
        let standing = bench.bronze().len();
        bench.fixture.faults().remove(rule);
        bench.restart()?;
        bench.succeed().await?;
        let at = |failure: Failure| {
            Failure::new(failure.expected, format!("{} (after {standing} records)", failure.came))
        };
        bench.complete_and_no_more().map_err(at)?;
        bench.nothing_twice().map_err(at)?;
    }
    Ok(())
}
