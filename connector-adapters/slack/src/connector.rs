//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Partition, Plan, Read,
    ReadRequest, Result, StreamId, StreamSelection, StreamState,
    contract::{ActionOutcome, ActionRequest, ActionSpec, CostEstimate},
    http::StackHealth,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Deserialize;

use crate::{
    actions::{self, Actor, Posts, UploadHost},
    api::{self, Api},
    auth,
    catalog::Stream,
    channels::{self, Known},
    config::{Auth, Settings, SlackConfig},
    cost,
    method::AUTH_TEST,
    streams::{self, Source},
};

/// The partition of a stream that is not read by channel.
const WORKSPACE: &str = "workspace";
/// The header that names what the token may do.
const SCOPES: &str = "x-oauth-scopes";

/// A Slack workspace. Made by [`web`](crate::web).
#[derive(Debug)]
pub struct Slack {
    api: Arc<Api>,
    settings: Arc<Settings>,
    /// Whether the token is surely a bot's, who is let into no channel that it is not in.
    is_bot: bool,
    channels: Known,
    actor: Actor,
}

/// Whose token it is (auth.test).
#[derive(Debug, Deserialize)]
struct Who {
    user: Option<String>,
    user_id: Option<String>,
    team_id: Option<String>,
    enterprise_id: Option<String>,
}

impl Slack {
    /// Checks the configuration and prepares. No I/O.
    pub(crate) fn connect(config: &SlackConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx.network())?;
        let tokens = auth::tokens(&config.auth, &settings.base_url, cx)?;
        let api = Arc::new(Api::new(&settings.base_url, settings.team_id.clone(), tokens, cx)?);
        let upload = UploadHost::new(&settings.base_url, cx)?;
        Ok(Self {
            actor: Actor { api: Arc::clone(&api), posts: Posts::default(), upload },
            api,
            settings: Arc::new(settings),
            is_bot: matches!(config.auth, Auth::BotToken(_)),
            channels: Known::default(),
        })
    }
}

#[async_trait]
impl Authenticate for Slack {
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        let response = self.api.get(cx, &AUTH_TEST, &[]).await?;
        let who: Who = api::decode(&response, AUTH_TEST.name)?;
        let identity = Identity::new(who.user.or(who.user_id).unwrap_or_default());
        let scopes = response.header(SCOPES).unwrap_or_default().split(',');
        let identity =
            identity.with_scopes(scopes.map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned));
        // A token of an organisation has no workspace of its own.
        Ok(match self.settings.team_id.clone().or(who.team_id).or(who.enterprise_id) {
            Some(account) => identity.with_account(account),
            None => identity,
        })
    }
}

#[async_trait]
impl Discover for Slack {
    async fn discover(&self, _cx: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        let is_asked = |stream: &Stream| {
            names.is_none_or(|names| names.iter().any(|name| name.as_str() == stream.name()))
        };
        Ok(Catalog::new(Stream::ALL.into_iter().filter(is_asked).map(Stream::spec).collect()))
    }
}

#[async_trait]
impl Read for Slack {
    async fn partitions(&self, cx: &Context, stream: &StreamSelection, _: &StreamState) -> Result<Plan> {
        let stream = known(stream)?;
        if !stream.is_by_channel() {
            return Ok(Plan::read([Partition::new(WORKSPACE)]));
        }
        let channels = self.channels.channels(&self.api, cx, &self.settings).await?;
        channels::plan(&channels, stream, &self.settings, self.is_bot)
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let source = Source { api: Arc::clone(&self.api), settings: Arc::clone(&self.settings) };
        match known(&request.stream) {
            Ok(stream) => streams::read(source, stream, request),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }
}

fn known(selection: &StreamSelection) -> Result<Stream> {
    let name = selection.spec.name.as_str();
    Stream::find(name)
        .ok_or_else(|| Error::config("plan", format!("there is no stream `{}`", name.escape_debug())))
}

#[async_trait]
impl Connector for Slack {
    fn actions(&self) -> Vec<ActionSpec> {
        actions::specs()
    }

    async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        self.actor.act(cx, request).await
    }

    fn scopes(&self, stream: &StreamId) -> Vec<String> {
        Stream::find(stream.as_str()).map(|stream| stream.scopes(&self.settings)).unwrap_or_default()
    }

    async fn estimate_cost(&self, cx: &Context, stream: &StreamSelection) -> Result<CostEstimate> {
        let channels = if known(stream)?.is_by_channel() {
            self.channels.channels(&self.api, cx, &self.settings).await?
        } else {
            Arc::default()
        };
        let source = Source { api: Arc::clone(&self.api), settings: Arc::clone(&self.settings) };
        cost::estimate(&source, cx, known(stream)?, stream, &channels).await
    }

    fn stack_health(&self, cx: &Context) -> Option<StackHealth> {
        Some(self.api.stack_health(cx))
    }
}
