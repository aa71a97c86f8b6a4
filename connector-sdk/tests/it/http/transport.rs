use std::{io::Write as _, time::Duration};

use connector_sdk::{
    Class, Context, Counters, Delivery, Network,
    http::{HttpClient, Method, Request},
    resilience::Resilience,
};
use flate2::{Compression, write::GzEncoder};
use tokio::sync::mpsc;

use crate::support::{
    Log,
    clock::ManualClock,
    server::{Reply, Server, answer, ok},
    soon, until,
};

const SECOND: Duration = Duration::from_secs(1);

/// Short waits, so that a retry costs a test nothing.
fn quick() -> Resilience {
    let mut settings = Resilience::default();
    settings.base_delay = Duration::from_millis(1);
    settings
}

fn context(settings: Resilience) -> Context {
    Context::builder("acme", "desk").network(Network::loopback()).resilience(settings).build()
}

fn client(cx: &Context, server: &Server) -> HttpClient {
    HttpClient::builder(cx).base_url(server.url.clone()).build().unwrap()
}

fn get() -> Request {
    Request::get("query", "/records")
}

fn post() -> Request {
    Request::post("create", "/records", "application/json", r#"{"a":1}"#)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(bytes: &[u8]) -> Reply {
    Reply::Keep(answer("200 OK", "content-encoding: gzip\r\n", bytes))
}

#[tokio::test]
async fn a_request_arrives_as_it_was_stated_and_an_answer_comes_back_whole() {
    let headers = "date: Sat, 31 Jan 2026 12:00:00 GMT\r\nx-quota: 3\r\n";
    let server = Server::start([Reply::Keep(answer("200 OK", headers, "hello")), ok("again")]).await;
    let cx = context(quick());
    let client = client(&cx, &server);
    let request = Request::get("query", "/query?v=1").query("q", "a b+c&d=é").header("x-own", "yes");
    let response = client.send(&cx, request).await.unwrap();
    assert_eq!((response.status.as_u16(), &response.body[..]), (200, &b"hello"[..]));
    assert_eq!((response.header("x-quota"), response.header("x-none")), (Some("3"), None));
    assert_eq!(response.date().unwrap().to_string(), "2026-01-31T12:00:00.000Z");
    assert_eq!(response.url.path(), "/query");
    client.send(&cx, post()).await.unwrap();

    let requests = server.requests();
    let head = requests[0].to_ascii_lowercase();
    assert!(head.starts_with("get /query?v=1&q=a%20b%2bc%26d%3d%c3%a9 http/1.1\r\n"), "{head}");
    for line in [
        "x-own: yes",
        "accept-encoding: gzip",
        concat!("user-agent: connector-sdk/", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(head.contains(&format!("{line}\r\n")), "{line} in {head}");
    }
    assert!(!head.contains("referer") && !head.contains("content-length"), "{head}");
    assert!(
        requests[1].contains("content-type: application/json") && requests[1].ends_with(r#"{"a":1}"#),
        "{}",
        requests[1]
    );
    assert_eq!(
        (Counters::get(&cx.counters().requests), Counters::get(&cx.counters().received_bytes)),
        (2, 10)
    );
    assert_eq!((client.counters().requests.get(), client.counters().received_bytes.get()), (2, 10));
}

#[tokio::test]
async fn d_12_case_64_a_body_that_breaks_off_is_no_success_and_is_tried_again() {
    let cut = || Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec());
    let chunked =
        || Reply::Close(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_vec());
    let zipped = || {
        let whole = gzip(b"whole");
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
        bytes.extend_from_slice(&whole[..whole.len() - 3]);
        Reply::Close(bytes)
    };
    for broken in [cut, chunked, zipped] {
        let server = Server::start([broken(), ok("whole")]).await;
        let cx = context(quick());
        let client = client(&cx, &server);
        assert_eq!(&client.send(&cx, get()).await.unwrap().body[..], b"whole");
        assert_eq!(client.counters().truncated.get(), 1);
        let server = Server::start([broken(), broken(), broken()]).await;
        let error = self::client(&cx, &server).send(&cx, get()).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Answered), "{error}");
    }
}

#[tokio::test]
async fn case_60_a_reset_before_the_answer_leaves_a_post_ambiguous() {
    let close_at_once = || Reply::Close(Vec::new());
    for broken in [|| Reply::Reset, close_at_once] {
        let server = Server::start([broken(), ok("second")]).await;
        let cx = context(quick());
        let client = client(&cx, &server);
        assert_eq!(&client.send(&cx, get()).await.unwrap().body[..], b"second");
        let server = Server::start([broken(), ok("second")]).await;
        let error = self::client(&cx, &server).send(&cx, post()).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown), "{error:?}");
        assert_eq!(server.requests().len(), 1, "a write that may have arrived was sent again");
    }
}

#[tokio::test]
async fn what_is_no_http_is_unknown_too() {
    let server = Server::start([Reply::Close(b"220 smtp.example.com ready\r\n".to_vec())]).await;
    let cx = context(quick());
    let error = client(&cx, &server).send(&cx, post()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_was_not_used() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let cx = context(quick());
    let urls = [
        (format!("http://127.0.0.1:{free}/?secret=canary-7f3a9c"), "no connection"),
        // No label of a name is that long: it fails before anybody is asked.
        (format!("http://{}.invalid/?secret=canary-7f3a9c", "a".repeat(64)), "cannot be resolved"),
    ];
    for (url, why) in urls {
        let client = HttpClient::builder(&cx).build().unwrap();
        let error =
            client.send(&cx, Request::post("create", url.as_str(), "text/plain", "x")).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
        assert_eq!((client.counters().unreachable.get(), client.counters().retries.get()), (3, 2));
    }
}

#[tokio::test]
async fn plain_http_is_refused_unless_it_is_allowed_and_the_host_is_named() {
    let cx = Context::builder("acme", "desk").build();
    let client = HttpClient::builder(&cx).build().unwrap();
    let error = client
        .send(&cx, Request::get("query", "http://desk.example/?secret=canary-7f3a9c"))
        .await
        .unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Config, Delivery::NotSent));
    assert!(
        error.to_string().contains("desk.example") && error.to_string().contains("allow_http"),
        "{error}"
    );
    assert!(!error.to_string().contains("canary-7f3a9c"), "{error}");
    let error = client.send(&cx, Request::get("query", "ftp://desk.example/")).await.unwrap_err();
    assert_eq!(error.class(), Class::Config);
}

#[tokio::test]
async fn gzip_is_decompressed_and_counted_as_it_was_sent() {
    let text = r#"{"id":1,"name":"Ada"}"#.repeat(1000);
    let compressed = gzip(text.as_bytes());
    let members = [gzip(b"one, "), gzip(b"two")].concat();
    let server = Server::start([gzipped(&compressed), gzipped(&members), gzipped(b"")]).await;
    let cx = context(quick());
    let client = client(&cx, &server);
    assert_eq!(client.send(&cx, get()).await.unwrap().body, text);
    assert_eq!(Counters::get(&cx.counters().received_bytes), compressed.len() as u64);
    assert_eq!(&client.send(&cx, get()).await.unwrap().body[..], b"one, two");
    assert!(client.send(&cx, get()).await.unwrap().body.is_empty());
}

#[tokio::test]
async fn case_68_a_body_over_a_cap_is_refused_and_not_asked_for_again() {
    let mut settings = quick();
    settings.max_body = 10_000;
    settings.max_decompressed_body = 100_000;
    let bomb = gzip(&vec![0; 1 << 20]);
    assert!(bomb.len() < 10_000);
    let endless = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
        format!("1000\r\n{}\r\n", "x".repeat(4096)).repeat(5)
    );
    let replies = [
        (gzipped(&bomb), "max_decompressed_body"),
        (Reply::Keep(answer("200 OK", "", vec![b'x'; 10_001])), "max_body"),
        (Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec()), "max_body"),
        (Reply::Stall(endless.into_bytes()), "max_body"),
    ];
    for (reply, name) in replies {
        let server = Server::start([reply]).await;
        let cx = context(settings.clone());
        let error = client(&cx, &server).send(&cx, get()).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::Answered));
        assert!(error.to_string().contains(&format!("resilience.{name}")), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_body_in_a_coding_that_nobody_asked_for_is_refused() {
    let server = Server::start([Reply::Keep(answer("200 OK", "content-encoding: br\r\n", "x"))]).await;
    let cx = context(quick());
    let error = client(&cx, &server).send(&cx, get()).await.unwrap_err();
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.to_string().contains("`br`"), "{error}");
}

#[tokio::test]
async fn answers_without_a_body_are_whole() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n".to_vec();
    let server = Server::start([
        Reply::Keep(head),
        Reply::Keep(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        Reply::Keep(b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n".to_vec()),
        Reply::Close(b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec()),
    ])
    .await;
    let cx = context(quick());
    let client = client(&cx, &server);
    let bodies = [("HEAD", ""), ("DELETE", ""), ("GET", ""), ("GET", "until the end")];
    for (method, body) in bodies {
        let request = get().method(Method::from_bytes(method.as_bytes()).unwrap());
        assert_eq!(client.send(&cx, request).await.unwrap().body, body, "{method}");
    }
}

/// A client on a clock of its own, and a server that sends what the test feeds it.
async fn fed(head: &str) -> (std::sync::Arc<ManualClock>, Context, Server, mpsc::UnboundedSender<Vec<u8>>) {
    let (feed, fed) = mpsc::unbounded_channel();
    let server = Server::start([Reply::Fed(head.as_bytes().to_vec(), fed)]).await;
    let clock = ManualClock::new(Log::default());
    let cx = Context::builder("acme", "desk").clock(clock.clone()).network(Network::loopback()).build();
    (clock, cx, server, feed)
}

#[tokio::test]
async fn a_slow_body_may_take_longer_than_an_attempt_as_long_as_it_is_not_silent() {
    let (clock, cx, server, feed) = fed("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
    let client = client(&cx, &server);
    let reading = tokio::spawn({
        let (client, cx) = (client.clone(), cx.clone());
        async move { client.send(&cx, get()).await }
    });
    for received in 1..=10 {
        feed.send(b"x".to_vec()).unwrap();
        until(|| client.counters().received_bytes.get() >= received).await;
        clock.advance(20 * SECOND);
    }
    assert_eq!(&soon(reading).await.unwrap().unwrap().body[..], b"xxxxxxxxxx");
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn a_body_that_falls_silent_ends() {
    let (clock, cx, server, feed) = fed("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await;
    let client = client(&cx, &server);
    let reading = tokio::spawn({
        let (client, cx) = (client.clone(), cx.clone());
        // A POST, which is not tried again.
        async move { client.send(&cx, post()).await }
    });
    feed.send(b"half".to_vec()).unwrap();
    until(|| client.counters().received_bytes.get() >= 4).await;
    clock.advance(29 * SECOND);
    tokio::task::yield_now().await;
    assert!(!reading.is_finished());
    clock.advance(SECOND);
    let error = soon(reading).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("silent for 30s after 4 bytes"), "{error}");
    assert_eq!((error.delivery(), client.counters().timeouts.get()), (Delivery::Answered, 1));
}

#[tokio::test]
async fn an_answer_that_does_not_begin_ends() {
    let (clock, cx, server, _feed) = fed("").await;
    let client = client(&cx, &server);
    let reading = tokio::spawn(async move { client.send(&cx, post()).await });
    server.arrival().await;
    until(|| clock.sleepers() >= 2).await;
    clock.advance(30 * SECOND);
    let error = soon(reading).await.unwrap().unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown), "{error}");
}

#[tokio::test]
async fn a_proxy_is_used_when_it_is_named_and_its_password_is_not_shown() {
    let proxy = Server::start([ok("by proxy")]).await;
    let mut network = Network::loopback();
    network.proxy = Some(proxy.url.as_str().into());
    let cx = Context::builder("acme", "desk").network(network.clone()).build();
    let client = HttpClient::builder(&cx).build().unwrap();
    let response = client.send(&cx, Request::get("query", "http://vendor.invalid/records")).await.unwrap();
    assert_eq!(&response.body[..], b"by proxy");
    assert!(proxy.requests()[0].starts_with("GET http://vendor.invalid/records HTTP/1.1"));
    network.proxy = Some("http://user:canary-7f3a9c@:0:bad".into());
    let cx = Context::builder("acme", "desk").network(network).build();
    let error = HttpClient::builder(&cx).build().unwrap_err();
    assert_eq!(error.class(), Class::Config);
    assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
}
