//! One token in hand, and one request for another at a time.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{Token, owner::Owner};
use crate::{Class, Context, Error, Result, Timestamp, clock::timeout};

/// A token is renewed so long before its end, or in the last tenth of its life if that is shorter, so
/// that it does not end on the way to the vendor.
const MARGIN: Duration = Duration::from_secs(60);

/// Who has a token that is still good waits so long for the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// While a token is still good, a renewal that has failed is not tried again before this time has passed.
const PAUSE: Duration = Duration::from_secs(10);

/// Keeps the token in hand, and lets all who need another share one request for it.
///
/// The request belongs to nobody: once begun it is finished in the context's
/// [background](Context::background), though all who waited for it are gone, so that an answer with a rotated
/// credential is heard and kept, and a lock that it holds is let go. Outside of a tokio runtime nothing runs
/// by itself: there whoever waits drives it, and when all are dropped it stands still until the next asks.
///
/// A token that is still good is used, until its very end, while the vendor cannot give another.
///
/// It belongs to the first tenant's connection that asks. Another one gets class Bug and no token, so that a
/// source that was shared by mistake cannot read one tenant's data for another.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_sdk::{Context, Secret, auth::{SingleFlight, Token}};
/// let cx = Context::builder("acme", "desk").build();
/// let tokens = SingleFlight::default();
/// let fetch = |_cx: Context| async { Ok(Token::new(Secret::from("t-1"))) };
/// let token = tokens.token(&cx, fetch).await?;
/// let again = tokens.token(&cx, fetch).await?; // the one in hand
/// # assert_eq!(token.secret().expose(), again.secret().expose());
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct SingleFlight {
    owner: Owner,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    serial: u64,
    held: Option<Held>,
    flight: Option<Flight>,
}

type Flight = Shared<BoxFuture<'static, Result<Token>>>;

struct Held {
    token: Token,
    renew_at: Option<Timestamp>,
    /// The vendor does not take it: while there is hope for another, it is not given out.
    refused: bool,
}

impl Held {
    fn new(token: Token, now: Timestamp) -> Self {
        Self { renew_at: renew_at(&token, now), token, refused: false }
    }

    fn is_good(&self, now: Timestamp) -> bool {
        self.renew_at.is_none_or(|at| now < at)
    }

    /// Lets it be given out for some time more, until it ends at most.
    fn put_off(&mut self, now: Timestamp, by: Duration) {
        if let Some(end) = self.token.expires_at().filter(|_| !self.is_good(now)) {
            self.renew_at = Some(end.min(now + by));
        }
    }
}

impl State {
    /// The token to be given out, while there is nothing to wait for.
    fn given(&self, now: Timestamp) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.is_good(now) && !(held.refused && self.flight.is_some()))
    }

    /// Puts the answer away.
    fn land(&mut self, answer: &Result<Token>, now: Timestamp) {
        self.flight = None;
        match answer {
            Ok(token) => self.held = Some(Held::new(token.clone(), now)),
            Err(error) if may_go_away(error) => self.put_off(now, error.retry_after()),
            Err(_) => {}
        }
    }

    fn put_off(&mut self, now: Timestamp, asked: Option<Duration>) {
        if let Some(held) = &mut self.held {
            held.put_off(now, asked.unwrap_or_default().max(PAUSE));
        }
    }
}

impl SingleFlight {
    /// The token in hand, while it is good, the vendor has not refused it, and it is of this connection.
    #[must_use]
    pub fn held(&self, cx: &Context) -> Option<Token> {
        let state = self.state();
        state.held.as_ref().filter(|_| self.owner.is(cx))?;
        state.given(cx.clock().now()).map(|held| held.token.clone())
    }

    /// The token in hand while it is good, else one from `fetch`.
    ///
    /// # Errors
    /// As `fetch`, the same for all who waited for it; Bug when it serves another connection.
    pub async fn token<F>(&self, cx: &Context, fetch: impl FnOnce(Context) -> F) -> Result<Token>
    where
        F: Future<Output = Result<Token>> + Send + 'static,
    {
        self.get(cx, None, fetch).await
    }

    /// The token in hand if it is another than the refused one, else one from `fetch`.
    ///
    /// # Errors
    /// As `fetch`, the same for all who waited for it; Bug when it serves another connection.
    pub async fn renew<F>(
        &self,
        cx: &Context,
        refused: &Token,
        fetch: impl FnOnce(Context) -> F,
    ) -> Result<Token>
    where
        F: Future<Output = Result<Token>> + Send + 'static,
    {
        self.get(cx, Some(refused.serial()), fetch).await
    }

    async fn get<F>(
        &self,
        cx: &Context,
        refused: Option<u64>,
        fetch: impl FnOnce(Context) -> F,
    ) -> Result<Token>
    where
        F: Future<Output = Result<Token>> + Send + 'static,
    {
        self.owner.admit(cx)?;
        let now = || cx.clock().now();
        let (flight, spare) = {
            let (mut state, now) = (self.state(), now());
            if let Some(held) = &mut state.held {
                held.refused |= refused == Some(held.token.serial());
            }
            if let Some(held) = state.given(now).filter(|held| !held.refused || refused.is_none()) {
                return Ok(held.token.clone());
            }
            let spare = state.held.as_ref().filter(|held| !held.refused).map(|held| held.token.clone());
            let flight = match &state.flight {
                Some(flight) => flight.clone(),
                None => {
                    state.serial += 1;
                    let flight = cx.background().spawn(self.flight(cx, state.serial, fetch(cx.clone())));
                    state.flight.insert(flight).clone()
                }
            };
            (flight, spare)
        };
        let good = |token: &Token| token.expires_at().is_some_and(|end| now() < end);
        let Some(spare) = spare.filter(good) else { return flight.await };
        match timeout(&**cx.clock(), PATIENCE, flight.clone()).await {
            Ok(Err(error)) if may_go_away(&error) && good(&spare) => Ok(spare),
            Ok(answer) => answer,
            Err(_) if good(&spare) => {
                self.state().put_off(now(), None);
                Ok(spare)
            }
            Err(_) => flight.await,
        }
    }

    /// Fetches, and puts away what comes of it, whoever is still there.
    fn flight<F>(
        &self,
        cx: &Context,
        serial: u64,
        fetched: F,
    ) -> impl Future<Output = Result<Token>> + Send + use<F>
    where
        F: Future<Output = Result<Token>> + Send + 'static,
    {
        // The state holds the flight: if the flight held the state too, neither would ever be dropped.
        let (state, clock) = (Arc::downgrade(&self.state), Arc::clone(cx.clock()));
        async move {
            let answer = AssertUnwindSafe(fetched).catch_unwind().await;
            let answer = answer
                .unwrap_or_else(|_| Err(Error::bug("token", "what fetches the token has panicked")))
                .map(|token| token.with_serial(serial));
            if let Some(state) = state.upgrade() {
                locked(&state).land(&answer, clock.now());
            }
            answer
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn may_go_away(error: &Error) -> bool {
    matches!(error.class(), Class::Transient | Class::RateLimited)
}

fn renew_at(token: &Token, now: Timestamp) -> Option<Timestamp> {
    let end = token.expires_at()?;
    Some(end - MARGIN.min(end.saturating_since(now) / 10))
}

/// Shows no token.
impl fmt::Debug for SingleFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SingleFlight")
    }
}
