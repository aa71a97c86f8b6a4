//! The binary `connector` as a library: the host with the connectors that it is given, for people and for scripts.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 wrong
//! usage or configuration.
//!
//! The author of a connector has `connector` with it in three lines, and so has who wants others than this
//! workspace's:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     connector_cli::main(|connectors| connectors.register(connector_salesforce::rest()))
//! }
//! ```

mod args;
mod commands;
mod connection;
mod logs;
mod output;
mod progress;
mod render;
mod scaffold;
mod stop;

use std::{ffi::OsString, process::ExitCode, sync::LazyLock};

use clap::Parser;
use connector_host::Connectors;
use connector_sdk::{Error, Result, SystemClock, context::Background};

use crate::{
    args::{Cli, Command, SecretsCommand, StateCommand},
    output::{Exit, Output},
};

/// What the contexts of all commands have begun and must not be left half done.
static BACKGROUND: LazyLock<Background> = LazyLock::new(Background::default);

/// Does what the command line asks for, with the connectors that are registered. A program calls it once, from its
/// `main`, and it is all of the program: it reads the arguments, logs, and answers the exit status.
pub fn main(register: impl FnOnce(&mut Connectors) -> Result<&mut Connectors>) -> ExitCode {
    run(std::env::args_os(), register)
}

/// As [`main`], with a command line from elsewhere; its first word is the program's name, as ever.
pub fn run<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    register: impl FnOnce(&mut Connectors) -> Result<&mut Connectors>,
) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error).into(),
    };
    let output = Output::new(cli.json, cli.verbose);
    let exit = start(cli, register, &output).unwrap_or_else(|error| output.failed(&error));
    exit.into()
}

fn start(
    cli: Cli,
    register: impl FnOnce(&mut Connectors) -> Result<&mut Connectors>,
    output: &Output,
) -> Result<Exit> {
    let mut connectors = Connectors::new();
    register(&mut connectors)?;
    let broken = |what: &'static str| move |error| Error::bug("start", what).with_source(error);
    // Whoever speaks TLS in this process does it with this provider; an embedding host chooses its own.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider is installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(broken("the runtime does not start"))?;
    let exit = runtime.block_on(async {
        let exit = dispatch(cli, &connectors, output).await;
        // An exchange of a token that has begun is answered and kept, though the command has failed.
        if let Err(elapsed) = BACKGROUND.settled(&SystemClock::new(), Background::PATIENCE).await {
            tracing::warn!(%elapsed, "something still runs in the background; a rotated token may be lost with it");
        }
        exit
    });
    // What still runs (a lookup of a name) must not hold up the exit.
    runtime.shutdown_background();
    exit
}

async fn dispatch(cli: Cli, connectors: &Connectors, output: &Output) -> Result<Exit> {
    let bars = logs::start(output, matches!(cli.command, Command::Run { .. }));
    match cli.command {
        Command::New(args) => commands::new(&args, output),
        Command::List => commands::list(connectors, output),
        Command::Spec { id } => commands::spec(connectors, &id, output),
        Command::Check(args) => commands::check(connectors, &args, output).await,
        Command::Login(args) => commands::login(connectors, &args, output).await,
        Command::Discover { file, streams } => commands::discover(connectors, &file, &streams, output).await,
        Command::Run(args) => commands::run(connectors, &args, &bars, output).await,
        Command::Runs { file, limit } => commands::runs(&file, limit, output).await,
        Command::State(StateCommand::Show { file, streams }) => {
            commands::state::show(&file, &streams, output).await
        }
        Command::State(StateCommand::Reset { file, streams }) => {
            commands::state::reset(&file, &streams, output).await
        }
        Command::Records { file, streams, limit } => commands::records(&file, &streams, limit, output).await,
        Command::Act(args) => commands::act(connectors, &args, output).await,
        Command::Secrets(SecretsCommand::List(file)) => commands::secrets::list(&file, output).await,
        Command::Secrets(SecretsCommand::Rotate(args)) => {
            commands::secrets::rotate(connectors, &args, output).await
        }
    }
}
