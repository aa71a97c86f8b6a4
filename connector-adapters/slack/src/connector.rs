//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Plan, Read, ReadRequest,
    Result, StreamId, StreamSelection, StreamState, http::StackHealth,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Deserialize;

use crate::{
    api::{self, Api},
    auth,
    catalog::Stream,
    config::{Settings, SlackConfig},
    method::AUTH_TEST,
};

/// The header that names what the token may do.
const SCOPES: &str = "x-oauth-scopes";

/// A Slack workspace. Made by [`web`](crate::web).
#[derive(Debug)]
pub struct Slack {
    api: Arc<Api>,
    settings: Arc<Settings>,
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
        let api = Api::new(&settings.base_url, settings.team_id.clone(), tokens, cx)?;
        Ok(Self { api: Arc::new(api), settings: Arc::new(settings) })
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
    async fn partitions(&self, _: &Context, stream: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Err(Error::bug("plan", format!("the stream `{}` is not built yet", stream.spec.name)))
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        stream::empty().boxed()
    }
}

#[async_trait]
impl Connector for Slack {
    fn stack_health(&self, cx: &Context) -> Option<StackHealth> {
        Some(self.api.stack_health(cx))
    }
}
