//! A source whose secret can be changed while it is used.
//!
//! ```text
//!  token, renew ──▶ source ──▶ ok
//!                     └─ Auth ─▶ turn ──▶ successor? ──▶ its source ──▶ ok: swapped, then promoted
//!                                  │          └─ none: the refusal      └─ Auth: the refusal, which says so
//!                                  └─ somebody else had the turn meanwhile: what came of that
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::http::HeaderMap;
use async_trait::async_trait;
use url::Url;

use super::{Token, TokenSource};
use crate::{Class, Context, Error, Result, Secret, Timestamp, secret::Successors};

/// A successor that was refused is not tried again before this time has passed: it may be good later, when
/// the vendor is told of it.
const REFUSAL_HOLDS: Duration = Duration::from_secs(5 * 60);

/// The serials of a source's tokens lie below this bit, the generation of the source above.
const GENERATION: u32 = 48;

type Build = dyn Fn(&Secret) -> Result<Arc<dyn TokenSource>> + Send + Sync;

/// Signs in with a secret, and when the vendor refuses it, with the one that comes after it.
///
/// The successor is what [`Context::successors`] gives for the refused text. It is tried once; when it is
/// accepted it takes the place of the other, here and in its store. When it is refused too, nothing is
/// promoted, and the error is that of the first, which says so. All who are refused at the same time share
/// one change, which survives those who began it: the next to ask drives it on.
///
/// ```
/// use std::sync::Arc;
/// use connector_sdk::{Context, Secret, auth::{Rotating, StaticToken, TokenSource}};
/// # fn main() -> connector_sdk::Result<()> {
/// let cx = Context::builder("acme", "desk").build();
/// let source = Rotating::new(&cx, Secret::from("s-1"), |secret| {
///     Ok(Arc::new(StaticToken::new(secret.clone())) as Arc<dyn TokenSource>)
/// })?
/// .without_promotion();
/// assert_eq!(source.held(&cx).unwrap().secret().expose(), "s-1");
/// # Ok(()) }
/// ```
pub struct Rotating {
    build: Box<Build>,
    successors: Arc<dyn Successors>,
    promotes: bool,
    state: Mutex<State>,
    /// Who has it may look for a successor.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    generation: u64,
    secret: Secret,
    source: Arc<dyn TokenSource>,
    /// The token in hand of a later generation, as it is given out.
    stamped: Option<(u64, Token)>,
    /// How many changes were tried, and what came of the last one where it failed.
    changes: u64,
    failed: Option<Error>,
    /// Who is being tried. It stays when who tried it is dropped: it may hold a credential that the vendor
    /// gave for single use.
    candidate: Option<(Secret, Arc<dyn TokenSource>)>,
    refused: Vec<(Secret, Timestamp)>,
}

impl Rotating {
    /// Signs in with the sources that `build` makes of this secret and of those that come after it.
    ///
    /// # Errors
    /// As `build`.
    pub fn new(
        cx: &Context,
        secret: Secret,
        build: impl Fn(&Secret) -> Result<Arc<dyn TokenSource>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let state = State {
            generation: 0,
            source: build(&secret)?,
            secret,
            stamped: None,
            changes: 0,
            failed: None,
            candidate: None,
            refused: Vec::new(),
        };
        Ok(Self {
            build: Box::new(build),
            successors: Arc::clone(cx.successors()),
            promotes: true,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Leaves the stores as they are. For a source that shows its secret to nobody when it is asked for a
    /// token: having one proves nothing, and a successor that is bad must not push out the other.
    #[must_use]
    pub fn without_promotion(mut self) -> Self {
        self.promotes = false;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> (u64, u64, Arc<dyn TokenSource>) {
        let state = self.state();
        (state.generation, state.changes, Arc::clone(&state.source))
    }

    /// What the source answers, or the successor's, where it was refused.
    async fn or_successor(&self, cx: &Context, seen: (u64, u64), result: Result<Token>) -> Result<Token> {
        let (generation, changes) = seen;
        match result {
            Ok(token) => Ok(self.stamp(generation, token)),
            Err(refusal) if refusal.class() == Class::Auth => {
                let (token, accepted) = self.change(cx, generation, changes, refusal).await?;
                if let Some(accepted) = accepted.filter(|_| self.promotes)
                    && let Err(error) = self.successors.promote(&accepted).await
                {
                    // It is good all the same; whoever starts anew finds it again.
                    tracing::warn!(%error, "the credential that took the place of the other is not promoted");
                }
                Ok(token)
            }
            Err(error) => Err(error),
        }
    }

    /// Finds a successor, once for all who wait; answers its token, and to who found it also the secret.
    async fn change(
        &self,
        cx: &Context,
        generation: u64,
        changes: u64,
        refusal: Error,
    ) -> Result<(Token, Option<Secret>)> {
        let _turn = self.turn.lock().await;
        let (generation_now, changes_now, source) = self.now();
        if generation_now != generation {
            let token = source.token(cx).await?;
            return Ok((self.stamp(generation_now, token), None));
        }
        if changes_now != changes
            && let Some(failed) = self.state().failed.clone()
        {
            return Err(failed);
        }
        let result = self.try_successor(cx, generation, refusal).await;
        let mut state = self.state();
        state.changes += 1;
        state.failed = result.as_ref().err().cloned();
        result.map(|(token, accepted)| (token, Some(accepted)))
    }

    async fn try_successor(&self, cx: &Context, generation: u64, refusal: Error) -> Result<(Token, Secret)> {
        let refused = self.state().secret.clone();
        let successor = match self.successors.after(&refused).await {
            Ok(Some(successor)) => successor,
            Ok(None) => return Err(refusal),
            Err(error) if matches!(error.class(), Class::Transient | Class::RateLimited) => {
                return Err(error.with_source(refusal));
            }
            Err(error) => return Err(refusal.with_context("next_credential", format!("not known: {error}"))),
        };
        if self.was_refused(&successor, cx.clock().now()) {
            return Err(too(refusal));
        }
        let source = self.candidate(&successor).map_err(|error| {
            refusal.clone().with_context("next_credential", format!("cannot be used: {}", error.message()))
        })?;
        let token = match source.token(cx).await {
            Ok(token) => token,
            Err(error) if error.class() == Class::Auth => {
                let mut state = self.state();
                state.candidate = None;
                state.refused.push((successor, cx.clock().now() + REFUSAL_HOLDS));
                return Err(too(refusal));
            }
            // Nobody knows yet whether it is good: the next to ask tries it.
            Err(error) => return Err(error),
        };
        let mut state = self.state();
        state.candidate = None;
        state.refused.push((refused, cx.clock().now() + REFUSAL_HOLDS));
        state.generation = generation + 1;
        state.secret = successor.clone();
        state.source = source;
        state.stamped = None;
        drop(state);
        tracing::info!("the vendor accepts the next credential, which takes the place of the one it refused");
        Ok((self.stamp(generation + 1, token), successor))
    }

    fn was_refused(&self, secret: &Secret, now: Timestamp) -> bool {
        let mut state = self.state();
        state.refused.retain(|(_, until)| now < *until);
        state.refused.iter().any(|(refused, _)| refused.expose() == secret.expose())
    }

    fn candidate(&self, secret: &Secret) -> Result<Arc<dyn TokenSource>> {
        if let Some((of, source)) = &self.state().candidate
            && of.expose() == secret.expose()
        {
            return Ok(Arc::clone(source));
        }
        let source = (self.build)(secret)?;
        self.state().candidate = Some((secret.clone(), Arc::clone(&source)));
        Ok(source)
    }

    /// The token with the generation of its source in its serial.
    fn stamp(&self, generation: u64, token: Token) -> Token {
        if generation == 0 {
            return token;
        }
        let serial = token.serial() | generation << GENERATION;
        let mut state = self.state();
        if let Some((of, stamped)) = &state.stamped
            && *of == serial
            && stamped.secret().expose() == token.secret().expose()
        {
            return stamped.clone();
        }
        let stamped = token.with_serial(serial);
        if state.generation == generation {
            state.stamped = Some((serial, stamped.clone()));
        }
        stamped
    }
}

fn too(refusal: Error) -> Error {
    refusal.with_context("next_credential", "refused too")
}

#[async_trait]
impl TokenSource for Rotating {
    fn held(&self, cx: &Context) -> Option<Token> {
        let (generation, _, source) = self.now();
        source.held(cx).map(|token| self.stamp(generation, token))
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        let (generation, changes, source) = self.now();
        let result = source.token(cx).await;
        self.or_successor(cx, (generation, changes), result).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        let (generation, changes, source) = self.now();
        let of = refused.serial() >> GENERATION;
        let result = if of == generation {
            let serial = refused.serial() & ((1 << GENERATION) - 1);
            source.renew(cx, &refused.clone().with_serial(serial)).await
        } else {
            // It was a token of a secret that has been replaced since.
            source.token(cx).await
        };
        self.or_successor(cx, (generation, changes), result).await
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        let (_, _, source) = self.now();
        source.apply(token, headers, url)
    }
}

/// Shows no secret.
impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (generation, ..) = self.now();
        f.debug_struct("Rotating").field("generation", &generation).finish_non_exhaustive()
    }
}
