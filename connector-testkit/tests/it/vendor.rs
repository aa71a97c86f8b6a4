//! A fake of one's own: what goes wrong is no affair of its handlers.

use connector_sdk::{
    Class, Context, Network,
    http::{HttpClient, Request},
};
use connector_testkit::{
    clock::FastClock,
    fault::{Fault, Matcher},
    vendor::{
        Vendor,
        axum::{Json, Router, routing::get},
    },
};
use serde_json::json;

async fn vendor() -> (Vendor, Context, HttpClient) {
    let router = Router::new().route("/v1/me", get(async || Json(json!({ "id": "agent-7" }))));
    let vendor = Vendor::serve(router).await.unwrap();
    let cx = Context::builder("acme", "desk").network(Network::loopback()).clock(FastClock::shared()).build();
    let client = HttpClient::builder(&cx).base_url(vendor.url().parse().unwrap()).build().unwrap();
    (vendor, cx, client)
}

#[tokio::test]
async fn faults_happen_before_a_handler_and_to_what_it_answers_and_each_request_counts() {
    for fault in [
        Fault::status(503),
        Fault::ResetBefore,
        Fault::ResetAfter { bytes: 4 },
        Fault::TruncatedBody { after: 4, chunked: true },
    ] {
        let (vendor, cx, client) = vendor().await;
        vendor.faults().on("/v1/me").then(fault.clone());
        let answer = client.send(&cx, Request::get("who am I", "/v1/me")).await.unwrap();
        assert_eq!(&answer.body[..], br#"{"id":"agent-7"}"#, "{}", fault.name());
        assert_eq!((vendor.faults().fired(), vendor.requests()), (1, 2), "{}", fault.name());
    }
}

#[tokio::test]
async fn a_body_that_is_half_comes_with_its_status() {
    let (vendor, cx, client) = vendor().await;
    vendor.faults().on(Matcher::any()).then(Fault::MalformedJson);
    let answer = client.send(&cx, Request::get("who am I", "/v1/me")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &br#"{"id":"a"#[..]));
}

#[tokio::test]
async fn a_path_without_a_handler_counts_and_a_credential_can_be_refused() {
    let (vendor, cx, client) = vendor().await;
    let missing = client.send(&cx, Request::get("look", "/v1/nothing")).await.unwrap_err();
    vendor.faults().on("/v1/me").always().then(Fault::Unauthorized);
    let refused = client.send(&cx, Request::get("who am I", "/v1/me")).await.unwrap_err();
    assert_eq!((missing.class(), refused.class()), (Class::Permanent, Class::Auth));
    assert_eq!((vendor.requests_to("/nothing"), vendor.requests_to("/me")), (1, 1));
}
