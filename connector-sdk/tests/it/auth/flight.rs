use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{self, Poll},
};

use connector_sdk::{
    Class, Context, Counters, Error, Result,
    auth::{RefreshToken, SingleFlight, Token, TokenSource},
    http::{
        AuthLayer, Call, HeaderMap, Hosts, OneQuota, Request, Response, StackCounters, StackState,
        StatusCode, StatusFaults, stack,
    },
    resilience::{QuotaKey, Resilience},
};
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Notify;
use tower::{Service, ServiceExt as _};

use super::{Bench, granted};
use crate::support::soon;

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
async fn a_refresh_that_all_have_left_is_finished_by_the_next_to_ask() {
    let bench = Bench::new([granted("t-1", r#","refresh_token":"r-2""#)]).await;
    let source = RefreshToken::new(bench.endpoint(), "client", None, "r-1".into());
    let mut leader = Box::pin(source.token(&bench.cx));
    tokio::select! {
        biased;
        _ = &mut leader => panic!("the answer came before it was looked for"),
        () = bench.server.arrival() => drop(leader),
    }
    assert_eq!(bench.store.log.count("kept"), 0);
    assert_eq!(source.token(&bench.cx).await.unwrap().secret().expose(), "t-1");
    assert_eq!(
        (bench.forms().len(), bench.store.log.count("kept r-2")),
        (1, 1),
        "one exchange, and nothing lost"
    );
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
