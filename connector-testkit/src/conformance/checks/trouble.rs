//! What goes wrong on the way.

use std::time::Duration;

use connector_host::report::RunStatus;

use super::super::{
    Begin, Bench, Failure, Verdict, World,
    bench::said,
    failure::{ensure, equal},
};
use crate::fault::Fault;

pub(crate) async fn c_29_a_wait_that_the_vendor_asks_for_is_kept(begin: Begin, seed: u64) -> Verdict {
    for status in [429, 503] {
        let bench = Bench::begin(begin, World::new(seed).rows(23)).await?;
        bench.fixture.faults().on(bench.fixture.pages()).nth(2).then(Fault::retry_after(status, "10"));
        let before = bench.cx.clock().monotonic();
        bench.succeed().await?;
        let waited = bench.cx.clock().monotonic().saturating_sub(before);
        equal(&bench.fixture.faults().fired(), &1, "pages that were put off")?;
        ensure(
            waited >= Duration::from_secs(10),
            format!("10 s of waiting after a {status} that asks for it"),
            || format!("{waited:?}"),
        )?;
        bench.complete_and_no_more()?;
    }
    Ok(())
}

pub(crate) async fn c_30_what_may_go_away_costs_a_retry_and_no_row(begin: Begin, seed: u64) -> Verdict {
    for fault in [
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::status(504),
        Fault::status(429),
        Fault::html(),
        Fault::TruncatedBody { after: 40, chunked: true },
        Fault::TruncatedBody { after: 40, chunked: false },
        Fault::ResetBefore,
        Fault::ResetAfter { bytes: 20 },
        Fault::SlowBody { bytes: 512, every: Duration::from_millis(1) },
    ] {
        let bench = Bench::begin(begin, World::new(seed).rows(33)).await?;
        // The first page, and one in the middle; a retry of the first counts as the second.
        for request in [1, 4] {
            bench.fixture.faults().on(bench.fixture.pages()).nth(request).then(fault.clone());
        }
        let at =
            |failure: Failure| Failure::new(failure.expected, format!("{} ({})", failure.came, fault.name()));
        bench.succeed().await.map_err(at)?;
        equal(&bench.fixture.faults().fired(), &2, "faults that struck").map_err(at)?;
        bench.complete_and_no_more().map_err(at)?;
        bench.nothing_twice().map_err(at)?;
    }
    Ok(())
}

pub(crate) async fn c_31_an_answer_that_is_no_page_is_an_error_and_no_end(
    begin: Begin,
    seed: u64,
) -> Verdict {
    for (what, fault) in [
        (
            "a page of HTML with status 200",
            Fault::status(200).with_header("Content-Type", "text/html").with_body("<html>"),
        ),
        ("an empty body with status 200", Fault::EmptyBody),
        ("half a page with status 200", Fault::MalformedJson),
        ("a list of nothing we know", Fault::status(200).with_body(r#"{"unheard_of": []}"#)),
        ("null", Fault::status(200).with_body("null")),
    ] {
        let bench = Bench::begin(begin, World::new(seed).rows(23)).await?;
        bench.fixture.faults().on(bench.fixture.pages()).skip(1).always().then(fault);
        let report = bench.run().await;
        ensure(
            report.status != RunStatus::Succeeded,
            format!("a run that does not take {what} for the end"),
            || said(&report),
        )?;
    }
    Ok(())
}

/// The other stream is read first and fails; the one after it is to be read all the same.
pub(crate) async fn c_38_a_stream_that_fails_does_not_hold_up_another(begin: Begin, seed: u64) -> Verdict {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    let Some(other) = bench.fixture.other() else { return Ok(()) };
    bench.options.streams = 1;
    let rule = bench.fixture.faults().on(other.pages).always().then(Fault::status(500));
    let stream = bench.fixture.stream().to_owned();
    let report = bench.run_streams(&[&other.stream, &stream]).await;
    ensure(report.status == RunStatus::Incomplete, "a run that is incomplete", || said(&report))?;
    bench.complete_and_no_more()?;
    equal(&bench.sink.records(&other.stream).len(), &0, "records of the stream that failed")?;
    bench.fixture.faults().remove(rule);
    bench.restart()?;
    let report = bench.run_streams(&[&other.stream]).await;
    ensure(report.status == RunStatus::Succeeded, "the next run of the stream that failed succeeds", || {
        said(&report)
    })?;
    let records = bench.sink.records(&other.stream).len();
    ensure(records > 0, "records of the stream that failed, in the next run", || "none".to_owned())
}
