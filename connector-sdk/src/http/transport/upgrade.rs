//! A connection that begins as a request and goes on in another protocol (RFC 9110, 7.8): a WebSocket.
//!
//! It is opened as every other connection is: over TLS unless plain http is allowed, to addresses that the guard lets
//! through, through the proxy, with the authorities that the network section names. No redirect is followed.

use std::{fmt, sync::Arc};

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use super::{client, failure, guard::Guard, permit, resolve::SystemResolver};
use crate::{Class, Context, Delivery, Error, Result, clock::timeout};

/// What is left of a connection when both sides have agreed on another protocol.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that speaks another protocol from now on, and how the server agreed to that.
pub struct Upgraded {
    /// The headers of the server's answer.
    pub headers: HeaderMap,
    /// The connection. What goes over it has no limits but those that its user sets.
    pub stream: Box<dyn Duplex>,
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}

/// Asks a server for another protocol on a connection of its own, within the time of an attempt.
///
/// `headers` are those of the protocol, such as `Sec-WebSocket-Key`. The URL is shown nowhere but for its host: that of
/// a socket often holds a ticket.
///
/// # Errors
/// As the transport's: Config for plain http that is not allowed and for TLS that cannot be, Permanent for an address
/// that is refused, Transient for no connection or no answer in time. When the server says no: RateLimited for 429,
/// Transient for 5xx, otherwise Permanent; the delivery is Answered.
pub async fn upgrade(
    cx: &Context,
    operation: &'static str,
    url: &Url,
    protocol: &'static str,
    headers: HeaderMap,
) -> Result<Upgraded> {
    let guard = Guard::new(Arc::new(cx.network().clone()), Arc::new(SystemResolver));
    permit(&guard, cx.network().allow_http, operation, url)?;
    let settings = cx.resilience();
    let user_agent = concat!("connector-sdk/", env!("CARGO_PKG_VERSION"));
    let client = client::http1(cx.network(), &guard, settings.connect_timeout, user_agent)?;
    let mut request = reqwest::Request::new(::http::Method::GET, url.clone());
    *request.headers_mut() = headers;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(protocol));
    let exchange = async {
        let failed = |error: reqwest::Error| failure::of_upgrade(error, operation, url);
        let answer = client.execute(request).await.map_err(failed)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(super::at(refused(operation, answer.status()), url));
        }
        let headers = answer.headers().clone();
        let stream = answer.upgrade().await.map_err(failed)?;
        Ok(Upgraded { headers, stream: Box::new(stream) as Box<dyn Duplex> })
    };
    timeout(&**cx.clock(), settings.attempt_timeout, exchange)
        .await
        .map_err(|elapsed| super::at(Error::transient(operation, elapsed.to_string()), url))?
}

fn refused(operation: &'static str, status: StatusCode) -> Error {
    let class = match status {
        StatusCode::TOO_MANY_REQUESTS => Class::RateLimited,
        status if status.is_server_error() => Class::Transient,
        _ => Class::Permanent,
    };
    Error::new(class, operation, "the server does not change the protocol")
        .with_delivery(Delivery::Answered)
        .with_context("status", status.as_u16())
}
