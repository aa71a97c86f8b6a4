//! The resilient HTTP client.
//!
//! A connector holds an [`HttpClient`], states [`Request`]s, and says with [`Faults`] how its vendor
//! reports failures. All else is done by the layers between: the limits in time, the tries after what
//! may go away, the tokens, the caps. [`stack`] draws their order and builds it; each layer is a plain
//! tower service over [`Call`]s in a file of its own, and can be used alone.
//!
//! ```no_run
//! use std::sync::Arc;
//! use connector_sdk::{
//!     Context, Result, Secret,
//!     auth::{ClientCredentials, TokenEndpoint},
//!     http::{HttpClient, Request, Url},
//! };
//!
//! # async fn example(cx: &Context, url: Url, token_url: Url, secret: Secret) -> Result<()> {
//! let tokens = ClientCredentials::new(TokenEndpoint::new(cx, token_url)?, "client-id", secret);
//! let client = HttpClient::builder(cx).base_url(url).tokens(Arc::new(tokens)).build()?;
//!
//! let page = client.send(cx, Request::get("list", "/contacts").query("since", "2026-01-31")).await?;
//! let new = Request::post("create", "/contacts", "application/json", r#"{"name":"Ada"}"#);
//! // Without a key it would be sent once, and be Ambiguous if its answer were lost.
//! client.send(cx, new.with_idempotency_key("9b2f")).await?;
//! # Ok(()) }
//! ```

mod attempt;
mod auth;
mod breaker;
mod call;
mod client;
mod concurrency;
mod counters;
mod deadline;
mod durations;
mod faults;
mod hosts;
mod operation;
mod rate;
mod request;
mod response;
mod retry;
mod spare;
pub mod stack;
mod state;
mod timer;
mod transport;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use bytes::Bytes;
pub use url::Url;

pub use attempt::{AttemptFuture, AttemptLayer, AttemptService};
pub use auth::{AuthFuture, AuthLayer, AuthService};
pub use breaker::{BreakerFuture, BreakerLayer, BreakerService};
pub use call::{Call, Outgoing};
pub use client::{HttpClient, HttpClientBuilder};
pub use concurrency::{ConcurrencyFuture, ConcurrencyLayer, ConcurrencyService, Gate, GateState};
pub use counters::{Counter, StackCounters};
pub use deadline::{DeadlineFuture, DeadlineLayer, DeadlineService};
pub use faults::{Faults, FaultsFuture, FaultsLayer, FaultsService, StatusFaults};
pub use hosts::Hosts;
pub use operation::{OperationFuture, OperationLayer, OperationService};
pub use rate::{OneQuota, Quotas, RateFuture, RateLayer, RateService};
pub use request::{Request, Target};
pub use response::{Response, ResponseParts};
pub use retry::{RetryFuture, RetryLayer, RetryService};
pub use state::{StackHealth, StackState};
pub use transport::{Duplex, Resolve, Transport, Upgraded, upgrade};
// The way out of protocols that are not HTTP is guarded by the same rules, in the same words.
pub(crate) use transport::{Guard, SystemResolver, to_change};
