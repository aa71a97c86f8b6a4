//! Method `webhook/sender`: sends webhooks, from an outbox that loses none.
//!
//! ```text
//!  action send ──▶ outbox (durable) ──▶ driver: what is due ──▶ attempt: sign, guard, send ──▶ verdict
//!  any process      a file each          beside a run             │                              │
//!                   ▲                                             └── again, by the schedule ◀───┤
//!                   └── action replay ◀── dead letters ◀─────────────────────────────────────────┤
//!  Bronze ◀── stream deliveries ◀── journal: what became of each message ◀───────────────────────┘
//! ```

mod actions;
mod attempt;
mod config;
mod connector;
mod delivery;
mod driver;
mod input;
mod message;
mod outbox;
mod port;
mod progress;
mod queue;
mod read;
mod record;
mod schedule;
mod shelf;
mod verdict;

use connector_sdk::{
    Context, Factory, Manifest,
    contract::TypedFactory,
    manifest::{AuthMethod, Capability, Category, DeclaredStream},
};

pub use config::{OutboxConfig, SenderConfig};
pub use connector::{Outside, Sender};

/// The only stream, and its only partition: the journal has one order.
const DELIVERIES: &str = "deliveries";

pub(crate) fn factory() -> impl Factory {
    TypedFactory::new(manifest(), |config: SenderConfig, cx: &Context| Sender::connect(&config, cx))
}

fn manifest() -> Manifest {
    let mut manifest = Manifest::new("webhook", "sender", env!("CARGO_PKG_VERSION"))
        .with_title("Webhooks")
        .with_description("An endpoint that webhooks are sent to, from a durable outbox.")
        .with_taxonomy(Category::Webhook, &["event"])
        .with_capabilities([
            Capability::Incremental,
            Capability::Acknowledges,
            Capability::Push,
            Capability::Actions,
        ])
        .with_streams([DeclaredStream {
            name: DELIVERIES.to_owned(),
            description:
                "What became of each message: delivered or dead, with its attempts and the last answer."
                    .to_owned(),
        }])
        .with_auth([AuthMethod::new("secrets", &[])]);
    manifest.compliance.writes = true;
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_it_acts_and_delivers_beside_a_run() {
        let manifest = manifest();
        assert_eq!(manifest.id().as_str(), "webhook/sender");
        assert!(manifest.claims(Capability::Push) && manifest.claims(Capability::Actions));
        assert!(manifest.compliance.writes);
    }
}
