//! The binary `connector`, with this workspace's adapters.

use std::process::ExitCode;

fn main() -> ExitCode {
    connector_cli::main(|connectors| {
        connectors
            .register(connector_salesforce::rest())?
            .register(connector_salesforce::bulk())?
            .register(connector_salesforce::auto())?
            .register(connector_email::imap())?
            .register(connector_email::smtp())?
            .register(connector_slack::web())?
            .register(connector_slack::events())?
            .register(connector_webhook::receiver())?
            .register(connector_webhook::sender())
    })
}
