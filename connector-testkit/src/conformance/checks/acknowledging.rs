//! What becomes of what is durable elsewhere.

use connector_sdk::{Acknowledged, ReadRequest, State, manifest::Capability};

use super::super::{
    Begin, Bench, Failure, Outcome, Verdict, World,
    failure::{ensure, equal},
};
use super::resuming::rest;

/// What the source has from a state on: the keys of each page, with the state that covers them.
type Pages = Vec<(Vec<String>, State)>;

/// Claimed: nothing is forgotten before it is acknowledged; then it is, up to there and no further, in whatever order
/// acknowledgements come, however often, and if some never come. Not claimed: each is taken and nothing is done.
pub(crate) async fn c_39_what_is_acknowledged_is_forgotten_where_it_is_claimed_and_nothing_else(
    begin: Begin,
    seed: u64,
) -> Outcome {
    let (mut told, mut short) = (0, Vec::new());
    let mut bench = Bench::begin(begin, World::new(seed).rows(150)).await?;
    let claimed = bench.claims(Capability::Acknowledges);
    for request in bench.opening().await? {
        let whole = rest(&bench, request.clone()).await?;
        let keys: Vec<String> = whole.iter().flat_map(|(keys, _)| keys.clone()).collect();
        let again = all(&bench, request.clone()).await?;
        same(&bench, &again, &keys, "keys of a second read, of which nothing was acknowledged")?;
        // Who has no state in the middle cannot be told of one.
        let Some(middle) = whole.len().checked_sub(2).map(|last| last / 2) else {
            short.push(format!("a partition of {} states, `{}`", whole.len(), request.partition.id));
            continue;
        };
        told += 1;
        let early = middle / 2;
        // The one in the middle first, an earlier one late, some never, one again in another process.
        let before = bench.fixture.requests();
        acknowledge(&bench, &request, &whole, middle).await?;
        acknowledge(&bench, &request, &whole, early).await?;
        acknowledge(&bench, &request, &whole, middle).await?;
        let asked = bench.fixture.requests() - before;
        bench.restart()?;
        acknowledge(&bench, &request, &whole, middle).await?;
        let left: Vec<String> = whole[middle + 1..].iter().flat_map(|(keys, _)| keys.clone()).collect();
        let rest = request.clone().with_state(Some(whole[middle].1.clone()));
        equal(&all(&bench, rest).await?, &left, "keys after what was acknowledged, read from there on")?;
        let source = all(&bench, request.clone()).await?;
        if claimed {
            same(&bench, &source, &left, "keys that the source still has")?;
        } else {
            same(&bench, &source, &keys, "keys that the source still has, where nothing is claimed")?;
            equal(&asked, &0, "requests to acknowledge, where nothing is claimed")?;
        }
        acknowledge(&bench, &request, &whole, whole.len() - 1).await?;
        let expected = if claimed { &Vec::new() } else { &keys };
        same(
            &bench,
            &all(&bench, request.clone()).await?,
            expected,
            "keys at the source after the last one",
        )?;
    }
    ensure(told > 0 || !claimed, "a partition with states in the middle, where this is claimed", || {
        short.join(", ")
    })?;
    Ok(short.into_iter().collect())
}

/// The same keys, in the same order where the source has one.
fn same(bench: &Bench, found: &[String], expected: &[String], what: &str) -> Verdict {
    let (mut found, mut expected) = (found.to_vec(), expected.to_vec());
    if !bench.fixture.is_ordered() {
        found.sort_unstable();
        expected.sort_unstable();
    }
    equal(&found, &expected, what)
}

async fn acknowledge(bench: &Bench, request: &ReadRequest, whole: &Pages, index: usize) -> Verdict {
    let done = Acknowledged {
        stream: request.stream.spec.name.clone(),
        partition: request.partition.id.clone(),
        previous: None,
        state: whole[index].1.clone(),
    };
    let outcome = bench.connector.acknowledge(&bench.cx, &done).await;
    ensure(outcome.is_ok(), format!("state {} of {} is acknowledged", index + 1, whole.len()), || {
        outcome.err().map(|error| error.to_string()).unwrap_or_default()
    })
}

async fn all(bench: &Bench, request: ReadRequest) -> Result<Vec<String>, Failure> {
    Ok(rest(bench, request).await?.into_iter().flat_map(|(keys, _)| keys).collect())
}
