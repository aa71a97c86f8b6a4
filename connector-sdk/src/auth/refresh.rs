//! OAuth2 refresh token (RFC 6749, 6), which the vendor may replace with each use.
//!
//! A single-use refresh token is the most fragile thing a connector holds: the vendor forgets the old
//! one as it answers, and takes a second use of it for theft. Therefore one exchange at a time, across
//! processes where the store has locks; once begun it is finished, though all who wanted its token are gone;
//! the new one is durable before the access token that came with it is used; and what could not be made
//! durable is kept, and tried again, before anything else is asked of the vendor.
//!
//! Where the answer to an exchange is lost, nobody knows whether the token is spent, and there is no other.
//! If it is not, asking again is right. If it is, many vendors take it once more for a short while, for this
//! very case (Okta, "Grace period for token rotation", 30 s; Auth0, "Rotation Overlap Period"; Cognito,
//! `RetryGracePeriodSeconds`), and no longer when somebody asks later. A vendor that takes it for theft ends
//! what descends from it (RFC 9700, 4.14.2): the connection, which is lost either way, and access tokens that
//! are still in use, which a person who has to authorise again replaces. So it is asked again once, soon, unless
//! the store says that another process has got the next one meanwhile.
//!
//! Without locks two processes may use one token at the same time. The vendor refuses the second, which
//! then looks for what the first one has kept. A vendor that also revokes the first one's (RFC 9700,
//! 4.14.2) ends the connection: a person has to authorise again. Only a lock prevents that.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{
    Token, TokenEndpoint, TokenSource,
    answer::Grant,
    kept::{Found, Kept, Lock},
    source::{Delegate, Fetch, Fetched},
};
use crate::{
    Class, Context, Delivery, Error, Result, Secret,
    resilience::{Jitter, RetryPolicy},
};

/// When to look for what another process has kept, after a refusal: its answer may still be on the way to
/// the disk. Two seconds in all.
const LOOKS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
];

/// When a token that could not be kept is tried again by itself.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// An exchange is begun again no later than this after its beginning: with the deadline of a token call it
/// ends within a minute and a half.
const LATEST: Duration = Duration::from_secs(30);

/// Signs in with a refresh token, which it replaces by each that the vendor gives.
///
/// The current one is kept in the context's [`TokenStore`](crate::secret::TokenStore), and wins over the
/// configured one it descends from. When a person authorises again and configures a new one, that wins; so
/// does one that [`AuthorizationCode`](super::AuthorizationCode) has kept since. A configured one that has a
/// successor is never sent again, whichever others were configured in between.
/// A process that dies after the vendor has answered and before the store has the new one has lost it:
/// the next sign-in is refused and says to authorise again.
pub struct RefreshToken(Fetched<Credential>);

struct Credential {
    endpoint: TokenEndpoint,
    client_id: String,
    client_secret: Option<Secret>,
    kept: Kept,
    /// What the vendor gave and the store has not.
    unsaved: Mutex<Option<Arc<Unsaved>>>,
    /// Who has it may put that into the store.
    saving: tokio::sync::Mutex<()>,
}

struct Unsaved {
    next: Found,
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
        let (unsaved, saving) = (Mutex::default(), tokio::sync::Mutex::default());
        let credential = Credential { endpoint, client_id, client_secret, kept, unsaved, saving };
        Self(Fetched::new(credential))
    }

    /// Keeps the current one under this name, where a connection has several; the default is
    /// `refresh_token`.
    #[must_use]
    pub fn stored_as(self, name: impl Into<String>) -> Self {
        Self(self.0.change(|credential| credential.kept.name = name.into()))
    }
}

impl Fetch for Credential {
    fn fetch(self: Arc<Self>, cx: Context) -> BoxFuture<'static, Result<Token>> {
        Box::pin(async move { self.exchange(&cx).await })
    }
}

impl Delegate for RefreshToken {
    fn source(&self) -> &dyn TokenSource {
        &self.0
    }
}

impl Credential {
    async fn exchange(self: &Arc<Self>, cx: &Context) -> Result<Token> {
        let left = self.unsaved().clone();
        if let Some(left) = left {
            self.save(cx, &left).await?;
            let good = |token: &Token| token.expires_at().is_none_or(|end| cx.clock().now() < end);
            if let Some(token) = left.token.clone().filter(good) {
                return Ok(token);
            }
        }
        let lock = self.kept.lock(cx).await?;
        let locked = lock.is_some();
        // Read with the lock in hand: who had it before us has put another there.
        let current = self.current(cx).await?;
        let known_dead = self.endpoint.has_refused(cx, &self.asks_with(&current.token));
        let refusal = match self.ask(cx, current.clone(), lock).await {
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
            if self.current(cx).await?.token.expose() != current.token.expose() {
                let lock = self.kept.lock(cx).await?;
                return self.ask(cx, self.current(cx).await?, lock).await;
            }
        }
        Err(refusal)
    }

    async fn ask(self: &Arc<Self>, cx: &Context, mut current: Found, lock: Lock) -> Result<Token> {
        let grant = self.refresh(cx, &mut current).await?;
        // No new one in the answer: the old one stays good (RFC 6749, 6).
        if let Some(token) = grant.refresh_token.filter(|next| next.expose() != current.token.expose()) {
            let next = Found { token, ..current };
            let token = grant.token.as_ref().ok().cloned();
            let unsaved = Arc::new(Unsaved { next, token, _lock: lock });
            *self.unsaved() = Some(Arc::clone(&unsaved));
            if let Err(error) = self.save(cx, &unsaved).await {
                self.keep_trying(cx, &unsaved);
                return Err(error);
            }
        }
        grant.token
    }

    /// Asks, and asks again where that may help: what is written above says when.
    async fn refresh(&self, cx: &Context, current: &mut Found) -> Result<Grant> {
        let (since, jitter) = (cx.clock().monotonic(), Jitter::new(cx.seed()));
        let policy = RetryPolicy::from(cx.resilience());
        let (mut attempts, mut lost) = (1, false);
        loop {
            let secret = self.client_secret.as_ref();
            let error = match self.endpoint.refresh(cx, &self.client_id, secret, &current.token).await {
                Err(error) if error.class() == Class::Ambiguous => error,
                Err(error) if lost && error.class() == Class::Auth => {
                    return Err(error.with_context("earlier_answer", "lost: that may have spent the token"));
                }
                result => return result,
            };
            let lost_again = error.delivery() == Delivery::Unknown;
            let asked = retry_after(&error);
            let wait = asked.unwrap_or_else(|| policy.backoff.wait(attempts, jitter.draw()));
            let late = cx.clock().monotonic().saturating_sub(since) + wait > LATEST;
            // What a vendor has answered can be asked again by whoever comes next; a lost answer now or never.
            let stopping = cx.is_stopping() && !lost_again;
            if attempts >= policy.max_attempts || late || stopping || (lost && lost_again) {
                return Err(failed(&error, attempts, asked));
            }
            if !wait.is_zero() {
                cx.clock().sleep(wait).await;
            }
            let next = self.current(cx).await?;
            // What became of another token says nothing about this one.
            lost = (lost || lost_again) && next.token.expose() == current.token.expose();
            *current = next;
            attempts += 1;
        }
    }

    async fn current(&self, cx: &Context) -> Result<Found> {
        self.kept.get(cx).await?.ok_or_else(|| {
            let message = "nobody has signed in to this connection yet: no refresh token is configured, and none \
                           is kept";
            Error::new(Class::Auth, "token", message).with_context("connection", cx.connection())
        })
    }

    /// Puts it into the store, unless somebody else has meanwhile.
    async fn save(&self, cx: &Context, unsaved: &Arc<Unsaved>) -> Result<()> {
        let _turn = self.saving.lock().await;
        if !self.unsaved().as_ref().is_some_and(|left| Arc::ptr_eq(left, unsaved)) {
            return Ok(());
        }
        self.kept.put(cx, &unsaved.next).await.map_err(|error| {
            let message = "the vendor gave a new refresh token, which could not be kept: it is held in memory and kept \
                           before anything else is asked";
            Error::new(error.class(), "token", message).with_source(error)
        })?;
        *self.unsaved() = None;
        Ok(())
    }

    /// Tries again in the background, for half a minute: perhaps nobody asks any more, because the run ends.
    fn keep_trying(self: &Arc<Self>, cx: &Context, unsaved: &Arc<Unsaved>) {
        // Weak: who has saved it meanwhile lets go of the lock that it holds.
        let (credential, unsaved, cx) = (Arc::clone(self), Arc::downgrade(unsaved), cx.clone());
        let background = cx.background().clone();
        drop(background.spawn(async move {
            for pause in PAUSES {
                cx.clock().sleep(pause).await;
                let Some(unsaved) = unsaved.upgrade() else { return };
                match credential.save(&cx, &unsaved).await {
                    Err(error) if error.class() == Class::Transient => {
                        tracing::warn!(%error, "a refresh token is not kept yet, and is tried again");
                    }
                    Err(error) => return tracing::error!(%error, "a refresh token is not kept"),
                    Ok(()) => return,
                }
            }
        }));
    }

    fn asks_with<'a>(&'a self, refresh_token: &'a Secret) -> [&'a str; 3] {
        let secret = self.client_secret.as_ref().map_or("", |secret| secret.expose());
        [&self.client_id, secret, refresh_token.expose()]
    }

    fn unsaved(&self) -> MutexGuard<'_, Option<Arc<Unsaved>>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody can look at the vendor whether a token is spent, as one does after a write that is ambiguous: the
/// way on is to ask again, later.
fn failed(error: &Error, attempts: u32, asked: Option<Duration>) -> Error {
    let message = match error.delivery() {
        Delivery::Unknown => {
            "the vendor's answer to the refresh token was lost, and nobody knows whether the token is spent"
        }
        _ => "the token endpoint has failed",
    };
    let failed = Error::transient("token", message).with_delivery(error.delivery());
    let failed = error.context().fold(failed, |failed, (name, value)| failed.with_context(name, value));
    let failed = failed.with_context("attempts", attempts).with_source(error.clone()).into_exhausted();
    match asked {
        Some(wait) => failed.with_retry_after(wait),
        None => failed,
    }
}

/// The wait that the vendor asked for with the failure that this error stands for.
fn retry_after(error: &Error) -> Option<Duration> {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    error.retry_after().or_else(|| source?.retry_after())
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("endpoint", &self.0.how().endpoint)
            .field("client_id", &self.0.how().client_id)
            .finish_non_exhaustive()
    }
}
