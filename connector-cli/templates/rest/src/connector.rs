//! The verbs of the contract, each a line or two over the files that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Identity, Message, Partition, Plan, Read,
    ReadRequest, Result, StreamId, StreamSelection, StreamState, http::StackHealth,
};
use futures_util::stream::BoxStream;

use crate::{api::Api, config::Config, tickets};

#[derive(Debug)]
pub(crate) struct Desk {
    api: Arc<Api>,
}

impl Desk {
    pub(crate) fn connect(config: &Config, cx: &Context) -> Result<Self> {
        Ok(Self { api: Arc::new(Api::connect(config, cx)?) })
    }
}

#[async_trait]
impl Authenticate for Desk {
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        self.api.me(cx).await
    }
}

#[async_trait]
impl Discover for Desk {
    /// A vendor that describes its objects is asked here; this one has a single stream.
    async fn discover(&self, _cx: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        let mut streams = vec![tickets::spec()];
        streams.retain(|stream| names.is_none_or(|names| names.contains(&stream.name)));
        Ok(Catalog::new(streams))
    }
}

#[async_trait]
impl Read for Desk {
    /// One partition. Where parts can be read at once (projects, windows of time), name several.
    async fn partitions(
        &self,
        _cx: &Context,
        _stream: &StreamSelection,
        _state: &StreamState,
    ) -> Result<Plan> {
        Ok(Plan::read([Partition::new("all")]))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        tickets::read(Arc::clone(&self.api), request)
    }
}

/// More hooks: what a read will cost, what can be done besides reading, what the vendor may forget.
#[async_trait]
impl Connector for Desk {
    fn stack_health(&self, cx: &Context) -> Option<StackHealth> {
        Some(self.api.health(cx))
    }
}
