use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use connector_sdk::{
    Class, Clock as _, Context, Counters, Error, Result,
    auth::{RefreshToken, SingleFlight, Token, TokenSource},
    context::Background,
    http::{
        AuthLayer, Call, HeaderMap, Hosts, OneQuota, Request, Response, StackCounters, StackState,
        StatusCode, StatusFaults, stack,
    },
    resilience::{QuotaKey, Resilience},
    secret::{TokenLock, TokenStore as _},
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use tokio::sync::Notify;
use tower::{Service, ServiceExt as _};

use super::{Bench, granted};
use crate::support::{
    Log,
    clock::{ManualClock, NOON},
    soon,
};

/// A vendor in memory that accepts one token, and forgets it when told so.
#[derive(Debug, Clone, Default)]
struct Vendor {
    accepted: Arc<AtomicU32>,
    refusals: Arc<AtomicU32>,
}

impl Service<Call> for Vendor {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let vendor = self.clone();
        Box::pin(async move {
            // An answer takes a while, in which others ask.
            tokio::task::yield_now().await;
            let outgoing = call.outgoing().unwrap();
            let accepted = format!("Bearer t-{}", vendor.accepted.load(Ordering::Relaxed));
            let status = if outgoing.headers["authorization"] == accepted.as_str() {
                StatusCode::OK
            } else {
                vendor.refusals.fetch_add(1, Ordering::Relaxed);
                StatusCode::UNAUTHORIZED
            };
            Ok(Response::new(status, HeaderMap::new(), "", outgoing.url, call.context().clock().now()))
        })
    }
}

#[tokio::test]
async fn case_71_a_thousand_callers_share_one_refresh_each_time_the_token_ends() {
    const ROUNDS: u32 = 5;
    let replies =
        (1..=ROUNDS).map(|n| granted(&format!("t-{n}"), &format!(r#","refresh_token":"r-{}""#, n + 1)));
    let bench = Bench::new(replies).await;
    let source = Arc::new(RefreshToken::new(bench.endpoint(), "client", None, "r-1".into()));
    let mut hosts = Hosts::default();
    hosts.allow("vendor.example").unwrap();
    let auth = AuthLayer::new(hosts).tokens(source).base_url("https://vendor.example".parse().unwrap());
    let (vendor, counters) = (Vendor::default(), Arc::<StackCounters>::default());
    let mut settings = Resilience::default();
    (settings.concurrency.start, settings.concurrency.max) = (1000, 1000);
    let state = StackState::new(&settings, 1);
    let quotas = Arc::new(OneQuota::new(QuotaKey::new("acme/desk")));
    let stack = stack::build(&settings, &state, auth, quotas, Arc::new(StatusFaults), vendor.clone());
    for round in 1..=ROUNDS {
        // In the first round nobody has a token, in each other all have the one that has just ended.
        vendor.accepted.store(round, Ordering::Relaxed);
        let callers = (0..1000).map(|_| {
            let (mut stack, call) = (
                stack.clone(),
                Call::counted(bench.cx.clone(), Request::get("query", "/records"), Arc::clone(&counters)),
            );
            async move { stack.ready().await?.call(call).await }
        });
        for result in join_all(callers).await {
            assert_eq!(result.unwrap().status, StatusCode::OK);
        }
        assert_eq!(bench.forms().len(), round as usize);
        assert_eq!(vendor.refusals.load(Ordering::Relaxed), (round - 1) * 1000);
    }
    let used: Vec<_> = bench.forms().iter().map(|form| form["refresh_token"].clone()).collect();
    assert_eq!(used, ["r-1", "r-2", "r-3", "r-4", "r-5"]);
    assert_eq!(Counters::get(&bench.cx.counters().token_refreshes), u64::from(ROUNDS));
    assert_eq!(counters.replays.get(), u64::from(ROUNDS - 1) * 1000);
}

#[tokio::test]
async fn case_72_a_waiter_that_comes_after_the_winner_does_not_renew_again() {
    let bench = Bench::new([granted("t-1", ""), granted("t-1", ""), granted("t-3", "")]).await;
    let source = RefreshToken::new(bench.endpoint(), "client", None, "r-1".into());
    let first = source.token(&bench.cx).await.unwrap();
    let second = source.renew(&bench.cx, &first).await.unwrap();
    // The vendor has given the same text again; that it is another token is known all the same.
    for _ in 0..10 {
        source.renew(&bench.cx, &first).await.unwrap();
    }
    assert_eq!(bench.forms().len(), 2);
    assert_eq!(source.renew(&bench.cx, &second).await.unwrap().secret().expose(), "t-3");
}

#[tokio::test]
async fn a_refresh_outlives_the_caller_that_began_it() {
    let bench = Bench::new([granted("t-1", r#","refresh_token":"r-2""#)]).await;
    let source = RefreshToken::new(bench.endpoint(), "client", None, "r-1".into());
    let mut leader = Box::pin(source.token(&bench.cx));
    let waiter = source.token(&bench.cx);
    tokio::select! {
        biased;
        _ = &mut leader => panic!("the answer came before it was looked for"),
        () = bench.server.arrival() => drop(leader),
    }
    assert_eq!(soon(waiter).await.unwrap().secret().expose(), "t-1");
    assert_eq!((bench.forms().len(), bench.store.log.count("kept r-2")), (1, 1));
}

#[tokio::test]
async fn an_exchange_that_all_have_left_is_finished_and_kept_and_its_lock_let_go() {
    for source_is_dropped in [false, true] {
        let bench = Bench::new([granted("t-1", r#","refresh_token":"r-2""#)]).await;
        let mut source = Some(RefreshToken::new(bench.endpoint(), "client", None, "r-1".into()));
        {
            let mut leader = Box::pin(source.as_ref().unwrap().token(&bench.cx));
            tokio::select! {
                biased;
                _ = &mut leader => panic!("the answer came before it was looked for"),
                () = bench.server.arrival() => {}
            }
        }
        if source_is_dropped {
            source = None;
        }
        assert_eq!((bench.store.log.count("kept"), bench.cx.background().len()), (0, 1));
        assert!(matches!(bench.store.try_lock("refresh_token").await.unwrap(), TokenLock::Busy));
        soon(bench.cx.background().settled(&*bench.clock, Background::PATIENCE)).await.unwrap();
        assert_eq!((bench.forms().len(), bench.store.log.count("kept r-2")), (1, 1));
        assert!(matches!(bench.store.try_lock("refresh_token").await.unwrap(), TokenLock::Held(_)));
        if let Some(source) = source {
            assert_eq!(source.held(&bench.cx).unwrap().secret().expose(), "t-1");
        }
    }
}

#[tokio::test]
async fn who_waits_for_the_background_waits_by_the_clock_and_not_for_ever() {
    let (clock, started) = (ManualClock::new(Log::default()), NOON);
    let cx = Context::builder("acme", "desk").clock(clock.clone()).build();
    let derived = cx.with_successors(Arc::new(connector_sdk::secret::NoSuccessors));
    let (done, doing) = tokio::sync::oneshot::channel::<()>();
    drop(derived.background().spawn(async move { doing.await.is_ok() }));
    let elapsed = clock.run(cx.background().settled(&*clock, Background::PATIENCE)).await.unwrap_err();
    assert_eq!(elapsed.0, Background::PATIENCE);
    assert_eq!(clock.now(), started + Background::PATIENCE);
    done.send(()).unwrap();
    soon(cx.background().settled(&*clock, Background::PATIENCE)).await.unwrap();
    assert!(cx.background().is_empty());
}

#[test]
fn outside_of_a_runtime_the_next_to_ask_goes_on_with_what_was_left() {
    let cx = Context::builder("acme", "desk").build();
    let (tokens, asked) = (SingleFlight::default(), AtomicU32::new(0));
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let gone = std::sync::Mutex::new(Some(gone));
    let fetch = |_| {
        asked.fetch_add(1, Ordering::Relaxed);
        let gone = gone.lock().unwrap().take().unwrap();
        async move {
            gone.await.unwrap();
            Ok(Token::new("t-1".into()))
        }
    };
    assert!(tokens.token(&cx, fetch).now_or_never().is_none());
    go.send(()).unwrap();
    assert_eq!(tokens.token(&cx, fetch).now_or_never().unwrap().unwrap().secret().expose(), "t-1");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_panics_while_it_fetches_is_a_bug_and_the_next_asks_again() {
    let (cx, tokens) = (Context::builder("acme", "desk").build(), SingleFlight::default());
    let panics = |_| async { panic!("canary") };
    let error = tokens.token(&cx, panics).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug, "{error}");
    assert!(tokens.token(&cx, |_| async { Ok(Token::new("t-1".into())) }).await.is_ok());
}

/// A token that ends in an hour, from a source that then answers with an error of this class.
struct Failing {
    cx: Context,
    clock: Arc<ManualClock>,
    tokens: SingleFlight,
    class: Class,
    asked: AtomicU32,
}

impl Failing {
    async fn new(class: Class) -> Self {
        let clock = ManualClock::new(Log::default());
        let cx = Context::builder("acme", "desk").clock(clock.clone()).build();
        let tokens = SingleFlight::default();
        let first = |cx: Context| async move {
            Ok(Token::new("t-1".into()).with_expiry(cx.clock().now() + Duration::from_secs(3600)))
        };
        tokens.token(&cx, first).await.unwrap();
        Self { cx, clock, tokens, class, asked: AtomicU32::new(0) }
    }

    fn fetch(&self) -> impl FnOnce(Context) -> BoxFuture<'static, Result<Token>> + use<> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let class = self.class;
        move |_| Box::pin(async move { Err(Error::new(class, "token", "not now").into_exhausted()) })
    }

    async fn token(&self) -> Result<Token> {
        if let Some(held) = self.tokens.held(&self.cx) {
            return Ok(held);
        }
        self.tokens.token(&self.cx, self.fetch()).await
    }
}

#[tokio::test]
async fn a_token_is_used_until_its_very_end_while_its_renewal_fails() {
    for class in [Class::Transient, Class::RateLimited] {
        let failing = Failing::new(class).await;
        failing.clock.advance(Duration::from_secs(3540));
        for second in 0..60 {
            let token = failing.token().await.unwrap();
            assert_eq!(token.secret().expose(), "t-1", "in second {second}");
            failing.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(failing.asked.load(Ordering::Relaxed), 6, "every ten seconds");
        assert_eq!(failing.token().await.unwrap_err().class(), class, "it has ended");
    }
}

#[tokio::test]
async fn a_refusal_of_the_renewal_is_heard_at_once_and_a_token_that_was_refused_is_not_used() {
    let failing = Failing::new(Class::Auth).await;
    failing.clock.advance(Duration::from_secs(3540));
    assert_eq!(failing.token().await.unwrap_err().class(), Class::Auth);
    let failing = Failing::new(Class::Transient).await;
    failing.clock.advance(Duration::from_secs(3540));
    let held = failing.token().await.unwrap();
    let error = failing.tokens.renew(&failing.cx, &held, failing.fetch()).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
}

#[tokio::test]
async fn who_has_a_token_that_is_still_good_waits_five_seconds_for_the_next() {
    let Failing { cx, clock, tokens, .. } = Failing::new(Class::Transient).await;
    clock.advance(Duration::from_secs(3540));
    let (answer, answered) = tokio::sync::oneshot::channel::<Token>();
    let before = clock.now();
    let hanging = |_| async move { Ok(answered.await.unwrap()) };
    let token = clock.run(tokens.token(&cx, hanging)).await.unwrap();
    assert_eq!((token.secret().expose().as_str(), clock.now()), ("t-1", before + Duration::from_secs(5)));
    assert!(tokens.held(&cx).is_some(), "nobody waits again for ten seconds");
    answer.send(Token::new("t-2".into())).unwrap();
    soon(cx.background().settled(&*clock, Background::PATIENCE)).await.unwrap();
    assert_eq!(tokens.held(&cx).unwrap().secret().expose(), "t-2");
}

#[tokio::test]
async fn all_who_waited_get_the_failure_and_the_next_asks_again() {
    let cx = Context::builder("acme", "desk").build();
    let (tokens, asked, go) = (SingleFlight::default(), AtomicU32::new(0), Arc::new(Notify::new()));
    let failing = |_cx| {
        asked.fetch_add(1, Ordering::Relaxed);
        let go = Arc::clone(&go);
        async move {
            go.notified().await;
            Err::<Token, _>(
                Error::new(Class::Transient, "token", "not now").with_source(std::io::Error::other("why")),
            )
        }
    };
    let waiting = join_all((0..3).map(|_| tokens.token(&cx, failing)));
    let (results, ()) = tokio::join!(waiting, async { go.notify_one() });
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "token: not now");
        assert!(format!("{error:?}").contains("because: why"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let token = tokens.token(&cx, |_| async { Ok(Token::new("t-1".into())) }).await.unwrap();
    assert_eq!(token.secret().expose(), "t-1");
}

#[tokio::test]
async fn case_86_a_source_gives_no_token_to_another_tenant_or_connection() {
    let bench = Bench::new([granted("t-1", "")]).await;
    let source = RefreshToken::new(bench.endpoint(), "client", None, "r-1".into());
    let token = source.token(&bench.cx).await.unwrap();
    for (tenant, connection) in [("other", "desk"), ("acme", "other"), ("other", "other")] {
        let cx = Context::builder(tenant, connection).clock(bench.clock.clone()).build();
        assert!(source.held(&cx).is_none(), "{tenant}/{connection}");
        for result in [source.token(&cx).await, source.renew(&cx, &token).await] {
            let error = result.unwrap_err();
            assert_eq!(error.class(), Class::Bug, "{error}");
            assert!(!format!("{error:?}").contains("acme/desk"), "the owner is not named: {error:?}");
        }
    }
    assert_eq!(source.held(&bench.cx).unwrap().secret().expose(), "t-1");
    assert_eq!(bench.forms().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn case_86_of_two_tenants_that_ask_at_once_one_is_served() {
    let tokens = Arc::new(SingleFlight::default());
    let barrier = Arc::new(tokio::sync::Barrier::new(100));
    let callers: Vec<_> = (0..100)
        .map(|n| {
            let tenant = if n % 2 == 0 { "acme" } else { "other" };
            let (tokens, barrier) = (Arc::clone(&tokens), Arc::clone(&barrier));
            tokio::spawn(async move {
                let cx = Context::builder(tenant, "desk").build();
                barrier.wait().await;
                let fetch = |cx: Context| async move {
                    tokio::task::yield_now().await;
                    Ok(Token::new(cx.tenant().as_str().into()))
                };
                (tenant, tokens.token(&cx, fetch).await)
            })
        })
        .collect();
    let mut served = std::collections::BTreeSet::new();
    for caller in callers {
        match caller.await.unwrap() {
            (tenant, Ok(token)) => {
                assert_eq!(token.secret().expose(), tenant);
                served.insert(tenant);
            }
            (_, Err(error)) => assert_eq!(error.class(), Class::Bug),
        }
    }
    assert_eq!(served.len(), 1, "{served:?}");
}
