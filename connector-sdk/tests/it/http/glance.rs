//! Requests whose answer is its status: nothing is followed, and nothing hangs on the body.

use std::time::Duration;

use connector_sdk::{
    Class, Clock as _, Context, Delivery, Network, Result,
    http::{AttemptLayer, Call, Request, Response, Transport, Url},
    resilience::Resilience,
};
use tokio::sync::mpsc;
use tower::{Layer as _, Service as _};

use crate::support::{
    Log,
    clock::ManualClock,
    server::{Reply, Server, answer, ok},
    soon, until,
};

const SECOND: Duration = Duration::from_secs(1);

fn post(server: &Server) -> Request {
    Request::post("deliver", server.url.clone(), "application/json", "{}")
}

async fn send(cx: &Context, request: Request) -> Result<Response> {
    let transport = Transport::new(cx.network(), &Resilience::default(), "test").unwrap();
    let mut service = AttemptLayer::new(10 * SECOND).layer(transport);
    soon(service.call(Call::new(cx.clone(), request))).await
}

fn context() -> Context {
    Context::builder("acme", "hooks").network(Network::loopback()).build()
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_the_answer_where_none_is_to_be_followed() {
    for status in [301, 302, 303, 307, 308] {
        for is_followed in [true, false] {
            let moved = Reply::Keep(answer(&format!("{status} Moved"), "location: /second\r\n", ""));
            let server = Server::start([moved, ok("found")]).await;
            let request = post(&server);
            let request = if is_followed { request } else { request.without_redirects() };
            let response = send(&context(), request).await.unwrap();
            let follows = is_followed && status >= 303;
            assert_eq!(
                (response.status == 200, server.requests().len()),
                (follows, 1 + usize::from(follows))
            );
        }
    }
}

#[tokio::test]
async fn of_a_body_that_is_glanced_at_no_more_is_read_than_asked_for_and_no_end_is_needed() {
    let head = "HTTP/1.1 200 OK\r\n";
    for (reply, expected) in [
        (ok("hello"), "hello"),
        (ok("hello world, and so on"), "hello worl"),
        (ok(""), ""),
        (
            Reply::Stall(format!("{head}content-length: 100000000000\r\n\r\n{}", "x".repeat(5000)).into()),
            "xxxxxxxxxx",
        ),
        (Reply::Close(format!("{head}content-length: 50\r\n\r\nhalf").into()), "half"),
        (Reply::Close(format!("{head}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nZZ").into()), "half"),
        (Reply::Close(format!("{head}content-encoding: br\r\ncontent-length: 2\r\n\r\n??").into()), "??"),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::start([reply]).await;
        let response = send(&context(), post(&server).glance(10, 3600 * SECOND)).await.unwrap();
        assert_eq!((response.status.as_u16(), &response.body[..]), (200, expected.as_bytes()), "{shown}");
    }
}

#[tokio::test]
async fn a_body_that_is_glanced_at_is_left_when_its_time_is_over() {
    let clock = ManualClock::new(Log::default());
    let cx = Context::builder("acme", "hooks").network(Network::loopback()).clock(clock.clone()).build();
    let (feed, fed) = mpsc::unbounded_channel();
    let server =
        Server::start([Reply::Fed(b"HTTP/1.1 202 OK\r\ncontent-length: 99\r\n\r\nab".to_vec(), fed)]).await;
    let request = post(&server).glance(50, clock.monotonic() + 5 * SECOND);
    let sent = tokio::spawn(async move { send(&cx, request).await });
    server.arrival().await;
    // The limit of the attempt, then that of the glance.
    until(|| clock.sleepers() > 0).await;
    feed.send(b"c".to_vec()).unwrap();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    while !sent.is_finished() {
        clock.advance(SECOND);
        tokio::task::yield_now().await;
        assert!(clock.monotonic() < 3600 * SECOND, "it takes for ever");
    }
    let response = soon(sent).await.unwrap().unwrap();
    assert_eq!(response.status, 202);
    assert!(response.body.starts_with(b"ab") || response.body.is_empty());
    assert!(clock.monotonic() <= 8 * SECOND);
    drop(feed);
}

#[test]
fn a_url_is_judged_as_far_as_it_says_before_anything_is_sent() {
    let check = |network: &Network, url: &str| {
        let transport = Transport::new(network, &Resilience::default(), "test").unwrap();
        transport.check("deliver", &url.parse::<Url>().unwrap())
    };
    let public = Network::default();
    assert!(check(&public, "https://example.com/").is_ok());
    assert!(check(&Network::loopback(), "http://127.0.0.1:1/").is_ok());
    for (url, class) in [
        ("http://example.com/", Class::Config),
        ("ftp://example.com/", Class::Config),
        ("https://10.0.0.1/", Class::Permanent),
        ("https://localhost/", Class::Permanent),
        ("https://[::ffff:169.254.169.254]/", Class::Permanent),
    ] {
        let error = check(&public, url).unwrap_err();
        assert_eq!((error.class(), error.delivery()), (class, Delivery::NotSent), "{url}");
    }
}
