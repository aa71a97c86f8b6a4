//! That what is read is what is there.

use std::{collections::BTreeSet, sync::Arc};

use connector_sdk::{Message, ReadRequest, State, manifest::Capability};
use futures_util::{StreamExt, future::join_all};
use serde_json::Value;

use super::super::{
    Begin, Bench, Failure, Outcome, Verdict, World,
    bench::{keys_of, parse, states},
    failure::{ensure, equal},
};

pub(crate) async fn c_15_every_row_arrives_once(begin: Begin, seed: u64) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    bench.succeed().await?;
    ensure(!bench.bronze().is_empty(), "records", || "none".to_owned())?;
    bench.complete_and_no_more()?;
    bench.nothing_twice()
}

pub(crate) async fn c_16_records_fit_the_schema_and_have_their_key(begin: Begin, seed: u64) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let spec = bench.spec().await?;
    bench.succeed().await?;
    let validator = jsonschema::validator_for(&spec.json_schema)
        .map_err(|error| Failure::new("a JSON Schema", error.to_string()))?;
    for standing in bench.bronze() {
        let (record, key) = (parse(&standing.record)?, parse(&standing.key)?);
        if let Some(error) = validator.iter_errors(&record).next() {
            return Err(Failure::new(
                format!("the record {key} fits the schema"),
                error.masked().to_string(),
            ));
        }
        for field in &spec.primary_key {
            let value = key.get(field).unwrap_or(&Value::Null);
            let is_scalar = value.is_string() || value.is_number() || value.is_boolean();
            ensure(is_scalar, format!("`{field}` in the key, a text or a number"), || format!("{key}"))?;
            // A vendor who is asked channel by channel does not repeat the channel in each record.
            let is_the_partition = || value.as_str() == Some(standing.partition.as_str());
            ensure(
                record.get(field).map_or_else(is_the_partition, |known| known == value),
                format!("the `{field}` of the record in its key"),
                || format!("{key} for {:?}", record.get(field)),
            )?;
        }
    }
    Ok(())
}

pub(crate) async fn c_17_states_count_what_they_cover_and_the_last_one_completes(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let mut records = 0;
    for (partition, messages) in bench.read().await? {
        let (mut since, mut last) = (0, None::<State>);
        for message in messages {
            match message.map_err(|error| Failure::new("a read without an error", error.to_string()))? {
                Message::Batch(batch) => since += batch.len() as u64,
                Message::State(state) => {
                    equal(
                        &state.records(),
                        &since,
                        &format!("records that a state of `{}` covers", partition.id),
                    )?;
                    records += since;
                    since = 0;
                    last = Some(state);
                }
                _ => {}
            }
        }
        equal(&since, &0, &format!("records of `{}` that no state covers", partition.id))?;
        let last = last.ok_or_else(|| Failure::new("a state at the end", "none"))?;
        ensure(last.is_complete(), format!("a last state of `{}` that completes", partition.id), || {
            "it does not".to_owned()
        })?;
    }
    ensure(records >= bench.fixture.rows().len() as u64, "states that cover all rows", || records.to_string())
}

pub(crate) async fn c_18_reading_does_nothing_before_it_is_polled_and_nothing_after_it_is_dropped(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let request = bench.first().await?;
    let before = bench.fixture.requests();
    let mut read = bench.connector.read(request);
    quiet().await;
    equal(&bench.fixture.requests(), &before, "requests before the read is polled: as before")?;
    let first = read.next().await;
    ensure(matches!(first, Some(Ok(_))), "a first message", || format!("{first:?}"))?;
    let held = Arc::strong_count(&bench.connector);
    drop(read);
    // What was on the wire may still arrive, on a busy machine a moment later.
    let mut windows = 0;
    loop {
        let before = bench.fixture.requests();
        quiet().await;
        let after = bench.fixture.requests();
        windows += 1;
        if after == before {
            break;
        }
        ensure(windows < 6, "no requests after the read is dropped", || {
            format!("{} in 50 ms", after - before)
        })?;
    }
    ensure(Arc::strong_count(&bench.connector) <= held, "nobody holds the connector", || {
        "somebody does".to_owned()
    })
}

/// Long enough for a request that is under way to be seen on loopback; a lazy one is missed, never a good
/// connector blamed.
#[allow(clippy::disallowed_methods, reason = "what must not happen is waited for by the wall's clock")]
pub(super) async fn quiet() {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
}

pub(crate) async fn c_19_partitions_read_at_once_give_what_they_give_one_after_the_other(
    begin: Begin,
    seed: u64,
) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed)).await?;
    let requests = bench.opening().await?;
    let names: BTreeSet<_> = requests.iter().map(|request| request.partition.id.clone()).collect();
    equal(&names.len(), &requests.len(), "partitions, each once")?;
    if bench.claims(Capability::Partitions) {
        let several = names.len() > 1 || !bench.fixture.is_partitioned();
        ensure(several, "several partitions, as the manifest says", || "one".to_owned())?;
    } else {
        ensure(names.len() < 2, "one partition, as the manifest says", || names.len().to_string())?;
    }
    let is_ordered = bench.fixture.is_ordered();
    let read = |request: &ReadRequest| bench.connector.read(request.clone()).collect::<Vec<_>>();
    let at_once = join_all(requests.iter().map(read)).await;
    for (request, together) in requests.iter().zip(&at_once) {
        let alone = read(request).await;
        let name = &request.partition.id;
        let (mut together_keys, mut alone_keys) = (keys(together)?, keys(&alone)?);
        if !is_ordered {
            together_keys.sort_unstable();
            alone_keys.sort_unstable();
        }
        equal(&together_keys, &alone_keys, &format!("keys of `{name}`, read alone and beside the others"))?;
        if is_ordered {
            let cursors = |messages: &[_]| -> Vec<String> {
                states(messages).iter().map(|state| state.cursor().get().to_owned()).collect()
            };
            equal(
                &cursors(together).last(),
                &cursors(&alone).last(),
                &format!("the last state of `{name}`"),
            )?;
        }
    }
    let lone = bench.claims(Capability::Partitions) && names.len() < 2;
    let lone = lone.then(|| "several partitions, as `is_partitioned` is false".to_owned());
    let order = (!is_ordered).then(|| "the order of rows, as `is_ordered` is false".to_owned());
    Ok(lone.into_iter().chain(order).collect())
}

fn keys(messages: &[connector_sdk::Result<Message>]) -> Result<Vec<String>, Failure> {
    let mut keys = Vec::new();
    for message in messages {
        match message {
            Ok(Message::Batch(batch)) => keys.extend(keys_of(batch)),
            Ok(_) => {}
            Err(error) => return Err(Failure::new("a read without an error", error.to_string())),
        }
    }
    Ok(keys)
}

pub(crate) async fn c_20_an_empty_stream_is_read_to_its_end(begin: Begin, seed: u64) -> Verdict {
    let bench = Bench::begin(begin, World::new(seed).rows(0)).await?;
    bench.succeed().await?;
    equal(&bench.bronze().len(), &0, "records of an empty stream")?;
    bench.fixture.insert(3).await;
    bench.succeed().await?;
    bench.complete_and_no_more()
}
