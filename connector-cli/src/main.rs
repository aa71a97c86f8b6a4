//! The binary `connector`: the host library with this workspace's adapters, for people and for scripts.
//!
//! Results go to standard output, everything else to standard error. Exit status: 0 done, 1 failed, 2 wrong
//! usage or configuration.

mod args;
mod commands;
mod connection;
mod logs;
mod output;
mod progress;
mod render;
mod stop;

use std::{process::ExitCode, sync::LazyLock};

use clap::Parser;
use connector_host::Connectors;
use connector_sdk::{Error, Result, SystemClock, context::Background};

use crate::{
    args::{Cli, Command, SecretsCommand, StateCommand},
    output::{Exit, Output},
};

/// What the contexts of all commands have begun and must not be left half done.
static BACKGROUND: LazyLock<Background> = LazyLock::new(Background::default);

/// The connectors that this binary knows.
fn connectors() -> Result<Connectors> {
    let mut connectors = Connectors::new();
    connectors.register(connector_salesforce::rest())?;
    Ok(connectors)
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error).into(),
    };
    let output = Output::new(cli.json, cli.verbose);
    let exit = start(cli, &output).unwrap_or_else(|error| output.failed(&error));
    exit.into()
}

fn start(cli: Cli, output: &Output) -> Result<Exit> {
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
        let exit = dispatch(cli, output).await;
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

async fn dispatch(cli: Cli, output: &Output) -> Result<Exit> {
    let bars = logs::start(output, matches!(cli.command, Command::Run { .. }));
    let connectors = connectors()?;
    match cli.command {
        Command::List => commands::list(&connectors, output),
        Command::Spec { id } => commands::spec(&connectors, &id, output),
        Command::Check(file) => commands::check(&connectors, &file, output).await,
        Command::Login(args) => commands::login(&connectors, &args, output).await,
        Command::Discover { file, streams } => commands::discover(&connectors, &file, &streams, output).await,
        Command::Run { file, delete_cap } => {
            commands::run(&connectors, &file, delete_cap, bars, output).await
        }
        Command::Runs { file, limit } => commands::runs(&file, limit, output).await,
        Command::State(StateCommand::Show { file, streams }) => {
            commands::state::show(&file, &streams, output).await
        }
        Command::State(StateCommand::Reset { file, streams }) => {
            commands::state::reset(&file, &streams, output).await
        }
        Command::Records { file, streams, limit } => commands::records(&file, &streams, limit, output).await,
        Command::Act(args) => commands::act(&connectors, &args, output).await,
        Command::Secrets(SecretsCommand::List(file)) => commands::secrets::list(&file, output).await,
        Command::Secrets(SecretsCommand::Rotate(args)) => {
            commands::secrets::rotate(&connectors, &args, output).await
        }
    }
}
