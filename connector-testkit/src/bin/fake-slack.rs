//! A fake Slack workspace as a program: prints where it listens and what opens it as one line of JSON, and serves until
//! its standard input closes or it is told to stop by SIGTERM or SIGINT.
//!
//! A line on its standard input is an event that it pushes: the inner event as JSON.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use connector_testkit::fault::Fault;
use connector_testkit::slack::{ChannelKind, FakeWorkspace};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::signal::unix::{SignalKind, signal};

/// A fake Slack workspace on loopback.
#[derive(Debug, Parser)]
#[command(name = "fake-slack")]
struct Options {
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Public channels.
    #[arg(long, default_value_t = 4)]
    channels: usize,
    /// Messages in each conversation, replies not counted.
    #[arg(long, default_value_t = 100)]
    messages: usize,
    /// Public channels only: no private one, no direct messages. For many messages, since each conversation has as many.
    #[arg(long)]
    public_only: bool,
    /// One message in so many has replies; none has with 0.
    #[arg(long, default_value_t = 20)]
    thread_every: usize,
    /// Users.
    #[arg(long, default_value_t = 50)]
    users: usize,
    /// What all data are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between the newest message and now.
    #[arg(long, default_value_t = 3600)]
    newest_age: u64,
    /// Enforce the rate limit tiers.
    #[arg(long)]
    tiers: bool,
    /// One request a minute and 15 objects on history and replies.
    #[arg(long)]
    slow_cohort: bool,
    /// Short and empty pages that lead on.
    #[arg(long)]
    thin_pages: bool,
    /// Answer every so many-th call of the Web API with a 429 that asks for one second.
    #[arg(long)]
    limit_every: Option<u64>,
    /// Send events to this URL by HTTP instead of over sockets.
    #[arg(long)]
    events_to: Option<String>,
    /// Serve on when standard input closes: for services, whose input is closed from the start.
    #[arg(long)]
    ignore_stdin: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fake-slack: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let workspace = start(&options).await?;
    let oauth = workspace.oauth();
    let (expiring, refresh) = workspace.issue_pair();
    let public = workspace.channels(ChannelKind::Public);
    let first = public.first().cloned().unwrap_or_default();
    let line = json!({
        "listening": workspace.url(),
        "base_url": workspace.base_url(),
        "bot_token": workspace.bot_token(),
        "user_token": workspace.user_token(),
        "app_token": workspace.app_token(),
        "signing_secret": workspace.signing_secret(),
        "client_id": oauth.client_id,
        "client_secret": oauth.client_secret,
        "refresh_token": oauth.refresh_token,
        "user_refresh_token": oauth.user_refresh_token,
        "expiring_token": expiring,
        "expiring_refresh_token": refresh,
        "team_id": workspace.team_id(),
        "bot_user": workspace.bot_user(),
        "channels": public,
        "messages": options.messages,
        "threads": workspace.threads(&first),
        "users": workspace.users_truth().len(),
    });
    writeln!(io::stdout(), "{line}")?;
    tokio::select! {
        () = events(&workspace), if !options.ignore_stdin => {}
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    workspace.shutdown().await;
    // A read of standard input that is still going on would hold the runtime back.
    std::process::exit(0)
}

async fn start(options: &Options) -> io::Result<FakeWorkspace> {
    let others = usize::from(!options.public_only);
    let workspace = FakeWorkspace::builder()
        .private_channels(others)
        .direct(others, others)
        .port(options.port)
        .seed(options.seed)
        .channels(options.channels)
        .messages(options.messages)
        .thread_every(options.thread_every)
        .users(options.users)
        .newest_age(Duration::from_secs(options.newest_age))
        .start()
        .await?;
    workspace.tiers(options.tiers);
    workspace.slow_cohort(options.slow_cohort);
    workspace.thin_pages(options.thin_pages);
    if let Some(every) = options.limit_every {
        let limited = Fault::retry_after(429, "1")
            .with_header("Content-Type", "application/json; charset=utf-8")
            .with_body(r#"{"ok":false,"error":"ratelimited"}"#);
        workspace.faults().on("/api/").every(every).then(limited);
    }
    if let Some(url) = &options.events_to {
        workspace.events_to(url);
    }
    Ok(workspace)
}

/// Pushes what comes in, until nothing comes any more.
async fn events(workspace: &FakeWorkspace) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(event) = serde_json::from_str(&line) {
            workspace.push_event(event);
        }
    }
}
