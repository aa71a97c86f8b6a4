//! Events by HTTP: the listener, until it is stopped or the journal fails.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_ingress::{
    Journal, Listening,
    listener::{BodyLimits, Endpoint},
    scheme,
};
use connector_sdk::{Context, Result, contract::Listener};

use super::wrapper;

/// Slack waits three seconds for an answer (Events API, "Responding to events"), of which the way here takes some.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The receiver of the Events API, bound to its address.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) listening: Listening,
    pub(super) path: Option<String>,
    pub(super) scheme: scheme::Slack,
    /// Bytes of an event, at most.
    pub(super) max_event: usize,
    pub(super) journal: Journal,
}

#[async_trait]
impl Listener for Receiver {
    fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.listening.address()]
    }

    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        let Self { listening, path, scheme, max_event, journal } = *self;
        let (keep, clock) = (Arc::new(wrapper::keep), cx.clock().clone());
        let mut body = BodyLimits::default();
        body.max_body = max_event;
        let endpoint = Endpoint::new(Arc::new(scheme), keep, journal.clone(), clock, ANSWER_WITHIN)
            .with_path(path)
            .with_body(body);
        let stop = cx.stop().child_token();
        let mut served = Box::pin(listening.serve(cx.clock().clone(), Arc::new(endpoint), stop.clone()));
        let failed = tokio::select! {
            biased;
            () = &mut served => None,
            failed = journal.failure() => {
                // Who is in the middle of it is told to come again.
                stop.cancel();
                served.await;
                Some(failed)
            }
        };
        super::connector::close(&journal).await;
        failed.map_or(Ok(()), Err)
    }
}
