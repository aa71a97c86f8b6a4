//! From one page to the next, and what a page may bring that the one before had not.

use connector_sdk::{Class, Error, Message, ReadRequest};
use futures_util::StreamExt;
use serde_json::Value;

use super::super::{
    Begin, Bench, Failure, Held, Outcome, World,
    bench::{keys_of, parse},
    failure::{ensure, equal},
};

/// Pages of a read that goes in a circle, at most.
const ENOUGH: u64 = 40;

/// One that leads back to itself, one there and back, and three: who remembers only the last one finds the first alone.
pub(crate) async fn c_35_pages_that_lead_in_a_circle_end_the_read(begin: Begin, seed: u64) -> Outcome {
    for pages in [1, 2, 3] {
        let bench = Bench::begin(begin, World::new(seed).rows(200)).await?;
        let request = bench.first().await?;
        if !bench.fixture.lead_in_a_circle(pages) {
            return Ok(Held::but("no hook `lead_in_a_circle`"));
        }
        let at = |failure: Failure| {
            Failure::new(failure.expected, format!("{} (a circle of {pages})", failure.came))
        };
        let error = ended(&bench, request).await.map_err(at)?;
        equal(&error.class(), &Class::Permanent, "the class of a circle of pages").map_err(at)?;
    }
    Ok(Held::default())
}

/// The error that ends the read, before it has asked for too much.
async fn ended(bench: &Bench, request: ReadRequest) -> Result<Error, Failure> {
    let before = bench.fixture.requests();
    let mut read = bench.connector.read(request);
    let reading = async {
        while let Some(message) = read.next().await {
            match message {
                Err(error) => return Ok(error),
                Ok(Message::State(state)) => ensure(!state.is_complete(), "no end of a circle", || {
                    "a state that completes".to_owned()
                })?,
                Ok(_) => {}
            }
        }
        Err(Failure::new("an error for a circle of pages", "the end of the read"))
    };
    let too_many = async {
        while bench.fixture.requests() - before <= ENOUGH {
            moment().await;
        }
    };
    tokio::select! {
        outcome = reading => outcome,
        () = too_many => Err(Failure::new(format!("an end after {ENOUGH} requests"), "more of them")),
    }
}

#[allow(clippy::disallowed_methods, reason = "what does not end is ended by the wall's clock")]
async fn moment() {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
}

pub(crate) async fn c_36_a_short_page_and_an_empty_one_are_no_end(begin: Begin, seed: u64) -> Outcome {
    let bench = Bench::begin(begin, World::new(seed).in_thin_pages()).await?;
    bench.succeed().await?;
    bench.complete_and_no_more()?;
    bench.nothing_twice()?;
    let full = !bench.fixture.has_thin_pages();
    Ok(full.then(|| "no hook `has_thin_pages`".to_owned()).into_iter().collect())
}

pub(crate) async fn c_37_a_field_that_appears_in_the_middle_of_a_read_is_not_dropped(
    begin: Begin,
    seed: u64,
) -> Outcome {
    let mut bench = Bench::begin(begin, World::new(seed).rows(100)).await?;
    let request = bench.first().await?;
    let Some(field) = grown(&bench, request).await? else { return Ok(Held::but("no hook `add_field`")) };
    // Whoever looks now knows the field, and brings it.
    bench.restart()?;
    bench.succeed().await?;
    let first = bench.bronze().len();
    bench.fixture.insert(3).await;
    bench.restart()?;
    bench.succeed().await?;
    let new = bench.bronze().split_off(first);
    ensure(new.len() >= 3, "the 3 rows that were added", || new.len().to_string())?;
    for row in bench.fixture.rows() {
        let key = Value::Object(row.key);
        for record in new.iter().filter(|record| parse(&record.key).is_ok_and(|known| known == key)) {
            let came = parse(&record.record)?.get(&field).cloned();
            equal(
                &came,
                &row.fields.get(&field).cloned(),
                &format!("`{field}` of {key}, in a run after that"),
            )?;
        }
    }
    let asked_for = !bench.fixture.fields_come_unasked();
    let untested = || "the pages of the same read, as `fields_come_unasked` is false".to_owned();
    Ok(asked_for.then(untested).into_iter().collect())
}

/// Reads a partition, in the middle of which the vendor's rows get a field. What was asked for before may come
/// without it; the messages of the two pages after that are let through.
async fn grown(bench: &Bench, request: ReadRequest) -> Result<Option<String>, Failure> {
    let mut read = bench.connector.read(request);
    let (mut field, mut pages, mut announced, mut seen) = (None::<String>, 0, None::<bool>, false);
    while let Some(message) = read.next().await {
        match message.map_err(|error| Failure::new("a read without an error", error.to_string()))? {
            Message::Batch(batch) => {
                pages += 1;
                if pages == 1 {
                    field = bench.fixture.add_field().await;
                }
                let Some(name) = &field else { return Ok(None) };
                for (record, key) in batch.iter().zip(keys_of(&batch)) {
                    let text = String::from_utf8_lossy(record.record.unwrap_or(b"{}")).into_owned();
                    let has_it = parse(&text)?.get(name).is_some();
                    seen |= has_it;
                    let must = pages > 3 && bench.fixture.fields_come_unasked();
                    ensure(has_it || !must, format!("`{name}` of {key}, which the vendor sends"), || {
                        "a record without it".to_owned()
                    })?;
                }
            }
            Message::Schema(spec) => {
                let names_it = field.as_deref().is_some_and(|name| spec.fields().any(|known| known == name));
                if names_it {
                    announced.get_or_insert(!seen);
                }
            }
            _ => {}
        }
    }
    ensure(announced != Some(false), "the new schema before the first record of its shape", || {
        "a record before it".to_owned()
    })?;
    Ok(field)
}
