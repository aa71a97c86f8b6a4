//! A service, and a copy of it to clone from when another is needed.

use std::{
    sync::Arc,
    task::{self, Poll},
};

use tower::Service;

/// A service with a copy that is never called.
///
/// A layer that may have to call twice (a retry, a replay) needs a service that outlives `call`, which
/// it gets by cloning. Cloning a stack costs an atomic addition or two for each layer in it, for every
/// call, although one in a thousand is repeated. So the copy is shared, and cloned when it comes to it.
#[derive(Debug, Clone)]
pub(super) struct Spare<S> {
    inner: S,
    copy: Arc<S>,
}

impl<S: Clone> Spare<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { copy: Arc::new(inner.clone()), inner }
    }

    /// What another is cloned from. It is not ready.
    pub(super) fn copy(&self) -> Arc<S> {
        Arc::clone(&self.copy)
    }

    /// The service that was made ready, for a future that calls it later.
    pub(super) fn take(&mut self) -> S {
        let unready = S::clone(&self.copy);
        std::mem::replace(&mut self.inner, unready)
    }

    pub(super) fn poll_ready<R>(&mut self, task: &mut task::Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<R>,
    {
        self.inner.poll_ready(task)
    }

    pub(super) fn call<R>(&mut self, request: R) -> S::Future
    where
        S: Service<R>,
    {
        self.inner.call(request)
    }
}
