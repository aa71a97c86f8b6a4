//! Receiving webhooks, beside nginx that answers 204 to the same requests: wrk with 64 connections sends 1 KiB, signed as
//! GitHub signs, each with an id of its own. Server and wrk share the machine in every way.

mod load;
mod serve;

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

pub(crate) use serve::serve;

use crate::{Outcome, Server};

/// Each way's name, and what it does.
const WAYS: [(&str, &str); 4] = [
    ("nginx", "nginx: `return 204`, reads no body"),
    ("verify", "listener and signature, answers 200 and keeps nothing"),
    ("durable", "the same into the journal, answered when it is synced"),
    ("run", "`webhook/receiver`: whole run → JSONL envelope"),
];

/// What one way has done in one round.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Done {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Answers that were not 2xx, and connections that broke.
    failed: u64,
    /// What the server says in the end.
    #[serde(flatten)]
    end: End,
}

/// What a server of ours has used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct End {
    /// Events that are durable, or in Bronze.
    events: u64,
    /// How long Bronze took for what was left when the last one was answered.
    drain_seconds: f64,
    cpu_seconds: f64,
    peak_mb: f64,
}

/// Each way in turn, so many times, so many seconds long, without those whose names are given.
pub(crate) fn compare(seconds: u64, rounds: u64, connections: u64, without: &str) -> Outcome<()> {
    for (program, package) in [("wrk", "wrk"), ("nginx", "nginx-light")] {
        if Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            return Err(format!("apt-get install {package}").into());
        }
    }
    let mut all: Vec<Vec<Done>> = vec![Vec::new(); WAYS.len()];
    for round in 0..rounds as usize {
        for turn in 0..WAYS.len() {
            let at = (round + turn) % WAYS.len();
            let (Some((way, _)), Some(found)) = (WAYS.get(at), all.get_mut(at)) else { continue };
            if without.split(',').any(|name| name == *way) {
                continue;
            }
            let folder = tempfile::tempdir()?;
            let done = if *way == "nginx" {
                let nginx = load::nginx(folder.path())?;
                load::wrk(folder.path(), &nginx.url, seconds, connections)?
            } else {
                ours(way, folder.path(), seconds, connections)?
            };
            eprintln!("round {} {way} {done:?}", round + 1);
            found.push(done);
        }
    }
    table(&all);
    Ok(())
}

fn ours(way: &str, folder: &Path, seconds: u64, connections: u64) -> Outcome<Done> {
    let mut server = Server(
        Command::new(std::env::current_exe()?)
            .args(["webhook-serve", way])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let mut stdout = BufReader::new(server.0.stdout.take().ok_or("the server has no output")?);
    let mut url = String::new();
    stdout.read_line(&mut url)?;
    let mut done = load::wrk(folder, url.trim(), seconds, connections)?;
    // It stops at the end of its input, and says what it has used.
    drop(server.0.stdin.take());
    let mut said = String::new();
    stdout.read_to_string(&mut said)?;
    done.end = serde_json::from_str(&said).map_err(|error| format!("{way}: {error}: {said}"))?;
    Ok(done)
}

fn table(all: &[Vec<Done>]) {
    let median = |found: &[Done], of: fn(&Done) -> f64| {
        let mut values: Vec<f64> = found.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let nginx = all.first().map_or(f64::NAN, |found| median(found, |done| done.per_second));
    println!(
        "| way | requests/s: median (min–max) | × nginx | p50 ms | p99 ms (max) | not 2xx | drain s (max) | peak MB (max) | n |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for ((_, what), found) in WAYS.iter().zip(all).filter(|(_, found)| !found.is_empty()) {
        let most = |of: fn(&Done) -> f64| found.iter().map(of).fold(0f64, f64::max);
        let speed = median(found, |done| done.per_second);
        let least = found.iter().map(|done| done.per_second).fold(f64::MAX, f64::min);
        println!(
            "| {what} | {speed:.0} ({least:.0}–{:.0}) | {:.2} | {:.2} | {:.1} | {} | {:.2} | {:.0} | {} |",
            most(|done| done.per_second),
            speed / nginx,
            median(found, |done| done.p50_ms),
            most(|done| done.p99_ms),
            found.iter().map(|done| done.failed).sum::<u64>(),
            most(|done| done.end.drain_seconds),
            most(|done| done.end.peak_mb),
            found.len(),
        );
    }
}
