//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_ingress::{
    Journal,
    journal::{Disk, Limits, RealDisk},
};
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Class, Connector, Context, Discover, Error, Identity, Message,
    Partition, Plan, Read, ReadRequest, Result, StreamId, StreamSelection, StreamSpec, StreamState, SyncMode,
    contract::{ActionOutcome, ActionRequest, ActionSpec, Health, HealthStatus, Listener},
    http::{Resolve, Transport},
    network::Dial,
    resilience::{Breaker, Jitter},
};
use futures_util::stream::BoxStream;
use tokio::sync::{OnceCell, Semaphore};

use super::{
    DELIVERIES,
    actions::{self, Actor},
    attempt::Endpoint,
    config::{SenderConfig, Settings},
    delivery::{Delivery, MEMORY_KIB},
    driver::Driver,
    outbox::{Outbox, Room},
    read, record,
};

/// What we call ourselves to endpoints.
const USER_AGENT: &str = concat!("connector-webhook/", env!("CARGO_PKG_VERSION"));
/// Messages that an outbox takes: of each, something stands in memory while it waits.
const MOST_MESSAGES: u64 = 1_000_000;

/// An endpoint that messages are sent to. Made by [`sender`](crate::sender()).
#[derive(Debug)]
pub struct Sender {
    settings: Arc<Settings>,
    outbox: Outbox,
    transport: Transport,
    dial: Option<Dial>,
    disk: Arc<dyn Disk>,
    /// What became of messages; opened by the first who needs it.
    journal: Arc<OnceCell<Journal>>,
}

/// What stands between a sender and the world outside, for a host that has its own, and for tests.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outside {
    /// Who turns the endpoint's name into addresses, which are judged all the same. Default: the system.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// Where the outbox is. Default: the machine's file system.
    pub disk: Option<Arc<dyn Disk>>,
}

impl Sender {
    /// Checks the configuration and prepares. No I/O but reading `network.ca_file`.
    ///
    /// # Errors
    /// Config, naming the field.
    pub fn connect(config: &SenderConfig, cx: &Context) -> Result<Self> {
        Self::connect_by(config, cx, Outside::default())
    }

    /// The same, in another world.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_by(config: &SenderConfig, cx: &Context, outside: Outside) -> Result<Self> {
        let settings = Arc::new(config.check(cx)?);
        let Outside { resolver, disk } = outside;
        let (network, resilience) = (cx.network(), cx.resilience());
        let clock = Arc::clone(cx.clock());
        let has_proxy = network.proxy.as_ref().is_some_and(|proxy| !proxy.expose().is_empty());
        let (transport, dial) = match resolver {
            Some(resolver) => (
                Transport::with_resolver(network, resilience, USER_AGENT, Arc::clone(&resolver))?,
                (!has_proxy).then(|| Dial::with_resolver(network, resilience, clock.clone(), resolver)),
            ),
            None => (
                Transport::new(network, resilience, USER_AGENT)?,
                (!has_proxy).then(|| Dial::new(network, resilience, clock.clone())),
            ),
        };
        // What a person has to change is said now; that an address is refused is said of each message.
        match transport.check("connect", &settings.url) {
            Err(error) if error.class() == Class::Config => return Err(error),
            _ => {}
        }
        let disk = disk.unwrap_or_else(|| Arc::new(RealDisk));
        let room = Room { max_size: settings.max_size, max_count: MOST_MESSAGES };
        let outbox = Outbox::new(Arc::clone(&disk), settings.outbox.clone(), room, clock);
        Ok(Self { settings, outbox, transport, dial: dial.transpose()?, disk, journal: Arc::default() })
    }

    /// The journal, opened if it is not.
    fn journal(&self, cx: &Context) -> impl Future<Output = Result<Journal>> + Send + 'static {
        let (cell, disk, cx) = (Arc::clone(&self.journal), Arc::clone(&self.disk), cx.clone());
        let folder = self.settings.outbox.join("deliveries");
        let limits = Limits::of_size(self.settings.max_size);
        async move {
            let open = || Journal::open(disk, folder, limits, &**cx.clock());
            cell.get_or_try_init(open).await.cloned()
        }
    }
}

#[async_trait]
impl Authenticate for Sender {
    /// Connects to the endpoint, and secures the connection where it is https. Nothing is sent: there is no request that
    /// would do no harm. Behind a proxy nobody is asked.
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        let url = &self.settings.url;
        self.transport.check("authenticate", url)?;
        if let (Some(dial), Some(host), Some(port)) =
            (&self.dial, url.host_str(), url.port_or_known_default())
        {
            let stream = dial.tcp(host, port).await?;
            if url.scheme() == "https" {
                drop(dial.tls(stream, host).await?);
            }
        }
        Ok(Identity::new("whoever signs with the secrets").with_account(self.settings.origin()))
    }
}

#[async_trait]
impl Discover for Sender {
    async fn discover(&self, _: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        if names.is_some_and(|names| !names.iter().any(|name| name.as_str() == DELIVERIES)) {
            return Ok(Catalog::default());
        }
        let mut spec =
            StreamSpec::new(DELIVERIES, record::schema()).with_primary_key(["id"]).with_cursor("ended_at");
        spec.modes = vec![SyncMode::Incremental];
        Ok(Catalog::new(vec![spec]))
    }
}

#[async_trait]
impl Read for Sender {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::read([Partition::new(DELIVERIES)]))
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
impl Connector for Sender {
    async fn health(&self, cx: &Context) -> Result<Health> {
        if let Some(disabled) = self.outbox.disabled().await? {
            let message = format!(
                "the endpoint answered {} on {}, and nothing is sent until it is enabled (action `enable`)",
                disabled.status, disabled.since
            );
            return Ok(Health { status: HealthStatus::Warn, message });
        }
        if self.outbox.is_held().await? {
            let message =
                "there are too many dead letters, and nothing is sent until some are replayed or discarded";
            return Ok(Health { status: HealthStatus::Warn, message: message.to_owned() });
        }
        Ok(match self.authenticate(cx).await {
            Ok(_) => Health {
                status: HealthStatus::Pass,
                message: format!("{} can be connected", self.settings.origin()),
            },
            Err(error) => Health { status: HealthStatus::Fail, message: error.to_string() },
        })
    }

    /// Not to be called, but to deliver: what it answers runs beside the reads, and has no address.
    async fn listen(&self, cx: &Context) -> Result<Option<Box<dyn Listener>>> {
        // Else everything that waits would be given up at once.
        self.transport.check("listen", &self.settings.url)?;
        // Its lock says that nobody else delivers.
        let journal = self.journal(cx).await?;
        let delivery = Delivery {
            settings: Arc::clone(&self.settings),
            outbox: self.outbox.clone(),
            journal: journal.clone(),
            endpoint: Endpoint::new(self.transport.clone(), Arc::clone(&self.settings)),
            jitter: Arc::new(Jitter::new(cx.seed())),
            disabling: Arc::default(),
            memory: Arc::new(Semaphore::new(MEMORY_KIB as usize)),
            closing: cx.stop().child_token(),
        };
        let driver = Driver::new(delivery, Arc::new(Breaker::new(cx.resilience().breaker)));
        // From here on a read waits for more: the driver says when there will be none.
        journal.take().await.map_err(|error| Error::transient("listen", error.to_string()))?;
        Ok(Some(Box::new(driver)))
    }

    fn actions(&self) -> Vec<ActionSpec> {
        actions::specs()
    }

    async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        let actor = Actor { settings: &self.settings, outbox: &self.outbox, transport: &self.transport };
        actor.act(cx, request).await
    }
}
