//! The registry's checkpoint beside the least that durability costs: an append and fdatasync.

use std::{io::Write, time::Instant};

use connector_host::registry::{Registry, SqliteRegistry, StreamKey};
use connector_sdk::{State, SystemClock, contract::Commit, record::Tally};

use crate::Outcome;

/// Alternates the two on one disk and prints how they compare.
pub(crate) fn measure(count: u64, rounds: u64) -> Outcome<()> {
    let folder = tempfile::tempdir_in(".")?;
    let runtime = tokio::runtime::Runtime::new()?;
    println!("| round | append + fdatasync /s | checkpoint /s | ratio |");
    println!("|---|---|---|---|");
    for round in 0..rounds {
        let plain = appends(&folder.path().join(format!("{round}.log")), count)?;
        let ours = runtime.block_on(checkpoints(&folder.path().join(format!("{round}.db")), count))?;
        println!("| {} | {plain:.0} | {ours:.0} | {:.2} |", round + 1, ours / plain);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
fn appends(path: &std::path::Path, count: u64) -> Outcome<f64> {
    let mut file = std::fs::File::create(path)?;
    let start = Instant::now();
    for n in 0..count {
        writeln!(file, "{{\"partition\":\"p\",\"sequence\":{n},\"state\":{{\"after\":\"003{n:012}AAA\"}}}}")?;
        file.sync_data()?;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
async fn checkpoints(path: &std::path::Path, count: u64) -> Outcome<f64> {
    use connector_sdk::Checkpoint as _;
    let registry = SqliteRegistry::open(path, SystemClock::shared()).await?;
    let key = StreamKey { tenant: "t".into(), connection: "c".into(), stream: "s".into() };
    let claim = registry.claim(&key, "bench", std::time::Duration::from_secs(600)).await?;
    let start = Instant::now();
    for n in 0..count {
        let commit = Commit {
            partition: "p".into(),
            epoch: 0,
            generation: 0,
            sequence: n + 1,
            tally: Tally::default(),
            state: State::encode(1, &format!("003{n:012}AAA"))?,
        };
        registry.checkpoint(&claim.lease, &[commit]).await?;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
