//! What a read holds while it goes on, and what it leaves behind.

use std::{pin::pin, time::Duration};

use connector_host::report::RunStatus;
use connector_sdk::{Message, ReadRequest};
use futures_util::StreamExt;
use tokio::runtime::Handle;

use super::super::{Begin, Bench, Failure, Outcome, Verdict, World, bench::said, failure::ensure};
use super::reading::quiet;
use crate::fault::Fault;

/// How long what was dropped has to be gone, by the wall's clock.
const PATIENCE: Duration = Duration::from_secs(10);

/// Dropped, and stopped in a run, while the vendor does not answer. What is left is counted when the connector is gone too; the vendor stays.
pub(crate) async fn c_41_a_read_that_is_dropped_leaves_no_request_no_task_and_no_file(
    begin: Begin,
    seed: u64,
) -> Outcome {
    // What is opened once in the life of a process is open then.
    let bench = Bench::begin(begin, World::new(seed)).await?;
    bench.succeed().await?;
    drop(bench);

    let mut fixture = begin(World::new(seed)).await;
    let (tasks, files) = settled().await;
    for (skip, by_stop) in [(0, false), (1, false), (1, true)] {
        let bench = Bench::over(fixture)?;
        // Planned before: a plan may ask as pages are asked for.
        let request = bench.first().await?;
        let struck = bench.fixture.faults().fired();
        let rule = bench.fixture.faults().on(bench.fixture.pages()).skip(skip).always().then(Fault::Stall);
        let stalled = until(|| bench.fixture.faults().fired() > struck);
        if by_stop {
            stop(&bench, stalled).await?
        } else {
            leave(&bench, request, stalled).await?
        }
        let in_flight = || bench.fixture.in_flight().unwrap_or_default();
        ensure(until(|| in_flight() == 0).await, "no request under way after the read is dropped", || {
            in_flight().to_string()
        })?;
        bench.fixture.faults().remove(rule);
        Bench { fixture, .. } = bench;
    }
    ensure(until(|| alive() <= tasks).await, format!("{tasks} tasks, as before the connector"), || {
        alive().to_string()
    })?;
    ensure(
        until(|| open_files() <= files).await,
        format!("{files:?} open files, as before the connector"),
        || format!("{:?}", open_files()),
    )?;
    let uncounted =
        fixture.in_flight().is_none().then(|| "requests under way: no hook `in_flight`".to_owned());
    let alone = files.is_none().then(|| "open files, which are counted under nextest on Linux".to_owned());
    Ok(uncounted.into_iter().chain(alone).collect())
}

/// Drops a read while it waits for the vendor.
async fn leave(bench: &Bench, request: ReadRequest, stalled: impl Future<Output = bool>) -> Verdict {
    let mut read = bench.connector.read(request);
    let reading = async { while let Some(Ok(_)) = read.next().await {} };
    tokio::select! {
        () = reading => Err(Failure::new("a read that waits for the vendor", "its end")),
        is_so = stalled => ensure(is_so, "a request for a page", || "none".to_owned()),
    }
}

/// Stops a run while it waits for the vendor.
async fn stop(bench: &Bench, stalled: impl Future<Output = bool>) -> Verdict {
    let mut run = pin!(bench.run());
    tokio::select! {
        report = &mut run => return Err(Failure::new("a run that waits for the vendor", said(&report))),
        is_so = stalled => ensure(is_so, "a request for a page", || "none".to_owned())?,
    }
    bench.cx.stop().cancel();
    let report = run.await;
    ensure(report.status == RunStatus::Stopped, "a run that is stopped", || said(&report))
}

fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Tasks and open files, when what was dropped before is gone: a task of it that is counted would hide one that is left.
async fn settled() -> (usize, Option<usize>) {
    let mut now = (alive(), open_files());
    for _ in 0..20 {
        quiet().await;
        let before = std::mem::replace(&mut now, (alive(), open_files()));
        if before == now {
            break;
        }
    }
    now
}

/// Whether it becomes so in good time.
#[allow(clippy::disallowed_methods, reason = "what does not happen is waited for by the wall's clock")]
async fn until(is_so: impl Fn() -> bool) -> bool {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.is_ok()
}

/// The files that this process has open, where it is this test's alone (nextest says so) and the system counts them.
#[allow(clippy::disallowed_methods, reason = "the runner of the tests says it from outside")]
fn open_files() -> Option<usize> {
    let alone = std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|mode| mode == "process-per-test");
    let counted = || std::fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
    alone.then(counted).flatten()
}

/// Requests that may be more by chance: a new token, a retry.
const SLACK: u64 = 12;

/// What is asked for ahead of what was taken, and the largest state, by a world of so many rows.
struct Load {
    ahead: u64,
    state: usize,
}

pub(crate) async fn c_42_ten_times_the_rows_are_asked_for_no_further_ahead_and_need_no_larger_state(
    begin: Begin,
    seed: u64,
) -> Verdict {
    let few = held(begin, World::new(seed).rows(40)).await?;
    let many = held(begin, World::new(seed).rows(400)).await?;
    // Forty pages, and four. Who asks ahead by a fixed number of pages asks for as many of both.
    let limit = few.ahead + SLACK;
    let expected =
        format!("at most {limit} requests before the second page is wanted, at ten times the rows");
    ensure(many.ahead <= limit, expected, || many.ahead.to_string())?;
    // A number may have a digit more.
    let limit = few.state + few.state / 4 + 64;
    ensure(many.state <= limit, format!("states of at most {limit} bytes, at ten times the rows"), || {
        many.state.to_string()
    })
}

async fn held(begin: Begin, world: World) -> Result<Load, Failure> {
    let bench = Bench::begin(begin, world).await?;
    let requests = bench.opening().await?;
    let first = bench.first().await?;
    let before = bench.fixture.requests();
    let mut read = bench.connector.read(first);
    while let Some(message) = read.next().await {
        let message = message.map_err(|error| Failure::new("a read without an error", error.to_string()))?;
        if matches!(message, Message::Batch(_)) {
            break;
        }
    }
    quiet().await;
    let ahead = bench.fixture.requests() - before;
    drop(read);
    let mut largest = 0;
    for request in requests {
        largest = largest.max(largest_state(&bench, request).await?);
    }
    Ok(Load { ahead, state: largest })
}

async fn largest_state(bench: &Bench, request: ReadRequest) -> Result<usize, Failure> {
    let mut read = bench.connector.read(request);
    let mut largest = 0;
    while let Some(message) = read.next().await {
        let message = message.map_err(|error| Failure::new("a read without an error", error.to_string()))?;
        if let Message::State(state) = message {
            largest = largest.max(state.cursor().get().len());
        }
    }
    Ok(largest)
}
