//! Where a connection's refresh token is kept, and in which form: what signing in writes, refreshing reads.
//!
//! Each token that a person brought, by configuration or by signing in, begins a descent: the tokens that the
//! vendor gave one for the other. A descent has a row of its own, so that a process with another configured
//! token, and a check of one, leave this one's alone: its last token is the only one that is still good, and
//! a spent one must never be sent again (RFC 9700, 4.14.2).
//!
//! The first descent has the row of the plain name, which is also the form in which earlier versions kept
//! whatever came last; any other has its fingerprint behind the name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::fingerprint;
use crate::{Class, Context, Error, Result, Secret, secret::TokenLock};

/// The name it is kept under, where nothing else is said.
pub(super) const NAME: &str = "refresh_token";

/// The descent of a token that a person signed in for, where none is configured.
const SIGNED_IN: &str = "signed_in";

/// An exchange takes a minute and a half at most ([`RefreshToken`](super::RefreshToken)); who has the lock for
/// longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One place in the context's token store.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) name: String,
    /// What the template holds, where it holds one: a stored token counts while it descends from it.
    pub(super) configured: Option<Secret>,
}

/// A refresh token to be used now.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) token: Secret,
    /// Fingerprint of the one it descends from, in hexadecimal; empty where a person signed in for it.
    pub(super) descends_from: String,
    /// Whose it is, where that was found out when a person signed in.
    pub(super) account: Option<String>,
}

/// What the store holds: generic, because a [`Secret`] is read from JSON and never written to it.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    refresh_token: T,
    descends_from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

/// A row of the store.
enum Row {
    /// What this program keeps.
    Ours(Stored<Secret>),
    /// Put there as it is, by a host or a person: as good as a configured one, and heard before it.
    Theirs(Secret),
}

/// The lock of a store that has locks.
pub(super) type Lock = Option<Box<dyn Send + Sync>>;

impl Kept {
    pub(super) fn new(configured: Option<Secret>) -> Self {
        Self { name: NAME.to_owned(), configured }
    }

    /// The last one of the descent that holds now; none where there is none at all.
    pub(super) async fn get(&self, cx: &Context) -> Result<Option<Found>> {
        let plain = self.row(cx, &self.name).await?;
        let configured = match &plain {
            Some(Row::Theirs(token)) => Some(token.clone()),
            _ => self.configured.clone(),
        };
        let descent = configured.as_ref().map_or_else(String::new, descent);
        let (own, other) = match plain {
            Some(Row::Ours(stored)) if stored.descends_from == descent => (Some(Row::Ours(stored)), None),
            other => (self.row(cx, &self.row_of(&descent)).await?, other),
        };
        let first = match configured {
            Some(token) => Some(Found { token, descends_from: descent, account: None }),
            // What is left of a token that was configured: nobody has signed in since.
            None => other.and_then(Row::found),
        };
        Ok(own.and_then(Row::found).or(first))
    }

    /// Keeps the next one of a descent, durably.
    pub(super) async fn put(&self, cx: &Context, next: &Found) -> Result<()> {
        let plain = self.row(cx, &self.name).await?;
        let is_first = match &plain {
            None => true,
            Some(Row::Ours(stored)) => stored.descends_from == next.descends_from,
            Some(Row::Theirs(_)) => false,
        };
        let name = if is_first { self.name.clone() } else { self.row_of(&next.descends_from) };
        self.write(cx, &name, next).await
    }

    /// Keeps the one that a person signed in for. It is heard over the configured one, if that is still the
    /// same, and over what somebody has put into the store as it is.
    pub(super) async fn begin(&self, cx: &Context, token: Secret, account: Option<String>) -> Result<()> {
        let descends_from = self.configured.as_ref().map_or_else(String::new, descent);
        let next = Found { token, descends_from, account };
        match self.row(cx, &self.name).await {
            Ok(Some(Row::Theirs(_))) => self.write(cx, &self.name, &next).await,
            // What nobody can read keeps nobody from signing in.
            Err(error) if error.class() == Class::Config => self.write(cx, &self.name, &next).await,
            Err(error) => Err(error),
            Ok(_) => self.put(cx, &next).await,
        }
    }

    async fn write(&self, cx: &Context, row: &str, next: &Found) -> Result<()> {
        let stored = Stored {
            refresh_token: next.token.expose(),
            descends_from: next.descends_from.clone(),
            account: next.account.clone(),
        };
        let text = serde_json::to_string(&stored)
            .map_err(|_| Error::bug("token", "a refresh token cannot be written as JSON"))?;
        cx.tokens().put(row, Secret::new(text)).await
    }

    async fn row(&self, cx: &Context, name: &str) -> Result<Option<Row>> {
        let Some(text) = cx.tokens().get(name).await? else { return Ok(None) };
        match serde_json::from_str(text.expose()) {
            Ok(stored) => Ok(Some(Row::Ours(stored))),
            // It would go to the vendor as it is.
            Err(_) if text.expose().trim_start().starts_with('{') => {
                let message = "the refresh token is kept in a form that this program does not know: use the newer \
                               program that wrote it, or authorise the connection again";
                Err(Error::config("token", message).with_context("token", name))
            }
            Err(_) => Ok(Some(Row::Theirs(text))),
        }
    }

    fn row_of(&self, descent: &str) -> String {
        format!("{}.{}", self.name, if descent.is_empty() { SIGNED_IN } else { descent })
    }

    /// The right to exchange it; none where the store has no locks. Waits for another process that has it.
    ///
    /// # Errors
    /// Transient when the other does not let go: to use the token beside it could cost both theirs; and when
    /// the host wants the work to stop.
    pub(super) async fn lock(&self, cx: &Context) -> Result<Lock> {
        let until = cx.clock().monotonic() + PATIENCE;
        loop {
            match cx.tokens().try_lock(&self.name).await? {
                TokenLock::None => return Ok(None),
                TokenLock::Held(lock) => return Ok(Some(lock)),
                TokenLock::Busy if cx.is_stopping() || cx.background().is_awaited() => {
                    let message = "stopping, so that another process, which is exchanging this connection's refresh \
                                   token, is not waited for";
                    return Err(Error::transient("token", message));
                }
                TokenLock::Busy if cx.clock().monotonic() < until => cx.clock().sleep(LOOK_AGAIN).await,
                TokenLock::Busy => {
                    let message = "another process has been exchanging this connection's refresh token for too long: \
                                   end it if it hangs";
                    return Err(Error::transient("token", message));
                }
            }
        }
    }
}

impl Row {
    fn found(self) -> Option<Found> {
        match self {
            Self::Ours(Stored { refresh_token: token, descends_from, account }) => {
                Some(Found { token, descends_from, account })
            }
            Self::Theirs(_) => None,
        }
    }
}

/// Names a descent by its first token, without keeping that.
fn descent(first: &Secret) -> String {
    format!("{:032x}", fingerprint(&[first.expose()]))
}
