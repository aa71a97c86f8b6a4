//! What goes wrong on the way.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector_host::report::RunStatus;

use super::super::{
    Begin, Bench, Failure, Held, Outcome, Verdict, World,
    bench::said,
    failure::{ensure, equal},
};
use crate::fault::{Fault, Seen};

/// What the vendor asks for: a second and a half by the wall's clock, in which no machine is so busy that a request that
/// did not wait is as late.
const WAIT: Duration = Duration::from_secs(30);

/// Measured where the requests arrive: from the one that is put off to the same one again, for others may be on their way
/// beside it. What else a run takes is not waiting.
pub(crate) async fn c_29_a_wait_that_the_vendor_asks_for_is_kept(begin: Begin, seed: u64) -> Verdict {
    for status in [429, 503] {
        let mut bench = Bench::begin(begin, World::new(seed).rows(93)).await?;
        // One after the other, or the next request would be another partition's.
        bench.options.partitions = 1;
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let note = |is_put_off: bool| {
            let (arrived, clock) = (Arc::clone(&arrived), Arc::clone(bench.cx.clock()));
            move |seen: &Seen<'_>| {
                let request = format!("{} {}?{}", seen.method, seen.path, seen.query);
                arrived.lock().unwrap_or_else(PoisonError::into_inner).push((
                    is_put_off,
                    request,
                    clock.monotonic(),
                ));
            }
        };
        let put_off = Fault::retry_after(status, WAIT.as_secs().to_string());
        bench.fixture.faults().on(bench.fixture.pages()).nth(2).doing(note(true)).then(put_off);
        // Answers as they are: only their times are wanted.
        let as_it_is = Fault::SlowBody { bytes: 1 << 20, every: Duration::from_millis(1) };
        bench.fixture.faults().on(bench.fixture.pages()).skip(2).always().doing(note(false)).then(as_it_is);
        bench.succeed().await?;
        let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut since = arrived.iter().skip_while(|(is_put_off, ..)| !is_put_off);
        let first = since.next();
        let again = first.and_then(|(_, request, _)| since.find(|(_, same, _)| same == request));
        let (Some((.., first)), Some((.., again))) = (first, again) else {
            return Err(Failure::new("a page that is put off, and asked for again", format!("{arrived:?}")));
        };
        let waited = again.saturating_sub(*first);
        ensure(
            waited >= WAIT,
            format!("{WAIT:?} from a request that is answered with {status} and asks for them to the next"),
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
        let mut bench = Bench::begin(begin, World::new(seed).rows(23)).await?;
        let rule = bench.fixture.faults().on(bench.fixture.pages()).skip(1).always().then(fault);
        let report = bench.run().await;
        ensure(
            report.status != RunStatus::Succeeded,
            format!("a run that does not take {what} for the end"),
            || said(&report),
        )?;
        // Nor has it left a state behind that does.
        bench.fixture.faults().remove(rule);
        bench.restart()?;
        let at = |failure: Failure| {
            Failure::new(failure.expected, format!("{} (in the run after {what})", failure.came))
        };
        bench.succeed().await.map_err(at)?;
        bench.complete_and_no_more().map_err(at)?;
    }
    Ok(())
}

/// The other stream is read first and fails; the one after it is to be read all the same.
pub(crate) async fn c_38_a_stream_that_fails_does_not_hold_up_another(begin: Begin, seed: u64) -> Outcome {
    let mut bench = Bench::begin(begin, World::new(seed)).await?;
    let Some(other) = bench.fixture.other() else { return Ok(Held::but("no hook `other`")) };
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
    ensure(records > 0, "records of the stream that failed, in the next run", || "none".to_owned())?;
    Ok(Held::default())
}
