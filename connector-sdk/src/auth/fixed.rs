//! A token that somebody else obtained.

use url::Url;

use super::{
    TokenSource,
    source::{Delegate, Given},
};
use crate::Secret;

/// One token, given in the configuration: an access token, a bot's token, or the session token of a login
/// that happened elsewhere. It cannot be renewed: when the vendor refuses it, a person has to act.
#[derive(Debug, Clone)]
pub struct StaticToken(Given);

impl StaticToken {
    /// This token.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(Given::new("access token", secret))
    }

    /// Requests with it go to this origin.
    #[must_use]
    pub fn with_base_url(self, url: Url) -> Self {
        Self(self.0.with_base_url(url))
    }
}

impl Delegate for StaticToken {
    fn source(&self) -> &dyn TokenSource {
        &self.0
    }
}
