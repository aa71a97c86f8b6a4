#![doc = include_str!("../README.md")]

mod api;
mod auth;
mod config;
mod connector;
mod describe;
mod fault;
mod hosts;
mod manifest;
mod objects;
mod pages;
mod plan;
mod query;
mod quota;
mod selection;
mod soql;
mod survey;
mod walk;

use connector_sdk::{Context, Factory, contract::TypedFactory};

pub use config::{Auth, ClientCredentials, JwtBearer, RefreshToken, SalesforceConfig, Session};
pub use connector::Salesforce;

/// The REST query door: what a host registers as `salesforce/rest`.
///
/// ```
/// use connector_sdk::{Context, Factory};
/// use serde_json::value::RawValue;
///
/// let factory = connector_salesforce::rest();
/// assert_eq!(factory.manifest().id().as_str(), "salesforce/rest");
///
/// let config = RawValue::from_string(r#"{
///     "instance_url": "https://acme.my.salesforce.com",
///     "auth": { "session": { "access_token": "00D…" } }
/// }"#.into()).unwrap();
/// let connector = factory.connect(&config, &Context::builder("acme", "acme-crm").build());
/// assert!(connector.is_ok());
/// ```
pub fn rest() -> impl Factory {
    TypedFactory::new(manifest::rest(), |config: SalesforceConfig, cx: &Context| {
        Salesforce::connect(&config, cx)
    })
    .with_sign_in(|config, cx| auth::sign_in(&config, cx))
}
