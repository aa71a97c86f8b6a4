//! The ratio bench: what our run costs beside a plain download and a plain split, in one run.
//!
//! `cargo run --release -p connector-benches --bin ratio [--records N] [--rounds N]`
//!
//! A child process serves static pages over raw TCP. Each way of reading them is a child process of its own,
//! whose CPU seconds (user + system) and peak memory are read from the kernel's own accounts. Rounds
//! alternate between the ways, because the machine is shared. Nothing leaves loopback.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its table")]

mod bulk;
mod checkpoint;
mod mail;
mod pages;
mod slack;
mod usage;
mod ways;
mod webhook;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde::{Deserialize, Serialize};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What one way of reading has cost.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cost {
    records: u64,
    bytes: u64,
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_mb: f64,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, default: u64| -> Outcome<u64> {
        match arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)) {
            Some(value) => Ok(value.parse()?),
            None => Ok(default),
        }
    };
    match arguments.first().map(String::as_str) {
        Some("serve") => pages::serve(option("--records", 500_000)?),
        Some("read") => {
            let way = arguments.get(1).ok_or("which way?")?;
            let url = arguments.get(2).ok_or("from where?")?;
            println!("{}", serde_json::to_string(&ways::read(way, url)?)?);
            Ok(())
        }
        Some("mail-read") => {
            let way = arguments.get(1).ok_or("which way?")?;
            let address = arguments.get(2).ok_or("from where?")?;
            println!("{}", serde_json::to_string(&mail::read(way, address)?)?);
            Ok(())
        }
        Some("mail") => {
            let at = arguments.iter().position(|argument| argument == "--without");
            let without = at.and_then(|at| arguments.get(at + 1)).map_or("", String::as_str);
            mail::compare(option("--messages", 100_000)?, option("--rounds", 3)?, without)
        }
        Some("mail-unchanged") => mail::unchanged(
            option("--mailboxes", 100)?,
            option("--messages", 10_000)?,
            option("--rounds", 5)?,
        ),
        Some("webhook-serve") => {
            let way = arguments.get(1).ok_or("which way?")?;
            webhook::serve(way, std::path::Path::new(arguments.get(2).ok_or("in which folder?")?))
        }
        Some("webhook") => {
            let at = arguments.iter().position(|argument| argument == "--without");
            let without = at.and_then(|at| arguments.get(at + 1)).map_or("", String::as_str);
            webhook::compare(
                option("--seconds", 10)?,
                option("--rounds", 5)?,
                option("--connections", 64)?,
                without,
            )
        }
        Some("checkpoint") => checkpoint::measure(option("--count", 2_000)?, option("--rounds", 5)?),
        _ => compare(option("--records", 500_000)?, option("--rounds", 5)?),
    }
}

/// Ends its process when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn compare(records: u64, rounds: u64) -> Outcome<()> {
    let me = std::env::current_exe()?;
    let mut server = Server(
        Command::new(&me)
            .args(["serve", "--records", &records.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let stdout = server.0.stdout.take().ok_or("the server has no output")?;
    let mut url = String::new();
    BufReader::new(stdout).read_line(&mut url)?;
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); ways::WAYS.len()];
    for round in 0..rounds {
        for (way, costs) in ways::WAYS.iter().zip(&mut costs) {
            let output =
                Command::new(&me).args(["read", way.0, url.trim()]).stderr(Stdio::inherit()).output()?;
            if !output.status.success() {
                return Err(format!("way {} failed", way.0).into());
            }
            let cost: Cost = serde_json::from_slice(&output.stdout)?;
            eprintln!("round {} {} {cost:?}", round + 1, way.0);
            costs.push(cost);
        }
    }
    print_table(&costs);
    Ok(())
}

fn print_table(costs: &[Vec<Cost>]) {
    let base = costs.get(1).map_or(1.0, |costs| median(costs, per_million));
    println!(
        "| way | CPU-s per million records: median (min–max) | × (b) | wall s | MB/s of wall | peak MB (max) | n |"
    );
    println!("|---|---|---|---|---|---|---|");
    for ((name, what), costs) in ways::WAYS.iter().zip(costs) {
        let all: Vec<f64> = costs.iter().map(per_million).collect();
        let (low, high) =
            all.iter().fold((f64::MAX, 0f64), |(low, high), cost| (low.min(*cost), high.max(*cost)));
        let peak = costs.iter().map(|cost| cost.peak_mb).fold(0f64, f64::max);
        let middle = median(costs, per_million);
        let speed = median(costs, |cost| cost.bytes as f64 / 1e6 / cost.wall_seconds);
        println!(
            "| ({name}) {what} | {middle:.2} ({low:.2}–{high:.2}) | {:.2} | {:.2} | {speed:.0} | {peak:.0} | {} |",
            middle / base,
            median(costs, |cost| cost.wall_seconds),
            costs.len(),
        );
    }
}

fn per_million(cost: &Cost) -> f64 {
    cost.cpu_seconds * 1e6 / cost.records as f64
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
