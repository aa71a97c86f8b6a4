use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Delivery, Network, Secret,
    auth::{RefreshToken, TokenEndpoint, TokenSource},
    http::{HttpClient, Request},
    secret::TokenStore as _,
};

use super::{Bench, Store, granted, refused};
use crate::support::server::{Reply, Server, json, ok};

fn source(bench: &Bench, configured: &str) -> RefreshToken {
    RefreshToken::new(bench.endpoint(), "client", Some("s3cret".into()), configured.into())
}

fn rotating(access_token: &str, refresh_token: &str) -> Reply {
    granted(access_token, &format!(r#","refresh_token":"{refresh_token}""#))
}

/// Which refresh tokens the endpoint was sent.
fn used(bench: &Bench) -> Vec<String> {
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
async fn a_refresh_token_that_a_host_put_into_the_store_as_it_is_wins() {
    let bench = Bench::new([granted("t-1", "")]).await;
    bench.store.put("refresh_token", Secret::from("from-login")).await.unwrap();
    source(&bench, "r-1").token(&bench.cx).await.unwrap();
    assert_eq!(used(&bench), ["from-login"]);
}

#[tokio::test]
async fn two_sources_of_one_connection_keep_theirs_under_two_names() {
    let bench = Bench::new([rotating("t-1", "r-2"), rotating("u-1", "q-2")]).await;
    source(&bench, "r-1").token(&bench.cx).await.unwrap();
    source(&bench, "q-1").stored_as("other").token(&bench.cx).await.unwrap();
    assert!(bench.store.get("refresh_token").await.unwrap().unwrap().expose().contains("r-2"));
    assert!(bench.store.get("other").await.unwrap().unwrap().expose().contains("q-2"));
}

#[tokio::test]
async fn case_75_a_dead_refresh_token_is_asked_for_once() {
    let bench = Bench::new([refused("invalid_grant"), refused("invalid_grant")]).await;
    let source = source(&bench, "r-1");
    for _ in 0..1000 {
        let error = source.token(&bench.cx).await.unwrap_err();
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
    let store = Arc::<Store>::default();
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
