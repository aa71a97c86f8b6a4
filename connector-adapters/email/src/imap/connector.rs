//! The connector: the verbs of the contract, each a few lines over the rooms that know how.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Acknowledged, Authenticate, Catalog, Connector, Context, Discover, Error, Identity, Message, Partition,
    Plan, Read, ReadRequest, Result, StreamId, StreamSelection, StreamState, contract::CostEstimate,
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    account::Account, after, catalog::Stream, config::ImapConfig, cost, flags, idle, listing, messages, plan,
    retry::Retries,
};
use crate::auth::Login;

/// The partition of a stream that is not read by mailbox.
const ACCOUNT: &str = "account";

/// The mailboxes of an account. Made by [`imap`](crate::imap()).
#[derive(Debug)]
pub struct Imap {
    account: Arc<Account>,
    username: String,
}

impl Imap {
    /// Checks the configuration and prepares. No I/O.
    pub(crate) fn connect(config: &ImapConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx.network())?;
        let login = Login::new(&config.auth, settings.vendor.oauth(), cx)?;
        let account = Account::new(Arc::new(settings), login, cx)?;
        Ok(Self { account: Arc::new(account), username: config.auth.username().to_owned() })
    }
}

#[async_trait]
impl Authenticate for Imap {
    /// Signs in, on a connection of its own: one that lies idle shows only that it was let in once.
    async fn authenticate(&self, cx: &Context) -> Result<Identity> {
        let mut retries = Retries::new(cx, &self.account);
        loop {
            match self.account.sign_in(cx).await {
                Ok(()) => break,
                Err(error) => retries.wait(cx, &self.account, error, true).await?,
            }
        }
        Ok(Identity::new(self.username.clone()).with_account(self.account.settings.host.clone()))
    }
}

#[async_trait]
impl Discover for Imap {
    async fn discover(&self, _: &Context, names: Option<&[StreamId]>) -> Result<Catalog> {
        let is_asked = |stream: &Stream| {
            names.is_none_or(|names| names.iter().any(|name| name.as_str() == stream.name()))
        };
        Ok(Catalog::new(Stream::ALL.into_iter().filter(is_asked).map(Stream::spec).collect()))
    }
}

#[async_trait]
impl Read for Imap {
    async fn partitions(&self, cx: &Context, stream: &StreamSelection, state: &StreamState) -> Result<Plan> {
        let which = known(stream)?;
        if which == Stream::Mailboxes {
            return Ok(Plan::read([Partition::new(ACCOUNT)]));
        }
        let mailboxes = Box::pin(listing::list(&self.account, cx)).await?;
        plan::plan(&mailboxes, &self.account.settings, which, state, stream.mode)
    }

    fn read(&self, request: ReadRequest) -> BoxStream<'static, Result<Message>> {
        let account = Arc::clone(&self.account);
        match known(&request.stream) {
            Ok(Stream::Mailboxes) => listing::read(account, request),
            Ok(Stream::Messages) => messages::read(account, request),
            Ok(Stream::Flags) => flags::read(account, request),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    /// What `after` asks for, with the messages that are durable. Nothing by default.
    async fn acknowledge(&self, cx: &Context, done: &Acknowledged) -> Result<()> {
        Box::pin(after::acknowledge(&self.account, cx, done)).await
    }
}

fn known(selection: &StreamSelection) -> Result<Stream> {
    let name = selection.spec.name.as_str();
    Stream::find(name)
        .ok_or_else(|| Error::config("plan", format!("there is no stream `{}`", name.escape_debug())))
}

#[async_trait]
impl Connector for Imap {
    /// As many records as the mailboxes that are read have messages, of a first read; a later one has fewer.
    async fn estimate_cost(&self, cx: &Context, stream: &StreamSelection) -> Result<CostEstimate> {
        let which = known(stream)?;
        let mailboxes = Box::pin(listing::list(&self.account, cx)).await?;
        Ok(cost::estimate(which, &mailboxes, &self.account.settings))
    }

    async fn changed(&self, cx: &Context) -> Result<()> {
        Box::pin(idle::changed(&self.account, cx)).await
    }
}
