//! That what changes at the vendor arrives, and little else.

use std::time::Duration;

use connector_sdk::{Operation, manifest::Capability};

use super::super::{
    Begin, Bench, Failure, Held, Outcome, Verdict, World,
    failure::{ensure, equal},
};

pub(crate) async fn c_26_a_second_read_brings_what_changed_and_little_more(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed).rows(200)).await?;
    if !bench.claims(Capability::Incremental) {
        return Ok(());
    }
    bench.succeed().await?;
    let first = bench.bronze().len();
    bench.restart()?;
    bench.succeed().await?;
    equal(&(bench.bronze().len() - first), &0, "records of a second read of what has not changed")?;
    bench.fixture.insert(5).await;
    bench.fixture.update(5).await;
    bench.restart()?;
    bench.succeed().await?;
    bench.complete_and_no_more()?;
    let more = bench.bronze().len() - first;
    ensure(
        (10..=first / 4).contains(&more),
        format!("10 records that changed, and not all {first} again"),
        || more.to_string(),
    )
}

pub(crate) async fn c_27_rows_that_share_a_cursor_all_arrive_when_they_change_together(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    if !bench.claims(Capability::Incremental) {
        return Ok(());
    }
    bench.succeed().await?;
    // More than a page of them, at one instant; then more of them at the next.
    for _ in 0..3 {
        bench.fixture.update(bench.fixture.page() * 5 / 2).await;
        bench.restart()?;
        bench.succeed().await?;
        bench.complete_and_no_more()?;
    }
    Ok(())
}

pub(crate) async fn c_28_deletes_arrive_where_they_are_claimed_and_nowhere_else(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    bench.succeed().await?;
    let before = bench.bronze();
    ensure(
        before.iter().all(|record| record.operation != Operation::Delete),
        "no deletes in a first read",
        || "some".to_owned(),
    )?;
    bench.fixture.delete(4).await;
    bench.restart()?;
    bench.succeed().await?;
    let deletes = bench.bronze().iter().filter(|record| record.operation == Operation::Delete).count();
    if !bench.claims(Capability::Deletes) {
        return equal(&deletes, &0, "deletes of a connector that does not claim them");
    }
    equal(&deletes, &4, "deletes")?;
    bench.complete_and_no_more()?;
    bench.restart()?;
    bench.succeed().await?;
    let again = bench.bronze().iter().filter(|record| record.operation == Operation::Delete).count();
    equal(&again, &4, "deletes after another read")
}

/// Five minutes ahead of ours, and five behind: what changes meanwhile has times that we would not give it.
pub(crate) async fn c_43_a_vendors_clock_that_is_wrong_loses_nothing(begin: Begin, seed: u64) -> Outcome {
    for ahead in [true, false] {
        let mut bench = Bench::begin(begin, World::new(seed)).await?;
        bench.succeed().await?;
        let (now, skew) = (bench.cx.clock().now(), Duration::from_secs(300));
        if !bench.fixture.set_clock(if ahead { now + skew } else { now - skew }) {
            return Ok(Held::but("no hook `set_clock`"));
        }
        for _ in 0..2 {
            bench.fixture.insert(4).await;
            bench.fixture.update(4).await;
            bench.restart()?;
            bench.succeed().await?;
        }
        let by = if ahead { "ahead" } else { "behind" };
        bench.complete_and_no_more().map_err(|failure| {
            Failure::new(failure.expected, format!("{} (the vendor's clock is 300 s {by})", failure.came))
        })?;
    }
    Ok(Held::default())
}
