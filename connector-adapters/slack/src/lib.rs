#![doc = include_str!("../README.md")]

mod actions;
mod api;
mod auth;
mod catalog;
mod channels;
mod config;
mod connector;
mod cost;
mod cursor;
mod descent;
mod events;
mod fault;
mod hosts;
mod limits;
mod manifest;
mod method;
mod page;
mod streams;
mod stride;
mod ts;

use connector_sdk::{Context, Factory, contract::TypedFactory};

pub use config::{Auth, ChannelType, Oauth, SlackConfig, TokenAuth};
pub use connector::Slack;
pub use events::{EventsConfig, Mode, SlackEvents};
pub use fault::error_code;

/// A workspace read and written by the Web API: what a host registers as `slack/web`.
///
/// ```
/// use connector_sdk::{Context, Factory};
/// use serde_json::value::RawValue;
///
/// let factory = connector_slack::web();
/// assert_eq!(factory.manifest().id().as_str(), "slack/web");
///
/// let config = r#"{ "auth": { "bot_token": { "token": "xoxb-…" } } }"#;
/// let config = RawValue::from_string(config.into()).unwrap();
/// let connector = factory.connect(&config, &Context::builder("acme", "acme-chat").build());
/// assert!(connector.is_ok());
/// ```
pub fn web() -> impl Factory {
    TypedFactory::new(manifest::web(), |config: SlackConfig, cx: &Context| Slack::connect(&config, cx))
        .with_sign_in(|config, cx| auth::sign_in(&config, cx))
}

#[doc = include_str!("events/README.md")]
///
/// ```
/// use connector_sdk::Factory;
/// assert_eq!(connector_slack::events().manifest().id().as_str(), "slack/events");
/// ```
pub fn events() -> impl Factory {
    events::factory()
}
