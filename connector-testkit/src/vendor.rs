//! A fake of your own vendor: an axum [`Router`] on loopback, with a fault script and a count of requests.
//!
//! [`FakeDesk`](crate::desk::FakeDesk) and [`FakeOrg`](crate::salesforce::FakeOrg) are vendors to begin with. The
//! connector of another vendor is proved against a fake of that one: its data in memory, drawn from the seed of the
//! [`World`](crate::conformance::World), and a handler for each endpoint that the connector asks. What goes wrong on the
//! way is no affair of the handlers.
//!
//! ```
//! use connector_testkit::{fault::Fault, vendor::{Vendor, axum::{Json, Router, routing::get}}};
//! use serde_json::json;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//!
//! let router = Router::new().route("/v1/me", get(async || Json(json!({ "id": "agent-7" }))));
//! let vendor = Vendor::serve(router).await?;
//! vendor.faults().on("/v1/me").nth(2).then(Fault::retry_after(429, "3"));
//! assert!(vendor.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(vendor.requests(), 0);
//! # Ok(()) }
//! ```

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use axum;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::StatusCode;
use tokio::task::JoinHandle;

use crate::fault::{Connection, Fault, Faults, Listener, Open, Seen, decoded};

/// A fake vendor, served on loopback. Dropping it stops the server and closes its connections.
pub struct Vendor {
    url: String,
    front: Arc<Front>,
    open: Arc<Open>,
    task: JoinHandle<()>,
}

/// What each request passes on its way in.
#[derive(Default)]
struct Front {
    faults: Faults,
    /// The path of each request.
    seen: Mutex<Vec<String>>,
}

impl Front {
    fn seen(&self) -> MutexGuard<'_, Vec<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor {
    /// Serves what the router answers. Faults happen before it is asked, or to what it has answered.
    ///
    /// # Errors
    /// What the operating system says of listening on loopback.
    pub async fn serve(router: Router) -> io::Result<Self> {
        let listener = Listener::bind(0).await?;
        let url = format!("http://{}", listener.address()?);
        let (open, front) = (listener.open_connections(), Arc::<Front>::default());
        let app = router
            .layer(middleware::from_fn_with_state(Arc::clone(&front), pass))
            .into_make_service_with_connect_info::<Connection>();
        let task = tokio::spawn(async move {
            // Serving ends only with the task: accept errors are retried inside.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, front, open, task })
    }

    /// Where it is: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What goes wrong. [`Fault::Unauthorized`] is a 401 without a body; sessions end in the handlers.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.front.faults
    }

    /// All requests so far, answered or not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.front.seen().len() as u64
    }

    /// Requests so far whose path contains this text.
    #[must_use]
    pub fn requests_to(&self, path: &str) -> u64 {
        self.front.seen().iter().filter(|seen| seen.contains(path)).count() as u64
    }
}

async fn pass(
    State(front): State<Arc<Front>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let (method, uri) = (request.method().as_str(), request.uri());
    front.seen().push(uri.path().to_owned());
    let query = decoded(uri.query().unwrap_or_default());
    let Some(fault) = front.faults.decide(&Seen { method, path: uri.path(), query: &query }) else {
        return next.run(request).await;
    };
    if fault == Fault::Unauthorized {
        let mut refusal = Response::new(Body::empty());
        *refusal.status_mut() = StatusCode::UNAUTHORIZED;
        return refusal;
    }
    let response = match fault.instead(&connection).await {
        Some(response) => response,
        None => next.run(request).await,
    };
    let response = fault.upon_content(response).await;
    fault.upon_transport(response, &connection).await
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
        self.open.close_all();
    }
}

impl fmt::Debug for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vendor").field("url", &self.url).finish_non_exhaustive()
    }
}
