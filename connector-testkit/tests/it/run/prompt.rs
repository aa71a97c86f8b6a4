//! States that do not wait for the next commit.

use std::sync::Arc;

use async_trait::async_trait;
use connector_host::run;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Identity, Message, Partition, Plan, Read,
    ReadRequest, Result, State, StreamId, StreamSelection, StreamSpec, StreamState,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{World, bounded};

/// Says at once what it has made at the vendor, and waits for it without an end.
#[derive(Debug)]
struct MakesAJob {
    promptly: bool,
}

#[async_trait]
impl Authenticate for MakesAJob {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for MakesAJob {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        let spec = StreamSpec::new("s", serde_json::json!({ "type": "object" }));
        Ok(Catalog::new(vec![spec.with_primary_key(["id"]).with_cursor("id")]))
    }
}

#[async_trait]
impl Read for MakesAJob {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::read([Partition::new("p")]))
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let state =
            State::encode(1, &"750x").map(|state| if self.promptly { state.promptly() } else { state });
        stream::iter([state.map(Message::State)]).chain(stream::pending()).boxed()
    }
}

impl Connector for MakesAJob {}

/// Whether the state is durable while the clock stands still.
async fn is_durable_at_once(promptly: bool) -> bool {
    let world = World::new();
    let mut job = world.job();
    job.connector = Arc::new(MakesAJob { promptly });
    let stop = job.cx.stop().clone();
    let running = tokio::spawn(run::run(job));
    let mut known = false;
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
        known = !world.state().await.partitions.is_empty();
        if known {
            break;
        }
    }
    stop.cancel();
    bounded(running).await.unwrap();
    known
}

#[tokio::test]
async fn d_02_a_state_that_names_what_was_made_at_the_vendor_is_durable_before_it_is_waited_for() {
    assert!(is_durable_at_once(true).await);
    assert!(!is_durable_at_once(false).await, "others wait for a commit that is due");
}
