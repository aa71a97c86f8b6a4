use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Delivery, Error, Result,
    auth::{StaticToken, Token, TokenSource},
    http::{AuthLayer, Faults, Hosts, HttpClient, Request, Response, StatusFaults},
    resilience::Resilience,
};

use super::{Bench, post};
use crate::support::script::{Step, status};

/// Gives `t-1`, `t-2` …, each with an origin of its own.
#[derive(Debug, Default)]
struct Moving(AtomicU32);

impl Moving {
    fn give(number: u32) -> Token {
        let url = format!("https://pod{number}.vendor.example/ignored/path").parse().unwrap();
        Token::new(format!("t-{number}").as_str().into()).with_base_url(url)
    }
}

#[async_trait]
impl TokenSource for Moving {
    async fn token(&self, _: &Context) -> Result<Token> {
        Ok(Self::give(self.0.load(Ordering::Relaxed) + 1))
    }

    async fn renew(&self, _: &Context, _: &Token) -> Result<Token> {
        Ok(Self::give(self.0.fetch_add(1, Ordering::Relaxed) + 2))
    }
}

fn vendor() -> Hosts {
    let mut hosts = Hosts::default();
    hosts.allow("*.vendor.example").unwrap();
    hosts
}

fn bench(steps: impl IntoIterator<Item = Step>, tokens: impl TokenSource + 'static, hosts: Hosts) -> Bench {
    // One attempt: what is replayed is not tried again.
    let mut settings = Resilience::default();
    settings.max_attempts = 1;
    Bench::with(steps, settings, AuthLayer::new(hosts).tokens(Arc::new(tokens)), Arc::new(StatusFaults))
}

#[tokio::test]
async fn a_refused_token_is_renewed_and_the_request_replayed_once_to_where_the_new_token_says() {
    let bench = bench([status(401), status(200)], Moving::default(), vendor());
    let response = bench.send(Request::get("query", "/records?page=2")).await.unwrap();
    assert_eq!(response.url.as_str(), "https://pod2.vendor.example/records?page=2");
    assert_eq!(
        bench.log.entries().iter().filter(|entry| entry.starts_with("sent")).collect::<Vec<_>>(),
        ["sent to pod1.vendor.example by Bearer t-1", "sent to pod2.vendor.example by Bearer t-2"]
    );
    assert_eq!((bench.counters.replays.get(), bench.counters.retries.get()), (1, 0));
}

#[tokio::test]
async fn a_write_is_replayed_too_since_it_was_refused() {
    let bench = bench([status(401), status(201)], Moving::default(), vendor());
    let request = Request::post("create", "/records", "application/json", "{}");
    assert_eq!(bench.send(request).await.unwrap().status.as_u16(), 201);
}

#[tokio::test]
async fn a_second_refusal_is_final() {
    let bench = bench([status(401), status(401), status(200)], Moving::default(), vendor());
    let error = bench.send(Request::get("query", "/records")).await.unwrap_err();
    assert_eq!((error.class(), error.is_exhausted()), (Class::Auth, true));
    assert_eq!(bench.sent(), 2);
}

#[tokio::test]
async fn a_right_that_is_missing_renews_nothing() {
    let bench = bench([status(403)], Moving::default(), vendor());
    let error = bench.send(Request::get("query", "/records")).await.unwrap_err();
    assert_eq!((error.class(), bench.counters.replays.get()), (Class::Permanent, 0));
}

/// Renewing does not help, this vendor says.
#[derive(Debug)]
struct Blocked;

impl Faults for Blocked {
    fn fault(&self, request: &Request, response: &Response) -> Option<Error> {
        StatusFaults.fault(request, response).map(Error::into_exhausted)
    }
}

#[tokio::test]
async fn a_refusal_that_renewing_cannot_help_is_not_replayed() {
    let auth = AuthLayer::new(vendor()).tokens(Arc::new(Moving::default()));
    let bench = Bench::with([status(401)], Resilience::default(), auth, Arc::new(Blocked));
    assert_eq!(bench.send(Request::get("query", "/records")).await.unwrap_err().class(), Class::Auth);
    assert_eq!(bench.sent(), 1);
}

#[tokio::test]
async fn a_static_token_that_is_refused_asks_for_a_person() {
    let token = StaticToken::new("t-1".into()).with_base_url("https://pod1.vendor.example".parse().unwrap());
    let bench = bench([status(401)], token, vendor());
    let error = bench.send(Request::get("query", "/records")).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(error.to_string().contains("obtain a new one"), "{error}");
    assert!(format!("{error:?}").contains("status 401"), "the vendor's own answer is the cause: {error:?}");
}

#[tokio::test]
async fn case_77_a_token_goes_to_no_host_that_the_connection_does_not_name() {
    let mut other = Hosts::default();
    other.allow("vendor.example").unwrap();
    for hosts in [other, Hosts::default()] {
        let bench = bench([], Moving::default(), hosts);
        let error = bench.send(Request::get("query", "/records")).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Config, Delivery::NotSent));
        assert!(error.to_string().contains("pod1.vendor.example"), "{error}");
        assert!(error.to_string().contains("network.allow_hosts"), "{error}");
    }
    let bench = bench([], Moving::default(), vendor());
    for target in ["https://evil.example/", "https://vendor.example.evil.net/", "http://evilvendor.example/"]
    {
        let error = bench.send(Request::get("query", target)).await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{target}");
    }
    for target in ["//evil.example/", "/\\evil.example/", "records", "", "https:evil", "javascript:x"] {
        let error = bench.send(post_to(target)).await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{target}");
    }
    assert_eq!(bench.sent(), 0);
}

fn post_to(target: &str) -> Request {
    Request::post("create", target, "application/json", "{}")
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_a_mistake_of_the_configuration() {
    let bench = Bench::new([]);
    for request in [post().header("bad name", "x"), post().header("x-secret", "hunter2\n")] {
        let error = bench.send(request).await.unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let error = bench.send(Request::get("query", "/records")).await.unwrap_err();
    assert!(error.to_string().contains("no base URL"), "{error}");
}

#[tokio::test]
async fn a_client_with_tokens_and_no_host_to_send_them_to_is_not_built() {
    let cx = Context::builder("acme", "desk").build();
    let tokens = Arc::new(StaticToken::new("t-1".into()));
    let error = HttpClient::builder(&cx).tokens(tokens).build().unwrap_err();
    assert_eq!(error.class(), Class::Config);
    let error = HttpClient::builder(&cx).allow_hosts(&["https://x/"]).build().unwrap_err();
    assert!(error.to_string().contains("https://x/"), "{error}");
}
