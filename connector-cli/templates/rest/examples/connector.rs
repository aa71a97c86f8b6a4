//! The binary `connector` with this connector in it: `cargo run --example connector -- list`.

use std::process::ExitCode;

use connector_example_desk as connector;

fn main() -> ExitCode {
    connector_cli::main(|connectors| connectors.register(connector::rest()))
}
