//! Who may go to the server: so many at once, and who is admitted.

use connector_sdk::{Context, Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    session::{Server, Session},
    wire::Limits,
};
use crate::admission::Admission;

/// Lets operations to the server.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) server: Server,
    permits: Semaphore,
    admission: Admission,
}

impl Gate {
    pub(super) fn new(server: Server, cx: &Context) -> Self {
        Self { permits: Semaphore::new(server.settings.connections), admission: Admission::new(cx), server }
    }

    /// Waits for a place, and opens a session.
    ///
    /// # Errors
    /// As [`Server::open`]; Transient while the server is left alone.
    pub(super) async fn enter(
        &self,
        cx: &Context,
        limits: &Limits,
    ) -> Result<(SemaphorePermit<'_>, Session)> {
        let place = limits.within("connect", limits.left(), self.permits.acquire()).await?;
        let place = place.map_err(|_| Error::bug("connect", "the gate is closed"))?;
        let opened = Box::pin(self.admission.open(cx, self.server.open(cx, limits))).await;
        Ok((place, opened?))
    }
}
