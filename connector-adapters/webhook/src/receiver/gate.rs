//! The receiver inside another server: a tower service that an axum application mounts, behind which any number of
//! tenants' connections come and go.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use connector_ingress::listener::{Endpoints, Flight, Rate, Receive as _, read_body};
use connector_sdk::{Clock, ConnectionName, TenantId};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower::Service;

/// Bytes of bodies in memory at once, of all connections and of one.
const MAX_IN_FLIGHT: usize = 64 << 20;
const MAX_OF_ONE: usize = MAX_IN_FLIGHT / 4;

/// Where the connections of a host are called that have no address of their own: each at
/// `/{tenant}/{connection}` and the paths of its endpoints, from when its run listens.
///
/// A connection that is between two runs is answered 503, with `Retry-After`; one that this gate has never heard of 404.
/// Limits of bodies hold here as with a listener; those of connections (idle time, heads, their number) are the affair of
/// the server that it is mounted in. A clone is the same gate.
///
/// ```
/// use connector_sdk::{SystemClock, TenantId};
/// use connector_webhook::Gate;
///
/// let gate = Gate::new(SystemClock::shared());
/// // At most 100 events a second of this tenant, by all its connections together.
/// gate.limit(&TenantId::from("acme"), 100, 500);
/// let factory = connector_webhook::receiver_at(&gate);
/// let app: axum::Router = axum::Router::new().nest_service("/hooks", gate);
/// ```
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    endpoints: Endpoints,
    flight: Flight,
    clock: Arc<dyn Clock>,
    rates: Mutex<HashMap<TenantId, Rate>>,
    /// By the prefix of a connection.
    parts: Mutex<HashMap<String, Flight>>,
}

impl Gate {
    /// A gate with nothing behind it. It keeps 64 MiB of bodies in memory at most, 16 MiB of one connection's,
    /// beside the first 16 KiB of each.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let flight = Flight::new(MAX_IN_FLIGHT);
        Self(Arc::new(Inner {
            endpoints: Endpoints::default(),
            flight,
            clock,
            rates: Mutex::default(),
            parts: Mutex::default(),
        }))
    }

    /// How many events of a tenant are taken, by all its connections together, from their next run on: so many a second
    /// in the long run, and so many at once after a rest. Beyond that they are answered 429.
    pub fn limit(&self, tenant: &TenantId, per_second: u32, burst: u32) {
        let rate = Rate::new(tenant.as_str(), per_second, burst, Arc::clone(&self.0.clock));
        self.0.rates.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), rate);
    }

    /// Knows nothing of a connection any more that will not run again: it is answered 404.
    pub fn forget(&self, tenant: &TenantId, connection: &ConnectionName) {
        let prefix = Self::prefix(tenant, connection);
        self.0.endpoints.forget(&format!("{prefix}/"));
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner).remove(&prefix);
    }

    /// The rate of a tenant.
    pub(super) fn rate(&self, tenant: &TenantId) -> Option<Rate> {
        self.0.rates.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// What is behind it.
    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.0.endpoints
    }

    /// Where the paths of a connection begin: `/acme/acme-crm`. Other than letters, digits, `-`, `.`, `_` and `~` is
    /// percent-encoded, in upper case, and has to be sent so: paths are compared byte for byte.
    #[must_use]
    pub fn prefix(tenant: &TenantId, connection: &ConnectionName) -> String {
        format!("/{}/{}", segment(tenant.as_str()), segment(connection.as_str()))
    }

    /// The memory of the connection that this path belongs to, which is known here.
    fn part(&self, path: &str) -> Flight {
        let end = path.match_indices('/').nth(2).map_or(path.len(), |(at, _)| at);
        let prefix = path.get(..end).unwrap_or(path);
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match parts.get(prefix) {
            Some(part) => part.clone(),
            None => parts.entry(prefix.to_owned()).or_insert(self.0.flight.part(MAX_OF_ONE)).clone(),
        }
    }

    async fn answer<B>(self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body,
    {
        let Inner { endpoints, clock, .. } = &*self.0;
        let (head, body) = request.into_parts();
        let answer = match endpoints.admits(&head) {
            Ok(limits) => match read_body(pin!(body), &limits, &self.part(head.uri.path()), &**clock).await {
                Ok((body, held)) => {
                    let answer = endpoints.receive(head, body).await;
                    drop(held);
                    answer
                }
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        answer.into_response()
    }
}

/// One segment of a path.
fn segment(text: &str) -> String {
    if matches!(text, "." | "..") {
        // Clients resolve it, unless it is written otherwise, and most do even then: no name for a tenant.
        return text.replace('.', "%2E");
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl<B> Service<Request<B>> for Gate
where
    B: Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gate = self.clone();
        Box::pin(async move { Ok(gate.answer(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_whatever_is_in_it() {
        let prefix = Gate::prefix(&TenantId::from("a/../b"), &ConnectionName::from("é c"));
        assert_eq!(prefix, "/a%2F..%2Fb/%C3%A9%20c");
    }
}
