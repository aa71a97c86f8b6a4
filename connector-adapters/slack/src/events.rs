//! `slack/events`: what happens in a workspace, as the vendor tells it, by HTTP or over Socket Mode.
//!
//! Both ways in end in the same journal, and the vendor hears that an event was taken when it is durable there:
//!
//! ```text
//! http:    Slack ──POST──▶ listener ▷ signature ─┐                        ┌─▶ Bronze
//!                          ◀── 200 when durable  ├─▶ journal ──▶ read ────┤
//! socket:  Slack ──frame─▶ socket, 1 to 10 ──────┘      ▲                 └─▶ checkpoint
//!                          ◀── envelope_id when durable └── acknowledge: forgets
//! ```

mod config;
mod connector;
mod http;
mod read;
mod socket;
mod wrapper;

use connector_sdk::{
    Context, Factory,
    contract::TypedFactory,
    manifest::{AuthMethod, Capability, DeclaredStream, Manifest},
};

pub use config::{EventsConfig, Mode};
pub use connector::SlackEvents;

use crate::manifest::slack;

/// The only stream, and its only partition: the journal has one order.
const EVENTS: &str = "events";

/// What a host registers as `slack/events`.
pub(crate) fn factory() -> impl Factory {
    TypedFactory::new(manifest(), |config: EventsConfig, cx: &Context| SlackEvents::connect(&config, cx))
}

fn manifest() -> Manifest {
    let mut manifest =
        slack("events", "What happens in a Slack workspace, as Slack tells it: Events API and Socket Mode.")
            .with_capabilities([Capability::Incremental, Capability::Acknowledges, Capability::Push])
            .with_streams([DeclaredStream {
                name: EVENTS.to_owned(),
                description: "Events in their wrappers, as they came.".to_owned(),
            }])
            .with_auth([
                AuthMethod::new("app_token", &["connections:write"]),
                AuthMethod::new("signing_secrets", &[]),
            ]);
    manifest.compliance.writes = false;
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_it_is_called() {
        let manifest = manifest();
        assert_eq!(manifest.id().as_str(), "slack/events");
        assert!(manifest.claims(Capability::Push) && !manifest.claims(Capability::Actions));
        assert!(!manifest.compliance.writes);
    }
}
