//! The first verb: who are we, to the outside system?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Context, Result, Timestamp};

/// Proves to the outside system who we are, and says who that is.
///
/// For the host's preflight and for people: which account, with what rights. Requests of a read
/// authenticate themselves (see [`crate::auth`]); this call is the cheapest one that shows it works.
///
/// ```
/// use connector_sdk::{Authenticate, Context, Identity, Result};
///
/// #[derive(Debug)]
/// struct Fixed;
///
/// #[async_trait::async_trait]
/// impl Authenticate for Fixed {
///     async fn authenticate(&self, _cx: &Context) -> Result<Identity> {
///         Ok(Identity::new("service@acme.example").with_scopes(["read"]))
///     }
/// }
/// ```
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// Signs in, or shows that we are signed in. Changes nothing at the vendor.
    ///
    /// # Errors
    /// Auth when the vendor refuses the credential and it could not be renewed; Config when the
    /// credential cannot even be sent (wrong host, missing field); Transient and RateLimited as any call.
    async fn authenticate(&self, cx: &Context) -> Result<Identity>;
}

/// Who the vendor says we are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The user or app, as the vendor names it.
    pub subject: String,
    /// The account, org or workspace.
    pub account: Option<String>,
    /// What we may do, where the vendor says so.
    pub scopes: Vec<String>,
    /// When the current token ends, where the vendor says so.
    pub expires_at: Option<Timestamp>,
}

impl Identity {
    /// An identity of that name.
    pub fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), account: None, scopes: Vec::new(), expires_at: None }
    }

    /// Names the account.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Names the scopes.
    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Says when the token ends.
    #[must_use]
    pub fn with_expiry(mut self, at: Timestamp) -> Self {
        self.expires_at = Some(at);
        self
    }
}
