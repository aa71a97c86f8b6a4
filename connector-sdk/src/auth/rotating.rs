//! A source whose secret can be changed while it is used.
//!
//! ```text
//!  token, renew ──▶ source ──▶ ok
//!                     └─ Auth ─▶ change ─▶ successor? ──▶ its source ──▶ ok: swapped, then promoted
//!                                  │          └─ none: the refusal      └─ Auth: the refusal, which says so
//!                                  └─ one is under way: it is driven on, and what comes of it is shared
//! ```

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::http::HeaderMap;
use async_trait::async_trait;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
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
/// one change, which belongs to nobody: whoever waits drives it, so that one who is not polled holds nobody
/// up, and it survives those who began it.
///
/// ```
/// use std::sync::Arc;
/// use connector_sdk::{Context, Secret, auth::{Rotating, StaticToken, TokenSource}};
/// # fn main() -> connector_sdk::Result<()> {
/// let cx = Context::builder("acme", "desk").build();
/// let source = Rotating::new(&cx, Secret::from("s-1"), |secret| {
///     Ok(Arc::new(StaticToken::new(secret.clone())) as Arc<dyn TokenSource>)
/// })?
/// .promoted_by_use();
/// assert_eq!(source.held(&cx).unwrap().secret().expose(), "s-1");
/// # Ok(()) }
/// ```
pub struct Rotating {
    core: Arc<Core>,
    promotes: Promotes,
}

/// When a successor takes the place of the other in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promotes {
    /// When the vendor has given a token for it.
    ByToken,
    /// When the vendor has accepted a request with it.
    ByUse,
}

/// What a change goes on with when all who wait for it are gone.
struct Core {
    build: Box<Build>,
    successors: Arc<dyn Successors>,
    state: Mutex<State>,
}

/// A search for a successor, which whoever waits for it drives on.
type Change = Shared<BoxFuture<'static, Result<Token>>>;

struct State {
    generation: u64,
    secret: Secret,
    source: Arc<dyn TokenSource>,
    /// The token in hand of a later generation, as it is given out.
    stamped: Option<(u64, Token)>,
    /// The change under way, and of which generation it began.
    change: Option<(u64, Change)>,
    /// How many changes were tried, and what came of the last one where it failed.
    changes: u64,
    failed: Option<Error>,
    /// Who is being tried. It stays when nobody could tell yet whether it is good: it may hold a credential
    /// that the vendor gave for single use.
    candidate: Option<(Secret, Arc<dyn TokenSource>)>,
    /// In use, and to be promoted once a request with it was accepted.
    unproven: Option<(u64, Secret)>,
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
            change: None,
            changes: 0,
            failed: None,
            candidate: None,
            unproven: None,
            refused: Vec::new(),
        };
        let (build, successors) = (Box::new(build), Arc::clone(cx.successors()));
        let core = Core { build, successors, state: Mutex::new(state) };
        Ok(Self { core: Arc::new(core), promotes: Promotes::ByToken })
    }

    /// Promotes a successor only when a request with it was accepted
    /// ([`TokenSource::accepted`]). For a source that shows its secret to nobody when it is asked for a
    /// token, such as an API key: having one proves nothing, and a successor that is bad must not push out
    /// the other. One that is never used is never promoted: whoever starts anew begins with the old one.
    #[must_use]
    pub fn promoted_by_use(mut self) -> Self {
        self.promotes = Promotes::ByUse;
        self
    }

    /// What the source answers, or the successor's, where it was refused.
    async fn or_successor(&self, cx: &Context, seen: (u64, u64), result: Result<Token>) -> Result<Token> {
        let (generation, changes) = seen;
        match result {
            Ok(token) => Ok(self.core.stamp(generation, token)),
            Err(refusal) if refusal.class() == Class::Auth => {
                self.change(cx, generation, changes, refusal).await
            }
            Err(error) => Err(error),
        }
    }

    /// Finds a successor, once for all who wait.
    async fn change(&self, cx: &Context, generation: u64, changes: u64, refusal: Error) -> Result<Token> {
        loop {
            let (now, _, source) = self.core.now();
            if now != generation {
                // Somebody else has found it.
                return source.token(cx).await.map(|token| self.core.stamp(now, token));
            }
            let (began, change) = {
                let mut state = self.core.state();
                if state.generation != generation {
                    continue;
                }
                if let Some(change) = &state.change {
                    change.clone()
                } else if let Some(failed) = state.failed.clone().filter(|_| state.changes != changes) {
                    return Err(failed);
                } else {
                    let change =
                        Arc::clone(&self.core).run(cx.clone(), generation, refusal.clone(), self.promotes);
                    let change = change.boxed().shared();
                    state.change = Some((generation, change.clone()));
                    (generation, change)
                }
            };
            let result = change.await;
            if began == generation {
                return result;
            }
            // It was an earlier one, whose promotion nobody had waited for.
        }
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> (u64, u64, Arc<dyn TokenSource>) {
        let state = self.state();
        (state.generation, state.changes, Arc::clone(&state.source))
    }

    /// One change, to its end.
    async fn run(
        self: Arc<Self>,
        cx: Context,
        generation: u64,
        refusal: Error,
        promotes: Promotes,
    ) -> Result<Token> {
        let result = self.try_successor(&cx, generation, refusal).await;
        {
            let mut state = self.state();
            state.changes += 1;
            state.failed = result.as_ref().err().cloned();
            if let (Promotes::ByUse, Ok((_, accepted))) = (promotes, &result) {
                state.unproven = Some((generation + 1, accepted.clone()));
            }
        }
        if let (Promotes::ByToken, Ok((_, accepted))) = (promotes, &result) {
            self.promote(accepted).await;
        }
        self.state().change = None;
        result.map(|(token, _)| token)
    }

    async fn promote(&self, accepted: &Secret) {
        if let Err(error) = self.successors.promote(accepted).await {
            // It is good all the same; whoever starts anew finds it again.
            tracing::warn!(%error, "the credential that took the place of the other is not promoted");
        }
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
        let (generation, _, source) = self.core.now();
        source.held(cx).map(|token| self.core.stamp(generation, token))
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        let (generation, changes, source) = self.core.now();
        let result = source.token(cx).await;
        self.or_successor(cx, (generation, changes), result).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        let (generation, changes, source) = self.core.now();
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
        let (_, _, source) = self.core.now();
        source.apply(token, headers, url)
    }

    fn accepted(&self, cx: &Context, token: &Token) -> Option<BoxFuture<'static, ()>> {
        let (generation, of) = (token.serial() >> GENERATION, token.serial() & ((1 << GENERATION) - 1));
        let (source, proven) = {
            let mut state = self.core.state();
            if generation != state.generation {
                return None;
            }
            let proven = state.unproven.take_if(|(unproven, _)| *unproven == generation);
            (Arc::clone(&state.source), proven)
        };
        let Some((_, secret)) = proven else {
            return source.accepted(cx, &token.clone().with_serial(of));
        };
        let core = Arc::clone(&self.core);
        Some(async move { core.promote(&secret).await }.boxed())
    }
}

/// Shows no secret.
impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (generation, ..) = self.core.now();
        f.debug_struct("Rotating").field("generation", &generation).finish_non_exhaustive()
    }
}
