//! Time as it is to one who does not wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connector_sdk::{Clock, Timestamp};
use futures_util::future::BoxFuture;

/// A clock that goes ahead instead of sleeping as long as a vendor asks for. Timeouts are longer, and stay.
#[derive(Debug)]
pub(super) struct Hasty {
    pub(super) clock: Arc<dyn Clock>,
    /// What is left of a sleep, in parts of a hundred.
    pub(super) share: u32,
    pub(super) ahead: AtomicU64,
}

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + Duration::from_nanos(self.ahead.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if !(Duration::from_secs(20)..Duration::from_secs(40)).contains(&duration) {
            return self.clock.sleep(duration);
        }
        let slept = duration * self.share / 100;
        let left = u64::try_from((duration - slept).as_nanos()).unwrap();
        self.ahead.fetch_add(left, Ordering::SeqCst);
        self.clock.sleep(slept)
    }
}
