//! A fake Salesforce org as a program: prints where it listens and what opens it as one line of JSON, and
//! serves until its standard input closes or it is told to stop by SIGTERM or SIGINT.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use connector_testkit::salesforce::{Builder, Bulk, FakeOrg, Limits, SignIn, Wire};
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

/// A fake Salesforce org on loopback.
#[derive(Debug, Parser)]
#[command(name = "fake-salesforce")]
struct Options {
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Contacts that are alive.
    #[arg(long, default_value_t = 200)]
    contacts: usize,
    /// Contacts in the recycle bin, besides those alive.
    #[arg(long, default_value_t = 0)]
    deleted_contacts: usize,
    /// Accounts.
    #[arg(long, default_value_t = 50)]
    accounts: usize,
    /// What all data are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between the newest row and now.
    #[arg(long, default_value_t = 3600)]
    newest_age: u64,
    /// API calls a day.
    #[arg(long, default_value_t = 100_000)]
    daily_limit: u64,
    /// Compress answers for clients that accept it.
    #[arg(long)]
    gzip: bool,
    /// Pages of any size, empty ones in between.
    #[arg(long)]
    ragged_pages: bool,
    /// Rows of a page of Bulk results where the client names no number.
    #[arg(long, default_value_t = 1000)]
    bulk_page_rows: usize,
    /// New refresh token with every refresh.
    #[arg(long)]
    rotate_refresh_tokens: bool,
    /// File with the RSA public key (PEM) that JWT assertions are checked with.
    #[arg(long)]
    jwt_public_key: Option<PathBuf>,
    /// Folder with describes recorded from a real org.
    #[arg(long)]
    recorded: Option<PathBuf>,
    /// Serve on when standard input closes: for services, whose input is closed from the start.
    #[arg(long)]
    ignore_stdin: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fake-salesforce: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let ignore_stdin = options.ignore_stdin;
    let org = builder(options)?.start().await?;
    let credentials = org.credentials();
    let line = json!({
        "listening": org.url(),
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "username": credentials.username,
        "password": credentials.password,
        "security_token": credentials.security_token,
        "refresh_token": org.issue_refresh_token(),
    });
    writeln!(io::stdout(), "{line}")?;
    tokio::select! {
        () = stdin_closed(), if !ignore_stdin => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    org.shutdown().await;
    // A read of standard input that is still going on would hold the runtime back.
    std::process::exit(0)
}

fn builder(options: Options) -> io::Result<Builder> {
    let jwt_public_key = options.jwt_public_key.map(std::fs::read_to_string).transpose()?;
    let rotate_refresh_tokens = options.rotate_refresh_tokens;
    let builder = FakeOrg::builder()
        .port(options.port)
        .seed(options.seed)
        .contacts(options.contacts)
        .deleted_contacts(options.deleted_contacts)
        .accounts(options.accounts)
        .newest_age(Duration::from_secs(options.newest_age))
        .limits(Limits { daily: options.daily_limit, ..Limits::default() })
        .bulk(Bulk { page_rows: options.bulk_page_rows, ..Bulk::default() })
        .wire(Wire { gzip: options.gzip, ragged_pages: options.ragged_pages })
        .sign_in(SignIn { rotate_refresh_tokens, jwt_public_key, ..SignIn::default() });
    Ok(match options.recorded {
        Some(folder) => builder.recorded(folder),
        None => builder,
    })
}

async fn stdin_closed() {
    let mut input = tokio::io::stdin();
    let mut nothing = [0; 256];
    while matches!(input.read(&mut nothing).await, Ok(read) if read > 0) {}
}
