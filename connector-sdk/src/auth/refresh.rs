//! OAuth2 refresh token (RFC 6749, 6), which the vendor may replace with each use.
//!
//! A single-use refresh token is the most fragile thing a connector holds: the vendor forgets the old
//! one as it answers, and takes a second use of it for theft. Therefore one exchange at a time; the new
//! one is durable before the access token that came with it is used; and what could not be made durable
//! is kept, and tried again, before anything else is asked of the vendor.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{SingleFlight, Token, TokenEndpoint, TokenSource, endpoint::fingerprint};
use crate::{Class, Context, Error, Result, Secret};

/// Signs in with a refresh token, which it replaces by each that the vendor gives.
///
/// The current one is kept in the context's [`TokenStore`](crate::secret::TokenStore), and wins over the
/// configured one it descends from. When a person authorises again and configures a new one, that wins.
/// A process that dies after the vendor has answered and before the store has the new one has lost it:
/// the next sign-in is refused and says to authorise again.
pub struct RefreshToken {
    credential: Arc<Credential>,
    flight: SingleFlight,
}

struct Credential {
    endpoint: TokenEndpoint,
    client_id: String,
    client_secret: Option<Secret>,
    configured: Secret,
    stored_as: String,
    /// What the vendor gave and the store has not.
    unsaved: Mutex<Option<Unsaved>>,
}

#[derive(Clone)]
struct Unsaved {
    refresh_token: Secret,
    /// The access token that came with it, where it can be used.
    token: Option<Token>,
}

/// What the store holds: generic, because a [`Secret`] is read from JSON and never written to it.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    refresh_token: T,
    /// Fingerprint of the configured one it descends from, in hexadecimal.
    descends_from: String,
}

impl RefreshToken {
    /// This refresh token, until the vendor gives another. A public client has no secret.
    #[must_use]
    pub fn new(
        endpoint: TokenEndpoint,
        client_id: impl Into<String>,
        client_secret: Option<Secret>,
        refresh_token: Secret,
    ) -> Self {
        let credential = Credential {
            endpoint,
            client_id: client_id.into(),
            client_secret,
            configured: refresh_token,
            stored_as: "refresh_token".to_owned(),
            unsaved: Mutex::default(),
        };
        Self { credential: Arc::new(credential), flight: SingleFlight::default() }
    }

    /// Keeps the current one under this name, where a connection has several; the default is
    /// `refresh_token`.
    #[must_use]
    pub fn stored_as(mut self, name: impl Into<String>) -> Self {
        if let Some(credential) = Arc::get_mut(&mut self.credential) {
            credential.stored_as = name.into();
        }
        self
    }

    fn fetch(&self) -> impl FnOnce(Context) -> BoxFuture<'static, Result<Token>> + use<> {
        let credential = Arc::clone(&self.credential);
        |cx| Box::pin(async move { credential.exchange(&cx).await })
    }
}

#[async_trait]
impl TokenSource for RefreshToken {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.flight.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.flight.token(cx, self.fetch()).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.flight.renew(cx, refused, self.fetch()).await
    }
}

impl Credential {
    async fn exchange(&self, cx: &Context) -> Result<Token> {
        let left = self.unsaved().clone();
        if let Some(left) = left {
            self.save(cx, &left.refresh_token).await?;
            let good = |token: &Token| token.expires_at().is_none_or(|end| cx.clock().now() < end);
            if let Some(token) = left.token.filter(good) {
                return Ok(token);
            }
        }
        let refresh_token = self.current(cx).await?;
        let refusal = match self.ask(cx, &refresh_token).await {
            Err(error) if error.class() == Class::Auth => error,
            result => return result,
        };
        // Another process, or another client of this connection, may have been faster.
        let current = self.current(cx).await?;
        if current.expose() == refresh_token.expose() { Err(refusal) } else { self.ask(cx, &current).await }
    }

    async fn ask(&self, cx: &Context, refresh_token: &Secret) -> Result<Token> {
        let secret = self.client_secret.as_ref();
        let grant = self.endpoint.refresh(cx, &self.client_id, secret, refresh_token).await?;
        // No new one in the answer: the old one stays good (RFC 6749, 6).
        if let Some(next) = grant.refresh_token.filter(|next| next.expose() != refresh_token.expose()) {
            let token = grant.token.as_ref().ok().cloned();
            *self.unsaved() = Some(Unsaved { refresh_token: next.clone(), token });
            self.save(cx, &next).await?;
        }
        grant.token
    }

    /// The stored one if it descends from the configured one, else the configured one.
    async fn current(&self, cx: &Context) -> Result<Secret> {
        let Some(stored) = cx.tokens().get(&self.stored_as).await? else {
            return Ok(self.configured.clone());
        };
        Ok(match serde_json::from_str::<Stored<Secret>>(stored.expose()) {
            Ok(kept) if kept.descends_from == self.descent() => kept.refresh_token,
            Ok(_) => self.configured.clone(),
            // Put there as it is, by a host or a person.
            Err(_) => stored,
        })
    }

    async fn save(&self, cx: &Context, refresh_token: &Secret) -> Result<()> {
        let stored = Stored { refresh_token: refresh_token.expose(), descends_from: self.descent() };
        let text = serde_json::to_string(&stored)
            .map_err(|_| Error::bug("token", "a rotated refresh token cannot be written as JSON"))?;
        cx.tokens().put(&self.stored_as, Secret::new(text)).await.map_err(|error| {
            let message = "the vendor gave a new refresh token, which could not be kept: it is held in memory and kept \
                           before anything else is asked";
            Error::new(error.class(), "token", message).with_source(error)
        })?;
        *self.unsaved() = None;
        Ok(())
    }

    fn descent(&self) -> String {
        format!("{:032x}", fingerprint(&[self.configured.expose()]))
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("endpoint", &self.credential.endpoint)
            .field("client_id", &self.credential.client_id)
            .finish_non_exhaustive()
    }
}
