//! One token in hand, and one request for another at a time.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::Token;
use crate::{ConnectionName, Context, Error, Result, TenantId, Timestamp};

/// A token is renewed so long before its end, or in the last tenth of its life if that is shorter, so
/// that it does not end on the way to the vendor.
const MARGIN: Duration = Duration::from_secs(60);

/// Keeps the token in hand, and lets all who need another share one request for it.
///
/// The request belongs to nobody: whoever waits drives it, and when one of them is dropped the others
/// go on. When all are dropped it stands still where it is, and the next to ask drives it on, so that an
/// answer with a rotated credential is not lost as long as this value lives. Nothing runs by itself.
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
pub struct SingleFlight(Mutex<State>);

#[derive(Default)]
struct State {
    owner: Option<(TenantId, ConnectionName)>,
    serial: u64,
    held: Option<Held>,
    flight: Option<Shared<BoxFuture<'static, Result<Token>>>>,
}

impl State {
    fn is_of(&self, cx: &Context) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|(tenant, connection)| tenant == cx.tenant() && connection == cx.connection())
    }

    /// Binds this to the first who asks.
    ///
    /// # Errors
    /// Bug when somebody else asks. It names the one who asks only.
    fn admit(&mut self, cx: &Context) -> Result<()> {
        if self.owner.is_none() {
            self.owner = Some((cx.tenant().clone(), cx.connection().clone()));
        }
        if self.is_of(cx) {
            return Ok(());
        }
        let message = "a token source is used for two connections: each connection needs one of its own";
        Err(Error::bug("token", message)
            .with_context("tenant", cx.tenant())
            .with_context("connection", cx.connection()))
    }
}

struct Held {
    token: Token,
    renew_at: Option<Timestamp>,
}

impl SingleFlight {
    /// The token in hand, while it is good, nobody is fetching another, and it is of this connection.
    #[must_use]
    pub fn held(&self, cx: &Context) -> Option<Token> {
        let state = self.state();
        let held = state.held.as_ref().filter(|_| state.flight.is_none() && state.is_of(cx))?;
        held.renew_at.is_none_or(|at| cx.clock().now() < at).then(|| held.token.clone())
    }

    /// The token in hand while it is good, else one from `fetch`.
    ///
    /// # Errors
    /// As `fetch`, the same for all who waited for it; Bug when it serves another connection.
    pub async fn token<F>(&self, cx: &Context, fetch: impl FnOnce(Context) -> F) -> Result<Token>
    where
        F: Future<Output = Result<Token>> + Send + 'static,
    {
        self.get(cx, |_| true, fetch).await
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
        self.get(cx, |token| token.serial() != refused.serial(), fetch).await
    }

    async fn get<F>(
        &self,
        cx: &Context,
        accepts: impl Fn(&Token) -> bool,
        fetch: impl FnOnce(Context) -> F,
    ) -> Result<Token>
    where
        F: Future<Output = Result<Token>> + Send + 'static,
    {
        let (flight, serial) = {
            let mut state = self.state();
            state.admit(cx)?;
            if let Some(flight) = &state.flight {
                (flight.clone(), state.serial)
            } else {
                let now = cx.clock().now();
                let held = state.held.as_ref().filter(|held| held.renew_at.is_none_or(|at| now < at));
                if let Some(held) = held.filter(|held| accepts(&held.token)) {
                    return Ok(held.token.clone());
                }
                state.serial += 1;
                let serial = state.serial;
                let fetched = fetch(cx.clone());
                let flight = async move { Ok(fetched.await?.with_serial(serial)) }.boxed().shared();
                state.flight = Some(flight.clone());
                (flight, serial)
            }
        };
        let result = flight.await;
        let mut state = self.state();
        // The first of those who waited puts it away; by now another flight may be under way.
        if state.serial == serial
            && state.flight.take().is_some()
            && let Ok(token) = &result
        {
            state.held = Some(Held { renew_at: renew_at(token, cx.clock().now()), token: token.clone() });
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
