//! The connector of the queue, as its author would write it.

use std::sync::Arc;

use async_stream::try_stream;
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Class, Connector, Context, Discover, Error, Factory, Identity,
    Manifest, Message, Partition, Plan, Read, ReadRequest, Result, State, StreamId, StreamSelection,
    StreamSpec, StreamState,
    contract::TypedFactory,
    http::{HttpClient, Request},
    manifest::{AuthMethod, Capability, Compliance},
    record::{PageSpec, PageSplitter},
};
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
}

#[derive(Debug)]
struct QueueConnector {
    http: Arc<HttpClient>,
}

pub(super) fn connector() -> impl Factory {
    let manifest = Manifest::new("queue", "rest", "0.1.0")
        .with_title("Queue")
        .with_description("A queue that forgets what is acknowledged.")
        .with_capabilities([Capability::Incremental, Capability::Acknowledges])
        .with_auth([AuthMethod::new("none", &[])])
        .with_compliance(Compliance::personal_data());
    TypedFactory::new(manifest, |config: Config, cx: &Context| {
        let url = config.url.parse().map_err(|_| Error::config("connect", "`url` is no URL"))?;
        let http = HttpClient::builder(cx).base_url(url).build()?;
        Ok(QueueConnector { http: Arc::new(http) })
    })
}

fn id_of(key: &[u8]) -> Result<u64> {
    #[derive(Deserialize)]
    struct Key {
        id: u64,
    }
    let key: Key = serde_json::from_slice(key)
        .map_err(|error| Error::new(Class::Schema, "read", "the key is no number").with_source(error))?;
    Ok(key.id)
}

#[async_trait::async_trait]
impl Authenticate for QueueConnector {
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        self.http.send(cx, Request::get("who am I", "/items").query("after", "0")).await?;
        Ok(Identity::new("nobody"))
    }
}

#[async_trait::async_trait]
impl Discover for QueueConnector {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        let schema = json!({"type": "object", "properties": {
            "id": {"type": "integer"}, "text": {"type": "string"}
        }});
        Ok(Catalog::new(vec![StreamSpec::new("items", schema).with_primary_key(["id"]).with_cursor("id")]))
    }
}

#[async_trait::async_trait]
impl Read for QueueConnector {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::read([Partition::new("all")]))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let http = Arc::clone(&self.http);
        let spec = PageSpec::new("items", ["items"]).with_key(["id"]).with_cursor(Some("id".into()));
        let pages = PageSplitter::new(spec);
        Box::pin(try_stream! {
            let mut after: u64 = match &request.state {
                Some(state) => state.decode(1)?,
                None => 0,
            };
            for number in 1.. {
                let ask = Request::get("list items", "/items").query("after", &after.to_string());
                let page = pages.split(http.send(&request.cx, ask).await?, number)?;
                let Some(last) = page.batch.iter().last() else { break };
                after = id_of(last.key.unwrap_or_default())?;
                let state = State::encode(1, &after)?.covering(page.batch.len() as u64);
                yield Message::Batch(page.batch);
                yield Message::State(state);
            }
        })
    }

    async fn acknowledge(&self, cx: &Context, done: &Acknowledged) -> Result<()> {
        let up_to: u64 = done.state.decode(1)?;
        let forget = Request::post("forget items", "/forget", "application/json", "{}");
        // Forgetting what is forgotten does no harm.
        let forget = forget.query("after", &up_to.to_string()).idempotent();
        self.http.send(cx, forget).await.map(drop)
    }
}

impl Connector for QueueConnector {}
