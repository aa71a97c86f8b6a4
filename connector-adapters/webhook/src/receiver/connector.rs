//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use connector_ingress::{Journal, Listening, journal::RealDisk, listener::ServerTls};
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Partition,
    Plan, Read, ReadRequest, Result, StreamId, StreamSelection, StreamSpec, StreamState, SyncMode,
    contract::Listener,
};
use futures_util::stream::BoxStream;
use serde_json::json;
use tokio::sync::OnceCell;

use super::{
    EVENTS,
    config::{ReceiverConfig, Settings, wrong},
    gate::Gate,
    known::Known,
    read,
    serve::{Door, Serving},
};

/// What others send. Made by [`receiver`](crate::receiver()).
#[derive(Debug)]
pub struct Receiver {
    settings: Settings,
    /// The host's, for who has no address.
    gate: Option<Gate>,
    /// Opened by the first who needs it.
    journal: Arc<OnceCell<Journal>>,
}

impl Receiver {
    /// Checks the configuration and prepares. No I/O.
    pub(super) fn connect(config: &ReceiverConfig, gate: Option<Gate>, cx: &Context) -> Result<Self> {
        let settings = config.check(cx)?;
        if settings.listen.is_none() && gate.is_none() {
            return Err(wrong("listen", "is missing: this host has no gate that senders come in by"));
        }
        Ok(Self { settings, gate, journal: Arc::default() })
    }

    /// The journal, opened if it is not.
    fn journal(&self, cx: &Context) -> impl Future<Output = Result<Journal>> + Send + 'static {
        let (cell, cx) = (Arc::clone(&self.journal), cx.clone());
        let (folder, limits) = (self.settings.journal.clone(), self.settings.limits);
        async move {
            let open = || Journal::open(Arc::new(RealDisk), folder, limits, &**cx.clock());
            cell.get_or_try_init(open).await.cloned()
        }
    }

    async fn door(&self) -> Result<Door> {
        let Some(listen) = &self.settings.listen else {
            let gone = || Error::bug("listen", "there is neither an address nor a gate");
            return self.gate.clone().map(Door::Gate).ok_or_else(gone);
        };
        let mut listen = listen.clone();
        if let Some(tls) = &self.settings.tls {
            listen.tls = Some(ServerTls::read(tls.clone()).await?);
        }
        Ok(Door::Own(Listening::bind(listen).await?))
    }
}

/// Nothing is taken any more, and reads end.
pub(super) async fn close(journal: &Journal) {
    if let Err(error) = journal.close().await {
        tracing::debug!(%error, "the journal has closed itself");
    }
}

#[async_trait]
impl Authenticate for Receiver {
    /// There is nobody to ask: who sends proves itself each time.
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("whoever proves itself to an endpoint"))
    }
}

#[async_trait]
impl Discover for Receiver {
    async fn discover(&self, _: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        if names.is_some_and(|names| !names.iter().any(|name| name.as_str() == EVENTS)) {
            return Ok(Catalog::default());
        }
        // What is in a body is the sender's affair.
        let schema = json!({ "type": "object", "properties": {
            "id": { "type": "string" },
            "received_at": { "type": "string", "format": "date-time" },
            "endpoint": { "type": "string" },
            "scheme": { "type": "string" },
            "headers": { "type": "object" },
            "content_type": { "type": ["string", "null"] },
            "body": {},
            "body_base64": { "type": "string" },
        }});
        let mut spec =
            StreamSpec::new(EVENTS, schema).with_primary_key(["endpoint", "id"]).with_cursor("received_at");
        spec.modes = vec![SyncMode::Incremental];
        Ok(Catalog::new(vec![spec]))
    }
}

#[async_trait]
impl Read for Receiver {
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
impl Connector for Receiver {
    async fn listen(&self, cx: &Context) -> Result<Option<Box<dyn Listener>>> {
        let door = self.door().await?;
        let journal = self.journal(cx).await?;
        // From here on a read waits for more: the listener says when there will be none.
        let taking = journal.take().await;
        taking.map_err(|error| Error::transient("listen", error.to_string()))?;
        for live in self.settings.endpoints.iter().filter(|live| live.is_told_by_body) {
            let endpoint = &live.path;
            tracing::warn!(
                endpoint,
                "its sender says no id and signs no time: two events with the same body are one; see `id_header`"
            );
        }
        let live: BTreeSet<String> = self.settings.endpoints.iter().map(|live| live.path.clone()).collect();
        let Settings { journal: folder, removed, .. } = &self.settings;
        match Known::update(folder, live, removed, &journal, &**cx.clock()).await {
            Ok(known) => Ok(Some(Box::new(Serving::new(door, self.settings.clone(), known, journal)))),
            Err(error) => {
                // Or a read would wait for what never comes.
                close(&journal).await;
                Err(error)
            }
        }
    }
}
