use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Delivery, Network, Secret,
    auth::{RefreshToken, TokenEndpoint, TokenSource},
    context::Background,
    http::{HttpClient, Request},
    resilience::Resilience,
    secret::{TokenLock, TokenStore as _},
};

use super::{Bench, Store, granted, refused};
use crate::support::{
    server::{Reply, Server, json, ok},
    soon, until,
};

pub(super) fn source(bench: &Bench, configured: &str) -> RefreshToken {
    RefreshToken::new(bench.endpoint(), "client", Some("s3cret".into()), configured.into())
}

pub(super) fn rotating(access_token: &str, refresh_token: &str) -> Reply {
    granted(access_token, &format!(r#","refresh_token":"{refresh_token}""#))
}

/// Which refresh tokens the endpoint was sent.
pub(super) fn used(bench: &Bench) -> Vec<String> {
    bench.forms().iter().map(|form| form["refresh_token"].clone()).collect()
}

async fn renew(source: &RefreshToken, bench: &Bench) {
    let token = source.token(&bench.cx).await.unwrap();
    source.renew(&bench.cx, &token).await.unwrap();
}

#[tokio::test]
async fn case_74_each_new_refresh_token_takes_the_place_of_the_old() {
    let bench = Bench::new([rotating("t-1", "r-2"), rotating("t-2", "r-3"), rotating("t-3", "r-4")]).await;
    let first = source(&bench, "r-1");
    renew(&first, &bench).await;
    // Another process, with the same configuration and the same store: the stored one wins.
    source(&bench, "r-1").token(&bench.cx).await.unwrap();
    assert_eq!(used(&bench), ["r-1", "r-2", "r-3"]);
    assert_eq!(bench.store.log.entries(), ["kept r-2", "kept r-3", "kept r-4"]);
}

#[tokio::test]
async fn case_73_an_answer_without_a_refresh_token_keeps_the_old_one() {
    let bench =
        Bench::new([granted("t-1", ""), granted("t-2", r#","refresh_token":"r-1""#), granted("t-3", "")])
            .await;
    let source = source(&bench, "r-1");
    let mut token = source.token(&bench.cx).await.unwrap();
    for _ in 0..2 {
        token = source.renew(&bench.cx, &token).await.unwrap();
    }
    assert_eq!(used(&bench), ["r-1", "r-1", "r-1"]);
    assert!(bench.store.log.entries().is_empty(), "nothing new to keep");
}

#[tokio::test]
async fn a_new_refresh_token_is_durable_before_its_access_token_is_used() {
    let bench = Bench::new([rotating("t-1", "r-2")]).await;
    let vendor = Server::start([ok("records")]).await;
    let client = HttpClient::builder(&bench.cx)
        .base_url(vendor.url.clone())
        .tokens(Arc::new(source(&bench, "r-1")))
        .build()
        .unwrap();
    let mut sending = Box::pin(client.send(&bench.cx, Request::get("query", "/records")));
    loop {
        let sent = futures_util::poll!(&mut sending);
        let (kept, used) = (bench.store.log.count("kept r-2"), vendor.requests().len());
        assert!(kept >= used, "the access token was used before its refresh token was durable");
        if sent.is_ready() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(vendor.requests()[0].contains("authorization: Bearer t-1"));
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_kept_is_not_lost_and_its_access_token_not_used() {
    let bench = Bench::new([rotating("t-1", "r-2"), rotating("t-2", "r-3")]).await;
    let source = source(&bench, "r-1");
    bench.store.failing(true);
    for _ in 0..3 {
        let error = source.token(&bench.cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient);
        assert!(error.to_string().contains("could not be kept"), "{error}");
    }
    assert_eq!(used(&bench), ["r-1"], "the vendor was asked once, and r-1 never again");
    bench.store.failing(false);
    let token = source.token(&bench.cx).await.unwrap();
    assert_eq!((token.secret().expose().as_str(), used(&bench).len()), ("t-1", 1));
    source.renew(&bench.cx, &token).await.unwrap();
    assert_eq!(used(&bench), ["r-1", "r-2"]);
}

#[tokio::test]
async fn what_could_not_be_kept_is_kept_later_though_nobody_asks_any_more() {
    let bench = Bench::new([rotating("t-1", "r-2")]).await;
    bench.store.failing(true);
    source(&bench, "r-1").token(&bench.cx).await.unwrap_err();
    until(|| bench.clock.log.count("sleep 1s") > 0).await;
    bench.clock.advance(Duration::from_secs(1));
    until(|| bench.clock.log.count("sleep 2s") > 0).await;
    bench.store.failing(false);
    bench.clock.advance(Duration::from_secs(2));
    soon(bench.cx.background().settled(&*bench.clock, Background::PATIENCE)).await.unwrap();
    assert_eq!(bench.store.log.entries(), ["kept r-2"]);
    assert!(matches!(bench.store.try_lock("refresh_token").await.unwrap(), TokenLock::Held(_)));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_does_not_cost_the_refresh_token_in_it() {
    let more = r#","refresh_token":"r-2","instance_url":"undefined""#;
    let bench = Bench::new([granted("t-1", more), granted("t-2", "")]).await;
    let endpoint = bench.endpoint().base_url_field("instance_url");
    let source = RefreshToken::new(endpoint, "client", None, "r-1".into());
    assert_eq!(source.token(&bench.cx).await.unwrap_err().class(), Class::Permanent);
    source.token(&bench.cx).await.unwrap();
    assert_eq!(used(&bench), ["r-1", "r-2"]);
}

#[tokio::test]
async fn a_person_who_authorises_again_is_heard() {
    let bench = Bench::new([
        rotating("t-1", "r-2"),
        refused("invalid_grant"),
        rotating("t-9", "r-10"),
        granted("t-10", ""),
    ])
    .await;
    let first = source(&bench, "r-1");
    let token = first.token(&bench.cx).await.unwrap();
    let error = first.renew(&bench.cx, &token).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(error.to_string().contains("authorise again"), "{error}");
    // The store still holds r-2, which descends from r-1; r-9 is somebody's new word.
    renew(&source(&bench, "r-9"), &bench).await;
    assert_eq!(used(&bench), ["r-1", "r-2", "r-9", "r-10"]);
}

#[tokio::test]
async fn case_75_a_dead_refresh_token_is_asked_for_once() {
    let bench = Bench::new([refused("invalid_grant"), refused("invalid_grant")]).await;
    let source = source(&bench, "r-1");
    for _ in 0..1000 {
        let error = soon(source.token(&bench.cx)).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth);
        assert!(error.to_string().contains("authorise again"), "{error}");
        bench.clock.advance(Duration::from_millis(299));
    }
    assert_eq!(used(&bench), ["r-1"]);
    bench.clock.advance(Duration::from_secs(2));
    source.token(&bench.cx).await.unwrap_err();
    assert_eq!(used(&bench).len(), 2, "after five minutes it may be asked again");
}

#[tokio::test]
async fn case_72_who_lost_a_race_uses_what_the_winner_kept() {
    let store = Store::without_locks();
    let bench = Bench::with_store(
        [rotating("t-1", "r-2"), refused("invalid_grant"), rotating("t-2", "r-3")],
        store.clone(),
    )
    .await;
    let (winner, loser) = (source(&bench, "r-1"), source(&bench, "r-1"));
    // The loser reads the store before the winner has written it, and asks after.
    let mut losing = Box::pin(loser.token(&bench.cx));
    winner.token(&bench.cx).await.unwrap();
    let kept = store.kept.lock().unwrap().remove("refresh_token").unwrap();
    let token = loop {
        if used(&bench).len() == 2 {
            store.kept.lock().unwrap().entry("refresh_token".into()).or_insert_with(|| kept.clone());
        }
        match futures_util::poll!(&mut losing) {
            std::task::Poll::Ready(token) => break token.unwrap(),
            std::task::Poll::Pending => tokio::task::yield_now().await,
        }
    };
    assert_eq!(token.secret().expose(), "t-2");
    assert_eq!(used(&bench), ["r-1", "r-1", "r-2"]);
}

/// Waits until it is done, moving the clock on by each pause between two looks into the store.
async fn with_pauses<F: Future>(bench: &Bench, future: F, mut paused: impl FnMut(Duration)) -> F::Output {
    let (mut future, mut seen, mut waited) = (Box::pin(future), 0, Duration::ZERO);
    loop {
        if let std::task::Poll::Ready(output) = futures_util::poll!(&mut future) {
            return output;
        }
        let pauses: Vec<_> =
            bench.clock.log.entries().into_iter().filter_map(|entry| pause(&entry)).collect();
        if let Some(pause) = pauses.get(seen) {
            seen += 1;
            waited += *pause;
            paused(waited);
            bench.clock.advance(*pause);
        }
        tokio::task::yield_now().await;
    }
}

fn pause(entry: &str) -> Option<Duration> {
    let millis = match entry.strip_prefix("sleep ")? {
        "100ms" => 100,
        "300ms" => 300,
        "600ms" => 600,
        "1s" => 1000,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

#[tokio::test]
async fn case_90_who_lost_a_race_waits_for_what_the_winner_is_still_writing() {
    let store = Store::without_locks();
    let bench = Bench::with_store([refused("invalid_grant"), rotating("t-2", "r-3")], store.clone()).await;
    let winner = r#"{"refresh_token":"r-2","descends_from":""}"#;
    let source = RefreshToken::from_store(bench.endpoint(), "client", None);
    store.put("refresh_token", Secret::from("r-1")).await.unwrap();
    let landing = |waited: Duration| {
        if waited >= Duration::from_millis(1000) {
            store.kept.lock().unwrap().insert("refresh_token".to_owned(), Secret::from(winner));
        }
    };
    let token = with_pauses(&bench, source.token(&bench.cx), landing).await.unwrap();
    assert_eq!(token.secret().expose(), "t-2");
    assert_eq!(used(&bench), ["r-1", "r-2"]);
}

#[tokio::test]
async fn case_90_a_winner_that_never_writes_is_waited_for_two_seconds_and_once() {
    let bench = Bench::with_store([refused("invalid_grant")], Store::without_locks()).await;
    let source = source(&bench, "r-1");
    let mut waited = Duration::ZERO;
    let error = with_pauses(&bench, source.token(&bench.cx), |by| waited = by).await.unwrap_err();
    assert_eq!((error.class(), waited), (Class::Auth, Duration::from_secs(2)), "{error}");
    // It is known to be dead: nobody waits for it again.
    assert_eq!(soon(source.token(&bench.cx)).await.unwrap_err().class(), Class::Auth);
    assert_eq!(used(&bench), ["r-1"]);
}

#[tokio::test]
async fn case_90_a_lock_that_is_never_let_go_is_transient_and_nothing_is_sent() {
    let bench = Bench::new([]).await;
    let _other = bench.store.try_lock("refresh_token").await.unwrap();
    let error = bench.clock.run(source(&bench, "r-1").token(&bench.cx)).await.unwrap_err();
    assert!(error.class() == Class::Transient && error.message().contains("another process"), "{error}");
    assert!(used(&bench).is_empty());
}

#[tokio::test]
async fn case_90_what_could_not_be_kept_keeps_others_from_the_spent_token() {
    let bench = Bench::new([rotating("t-1", "r-2"), rotating("t-2", "r-3")]).await;
    let (first, other) = (source(&bench, "r-1"), source(&bench, "r-1"));
    bench.store.failing(true);
    first.token(&bench.cx).await.unwrap_err();
    let error = bench.clock.run(other.token(&bench.cx)).await.unwrap_err();
    assert!(error.class() == Class::Transient && error.message().contains("another process"), "{error}");
    bench.store.failing(false);
    first.token(&bench.cx).await.unwrap();
    other.token(&bench.cx).await.unwrap();
    assert_eq!(used(&bench), ["r-1", "r-2"]);
}

#[tokio::test]
async fn a_token_that_was_kept_late_and_has_ended_is_exchanged_by_the_same_source() {
    let bench =
        Bench::new([granted("t-1", r#","expires_in":60,"refresh_token":"r-2""#), rotating("t-2", "r-3")])
            .await;
    let source = source(&bench, "r-1");
    bench.store.failing(true);
    source.token(&bench.cx).await.unwrap_err();
    bench.store.failing(false);
    bench.clock.advance(Duration::from_secs(120));
    assert_eq!(
        source.token(&bench.cx).await.unwrap().secret().expose(),
        "t-2",
        "it does not wait for its own lock"
    );
}

#[tokio::test]
async fn case_76_a_network_that_fails_is_no_reason_to_authorise_again() {
    let bench = Bench::new([Reply::Reset, json("502 Bad Gateway", ""), granted("t-1", "")]).await;
    let source = source(&bench, "r-1");
    for _ in 0..2 {
        let error = source.token(&bench.cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient, "{error}");
    }
    source.token(&bench.cx).await.unwrap();
}

/// Three attempts, and no wait between them.
fn patient() -> Resilience {
    let mut settings = Resilience::default();
    settings.base_delay = Duration::ZERO;
    settings
}

#[tokio::test]
async fn a_short_limit_of_the_connection_does_not_cut_an_exchange() {
    let mut settings = patient();
    settings.attempt_timeout = Duration::from_secs(1);
    settings.idle_timeout = Duration::from_secs(1);
    settings.deadline = Duration::from_secs(2);
    let (answer, fed) = tokio::sync::mpsc::unbounded_channel();
    let bench = Bench::with_settings([Reply::Fed(Vec::new(), fed)], Default::default(), settings).await;
    let source = source(&bench, "r-1");
    let vendor = async {
        bench.server.arrival().await;
        bench.clock.advance(Duration::from_secs(29));
        let Reply::Keep(bytes) = rotating("t-1", "r-2") else { panic!("an answer") };
        let (head, body) = bytes.split_at(bytes.len() - 10);
        answer.send(head.to_vec()).unwrap();
        tokio::task::yield_now().await;
        answer.send(body.to_vec()).unwrap();
    };
    let (token, ()) = tokio::join!(soon(source.token(&bench.cx)), vendor);
    assert_eq!(token.unwrap().secret().expose(), "t-1");
    assert_eq!(used(&bench), ["r-1"]);
    assert_eq!(bench.store.log.entries(), ["kept r-2"]);
}

#[tokio::test]
async fn after_a_lost_answer_the_token_is_sent_once_more_and_no_more() {
    let bench = Bench::with_settings([Reply::Reset, rotating("t-1", "r-2")], Default::default(), patient());
    let bench = bench.await;
    assert_eq!(soon(source(&bench, "r-1").token(&bench.cx)).await.unwrap().secret().expose(), "t-1");
    assert_eq!(used(&bench), ["r-1", "r-1"], "it was not spent");

    let bench = Bench::with_settings([Reply::Reset, Reply::Reset], Default::default(), patient()).await;
    let error = soon(source(&bench, "r-1").token(&bench.cx)).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Unknown), "{error}");
    assert!(error.message().contains("lost") && error.is_exhausted(), "{error}");
    assert_eq!(used(&bench), ["r-1", "r-1"]);

    let replies = [Reply::Reset, refused("invalid_grant")];
    let bench = Bench::with_settings(replies, Default::default(), patient()).await;
    let error = soon(source(&bench, "r-1").token(&bench.cx)).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(error.context().any(|(name, _)| name == "earlier_answer"), "{error}");
    assert_eq!(used(&bench), ["r-1", "r-1"]);
}

#[tokio::test]
async fn after_a_lost_answer_what_another_process_has_kept_is_used() {
    let store = Store::without_locks();
    store.put("refresh_token", Secret::from("r-1")).await.unwrap();
    let (answer, fed) = tokio::sync::mpsc::unbounded_channel();
    let replies = [Reply::Fed(Vec::new(), fed), rotating("t-2", "r-3")];
    let bench = Bench::with_settings(replies, store.clone(), patient()).await;
    let source = RefreshToken::from_store(bench.endpoint(), "client", None);
    let other = async {
        bench.server.arrival().await;
        let kept = r#"{"refresh_token":"r-2","descends_from":""}"#;
        store.kept.lock().unwrap().insert("refresh_token".to_owned(), Secret::from(kept));
        drop(answer);
    };
    let (token, ()) = tokio::join!(soon(source.token(&bench.cx)), other);
    assert_eq!(token.unwrap().secret().expose(), "t-2");
    assert_eq!(used(&bench), ["r-1", "r-2"]);
}

#[tokio::test]
async fn who_waits_for_another_process_does_not_when_it_is_to_stop() {
    let bench = Bench::new([]).await;
    let _other = bench.store.try_lock("refresh_token").await.unwrap();
    bench.cx.stop().cancel();
    let error = soon(source(&bench, "r-1").token(&bench.cx)).await.unwrap_err();
    assert!(error.class() == Class::Transient && error.message().contains("stopping"), "{error}");
}

#[tokio::test]
async fn who_only_waits_for_another_process_is_not_waited_for_at_the_end() {
    let bench = Bench::new([]).await;
    let _other = bench.store.try_lock("refresh_token").await.unwrap();
    let source = source(&bench, "r-1");
    assert!(futures_util::poll!(&mut Box::pin(source.token(&bench.cx))).is_pending());
    let background = bench.cx.background();
    let half_a_second = async {
        for _ in 0..10 {
            bench.clock.advance(Duration::from_millis(50));
            tokio::task::yield_now().await;
        }
    };
    let settled = soon(background.settled(&*bench.clock, Background::PATIENCE));
    let (settled, ()) = tokio::join!(settled, half_a_second);
    settled.unwrap();
    assert!(!background.is_awaited() && used(&bench).is_empty());
}

#[tokio::test]
async fn an_operation_that_got_no_token_was_not_sent() {
    let bench = Bench::new([Reply::Reset]).await;
    let vendor = Server::start([]).await;
    let client = HttpClient::builder(&bench.cx)
        .base_url(vendor.url.clone())
        .tokens(Arc::new(source(&bench, "r-1")))
        .build()
        .unwrap();
    let error =
        client.send(&bench.cx, Request::post("create", "/records", "text/plain", "x")).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent), "{error}");
    assert!(vendor.requests().is_empty());
}

#[tokio::test]
async fn credentials_go_to_the_endpoint_only_and_over_tls() {
    let cx = connector_sdk::Context::builder("acme", "desk").network(Network::default()).build();
    let endpoint = TokenEndpoint::new(&cx, "http://login.vendor.example/token".parse().unwrap()).unwrap();
    let source = RefreshToken::new(endpoint, "client", None, "r-1".into());
    let error = source.token(&cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(error.to_string().contains("login.vendor.example"), "{error}");
    let bench = Bench::new([]).await;
    let other = Server::start([]).await;
    let bench = Bench {
        server: Server::start([Reply::Keep(
            format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
                other.url
            )
            .into_bytes(),
        )])
        .await,
        ..bench
    };
    assert_eq!(self::source(&bench, "r-1").token(&bench.cx).await.unwrap_err().class(), Class::Config);
    assert!(other.requests().is_empty());
}
