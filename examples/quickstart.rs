//! Contacts flow out of a (fake, faithful) Salesforce org into Parquet, and then only what changed.
//!
//! `cargo run --release --example quickstart`, and nothing else is needed. Everything it writes lies in one
//! folder, `./bronze/quickstart`, which each start makes anew: so is the org.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{error::Error, fs, path::PathBuf, sync::Arc};

use clap::Parser;
use connector_bronze::{Bronze, BronzeConfig, Format};
use connector_host::{
    RunReport,
    registry::{Registry, SqliteRegistry},
    report::RunStatus,
    run::{self, Job, Progress, RunOptions, StreamChoice},
};
use connector_sdk::{Context, Factory, Network, StreamId, SystemClock};
use connector_testkit::salesforce::FakeOrg;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use serde_json::{json, value::to_raw_value};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Parser)]
struct Options {
    /// Contacts that the org has.
    #[arg(long, default_value_t = 200_000)]
    contacts: usize,
    /// Accounts that the org has.
    #[arg(long, default_value_t = 5_000)]
    accounts: usize,
    /// The folder below which records are stored.
    #[arg(long, default_value = "./bronze")]
    bronze: PathBuf,
}

/// The progress bar: the engine says what it expects and what it has read.
#[derive(Debug)]
struct Bar(ProgressBar);

impl Progress for Bar {
    fn expected(&self, _: &StreamId, records: u64) {
        self.0.inc_length(records);
    }

    fn read(&self, _: &StreamId, records: u64, _: u64) {
        self.0.inc(records);
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let options = Options::parse();
    rustls::crypto::aws_lc_rs::default_provider().install_default().map_err(|_| "TLS is set up already")?;

    // A folder that is only ours may be thrown away; the registry in it says that it is.
    let folder = options.bronze.join("quickstart");
    if folder.join("registry.db").exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;

    println!("starting an org with {} contacts and {} accounts", options.contacts, options.accounts);
    let org = FakeOrg::builder().contacts(options.contacts).accounts(options.accounts).start().await?;
    let registry = Arc::new(SqliteRegistry::open(&folder.join("registry.db"), SystemClock::shared()).await?);
    let bronze = Arc::new(Bronze::new(BronzeConfig::new(&folder, Format::Parquet)));

    let first = sync(&org, registry.clone(), bronze.clone()).await?;
    print("everything", &first);
    let changed = org.touch("Contact", options.contacts.min(100))?.len() as u64;
    println!("\nchanged {changed} contacts in the org");
    let second = sync(&org, registry, bronze).await?;
    print("what changed", &second);

    let read = second.totals.records;
    if read != changed {
        return Err(format!("{changed} records were changed, and {read} were read").into());
    }
    println!(
        "\nexactly the {read} that changed were read. All of it lies in {}; look at it with",
        folder.display()
    );
    let files = folder.join("acme/crm/*/*/*.parquet");
    println!("  duckdb -c \"select stream, count(*) from '{}' group by stream\"", files.display());
    org.shutdown().await;
    Ok(())
}

/// One run of the connection: what a program that embeds the host does.
async fn sync(org: &FakeOrg, registry: Arc<dyn Registry>, sink: Arc<Bronze>) -> Outcome<RunReport> {
    let named = Context::builder("acme", "crm").build();
    let cx =
        Context::builder("acme", "crm").run(run::new_run_id(&named)).network(Network::loopback()).build();
    let login = org.credentials();
    let config = to_raw_value(&json!({
        "instance_url": org.url(),
        "auth": { "client_credentials": { "client_id": login.client_id, "client_secret": login.client_secret } },
    }))?;
    let salesforce = connector_salesforce::rest();
    let style = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} records, {elapsed}")?;
    let bar = ProgressBar::new(0).with_style(style);
    let streams: Vec<StreamChoice> =
        serde_json::from_value(json!([{ "name": "Contact" }, { "name": "Account" }]))?;
    let report = run::run(Job {
        connector: salesforce.connect(&config, &cx)?,
        manifest: salesforce.manifest().clone(),
        registry,
        sink,
        streams: Some(streams),
        options: RunOptions::default(),
        progress: Arc::new(Bar(bar.clone())),
        cx,
    })
    .await;
    bar.finish_and_clear();
    match &report.error {
        None if report.status == RunStatus::Succeeded => Ok(report),
        error => Err(format!("the run ended as {:?}: {error:?}", report.status).into()),
    }
}

fn print(what: &str, report: &RunReport) {
    let seconds = report.finished_at.saturating_since(report.started_at).as_secs_f64();
    println!("\nread {what} in {seconds:.2} s, {:.0} records/s", report.totals.records as f64 / seconds);
    println!("  {:<10} {:>10} {:>9}", "stream", "records", "MB");
    let streams = report.streams.iter().map(|stream| (stream.name.as_str(), stream.records, stream.bytes));
    for (name, records, bytes) in streams.chain([("total", report.totals.records, report.totals.bytes)]) {
        println!("  {name:<10} {:>10} {:>9.1}", HumanCount(records).to_string(), bytes as f64 / 1e6);
    }
    println!("  {} requests, {} retries", report.totals.requests, report.totals.retries);
}
