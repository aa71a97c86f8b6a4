//! Reading mailboxes by IMAP, beside mbsync and offlineimap pulling the same one from a Dovecot on loopback.
//!
//! Neither needs TLS here, and none of the three uses it. What the server costs is nobody's.

mod letters;
mod others;
mod relay;

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use connector_bronze::Format;
use connector_host::run::StreamChoice;
use connector_sdk::{Context, Factory, Network};
use connector_testkit::mail::{Dovecot, PASSWORD};
use serde_json::value::RawValue;

use crate::{Cost, Outcome, median, usage, ways};

const USER: &str = "bench@example.test";

/// Each way's letter, and what it does.
const WAYS: [(&str, &str); 5] = [
    ("j", "`email/imap`: whole run → JSONL envelope"),
    ("k", "`email/imap`: whole run → Parquet zstd 1"),
    ("m", "mbsync → Maildir, as it is set up by default"),
    ("n", "mbsync → Maildir, `FSync no`"),
    ("o", "offlineimap3 → Maildir"),
];

/// Pulls one mailbox in each way, in turn, but for those whose letters are in `without`.
pub(crate) fn compare(messages: u64, rounds: u64, without: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let Some(dovecot) = runtime.block_on(Dovecot::builder().start())? else { return Ok(()) };
    runtime.block_on(fill(&dovecot, "INBOX", messages, letters::letter))?;
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); WAYS.len()];
    for round in 0..rounds as usize {
        for turn in 0..WAYS.len() {
            // Another one begins each round: nobody always finds the server's caches as the same other leaves them.
            let at = (round + turn) % WAYS.len();
            let (Some((way, _)), Some(costs)) = (WAYS.get(at), costs.get_mut(at)) else { continue };
            if without.contains(way) || !others::is_there(way) {
                continue;
            }
            let output = Command::new(std::env::current_exe()?)
                .args(["mail-read", way, &dovecot.address().to_string()])
                .stderr(Stdio::inherit())
                .output()?;
            if !output.status.success() {
                return Err(format!("way {way} failed").into());
            }
            let cost: Cost = serde_json::from_slice(&output.stdout)?;
            if cost.records != messages {
                return Err(format!("way {way} has pulled {} of {messages}", cost.records).into());
            }
            eprintln!("round {} {way} {cost:?}", round + 1);
            costs.push(cost);
        }
    }
    println!(
        "| way | CPU-s per 100,000 messages: median (min–max) | wall s: median (min–max) | peak MB (max) | n |"
    );
    println!("|---|---|---|---|---|");
    for ((way, what), costs) in WAYS.iter().zip(&costs).filter(|(_, costs)| !costs.is_empty()) {
        let spread = |of: fn(&Cost) -> f64| {
            let values = costs.iter().map(of);
            values.fold((f64::MAX, 0f64), |(low, high), value| (low.min(value), high.max(value)))
        };
        let cpu = |cost: &Cost| cost.cpu_seconds * 1e5 / cost.records as f64;
        let wall = |cost: &Cost| cost.wall_seconds;
        let ((cpu_low, cpu_high), (wall_low, wall_high)) = (spread(cpu), spread(wall));
        println!(
            "| ({way}) {what} | {:.2} ({cpu_low:.2}–{cpu_high:.2}) | {:.1} ({wall_low:.1}–{wall_high:.1}) | {:.0} | {} |",
            median(costs, cpu),
            median(costs, wall),
            costs.iter().map(|cost| cost.peak_mb).fold(0f64, f64::max),
            costs.len(),
        );
    }
    Ok(())
}

/// Pulls the mailbox in this way, and says what that has used.
pub(crate) fn read(way: &str, address: &str) -> Outcome<Cost> {
    let folder = tempfile::tempdir()?;
    let address: SocketAddr = address.parse()?;
    if others::is_other(way) {
        return others::pull(way, address, folder.path());
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let start = Instant::now();
    let format = if way == "k" { Format::Parquet } else { Format::Jsonl };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (records, bytes) = runtime.block_on(run(address, &["INBOX"], folder.path(), format))?;
    Ok(Cost {
        records,
        bytes,
        wall_seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: usage::cpu_seconds()?,
        peak_mb: usage::peak_mb()?,
    })
}

/// Reads mailboxes in which nothing has changed, again and again.
pub(crate) fn unchanged(mailboxes: u64, messages: u64, rounds: u64) -> Outcome<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let Some(dovecot) = runtime.block_on(Dovecot::builder().start())? else { return Ok(()) };
    for number in 0..mailboxes {
        runtime.block_on(fill(&dovecot, &format!("box-{number:03}"), messages, letters::note))?;
    }
    let relay = relay::Relay::before(dovecot.address())?;
    let folder = tempfile::tempdir()?;
    #[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
    let timed = || -> Outcome<(u64, f64, f64, u64)> {
        let (before, cpu, turns) = (Instant::now(), usage::cpu_seconds()?, relay.turns());
        let (records, _) =
            runtime.block_on(run(relay.address(), &["box-*"], folder.path(), Format::Jsonl))?;
        Ok((records, before.elapsed().as_secs_f64(), usage::cpu_seconds()? - cpu, relay.turns() - turns))
    };
    let (records, wall, cpu, turns) = timed()?;
    println!("first: {records} records, {wall:.1} s, {cpu:.1} CPU-s, {turns} round trips");
    if records != mailboxes * messages {
        return Err("not all of them".into());
    }
    for round in 0..rounds {
        let (records, wall, cpu, turns) = timed()?;
        println!(
            "unchanged {}: {records} records, {wall:.3} s, {cpu:.2} CPU-s, {turns} round trips",
            round + 1
        );
    }
    println!("peak {:.0} MB", usage::peak_mb()?);
    Ok(())
}

/// The stream `messages` of `email/imap`, as a host runs it.
async fn run(address: SocketAddr, mailboxes: &[&str], out: &Path, format: Format) -> Outcome<(u64, u64)> {
    let cx = Context::builder("bench", "static").network(Network::loopback()).run("bench".into()).build();
    let config = serde_json::json!({
        "host": address.ip().to_string(), "port": address.port(), "tls": "none", "mailboxes": mailboxes,
        "auth": { "password": { "username": USER, "password": PASSWORD } },
    });
    let door = connector_email::imap();
    let connector: Arc<dyn connector_sdk::Connector> =
        door.connect(&RawValue::from_string(config.to_string())?, &cx)?;
    let streams = Some(vec![StreamChoice { name: "messages".into(), ..StreamChoice::default() }]);
    ways::run_of(cx, connector, door.manifest().clone(), out, format, false, streams).await
}

async fn fill(dovecot: &Dovecot, mailbox: &str, messages: u64, letter: fn(u64) -> Vec<u8>) -> Outcome<()> {
    const AT_ONCE: u64 = 200;
    let mut session = dovecot.session(USER).await?;
    if mailbox != "INBOX" {
        session.create(mailbox).await?;
    }
    let mut next = 0;
    while next < messages {
        let end = messages.min(next + AT_ONCE);
        session.append_all(mailbox, (next..end).map(letter)).await?;
        next = end;
        if next % 10_000 == 0 {
            eprint!("\r{mailbox}: {next} messages ");
            std::io::stderr().flush()?;
        }
    }
    eprintln!("\r{mailbox}: {next} messages ");
    Ok(())
}
