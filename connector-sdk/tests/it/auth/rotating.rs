//! Secrets that are changed while they are used.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Error, Network, Result, Secret,
    auth::{ClientCredentials, Rotating, SingleFlight, StaticToken, Token, TokenSource},
    http::{HttpClient, Request},
    secret::Successors,
};
use futures_util::{FutureExt as _, future::join_all};
use tokio::sync::Notify;

use super::{Bench, granted, refused};
use crate::support::{
    Log,
    server::{Server, json, ok},
    soon,
};

/// A secret and the next one; writes down what it is asked.
#[derive(Debug, Default)]
struct Pair {
    next: Mutex<Option<Secret>>,
    log: Log,
    failing: AtomicBool,
}

impl Pair {
    fn of(next: &str) -> Arc<Self> {
        let pair = Arc::new(Self::default());
        *pair.next.lock().unwrap() = Some(next.into());
        pair
    }
}

#[async_trait]
impl Successors for Pair {
    async fn after(&self, refused: &Secret) -> Result<Option<Secret>> {
        tokio::task::yield_now().await;
        self.log.push(format!("after {}", refused.expose()));
        if self.failing.load(Ordering::Relaxed) {
            return Err(Error::transient("secret", "the store cannot be reached"));
        }
        Ok(self.next.lock().unwrap().clone())
    }

    async fn promote(&self, accepted: &Secret) -> Result<()> {
        self.log.push(format!("promote {}", accepted.expose()));
        // What a store cannot keep is no reason to fail.
        Err(Error::config("secret", "read only"))
    }
}

fn rotating(bench: &Bench, pair: &Arc<Pair>) -> (Context, Rotating) {
    let cx = bench.cx.with_successors(pair.clone());
    let endpoint = bench.endpoint();
    let source = Rotating::new(&cx, "s-1".into(), move |secret| {
        Ok(Arc::new(ClientCredentials::new(endpoint.clone(), "id", secret.clone())) as Arc<dyn TokenSource>)
    });
    (cx, source.unwrap())
}

fn secrets(bench: &Bench) -> Vec<String> {
    bench.forms().iter().map(|form| form["client_secret"].clone()).collect()
}

#[tokio::test]
async fn a_refused_secret_gives_way_to_the_next_once_for_all_who_wait() {
    let bench = Bench::new([refused("invalid_client"), granted("t-2", "")]).await;
    let pair = Pair::of("s-2");
    let (cx, source) = rotating(&bench, &pair);
    for token in soon(join_all((0..100).map(|_| source.token(&cx)))).await {
        assert_eq!(token.unwrap().secret().expose(), "t-2");
    }
    assert_eq!(secrets(&bench), ["s-1", "s-2"]);
    assert_eq!(pair.log.entries(), ["after s-1", "promote s-2"]);
    assert_eq!(source.held(&cx).unwrap().secret().expose(), "t-2");
}

#[tokio::test]
async fn a_token_of_the_old_secret_is_refused_and_its_secret_too_in_the_middle_of_the_work() {
    let bench =
        Bench::new([granted("t-1", ""), refused("invalid_client"), granted("t-2", ""), granted("t-3", "")]);
    let bench = bench.await;
    let pair = Pair::of("s-2");
    let (cx, source) = rotating(&bench, &pair);
    let first = source.token(&cx).await.unwrap();
    for token in soon(join_all((0..100).map(|_| source.renew(&cx, &first)))).await {
        assert_eq!(token.unwrap().secret().expose(), "t-2");
    }
    // One who comes late with the first token gets the one in hand; with that one, another.
    let second = source.renew(&cx, &first).await.unwrap();
    assert_eq!(second.secret().expose(), "t-2");
    assert_eq!(source.renew(&cx, &second).await.unwrap().secret().expose(), "t-3");
    assert_eq!(secrets(&bench), ["s-1", "s-1", "s-2", "s-2"]);
    assert_eq!(pair.log.count("promote"), 1);
}

#[tokio::test]
async fn a_successor_that_is_refused_too_is_not_promoted_and_rests_before_it_is_tried_again() {
    let replies = (0..4).map(|_| refused("invalid_client")).chain([granted("t-2", "")]);
    let bench = Bench::new(replies).await;
    let pair = Pair::of("s-2");
    let (cx, source) = rotating(&bench, &pair);
    for result in soon(join_all((0..100).map(|_| source.token(&cx)))).await {
        let error = result.unwrap_err();
        assert_eq!(error.class(), Class::Auth);
        assert!(error.context().any(|said| said == ("next_credential", "refused too")), "{error}");
        assert!(!format!("{error:?}").contains("s-2") && !format!("{error:?}").contains("s-1"), "{error:?}");
    }
    assert_eq!(secrets(&bench), ["s-1", "s-2"]);
    // The endpoint forgets the first refusal with the second; it never learns more than once of each.
    for _ in 0..10 {
        source.token(&cx).await.unwrap_err();
    }
    assert_eq!(secrets(&bench), ["s-1", "s-2", "s-1"]);
    assert_eq!(pair.log.count("promote"), 0);
    // The vendor has been told of it by now.
    bench.clock.advance(Duration::from_secs(299));
    source.token(&cx).await.unwrap_err();
    assert_eq!(secrets(&bench), ["s-1", "s-2", "s-1"]);
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(source.token(&cx).await.unwrap().secret().expose(), "t-2");
    assert_eq!(secrets(&bench), ["s-1", "s-2", "s-1", "s-1", "s-2"]);
    assert_eq!(pair.log.count("promote"), 1);
}

#[tokio::test]
async fn without_a_successor_the_refusal_stands_and_a_store_that_is_away_is_asked_again() {
    let bench = Bench::new([refused("invalid_client"), granted("t-2", "")]).await;
    let pair = Arc::new(Pair::default());
    let (cx, source) = rotating(&bench, &pair);
    let error = source.token(&cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(error.context().all(|(name, _)| name != "next_credential"), "{error}");
    pair.failing.store(true, Ordering::Relaxed);
    assert_eq!(source.token(&cx).await.unwrap_err().class(), Class::Transient);
    pair.failing.store(false, Ordering::Relaxed);
    *pair.next.lock().unwrap() = Some("s-2".into());
    assert_eq!(source.token(&cx).await.unwrap().secret().expose(), "t-2");
}

#[tokio::test]
async fn a_session_is_followed_by_the_next_and_no_store_is_changed_by_one_that_is_refused() {
    let pair = Pair::of("s-2");
    let cx = Context::builder("acme", "desk").build().with_successors(pair.clone());
    let build = |secret: &Secret| Ok(Arc::new(StaticToken::new(secret.clone())) as Arc<dyn TokenSource>);
    let source = Rotating::new(&cx, "s-1".into(), build).unwrap().promoted_by_use();
    let first = source.held(&cx).unwrap();
    assert!(source.accepted(&cx, &first).is_none());
    let second = source.renew(&cx, &first).await.unwrap();
    assert_eq!(second.secret().expose(), "s-2");
    // Its own refusal leads nowhere: neither to itself nor back to the first.
    *pair.next.lock().unwrap() = Some("s-1".into());
    let error = source.renew(&cx, &second).await.unwrap_err();
    assert!(error.context().any(|said| said == ("next_credential", "refused too")), "{error}");
    assert_eq!(pair.log.count("promote"), 0);
}

/// A source that refuses, or that answers when it is let.
#[derive(Debug)]
struct Slow {
    gate: Option<Arc<Notify>>,
    fetched: Arc<AtomicU32>,
    flight: SingleFlight,
}

#[async_trait]
impl TokenSource for Slow {
    async fn token(&self, cx: &Context) -> Result<Token> {
        let (gate, fetched) = (self.gate.clone(), Arc::clone(&self.fetched));
        let fetch = |_| async move {
            let gate = gate.ok_or_else(|| Error::new(Class::Auth, "token", "refused"))?;
            fetched.fetch_add(1, Ordering::Relaxed);
            gate.notified().await;
            Ok(Token::new("single-use".into()))
        };
        self.flight.token(cx, fetch).await
    }

    async fn renew(&self, cx: &Context, _: &Token) -> Result<Token> {
        self.token(cx).await
    }
}

#[tokio::test]
async fn a_change_goes_on_when_who_began_it_is_dropped() {
    let (gate, fetched) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let pair = Pair::of("s-2");
    let cx = Context::builder("acme", "desk").build().with_successors(pair.clone());
    let (opened, count) = (Arc::clone(&gate), Arc::clone(&fetched));
    let source = Rotating::new(&cx, "s-1".into(), move |secret| {
        let gate = (secret.expose() == "s-2").then(|| Arc::clone(&opened));
        Ok(Arc::new(Slow { gate, fetched: Arc::clone(&count), flight: SingleFlight::default() }) as _)
    })
    .unwrap();
    let mut first = source.token(&cx).boxed();
    while fetched.load(Ordering::Relaxed) == 0 {
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    let mut second = source.token(&cx).boxed();
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    gate.notify_one();
    assert_eq!(soon(second).await.unwrap().secret().expose(), "single-use");
    assert_eq!(fetched.load(Ordering::Relaxed), 1, "what the vendor gave once is not asked for again");
    assert_eq!(pair.log.count("promote"), 1);
}

#[tokio::test]
async fn a_session_that_a_request_was_accepted_with_is_promoted_once() {
    let pair = Pair::of("s-2");
    let cx = Context::builder("acme", "desk").build().with_successors(pair.clone());
    let build = |secret: &Secret| Ok(Arc::new(StaticToken::new(secret.clone())) as Arc<dyn TokenSource>);
    let source = Rotating::new(&cx, "s-1".into(), build).unwrap().promoted_by_use();
    let first = source.held(&cx).unwrap();
    let second = source.renew(&cx, &first).await.unwrap();
    assert_eq!(pair.log.count("promote"), 0, "nobody has seen it yet");
    // An answer to the old one, which came late, proves nothing of the new one.
    assert!(source.accepted(&cx, &first).is_none());
    source.accepted(&cx, &second).unwrap().await;
    assert!(source.accepted(&cx, &source.held(&cx).unwrap()).is_none());
    assert_eq!(pair.log.entries(), ["after s-1", "promote s-2"]);
}

#[tokio::test]
async fn a_request_that_the_vendor_answers_promotes_what_it_was_signed_with() {
    let refusal = || json("401 Unauthorized", "{}");
    let server = Server::start([refusal(), ok("[]"), ok("[]"), refusal(), refusal()]).await;
    let pair = Pair::of("s-2");
    let cx =
        Context::builder("acme", "desk").network(Network::loopback()).build().with_successors(pair.clone());
    let build = |secret: &Secret| Ok(Arc::new(StaticToken::new(secret.clone())) as Arc<dyn TokenSource>);
    let source = Rotating::new(&cx, "s-1".into(), build).unwrap().promoted_by_use();
    let client =
        HttpClient::builder(&cx).base_url(server.url.clone()).tokens(Arc::new(source)).build().unwrap();
    for _ in 0..2 {
        soon(client.send(&cx, Request::get("list", "/list"))).await.unwrap();
        assert_eq!(pair.log.entries(), ["after s-1", "promote s-2"]);
    }
    // What is refused at its first use is not promoted.
    *pair.next.lock().unwrap() = Some("s-3".into());
    soon(client.send(&cx, Request::get("list", "/list"))).await.unwrap_err();
    assert_eq!(pair.log.count("promote"), 1);
}

#[tokio::test]
async fn who_began_a_change_and_is_not_polled_holds_nobody_up() {
    let (gate, fetched) = (Arc::new(Notify::new()), Arc::new(AtomicU32::new(0)));
    let pair = Pair::of("s-2");
    let cx = Context::builder("acme", "desk").build().with_successors(pair.clone());
    let (opened, count) = (Arc::clone(&gate), Arc::clone(&fetched));
    let source = Rotating::new(&cx, "s-1".into(), move |secret| {
        let gate = (secret.expose() == "s-2").then(|| Arc::clone(&opened));
        Ok(Arc::new(Slow { gate, fetched: Arc::clone(&count), flight: SingleFlight::default() }) as _)
    })
    .unwrap();
    // A reader that its consumer holds up: alive, and never polled again.
    let mut first = source.token(&cx).boxed();
    while fetched.load(Ordering::Relaxed) == 0 {
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    gate.notify_one();
    assert_eq!(soon(source.token(&cx)).await.unwrap().secret().expose(), "single-use");
    assert_eq!(soon(first).await.unwrap().secret().expose(), "single-use");
    assert_eq!((fetched.load(Ordering::Relaxed), pair.log.count("promote")), (1, 1));
}
