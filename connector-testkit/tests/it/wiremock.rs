//! Who likes wiremock keeps it: it serves on loopback as our fakes do. For a single answer it is the shorter way; data
//! that changes and faults of the transport are what a [`Vendor`](connector_testkit::vendor::Vendor) is for.

use connector_sdk::{
    Class, Context, Network,
    http::{HttpClient, Request},
};
use connector_testkit::clock::FastClock;
use serde_json::json;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

#[tokio::test]
async fn a_vendor_that_wiremock_plays_is_retried_and_refuses() {
    let vendor = MockServer::start().await;
    let ticket = Mock::given(method("GET")).and(path("/v1/tickets/7"));
    ticket.respond_with(ResponseTemplate::new(503)).up_to_n_times(1).expect(1).mount(&vendor).await;
    let ticket = Mock::given(method("GET")).and(path("/v1/tickets/7"));
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "id": 7 }));
    ticket.respond_with(answer).expect(1).mount(&vendor).await;

    // The waits between attempts are by the clock that the context is given: no test waits for them.
    let cx = Context::builder("acme", "desk").network(Network::loopback()).clock(FastClock::shared()).build();
    let client = HttpClient::builder(&cx).base_url(vendor.uri().parse().unwrap()).build().unwrap();

    let found = client.send(&cx, Request::get("show ticket", "/v1/tickets/7")).await.unwrap();
    assert_eq!(&found.body[..], br#"{"id":7}"#);
    let refused = client.send(&cx, Request::get("show ticket", "/v1/tickets/8")).await.unwrap_err();
    assert_eq!(refused.class(), Class::Permanent);
}
