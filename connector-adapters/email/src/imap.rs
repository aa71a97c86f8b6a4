//! Method `email/imap`: reads mailboxes.

mod config;
mod profile;

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Authenticate, Catalog, Connector, Context, Discover, Factory, Identity, Manifest, Message, Plan, Read,
    ReadRequest, Result, StreamId, StreamSelection, StreamState, contract::TypedFactory,
};
use futures_util::stream::{self, BoxStream, StreamExt};

use self::config::Settings;
pub use self::{
    config::{After, Attachments, ImapConfig},
    profile::Profile,
};
use crate::auth::{self, Login};

pub(crate) fn factory() -> impl Factory {
    TypedFactory::new(
        Manifest::new("email", "imap", env!("CARGO_PKG_VERSION")),
        |config: ImapConfig, cx: &Context| Imap::connect(&config, cx),
    )
    .with_sign_in(|config, cx| {
        let settings = config.check(cx.network())?;
        auth::sign_in(&config.auth, settings.vendor.oauth(), cx)
    })
}

/// The mailboxes of an account. Made by [`imap`](crate::imap()).
#[derive(Debug)]
pub struct Imap {
    settings: Arc<Settings>,
    login: Arc<Login>,
}

impl Imap {
    /// Checks the configuration and prepares. No I/O.
    pub(crate) fn connect(config: &ImapConfig, cx: &Context) -> Result<Self> {
        let settings = config.check(cx.network())?;
        let login = Login::new(&config.auth, settings.vendor.oauth(), cx)?;
        Ok(Self { settings: Arc::new(settings), login: Arc::new(login) })
    }
}

#[async_trait]
impl Authenticate for Imap {
    async fn authenticate(&self, _: &Context) -> Result<Identity> {
        Ok(Identity::new("nobody"))
    }
}

#[async_trait]
impl Discover for Imap {
    async fn discover(&self, _: &Context, _: Option<&[StreamId]>) -> Result<Catalog> {
        Ok(Catalog::default())
    }
}

#[async_trait]
impl Read for Imap {
    async fn partitions(&self, _: &Context, _: &StreamSelection, _: &StreamState) -> Result<Plan> {
        Ok(Plan::nothing())
    }

    fn read(&self, _: ReadRequest) -> BoxStream<'static, Result<Message>> {
        stream::empty().boxed()
    }
}

impl Connector for Imap {}
