//! What the layers cost around a service that answers at once, no subscriber and no recorder installed.
//!
//! `cargo bench -p connector-benches --bench stack`. Allocations: `benches/tests/it/allocations.rs`.

#![allow(missing_docs, reason = "criterion's macros make a main function")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run has nothing to go on with")]

use connector_benches::{Bench, NoOp, With};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tower::{Service as _, ServiceExt as _};

/// Calls of one iteration, so that the executor's own cost vanishes.
const CALLS: u64 = 1000;

fn alone(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = c.benchmark_group("alone");
    group.throughput(Throughput::Elements(CALLS));
    for (name, with) in
        [("stack", With::Nothing), ("stack+token", With::Token), ("stack+token+quota", With::TokenAndQuota)]
    {
        let mut bench = Bench::new(with, 64).unwrap();
        group.bench_function(name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    for _ in 0..CALLS {
                        let call = bench.call();
                        bench.stack.ready().await.unwrap().call(call).await.unwrap();
                    }
                });
            });
        });
    }
    let (bench, mut service) = (Bench::new(With::Nothing, 64).unwrap(), NoOp::new().unwrap());
    group.bench_function("no stack", |b| {
        b.iter(|| {
            runtime.block_on(async {
                for _ in 0..CALLS {
                    let call = bench.call();
                    service.ready().await.unwrap().call(call).await.unwrap();
                }
            });
        });
    });
    group.finish();
}

/// 64 tasks on two threads, all through one stack: as a client with many partitions.
fn contended(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut group = c.benchmark_group("64 tasks");
    group.throughput(Throughput::Elements(64 * CALLS));
    for (name, with) in [("stack+token", With::Token), ("stack+token+quota", With::TokenAndQuota)] {
        let bench = Bench::new(with, 64).unwrap();
        group.bench_function(name, |b| b.iter(|| crowd(&runtime, &bench)));
    }
    group.finish();
}

fn crowd(runtime: &Runtime, bench: &Bench) {
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let mut bench = bench.clone();
            runtime.spawn(async move {
                for _ in 0..CALLS {
                    let call = bench.call();
                    bench.stack.ready().await.unwrap().call(call).await.unwrap();
                }
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
}

criterion_group!(benches, alone, contended);
criterion_main!(benches);
