#![doc = include_str!("../README.md")]

mod api;
mod config;
mod connector;
mod fault;
mod tickets;

use connector_sdk::{
    Context, Factory, Manifest,
    contract::TypedFactory,
    manifest::{AuthMethod, Capability, Compliance},
};

pub use config::{Auth, ClientCredentials, Config};
use connector::Desk;

/// The vendor. A connection's file names the connector `example-desk/rest`: vendor, then method.
const SYSTEM: &str = "example-desk";

/// The connector, as a host registers it.
pub fn rest() -> impl Factory {
    TypedFactory::new(manifest(), |config: Config, cx: &Context| Desk::connect(&config, cx))
}

/// What the connector says of itself. The suite tests what it claims here, and what it does not.
fn manifest() -> Manifest {
    Manifest::new(SYSTEM, "rest", env!("CARGO_PKG_VERSION"))
        .with_title("Help desk")
        .with_description(env!("CARGO_PKG_DESCRIPTION"))
        .with_capabilities([Capability::Incremental, Capability::ResumableFull, Capability::Deletes])
        .with_auth([AuthMethod::new("client_credentials", &[])])
        .with_compliance(Compliance::personal_data())
}
