//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Class, Connector, Context, Delivery, Discover, Error, Identity,
    Message, Plan, Read, ReadRequest, Result, StreamId, StreamSelection, StreamSpec, StreamState,
    contract::{ActionOutcome, ActionRequest, ActionSpec, CostEstimate},
    http::StackHealth,
};
use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};

use crate::{
    actions,
    api::Api,
    bulk,
    config::SalesforceConfig,
    deleted,
    door::Door,
    fault::{self, Then},
    query,
    quota::Usage,
    survey,
};

/// Objects that are described at once.
const DESCRIBES_AT_ONCE: usize = 8;

/// A Salesforce org. Made by [`rest`](crate::rest), [`bulk`](crate::bulk) and [`auto`](crate::auto).
#[derive(Debug)]
pub struct Salesforce {
    api: Arc<Api>,
}

impl Salesforce {
    /// Checks the configuration and prepares. No I/O.
    pub(crate) fn connect_by(door: Door, config: &SalesforceConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx.network(), door)?;
        Ok(Self { api: Arc::new(Api::new(&config.auth, settings, cx)?) })
    }

    /// The stream of an object; none when it is not there, or may not be read.
    async fn describe(&self, cx: &Context, object: String) -> Described {
        if !is_name(&object) {
            tracing::warn!(object = %object.escape_debug(), "no name of an object; left out of the catalog");
            return Described::Is(None);
        }
        match self.api.describe(cx, &object).await {
            Ok(object) => Described::Is(object.stream(self.api.settings().door)),
            Err(error) if leaves_out(&error) => {
                tracing::warn!(object, %error, "left out of the catalog");
                Described::Is(None)
            }
            Err(error) => Described::Unknown(error.with_context("object", object)),
        }
    }
}

/// Whether an object can have this name, which becomes part of a path.
pub(crate) fn is_name(object: &str) -> bool {
    !object.is_empty() && object.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

enum Described {
    Is(Option<StreamSpec>),
    Unknown(Error),
}

/// Whether an error tells of this object only: the vendor has refused it, or it is described in a way that nobody knows. An
/// answer that nobody may read (too large, a bomb), or a sign-in that failed, is none of these: who asked for the stream
/// has to hear of it.
fn leaves_out(error: &Error) -> bool {
    let is_answer = error.delivery() == Delivery::Answered;
    match error.class() {
        Class::Schema => is_answer,
        Class::Permanent => fault::is_refused(error),
        _ => fault::then(error) == Then::Skip,
    }
}

#[async_trait]
impl Authenticate for Salesforce {
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        let resources = match self.api.resources(cx).await {
            Err(error) if fault::has_code(&error, "NOT_FOUND") => {
                let version = &self.api.settings().api_version;
                let message =
                    format!("the org has no API version {version}: set `api_version` to one that it has");
                return Err(Error::config("authenticate", message).with_source(error));
            }
            resources => resources?,
        };
        if let Some((rest, user)) = resources.identity.as_deref().and_then(|url| url.rsplit_once('/')) {
            let account = rest.rsplit('/').next().unwrap_or_default();
            return Ok(Identity::new(user).with_account(account));
        }
        let who = self.api.userinfo(cx).await?;
        let identity = Identity::new(who.preferred_username.or(who.user_id).unwrap_or_default());
        Ok(match who.organization_id {
            Some(account) => identity.with_account(account),
            None => identity,
        })
    }
}

#[async_trait]
impl Discover for Salesforce {
    async fn discover(&self, cx: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        let objects: Vec<String> = match names {
            Some(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
            None => {
                let global = self.api.global(cx).await?;
                global
                    .sobjects
                    .into_iter()
                    .filter(|entry| entry.is_stream())
                    .map(|entry| entry.name)
                    .collect()
            }
        };
        let described: Vec<Described> = stream::iter(objects)
            .map(|object| self.describe(cx, object))
            .buffered(DESCRIBES_AT_ONCE)
            .map(|described| match described {
                // Asked for by name, or wrong for all: better no catalog than half of one.
                Described::Unknown(error) if names.is_some() || error.class() != Class::Transient => {
                    Err(error)
                }
                described => Ok(described),
            })
            .try_collect()
            .await?;
        let mut streams = Vec::new();
        let mut last = None;
        for described in described {
            match described {
                Described::Is(stream) => streams.extend(stream),
                Described::Unknown(error) => {
                    tracing::warn!(%error, "left out of the catalog");
                    last = Some(error);
                }
            }
        }
        match last {
            Some(error) if streams.is_empty() => Err(error),
            _ => Ok(Catalog::new(streams)),
        }
    }
}

#[async_trait]
impl Read for Salesforce {
    async fn partitions(&self, cx: &Context, stream: &StreamSelection, state: &StreamState) -> Result<Plan> {
        let plan = survey::plan(&self.api, cx, stream, state).await?;
        for partition in &plan.folded {
            // Acknowledged, and forgotten after this: the last chance to leave nothing at the vendor.
            let known = state.partitions.get(partition).and_then(|known| known.state.as_ref());
            if let Some(job) = known.and_then(bulk::job_of)
                && let Err(error) = self.api.delete_job(cx, &job).await
            {
                tracing::info!(%error, "a Bulk job stays at the vendor, for seven days");
            }
        }
        Ok(plan)
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let api = Arc::clone(&self.api);
        if deleted::is_log(&request.partition.id) {
            return deleted::read(api, request);
        }
        match api.settings().door {
            Door::Rest => query::read(api, request),
            Door::Bulk => bulk::read(api, request, false),
            Door::Auto if survey::is_by_job(&request) => bulk::read(api, request, true),
            Door::Auto => query::read(api, request),
        }
    }

    /// What a job found is durable: it is deleted at the vendor.
    async fn acknowledge(&self, cx: &Context, done: &Acknowledged) -> Result<()> {
        match bulk::job_of(&done.state).filter(|_| done.state.is_complete()) {
            Some(job) => self.api.delete_job(cx, &job).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Connector for Salesforce {
    fn actions(&self) -> Vec<ActionSpec> {
        actions::specs()
    }

    async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        actions::act(&self.api, cx, request).await
    }

    fn stack_health(&self, cx: &Context) -> Option<StackHealth> {
        Some(self.api.stack_health(cx))
    }

    async fn estimate_cost(&self, cx: &Context, stream: &StreamSelection) -> Result<CostEstimate> {
        let records = survey::count(&self.api, cx, stream).await?;
        let settings = self.api.settings();
        let requests = Door::requests(settings, &stream.spec, records);
        // Who may not see the limits knows what the last answer's header said.
        let remaining = match self.api.limits(cx).await {
            Ok(limits) => limits.daily_api_requests.map(|left| left.remaining),
            Err(error) if matches!(error.class(), Class::Auth | Class::RateLimited) => return Err(error),
            Err(_) => self.api.quota().usage().map(Usage::remaining),
        };
        Ok(CostEstimate::new(Some(requests), Some(records)).with_quota_remaining(remaining))
    }
}
