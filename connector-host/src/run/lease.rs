//! Keeps a lease alive while its stream runs.

use std::{sync::Arc, time::Duration};

use connector_sdk::{Class, Context, Error, contract::Lease};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::Registry;

/// Renews a lease three times in its life; says so when it is lost.
pub(super) struct LeaseKeeper {
    task: AbortOnDropHandle<()>,
    lost: watch::Receiver<Option<String>>,
    done: CancellationToken,
    lease: Lease,
}

impl LeaseKeeper {
    pub(super) fn start(cx: &Context, registry: Arc<dyn Registry>, lease: Lease, lasts: Duration) -> Self {
        let (tell, lost) = watch::channel(None);
        let done = CancellationToken::new();
        let (clock, ended, kept) = (cx.clock().clone(), done.clone(), lease.clone());
        let task = tokio::spawn(async move {
            let mut last_success = clock.monotonic();
            loop {
                tokio::select! {
                    () = ended.cancelled() => return,
                    () = clock.sleep(lasts / 3) => {}
                }
                match registry.renew(&kept, lasts).await {
                    Ok(()) => last_success = clock.monotonic(),
                    // The registry may be busy; the lease still stands until it expires.
                    Err(error) if still_stands(&error, clock.monotonic() - last_success, lasts) => {
                        tracing::warn!(stream = %kept.stream, %error, "the lease could not be renewed yet");
                    }
                    Err(error) => {
                        let _ = tell.send(Some(error.to_string()));
                        return;
                    }
                }
            }
        });
        Self { task: AbortOnDropHandle::new(task), lost, done, lease }
    }

    /// Ends when the lease is lost, with the error that says so; otherwise never.
    pub(super) async fn lost(&self) -> Error {
        let mut lost = self.lost.clone();
        let told = lost.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        match told {
            Some(message) => Error::permanent("renew lease", message).with_context("fence", self.lease.fence),
            None => std::future::pending().await,
        }
    }

    pub(super) async fn stop(self) {
        self.done.cancel();
        let _ = self.task.await;
    }
}

/// Whether a lease that could not be renewed for so long is still ours.
fn still_stands(error: &Error, unrenewed: Duration, lasts: Duration) -> bool {
    error.class() == Class::Transient && unrenewed < lasts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_16_a_lease_stands_through_trouble_that_passes_until_it_expires_and_not_through_a_refusal() {
        let (busy, fenced) = (Error::transient("renew", "busy"), Error::permanent("renew", "fenced"));
        let (lasts, second) = (Duration::from_secs(30), Duration::from_secs(1));
        assert!(still_stands(&busy, lasts - second, lasts));
        assert!(!still_stands(&busy, lasts, lasts));
        assert!(!still_stands(&fenced, second, lasts));
    }
}
