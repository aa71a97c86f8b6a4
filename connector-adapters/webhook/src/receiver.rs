//! Method `webhook/receiver`: webhooks that others send.
//!
//! ```text
//!            ┌ own listener (listen, tls) ┐
//!  sender ──▶┤                            ├▶ endpoint ▷ scheme ▷ rate ▷ keep ─▶ journal ─▶ read ▷ record ─▶ Bronze
//!            └ the host's server ▷ Gate ──┘      ◀── 200 when durable ──────────┘   ▲
//!                                                                   acknowledge ────┘ forgets
//! ```

mod body;
mod config;
mod connector;
mod gate;
mod keep;
mod known;
mod read;
mod serve;

use connector_sdk::{
    Context, Factory, Manifest,
    contract::TypedFactory,
    manifest::{AuthMethod, Capability, Category, Compliance, DeclaredStream},
};

pub use config::{EndpointConfig, RateConfig, ReceiverConfig, RememberConfig};
pub use connector::Receiver;
pub use gate::Gate;

/// The only stream, and its only partition: the journal has one order.
const EVENTS: &str = "events";

/// What a host registers as `webhook/receiver`, with the gate that connections without an address of their own use.
pub(crate) fn factory(gate: Option<Gate>) -> impl Factory {
    TypedFactory::new(manifest(), move |config: ReceiverConfig, cx: &Context| {
        Receiver::connect(&config, gate.clone(), cx)
    })
}

fn manifest() -> Manifest {
    Manifest::new("webhook", "receiver", env!("CARGO_PKG_VERSION"))
        .with_title("Webhooks")
        .with_description("Webhooks that others send: proved, durable before they are answered, each once.")
        .with_taxonomy(Category::Webhook, &["event"])
        .with_capabilities([Capability::Incremental, Capability::Acknowledges, Capability::Push])
        .with_streams([DeclaredStream {
            name: EVENTS.to_owned(),
            description: "What was sent to the endpoints, in the order in which it came.".to_owned(),
        }])
        .with_auth([AuthMethod::new("secrets", &[])])
        .with_compliance(Compliance::personal_data())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_it_is_called_and_writes_nothing() {
        let manifest = manifest();
        assert_eq!(manifest.id().as_str(), "webhook/receiver");
        assert!(manifest.claims(Capability::Push) && !manifest.claims(Capability::Actions));
        assert!(!manifest.compliance.writes);
    }
}
