//! What the host lends to every call: whose connection it is, the clock, the way to stop.

mod background;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub use background::Background;
use tokio_util::sync::CancellationToken;

use crate::{
    Clock, ConnectionName, Network, RunId, SystemClock, TenantId,
    contract::Files,
    resilience::Resilience,
    secret::{MemoryTokens, NoSuccessors, Successors, TokenStore},
};

/// An immutable value, passed first to every operation; a clone is cheap.
///
/// ```
/// use connector_sdk::{Context, Network};
/// let cx = Context::builder("acme", "acme-crm").network(Network::loopback()).build();
/// assert_eq!(cx.tenant().as_str(), "acme");
/// assert!(!cx.is_stopping());
/// ```
#[derive(Clone)]
pub struct Context(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    tenant: TenantId,
    connection: ConnectionName,
    run: Option<RunId>,
    clock: Arc<dyn Clock>,
    network: Network,
    folder: PathBuf,
    files: Option<Arc<dyn Files>>,
    resilience: Resilience,
    tokens: Arc<dyn TokenStore>,
    successors: Arc<dyn Successors>,
    counters: Arc<Counters>,
    background: Background,
    stop: CancellationToken,
    seed: u64,
}

impl Context {
    /// A context for a tenant's connection, with the machine's clock, tokens in memory and the defaults.
    pub fn builder(tenant: impl Into<TenantId>, connection: impl Into<ConnectionName>) -> ContextBuilder {
        ContextBuilder(Inner {
            tenant: tenant.into(),
            connection: connection.into(),
            run: None,
            clock: SystemClock::shared(),
            network: Network::default(),
            folder: PathBuf::new(),
            files: None,
            resilience: Resilience::default(),
            tokens: Arc::new(MemoryTokens::default()),
            successors: Arc::new(NoSuccessors),
            counters: Arc::default(),
            background: Background::default(),
            stop: CancellationToken::new(),
            seed: 0,
        })
    }

    /// Whose data it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Which of the tenant's connections.
    #[must_use]
    pub fn connection(&self) -> &ConnectionName {
        &self.0.connection
    }

    /// The run, while one is going on.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        self.0.run.as_ref()
    }

    /// The clock to read and to wait on.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Where the connection may go.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// What relative paths of the configuration are relative to; empty: the process's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Where files are kept that records name; none where the sink keeps none, or nothing is being read.
    #[must_use]
    pub fn files(&self) -> Option<&Arc<dyn Files>> {
        self.0.files.as_ref()
    }

    /// The same context, with a place for files: for a host that has opened the sink.
    #[must_use]
    pub fn with_files(&self, files: Arc<dyn Files>) -> Self {
        Self(Arc::new(Inner { files: Some(files), ..Inner::clone(&self.0) }))
    }

    /// How failures of the outside system are met.
    #[must_use]
    pub fn resilience(&self) -> &Resilience {
        &self.0.resilience
    }

    /// Where rotated credentials are kept.
    #[must_use]
    pub fn tokens(&self) -> &Arc<dyn TokenStore> {
        &self.0.tokens
    }

    /// Who comes after a secret that the vendor refuses.
    #[must_use]
    pub fn successors(&self) -> &Arc<dyn Successors> {
        &self.0.successors
    }

    /// The same context, with these successors: for who reads the configuration, and so knows which store
    /// gave which secret.
    #[must_use]
    pub fn with_successors(&self, successors: Arc<dyn Successors>) -> Self {
        Self(Arc::new(Inner { successors, ..Inner::clone(&self.0) }))
    }

    /// The same context, with a stop of its own: for a host that stops one thing before another.
    #[must_use]
    pub fn with_stop(&self, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner { stop, ..Inner::clone(&self.0) }))
    }

    /// What has been done so far, counted.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.0.counters
    }

    /// What was begun for this context and must not be left half done. A host waits for it
    /// ([`Background::settled`]) before it says that a run has ended, and before its process does.
    #[must_use]
    pub fn background(&self) -> &Background {
        &self.0.background
    }

    /// Ends when the host wants the work to stop.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Whether the host wants the work to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    /// Where random sequences (jitter) start, so that a test repeats; 0: a new one each time.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("tenant", &self.0.tenant)
            .field("connection", &self.0.connection)
            .field("run", &self.0.run)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Context`].
#[derive(Debug)]
#[must_use]
pub struct ContextBuilder(Inner);

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.connection)
    }
}

impl ContextBuilder {
    /// Names the run.
    pub fn run(mut self, run: RunId) -> Self {
        self.0.run = Some(run);
        self
    }

    /// Takes the time from this clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.0.clock = clock;
        self
    }

    /// Says where the connection may go.
    pub fn network(mut self, network: Network) -> Self {
        self.0.network = network;
        self
    }

    /// Says what relative paths of the configuration are relative to.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.0.folder = folder.into();
        self
    }

    /// Sets the defaults of the resilience stack.
    pub fn resilience(mut self, resilience: Resilience) -> Self {
        self.0.resilience = resilience;
        self
    }

    /// Keeps rotated credentials here.
    pub fn tokens(mut self, tokens: Arc<dyn TokenStore>) -> Self {
        self.0.tokens = tokens;
        self
    }

    /// Counts here.
    pub fn counters(mut self, counters: Arc<Counters>) -> Self {
        self.0.counters = counters;
        self
    }

    /// Shares the background with other contexts, so that who ends a process can wait for all of them.
    pub fn background(mut self, background: Background) -> Self {
        self.0.background = background;
        self
    }

    /// Stops when this token is cancelled.
    pub fn stop(mut self, stop: CancellationToken) -> Self {
        self.0.stop = stop;
        self
    }

    /// Starts random sequences here, so that a test repeats.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// The context.
    #[must_use]
    pub fn build(self) -> Context {
        Context(Arc::new(self.0))
    }
}

/// What the layers count; read by the run's report and by a progress bar.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Requests sent, each attempt once.
    pub requests: AtomicU64,
    /// Attempts after the first.
    pub retries: AtomicU64,
    /// Bytes of bodies received, as sent over the wire where that is known.
    pub received_bytes: AtomicU64,
    /// Tokens fetched or refreshed.
    pub token_refreshes: AtomicU64,
    /// Answers with status 429, or what the vendor uses for it.
    pub throttled: AtomicU64,
    /// Milliseconds spent waiting between attempts.
    pub waited_millis: AtomicU64,
}

impl Counters {
    /// Adds to one of the counters.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// Reads one of the counters.
    #[must_use]
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
