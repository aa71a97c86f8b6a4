//! Method `webhook/receiver`.

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Error, Factory, Identity, Manifest, Message, Plan, Read,
    ReadRequest, Result, StreamId, StreamSelection, StreamState, contract::TypedFactory,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The `config:` of a `webhook/receiver` connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReceiverConfig {}

/// Made by [`receiver`](crate::receiver()).
#[derive(Debug)]
pub struct Receiver;

pub(crate) fn factory() -> impl Factory {
    let manifest = Manifest::new("webhook", "receiver", env!("CARGO_PKG_VERSION"));
    TypedFactory::new(manifest, |_: ReceiverConfig, _: &Context| Ok(Receiver))
}

#[async_trait]
impl Authenticate for Receiver {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for Receiver {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

#[async_trait]
impl Read for Receiver {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Err(Error::config("plan", "there is no stream yet"))
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        stream::empty().boxed()
    }
}

impl Connector for Receiver {}
