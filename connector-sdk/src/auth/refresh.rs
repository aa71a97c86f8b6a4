//! OAuth2 refresh token (RFC 6749, 6), which the vendor may replace with each use.
//!
//! A single-use refresh token is the most fragile thing a connector holds: the vendor forgets the old
//! one as it answers, and takes a second use of it for theft. Therefore one exchange at a time, across
//! processes where the store has locks; the new one is durable before the access token that came with it
//! is used; and what could not be made durable is kept, and tried again, before anything else is asked of
//! the vendor.
//!
//! Without locks two processes may use one token at the same time. The vendor refuses the second, which
//! then looks for what the first one has kept. A vendor that also revokes the first one's (RFC 9700,
//! 4.14.2) ends the connection: a person has to authorise again. Only a lock prevents that.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;

use super::{
    SingleFlight, Token, TokenEndpoint, TokenSource,
    kept::{Kept, Lock},
};
use crate::{Class, Context, Error, Result, Secret};

/// When to look for what another process has kept, after a refusal: its answer may still be on the way to
/// the disk. Two seconds in all.
const LOOKS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
];

/// Signs in with a refresh token, which it replaces by each that the vendor gives.
///
/// The current one is kept in the context's [`TokenStore`](crate::secret::TokenStore), and wins over the
/// configured one it descends from. When a person authorises again and configures a new one, that wins; so
/// does one that [`AuthorizationCode`](super::AuthorizationCode) has kept since.
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
    kept: Kept,
    /// What the vendor gave and the store has not.
    unsaved: Mutex<Option<Arc<Unsaved>>>,
}

struct Unsaved {
    refresh_token: Secret,
    /// The access token that came with it, where it can be used.
    token: Option<Token>,
    /// Not let go before the token is kept: another process would use the spent one.
    _lock: Lock,
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
        Self::of(endpoint, client_id.into(), client_secret, Some(refresh_token))
    }

    /// The refresh token that an [`AuthorizationCode`](super::AuthorizationCode) has kept. Until there is
    /// one, asking for a token is class Auth, and nothing is sent.
    #[must_use]
    pub fn from_store(
        endpoint: TokenEndpoint,
        client_id: impl Into<String>,
        client_secret: Option<Secret>,
    ) -> Self {
        Self::of(endpoint, client_id.into(), client_secret, None)
    }

    fn of(
        endpoint: TokenEndpoint,
        client_id: String,
        client_secret: Option<Secret>,
        configured: Option<Secret>,
    ) -> Self {
        let kept = Kept::new(configured);
        let credential = Credential { endpoint, client_id, client_secret, kept, unsaved: Mutex::default() };
        Self { credential: Arc::new(credential), flight: SingleFlight::default() }
    }

    /// Keeps the current one under this name, where a connection has several; the default is
    /// `refresh_token`.
    #[must_use]
    pub fn stored_as(mut self, name: impl Into<String>) -> Self {
        if let Some(credential) = Arc::get_mut(&mut self.credential) {
            credential.kept.name = name.into();
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
            if let Some(token) = left.token.clone().filter(good) {
                return Ok(token);
            }
        }
        let lock = self.kept.lock(cx).await?;
        let locked = lock.is_some();
        // Read with the lock in hand: who had it before us has put another there.
        let refresh_token = self.current(cx).await?;
        let known_dead = self.endpoint.has_refused(cx, &self.asks_with(&refresh_token));
        let refusal = match self.ask(cx, &refresh_token, lock).await {
            Err(error) if error.class() == Class::Auth => error,
            result => return result,
        };
        // Another process, or another client of this connection, may have been faster. With the lock in hand
        // nobody was; and what was refused a while ago has been looked for then.
        let looks = if locked || known_dead { &LOOKS[..1] } else { &LOOKS[..] };
        for wait in looks {
            if !wait.is_zero() {
                cx.clock().sleep(*wait).await;
            }
            let current = self.current(cx).await?;
            if current.expose() != refresh_token.expose() {
                let lock = self.kept.lock(cx).await?;
                return self.ask(cx, &self.current(cx).await?, lock).await;
            }
        }
        Err(refusal)
    }

    async fn ask(&self, cx: &Context, refresh_token: &Secret, lock: Lock) -> Result<Token> {
        let secret = self.client_secret.as_ref();
        let grant = self.endpoint.refresh(cx, &self.client_id, secret, refresh_token).await?;
        // No new one in the answer: the old one stays good (RFC 6749, 6).
        if let Some(next) = grant.refresh_token.filter(|next| next.expose() != refresh_token.expose()) {
            let token = grant.token.as_ref().ok().cloned();
            *self.unsaved() = Some(Arc::new(Unsaved { refresh_token: next.clone(), token, _lock: lock }));
            self.save(cx, &next).await?;
        }
        grant.token
    }

    async fn current(&self, cx: &Context) -> Result<Secret> {
        self.kept.get(cx).await?.ok_or_else(|| {
            let message = "nobody has signed in to this connection yet: no refresh token is configured, and none \
                           is kept";
            Error::new(Class::Auth, "token", message).with_context("connection", cx.connection())
        })
    }

    async fn save(&self, cx: &Context, refresh_token: &Secret) -> Result<()> {
        self.kept.put(cx, refresh_token).await.map_err(|error| {
            let message = "the vendor gave a new refresh token, which could not be kept: it is held in memory and kept \
                           before anything else is asked";
            Error::new(error.class(), "token", message).with_source(error)
        })?;
        *self.unsaved() = None;
        Ok(())
    }

    fn asks_with<'a>(&'a self, refresh_token: &'a Secret) -> [&'a str; 3] {
        let secret = self.client_secret.as_ref().map_or("", |secret| secret.expose());
        [&self.client_id, secret, refresh_token.expose()]
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Arc<Unsaved>>> {
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
