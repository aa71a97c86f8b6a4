//! Events by HTTP: the listener, until it is stopped or the journal fails.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_ingress::{Journal, ListenerConfig, Listening, listener::Endpoint, scheme};
use connector_sdk::{Context, Result, contract::Listener};

use super::wrapper;

/// Slack waits three seconds for an answer (Events API, "Responding to events"), of which the way here takes some.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The receiver of the Events API.
#[derive(Debug)]
pub(super) struct Receiver {
    listening: Listening,
    path: Option<String>,
    scheme: scheme::Slack,
    journal: Journal,
}

impl Receiver {
    /// Binds the address.
    ///
    /// # Errors
    /// Config when it cannot be bound.
    pub(super) async fn bind(
        config: ListenerConfig,
        path: Option<String>,
        scheme: scheme::Slack,
        journal: Journal,
    ) -> Result<Self> {
        Ok(Self { listening: Listening::bind(config).await?, path, scheme, journal })
    }
}

#[async_trait]
impl Listener for Receiver {
    fn addresses(&self) -> Vec<SocketAddr> {
        vec![self.listening.address()]
    }

    async fn serve(self: Box<Self>, cx: Context) -> Result<()> {
        let Self { listening, path, scheme, journal } = *self;
        let (keep, clock) = (Arc::new(wrapper::keep), cx.clock().clone());
        let endpoint =
            Endpoint::new(Arc::new(scheme), keep, journal.clone(), clock, ANSWER_WITHIN).with_path(path);
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
