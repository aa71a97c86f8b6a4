//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_ingress::{
    Journal, Listening,
    journal::{Limits, RealDisk},
};
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Partition,
    Plan, Read, ReadRequest, Result, StreamId, StreamSelection, StreamSpec, StreamState, SyncMode,
    contract::Listener, http::StackHealth,
};
use futures_util::stream::BoxStream;
use serde_json::json;
use tokio::sync::OnceCell;

use super::{
    EVENTS,
    config::{EventsConfig, Settings, Way},
    http::Receiver,
    read,
    socket::{Sockets, Ticket},
};
use crate::{api::Api, auth};

/// The events of an app. Made by [`events`](crate::events()).
#[derive(Debug)]
pub struct SlackEvents {
    settings: Settings,
    /// The Web API, with the app-level token; none where nobody is called.
    api: Option<Arc<Api>>,
    /// Opened by the first who needs it.
    journal: Arc<OnceCell<Journal>>,
}

impl SlackEvents {
    /// Checks the configuration and prepares. No I/O.
    pub(super) fn connect(config: &EventsConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx)?;
        let api = match &settings.way {
            Way::Http { .. } => None,
            Way::Socket { base_url, token, .. } => {
                Some(Arc::new(Api::new(base_url, None, auth::given(token, cx)?, cx)?))
            }
        };
        Ok(Self { settings, api, journal: Arc::default() })
    }

    /// The journal, opened if it is not.
    fn journal(&self, cx: &Context) -> impl Future<Output = Result<Journal>> + Send + 'static {
        let (cell, cx) = (Arc::clone(&self.journal), cx.clone());
        let (folder, limits) = (self.settings.journal.clone(), Limits::of_size(self.settings.max_size));
        async move {
            let open = || Journal::open(Arc::new(RealDisk), folder, limits, &**cx.clock());
            cell.get_or_try_init(open).await.cloned()
        }
    }
}

/// Nothing is taken any more, and reads end.
pub(super) async fn close(journal: &Journal) {
    if let Err(error) = journal.close().await {
        tracing::debug!(%error, "the journal has closed itself");
    }
}

#[async_trait]
impl Authenticate for SlackEvents {
    /// With `socket` it asks for an address, as every connection does. With `http` there is nobody to ask.
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        match &self.api {
            Some(api) => Ok(Identity::new(Ticket::get(api, cx).await?.app_id().unwrap_or("app".to_owned()))),
            None => Ok(Identity::new("whoever signs with the signing secret")),
        }
    }
}

#[async_trait]
impl Discover for SlackEvents {
    async fn discover(&self, _: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        if names.is_some_and(|names| !names.iter().any(|name| name.as_str() == EVENTS)) {
            return Ok(Catalog::default());
        }
        // What is in an event is the vendor's affair; new types come without notice.
        let schema = json!({ "type": "object", "properties": {
            "type": { "type": "string" },
            "event_id": { "type": "string" },
            "event_time": { "type": "integer" },
            "team_id": { "type": "string" },
            "api_app_id": { "type": "string" },
            "event": { "type": "object" },
        }});
        let mut spec =
            StreamSpec::new(EVENTS, schema).with_primary_key(["event_id"]).with_cursor("event_time");
        spec.modes = vec![SyncMode::Incremental];
        Ok(Catalog::new(vec![spec]))
    }
}

#[async_trait]
impl Read for SlackEvents {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::read([Partition::new(EVENTS)]))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        read::read(self.journal(&request.cx), request)
    }

    /// What is in Bronze is given up in the journal. A journal that is not the state's is left alone.
    async fn acknowledge(&self, cx: &Context, done: &Acknowledged) -> Result<()> {
        let place = read::place(&done.state)?;
        let journal = self.journal(cx).await?;
        // 0: nothing.
        journal.acknowledge(journal.position(&place)).await
    }
}

#[async_trait]
impl Connector for SlackEvents {
    fn stack_health(&self, cx: &Context) -> Option<StackHealth> {
        self.api.as_ref().map(|api| api.stack_health(cx))
    }

    async fn listen(&self, cx: &Context) -> Result<Option<Box<dyn Listener>>> {
        let journal = self.journal(cx).await?;
        let listener: Box<dyn Listener> = match &self.settings.way {
            Way::Http { config, path, scheme } => {
                let listening = Listening::bind(config.clone()).await?;
                Box::new(Receiver {
                    listening,
                    path: path.clone(),
                    scheme: scheme.clone(),
                    max_event: self.settings.max_event,
                    journal: journal.clone(),
                })
            }
            Way::Socket { connections, .. } => {
                let api = self.api.clone().ok_or_else(|| Error::bug("listen", "there is no token"))?;
                Box::new(Sockets::new(api, journal.clone(), *connections, self.settings.max_event))
            }
        };
        // From here on a read waits for more: the listener says when there will be none.
        let taking = journal.take().await;
        taking.map_err(|error| Error::transient("listen", error.to_string()))?;
        Ok(Some(listener))
    }
}
