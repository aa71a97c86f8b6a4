//! A connector: the three verbs of an author, and hooks with honest defaults.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{ActionOutcome, ActionRequest, ActionSpec, Authenticate, Discover, Listener, Read};
use crate::{Context, Error, Result, StreamId, StreamSelection, http::StackHealth};

/// What a host holds: something that authenticates, discovers and reads.
///
/// ```
/// use connector_sdk::{*, contract::*};
/// use futures_util::{StreamExt, stream::{self, BoxStream}};
///
/// /// A source with nothing in it.
/// #[derive(Debug)]
/// struct Empty;
///
/// #[async_trait::async_trait]
/// impl Authenticate for Empty {
///     async fn authenticate(&self, _: &Context) -> Result<Identity> { Ok(Identity::new("nobody")) }
/// }
/// #[async_trait::async_trait]
/// impl Discover for Empty {
///     async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> { Ok(Catalog::default()) }
/// }
/// #[async_trait::async_trait]
/// impl Read for Empty {
///     async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> { Ok(Plan::nothing()) }
///     fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> { stream::empty().boxed() }
/// }
/// impl Connector for Empty {}
/// ```
#[async_trait]
pub trait Connector: Authenticate + Discover + Read {
    /// Is the outside system there, and does it let us in? The default asks [`Authenticate`].
    ///
    /// # Errors
    /// None in the usual sense: what is wrong is in the answer. Bug when the check itself failed.
    async fn health(&self, cx: &Context) -> Result<Health> {
        Ok(match self.authenticate(cx).await {
            Ok(identity) => {
                Health { status: HealthStatus::Pass, message: format!("signed in as {}", identity.subject) }
            }
            Err(error) => Health { status: HealthStatus::Fail, message: error.to_string() },
        })
    }

    /// How its requests fare: the breaker, the quotas, the concurrency, what may still be tried again. Asks
    /// nobody, so that a health page may show it every second. The default: it has no HTTP stack.
    ///
    /// A connector answers what [`HttpClient::health`](crate::http::HttpClient::health) says.
    fn stack_health(&self, cx: &Context) -> Option<StackHealth> {
        let _ = cx;
        None
    }

    /// What reading the stream will cost, before it is read. The default does not know.
    ///
    /// # Errors
    /// As the vendor answers.
    async fn estimate_cost(&self, cx: &Context, stream: &StreamSelection) -> Result<CostEstimate> {
        let _ = (cx, stream);
        Ok(CostEstimate::default())
    }

    /// Makes ready to be called by the source: binds its address, opens its journal. A host calls it once for each run,
    /// and serves what it answers beside the reads. The default: nobody calls it, it is asked.
    ///
    /// A connector that answers a listener declares [`Capability::Push`](crate::manifest::Capability::Push).
    ///
    /// # Errors
    /// Config when the address cannot be bound; Transient when the journal is in use or cannot be opened.
    async fn listen(&self, cx: &Context) -> Result<Option<Box<dyn Listener>>> {
        let _ = cx;
        Ok(None)
    }

    /// Waits until there may be something new to read: a hint for a host that reads again and again, which reads at
    /// intervals besides. Asked between runs; dropping it leaves nothing running. The default knows no hints, and waits
    /// for ever.
    ///
    /// # Errors
    /// As the vendor answers; the host then waits for its interval.
    async fn changed(&self, cx: &Context) -> Result<()> {
        let _ = cx;
        std::future::pending().await
    }

    /// The scopes that reading the stream takes with this configuration: a check compares them with those that
    /// [`Authenticate`] names, besides those that the manifest declares. Asks nobody. The default: none.
    fn scopes(&self, stream: &StreamId) -> Vec<String> {
        let _ = stream;
        Vec::new()
    }

    /// What it can do besides being read. The default: nothing.
    fn actions(&self) -> Vec<ActionSpec> {
        Vec::new()
    }

    /// Does one of its actions.
    ///
    /// # Errors
    /// Config when there is no such action or its input is wrong; Ambiguous when nobody knows whether
    /// it was done; otherwise as the vendor answers.
    async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        let _ = cx;
        Err(Error::config("act", format!("this connector has no action `{}`", request.name)))
    }
}

/// Whether the outside system is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// For people.
    pub message: String,
}

/// Whether the outside system is there, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All is well.
    Pass,
    /// It works, but a person should look.
    Warn,
    /// It does not work.
    Fail,
}

/// What a read will cost, as far as it can be known. A field is none where it cannot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CostEstimate {
    /// Requests to the vendor.
    pub requests: Option<u64>,
    /// Records.
    pub records: Option<u64>,
    /// Bytes of records.
    pub bytes: Option<u64>,
    /// What is left of the vendor's quota, in requests.
    pub quota_remaining: Option<u64>,
    /// How long it takes at least, at the pace that the vendor allows.
    pub duration: Option<Duration>,
}

impl CostEstimate {
    /// An estimate of requests and records.
    #[must_use]
    pub fn new(requests: Option<u64>, records: Option<u64>) -> Self {
        Self { requests, records, ..Self::default() }
    }

    /// Adds what is left of the vendor's quota, in requests.
    #[must_use]
    pub fn with_quota_remaining(mut self, requests: Option<u64>) -> Self {
        self.quota_remaining = requests;
        self
    }

    /// Adds how long it takes at least, at the pace that the vendor allows.
    #[must_use]
    pub fn with_duration(mut self, duration: Option<Duration>) -> Self {
        self.duration = duration;
        self
    }
}
