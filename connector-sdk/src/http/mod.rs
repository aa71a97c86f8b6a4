//! The resilient HTTP client.

mod call;
mod client;
mod counters;
mod faults;
mod hosts;
mod request;
mod response;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use bytes::Bytes;
pub use url::Url;

pub use call::{Call, Outgoing};
pub use client::{HttpClient, HttpClientBuilder};
pub use counters::{Counter, StackCounters};
pub use faults::{Faults, FaultsFuture, FaultsLayer, FaultsService, StatusFaults};
pub use request::{Request, Target};
pub use response::Response;
