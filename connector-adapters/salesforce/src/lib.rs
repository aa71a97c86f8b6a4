#![doc = include_str!("../README.md")]

mod actions;
mod api;
mod auth;
mod bulk;
mod chunks;
mod client;
mod config;
mod connector;
mod deleted;
mod describe;
mod door;
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
mod stride;
mod survey;
mod walk;

use connector_sdk::{Context, Factory, contract::TypedFactory};

use door::Door;

pub use client::{
    Client, Composite, ExternalId, Failed, Ingest, IngestOperation, Ingested, Param, Params, Saved, Written,
};
pub use config::{Auth, ClientCredentials, JwtBearer, RefreshToken, SalesforceConfig, SamlBearer, Session};
pub use connector::Salesforce;
pub use fault::error_code;

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
    factory(Door::Rest)
}

/// The Bulk API 2.0 door, `salesforce/bulk`: each read is a query job at the vendor, whose results are fetched side by
/// side. For objects with many rows; one that the Bulk API does not serve is skipped, and named.
///
/// ```
/// use connector_sdk::Factory;
/// assert_eq!(connector_salesforce::bulk().manifest().id().as_str(), "salesforce/bulk");
/// ```
pub fn bulk() -> impl Factory {
    factory(Door::Bulk)
}

/// Both doors, `salesforce/auto`: a Bulk job where there is much to read, REST where there is little, where the Bulk API
/// does not serve the object, and where the day's jobs are used up.
///
/// ```
/// use connector_sdk::Factory;
/// assert_eq!(connector_salesforce::auto().manifest().id().as_str(), "salesforce/auto");
/// ```
pub fn auto() -> impl Factory {
    factory(Door::Auto)
}

fn factory(door: Door) -> impl Factory {
    TypedFactory::new(manifest::of(door), move |config: SalesforceConfig, cx: &Context| {
        Salesforce::connect_by(door, &config, cx)
    })
    .with_sign_in(|config, cx| auth::sign_in(&config, cx))
}
