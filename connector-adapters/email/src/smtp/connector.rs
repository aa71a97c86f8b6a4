//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Plan, Read, ReadRequest,
    Result, StreamId, StreamSelection, StreamState,
    contract::{ActionOutcome, ActionRequest, ActionSpec},
    network::Dial,
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{
    actions::{self, Actor},
    config::SmtpConfig,
    deliver::Deliverer,
    gate::Gate,
    ledger::Ledger,
    session::Server,
    wire::Limits,
};
use crate::auth::Login;

/// A server that mail is sent by. Made by [`smtp`](crate::smtp()).
#[derive(Debug)]
pub struct Smtp {
    actor: Actor,
    /// Who signs in, or who mails are from where nobody does.
    user: String,
}

impl Smtp {
    /// Checks the configuration and prepares. No I/O.
    pub(crate) fn connect(config: &SmtpConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx.network())?;
        let login = config.auth.as_ref().map(|auth| Login::new(auth, settings.vendor, cx)).transpose()?;
        let user =
            config.auth.as_ref().map_or(settings.from.address.given(), |auth| auth.username()).to_owned();
        let dial = Dial::new(cx.network(), cx.resilience(), cx.clock().clone())?;
        let deliverer = Deliverer::new(Gate::new(Server { settings, dial, login }, cx), cx);
        Ok(Self { actor: Actor { deliverer, ledger: Ledger::default() }, user })
    }
}

#[async_trait]
impl Authenticate for Smtp {
    /// Opens a session and sends nothing in it.
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        let limits = Limits::new(cx.clock(), cx.resilience());
        let gate = &self.actor.deliverer.gate;
        let (_place, session) = gate.enter(cx, &limits).await?;
        session.quit(&limits).await;
        Ok(Identity::new(self.user.as_str()).with_account(&gate.server.settings.host))
    }
}

#[async_trait]
impl Discover for Smtp {
    /// There is nothing to read.
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

#[async_trait]
impl Read for Smtp {
    async fn partitions(&self, _: &Context, stream: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Err(no_stream(stream))
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let error = no_stream(&request.stream);
        stream::once(async { Err(error) }).boxed()
    }
}

fn no_stream(stream: &StreamSelection) -> Error {
    let name = stream.spec.name.as_str().escape_debug().to_string();
    Error::config("plan", format!("there is no stream `{name}`: this connector only sends"))
}

#[async_trait]
impl Connector for Smtp {
    fn actions(&self) -> Vec<ActionSpec> {
        actions::specs()
    }

    async fn act(&self, cx: &Context, request: ActionRequest) -> Result<ActionOutcome> {
        self.actor.act(cx, request).await
    }
}
