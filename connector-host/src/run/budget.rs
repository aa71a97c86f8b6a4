//! A budget of bytes between reading and encoding: what keeps memory bounded (rule D-20).

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are counted in KiB, because a semaphore counts in 32 bits.
const UNIT: usize = 1024;

/// Bytes that may be on their way.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    permits: Arc<Semaphore>,
    units: usize,
}

/// A share of the budget; given back when dropped.
pub(super) type Share = OwnedSemaphorePermit;

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(64, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { permits: Arc::new(Semaphore::new(units)), units }
    }

    /// Waits for a share. What is larger than half of the budget takes half of it: it must pass, and
    /// alone it may be as large as it is.
    pub(super) async fn take(&self, bytes: usize) -> Option<Share> {
        let wanted = (bytes / UNIT + 1).min(self.units / 2);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        self.permits.clone().acquire_many_owned(wanted).await.ok()
    }

    /// What one of `readers` may hold back until a state covers it. All of them together hold a quarter,
    /// so that the rest always flows.
    pub(super) fn hold_limit(&self, readers: usize) -> usize {
        self.units * UNIT / 4 / readers.max(1)
    }
}
