//! What the methods declare about themselves.

use std::collections::BTreeSet;

use connector_sdk::manifest::{AuthMethod, Capability, Category, Compliance, DeclaredStream, Manifest};

use crate::{catalog::Stream, config::Settings, hosts::VENDOR_HOSTS};

/// The scopes that the actions take.
const ACTIONS: [&str; 4] = ["chat:write", "files:write", "reactions:write", "users:read.email"];

/// `slack/web`.
pub(crate) fn web() -> Manifest {
    let streams = Stream::ALL.map(|stream| DeclaredStream {
        name: stream.name().to_owned(),
        description: stream.description().to_owned(),
    });
    slack("web", "A Slack workspace, read and written by the Web API.")
        .with_capabilities([
            Capability::Incremental,
            Capability::ResumableFull,
            Capability::Partitions,
            Capability::Actions,
            Capability::CostEstimate,
        ])
        .with_streams(streams)
        .with_auth([
            AuthMethod::new("bot_token", &[]),
            AuthMethod::new("user_token", &[]),
            AuthMethod::new("oauth", &[]).rotating(),
        ])
}

/// What all methods of this vendor have in common.
pub(crate) fn slack(method: &str, description: &str) -> Manifest {
    let mut compliance = Compliance::personal_data();
    compliance.writes = true;
    compliance.residency = Some("where the workspace's data residency is set to".to_owned());
    compliance.terms_url = Some("https://slack.com/terms-of-service/api".to_owned());
    Manifest::new("slack", method, env!("CARGO_PKG_VERSION"))
        .with_title("Slack")
        .with_description(description)
        .with_taxonomy(Category::Messaging, &["person", "channel", "message", "file"])
        .with_network(VENDOR_HOSTS)
        .with_compliance(compliance)
}

/// All scopes that a connection with these settings may need, each once.
pub(crate) fn scopes(settings: &Settings) -> Vec<String> {
    let streams = Stream::ALL.into_iter().flat_map(|stream| stream.scopes(settings));
    let all: BTreeSet<String> = streams.chain(ACTIONS.map(str::to_owned)).collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_it_is_and_what_it_has() {
        let manifest = web();
        assert_eq!(manifest.id().as_str(), "slack/web");
        assert!(manifest.claims(Capability::Incremental) && manifest.claims(Capability::Actions));
        assert!(manifest.auth_method("oauth").is_some_and(|method| method.rotates));
        assert_eq!(manifest.streams.len(), Stream::ALL.len());
    }
}
