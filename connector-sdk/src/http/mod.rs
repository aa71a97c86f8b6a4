//! The resilient HTTP client.

mod attempt;
mod auth;
mod call;
mod client;
mod counters;
mod deadline;
mod faults;
mod hosts;
mod operation;
mod request;
mod response;
mod retry;
pub mod stack;
mod timer;
mod transport;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use bytes::Bytes;
pub use url::Url;

pub use attempt::{AttemptFuture, AttemptLayer, AttemptService};
pub use auth::{AuthFuture, AuthLayer, AuthService};
pub use call::{Call, Outgoing};
pub use client::{HttpClient, HttpClientBuilder};
pub use counters::{Counter, StackCounters};
pub use deadline::{DeadlineFuture, DeadlineLayer, DeadlineService};
pub use faults::{Faults, FaultsFuture, FaultsLayer, FaultsService, StatusFaults};
pub use hosts::Hosts;
pub use operation::{OperationFuture, OperationLayer, OperationService};
pub use request::{Request, Target};
pub use response::Response;
pub use retry::{RetryFuture, RetryLayer, RetryService};
pub use transport::Transport;
