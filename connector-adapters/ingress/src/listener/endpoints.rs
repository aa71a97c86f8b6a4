//! Several endpoints behind one listener, each at its path; they come and go while it serves.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, request::Parts};

use super::{Answer, BodyLimits, Endpoint, Receive};

/// Endpoints by their paths. A clone is the same endpoints.
///
/// | a path is | is answered |
/// |---|---|
/// | added | as its endpoint says |
/// | resting: nobody takes what comes, for now | 503, with `Retry-After` |
/// | removed | 410: a sender that knows what that means does not come again |
/// | none of these | 404 |
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<RwLock<HashMap<String, Route>>>);

#[derive(Debug, Clone)]
enum Route {
    Added(Arc<Endpoint>),
    Resting,
    Removed,
}

/// After how many seconds who came to a resting endpoint may try again.
const RETRY_AFTER: u32 = 30;
/// How long an endpoint may take that was removed meanwhile.
const LONGEST: Duration = Duration::from_secs(60);

impl Endpoints {
    /// Adds an endpoint, in place of what was there.
    pub fn add(&self, path: impl Into<String>, endpoint: Endpoint) {
        self.put(path.into(), Route::Added(Arc::new(endpoint)));
    }

    /// Takes nothing there for now.
    pub fn rest(&self, path: impl Into<String>) {
        self.put(path.into(), Route::Resting);
    }

    /// Takes nothing there any more, and says so.
    pub fn remove(&self, path: impl Into<String>) {
        self.put(path.into(), Route::Removed);
    }

    /// Knows nothing any more of what is at this path or begins with it.
    pub fn forget(&self, prefix: &str) {
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|path, _| !path.starts_with(prefix));
    }

    fn put(&self, path: String, route: Route) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(path, route);
    }

    fn find(&self, head: &Parts) -> Result<Arc<Endpoint>, Answer> {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match routes.get(head.uri.path()) {
            Some(Route::Added(endpoint)) => Ok(Arc::clone(endpoint)),
            Some(Route::Resting) => Err(Answer::later("nothing is taken here for now", RETRY_AFTER)),
            Some(Route::Removed) => Err(Answer::refused(StatusCode::GONE, "this was removed")),
            None => Err(Answer::refused(StatusCode::NOT_FOUND, "there is nothing here")),
        }
    }
}

#[async_trait]
impl Receive for Endpoints {
    fn admits(&self, head: &Parts) -> Result<BodyLimits, Answer> {
        self.find(head)?.admits(head)
    }

    async fn receive(&self, head: Parts, body: Bytes) -> Answer {
        match self.find(&head) {
            Ok(endpoint) => endpoint.receive(head, body).await,
            Err(refused) => refused,
        }
    }

    fn longest(&self) -> Duration {
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let all = routes.values().filter_map(|route| match route {
            Route::Added(endpoint) => Some(endpoint.longest()),
            Route::Resting | Route::Removed => None,
        });
        all.max().unwrap_or(LONGEST)
    }
}
