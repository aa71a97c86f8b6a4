//! Method `webhook/sender`.

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Error, Factory, Identity, Manifest, Message, Plan,
    Read, ReadRequest, Result, StreamId, StreamSelection, StreamState, contract::TypedFactory,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The `config:` of a `webhook/sender` connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SenderConfig {}

/// Made by [`sender`](crate::sender()).
#[derive(Debug)]
pub struct Sender;

pub(crate) fn factory() -> impl Factory {
    let manifest = Manifest::new("webhook", "sender", env!("CARGO_PKG_VERSION"));
    TypedFactory::new(manifest, |_: SenderConfig, _: &Context| Ok(Sender))
}

#[async_trait]
impl Authenticate for Sender {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for Sender {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

#[async_trait]
impl Read for Sender {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Err(Error::config("plan", "there is no stream yet"))
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        stream::empty().boxed()
    }
}

impl Connector for Sender {}
