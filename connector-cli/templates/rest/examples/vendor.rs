//! A fake vendor, for as long as a command runs: `cargo run --example vendor -- COMMAND…`
//!
//! The command finds the vendor's address in `DESK_URL`, and the secret where `${secret:desk}` looks for it first: in a
//! variable of its own, which ends with it.

use std::{io, process::ExitCode};

use connector_testkit::desk::FakeDesk;
use tokio::process::Command;

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else {
        return Err(io::Error::other("give a command, such as `bash`"));
    };
    let desk = FakeDesk::start(1, 1000).await?;
    let status = Command::new(program)
        .args(arguments)
        .env("DESK_URL", desk.url())
        .env("CONNECTOR_SECRET_DESK", FakeDesk::CLIENT_SECRET)
        .status()
        .await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
