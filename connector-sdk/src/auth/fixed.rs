//! A token that somebody else obtained.

use async_trait::async_trait;
use url::Url;

use super::{Token, TokenSource};
use crate::{Class, Context, Delivery, Error, Result, Secret};

/// One token, given in the configuration: an access token, a bot's token, or the session token of a login
/// that happened elsewhere. It cannot be renewed: when the vendor refuses it, a person has to act.
#[derive(Debug, Clone)]
pub struct StaticToken(Token);

impl StaticToken {
    /// This token.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(Token::new(secret))
    }

    /// Requests with it go to this origin.
    #[must_use]
    pub fn with_base_url(self, url: Url) -> Self {
        Self(self.0.with_base_url(url))
    }
}

#[async_trait]
impl TokenSource for StaticToken {
    fn held(&self, _cx: &Context) -> Option<Token> {
        Some(self.0.clone())
    }

    async fn token(&self, _cx: &Context) -> Result<Token> {
        Ok(self.0.clone())
    }

    async fn renew(&self, _cx: &Context, _refused: &Token) -> Result<Token> {
        Err(cannot_be_renewed("access token"))
    }
}

/// The vendor refuses a credential that stands in the configuration, and that nothing here can replace.
pub(super) fn cannot_be_renewed(what: &str) -> Error {
    let message = format!(
        "the vendor refuses the {what}, which is given in the configuration and cannot be renewed: obtain a new one"
    );
    Error::new(Class::Auth, "authenticate", message).with_delivery(Delivery::Answered)
}
