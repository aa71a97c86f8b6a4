//! Where a connection's refresh token is kept, and in which form: what signing in writes, refreshing reads.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::fingerprint;
use crate::{Context, Error, Result, Secret, secret::TokenLock};

/// The name it is kept under, where nothing else is said.
pub(super) const NAME: &str = "refresh_token";

/// An exchange takes a minute at most (the deadline of a token call); who has the lock for longer hangs.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One place in the context's token store.
pub(super) struct Kept {
    pub(super) name: String,
    /// What the template holds, where it holds one: a stored token counts while it descends from it.
    pub(super) configured: Option<Secret>,
}

/// What the store holds: generic, because a [`Secret`] is read from JSON and never written to it.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    refresh_token: T,
    /// Fingerprint of the configured one it descends from, in hexadecimal; empty where there was none.
    descends_from: String,
}

/// The lock of a store that has locks.
pub(super) type Lock = Option<Box<dyn Send + Sync>>;

impl Kept {
    pub(super) fn new(configured: Option<Secret>) -> Self {
        Self { name: NAME.to_owned(), configured }
    }

    /// The stored one if it descends from the configured one, or none is configured; else the configured one.
    pub(super) async fn get(&self, cx: &Context) -> Result<Option<Secret>> {
        let Some(stored) = cx.tokens().get(&self.name).await? else {
            return Ok(self.configured.clone());
        };
        Ok(match serde_json::from_str::<Stored<Secret>>(stored.expose()) {
            Ok(kept) if self.configured.is_none() || kept.descends_from == self.descent() => {
                Some(kept.refresh_token)
            }
            Ok(_) => self.configured.clone(),
            // Put there as it is, by a host or a person.
            Err(_) => Some(stored),
        })
    }

    /// Keeps it, durably.
    pub(super) async fn put(&self, cx: &Context, refresh_token: &Secret) -> Result<()> {
        let stored = Stored { refresh_token: refresh_token.expose(), descends_from: self.descent() };
        let text = serde_json::to_string(&stored)
            .map_err(|_| Error::bug("token", "a refresh token cannot be written as JSON"))?;
        cx.tokens().put(&self.name, Secret::new(text)).await
    }

    /// The right to exchange it; none where the store has no locks. Waits for another process that has it.
    ///
    /// # Errors
    /// Transient when the other does not let go: to use the token beside it could cost both theirs.
    pub(super) async fn lock(&self, cx: &Context) -> Result<Lock> {
        let until = cx.clock().monotonic() + PATIENCE;
        loop {
            match cx.tokens().try_lock(&self.name).await? {
                TokenLock::None => return Ok(None),
                TokenLock::Held(lock) => return Ok(Some(lock)),
                TokenLock::Busy if cx.clock().monotonic() < until => cx.clock().sleep(LOOK_AGAIN).await,
                TokenLock::Busy => {
                    let message = "another process has been exchanging this connection's refresh token for too long: \
                                   end it if it hangs";
                    return Err(Error::transient("token", message));
                }
            }
        }
    }

    fn descent(&self) -> String {
        self.configured
            .as_ref()
            .map_or_else(String::new, |token| format!("{:032x}", fingerprint(&[token.expose()])))
    }
}
