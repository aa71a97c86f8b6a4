//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use connector_sdk::Period;

/// Reads from outside systems into Bronze, and acts in them.
#[derive(Debug, Parser)]
#[command(name = "connector", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// Prints one JSON document on standard output, and logs as JSON lines on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says more; twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begins a connector: a crate that compiles, runs, and passes the conformance suite, to be changed.
    New(NewArgs),
    /// Lists the connectors that this binary knows.
    List,
    /// Shows a connector's manifest and the JSON Schema of its configuration.
    Spec {
        /// The connector, such as `salesforce/rest`.
        id: String,
    },
    /// Finds out whether a connection can run: a verdict per probe.
    Check(CheckArgs),
    /// Lets a person sign in to a connection with a browser, once.
    Login(LoginArgs),
    /// Shows what can be read.
    Discover {
        #[command(flatten)]
        file: FileArgs,
        /// Looks at this stream only; may be repeated.
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
    },
    /// Runs a connection once; it resumes where the last run ended.
    Run(RunArgs),
    /// Lists the runs of a connection, newest first.
    Runs {
        #[command(flatten)]
        file: FileArgs,
        /// No more than so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Shows or resets where the streams of a connection stand.
    #[command(subcommand)]
    State(StateCommand),
    /// Prints the records that stand in Bronze, one envelope per line.
    Records {
        #[command(flatten)]
        file: FileArgs,
        /// Of this stream only; may be repeated.
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
        /// No more than so many.
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Does an action in the outside system.
    Act(ActArgs),
    /// Lists or changes the secrets that a template names. Shows none.
    #[command(subcommand)]
    Secrets(SecretsCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Lists the names, and the store that each is in.
    List(FileArgs),
    /// Puts another secret in the place of one: runs that are going on go over to it when the vendor refuses
    /// the old one.
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// The secret, as in `${secret:NAME}`.
    pub(crate) name: String,
    /// Where the other one is: `@FILE`, or `-` for standard input. Without it the one that was left as next
    /// is taken.
    #[arg(long, value_name = "@FILE|-")]
    pub(crate) value_from: Option<String>,
    /// First signs in with it, and changes nothing when it is refused.
    #[arg(long)]
    pub(crate) check: bool,
    /// Leaves it as the next one: it takes the other's place when the vendor refuses that.
    #[arg(long)]
    pub(crate) stage: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Shows where each partition stands.
    Show {
        #[command(flatten)]
        file: FileArgs,
        /// Of this stream only; may be repeated.
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
    },
    /// Forgets where the streams stand: the next run reads them anew.
    Reset {
        #[command(flatten)]
        file: FileArgs,
        /// This stream only; may be repeated.
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The crate, such as `connector-acme`; what follows `connector-` is the vendor's name in connection files.
    pub(crate) name: String,
    /// How the vendor is talked to. Known: `rest`.
    #[arg(long, default_value = "rest")]
    pub(crate) method: String,
    /// The folder to write, `./NAME` by default. Nothing may be there yet but an empty folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) path: Option<PathBuf>,
    /// Takes the SDK from this checkout, with the versions of everything that it is tested with. This or `--sdk-git`
    /// has to be given.
    #[arg(long, value_name = "DIR", conflicts_with = "sdk_git")]
    pub(crate) sdk: Option<PathBuf>,
    /// Takes the SDK from this repository: `https`, `ssh`, `USER@HOST:PATH` or `file`; `#COMMIT` after it pins one.
    #[arg(long, value_name = "URL")]
    pub(crate) sdk_git: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Also says what a run would cost, as far as the vendor tells: requests, records, how long it takes at least. This
    /// may itself take some requests for each stream.
    #[arg(long)]
    pub(crate) estimate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// The largest share of a stream that a full read may conclude to be deleted, from 0 to 1.
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    pub(crate) delete_cap: f64,
    /// Runs again and again, until SIGTERM or SIGINT: when the source hints at something new, and at an interval. With
    /// --json each run is a document, in a line of its own.
    #[arg(long)]
    pub(crate) follow: bool,
    /// The interval of --follow.
    #[arg(long, value_name = "PERIOD", default_value = "60s", requires = "follow")]
    pub(crate) every: Period,
}

/// Which connection.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The template of the connection.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Sets `${var:NAME}` of the template; may be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) vars: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Where the vendor sends the browser back to, on this machine. Port 0 is any free one; many vendors take
    /// only an address that they know to the letter.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:0/callback")]
    pub(crate) redirect_uri: String,
    /// Opens the browser.
    #[arg(long)]
    pub(crate) open: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// The action, such as `create`.
    pub(crate) name: String,
    /// Its input: JSON, `@FILE`, or `-` for standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) input: String,
    /// With the same key the action is done once, however often it is asked for.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("`{text}` is no share from 0 to 1"))
}
