use std::{sync::Arc, time::Duration};

use connector_sdk::{
    Class, Context, Counters, Delivery, Network, Result,
    auth::{ApiKey, StaticToken},
    http::{HttpClient, Method, Request, Response},
    resilience::Resilience,
};

use crate::support::{
    Log,
    clock::ManualClock,
    server::{Reply, Server, answer, ok},
    soon, until,
};

fn context() -> Context {
    let mut settings = Resilience::default();
    settings.base_delay = Duration::from_millis(1);
    Context::builder("acme", "desk").network(Network::loopback()).resilience(settings).build()
}

fn client(cx: &Context, server: &Server) -> HttpClient {
    HttpClient::builder(cx)
        .base_url(server.url.clone())
        .tokens(Arc::new(StaticToken::new("canary-7f3a9c".into())))
        .build()
        .unwrap()
}

fn moved(status: u16, location: impl AsRef<str>) -> Reply {
    Reply::Keep(answer(
        &format!("{status} Moved"),
        &format!("location: {}\r\n", location.as_ref()),
        "elsewhere",
    ))
}

fn request(method: &str) -> Request {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = Request::new("query", method.clone(), "/first?page=1");
    if method.is_safe() { request } else { request.body("application/json", "{\"a\":1}") }
}

async fn send(server: &Server, request: Request) -> Result<Response> {
    let cx = context();
    soon(client(&cx, server).send(&cx, request)).await
}

/// The method and target of each request, and its body.
fn seen(server: &Server) -> Vec<String> {
    let line = |request: &String| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        if body.is_empty() { line } else { format!("{line} {body}") }
    };
    server.requests().iter().map(line).collect()
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_as_far_as_its_status_allows() {
    let follows = |status, method| match (status, method) {
        (301 | 302, "GET" | "HEAD" | "OPTIONS") => Some(method),
        (303, "HEAD") => Some("HEAD"),
        (303, _) => Some("GET"),
        (307 | 308, _) => Some(method),
        _ => None,
    };
    for status in [300, 301, 302, 303, 305, 306, 307, 308, 399] {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = if method == "HEAD" {
                Reply::Keep(format!("HTTP/1.1 {status} Moved\r\nlocation: /second\r\n\r\n").into_bytes())
            } else {
                moved(status, "/second?x=1#part")
            };
            // A HEAD has no body to read.
            let last = if method == "HEAD" { "" } else { "found" };
            let server = Server::start([reply, ok(last)]).await;
            let result = send(&server, request(method)).await;
            let seen = seen(&server);
            let case = format!("{status} {method}: {seen:?} {result:?}");
            let Some(next) = follows(status, method) else {
                let error = result.unwrap_err();
                assert_eq!(
                    (error.class(), error.delivery()),
                    (Class::Permanent, Delivery::Answered),
                    "{case}"
                );
                assert_eq!(seen.len(), 1, "{case}");
                continue;
            };
            let response = result.unwrap();
            assert_eq!((&response.body[..], response.url.path()), (last.as_bytes(), "/second"), "{case}");
            let query = if method == "HEAD" { "" } else { "?x=1" };
            let body = if next == method && !["GET", "HEAD", "OPTIONS"].contains(&method) {
                " {\"a\":1}"
            } else {
                ""
            };
            assert_eq!(seen[1], format!("{next} /second{query}{body}"), "{case}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_refused_and_only_its_host_is_named() {
    let other = Server::start([ok("secret")]).await;
    let port = other.url.port().unwrap();
    let elsewhere = |own: u16| {
        [
            format!("http://127.0.0.1:{port}/?code=canary-7f3a9c"),
            format!("http://localhost:{own}/?code=canary-7f3a9c"),
            format!("https://127.0.0.1:{own}/?code=canary-7f3a9c"),
            format!("//127.0.0.1:{port}/canary-7f3a9c"),
            format!("\\\\127.0.0.1:{port}/canary-7f3a9c"),
            format!("http://127.0.0.1:{own}@127.0.0.1:{port}/"),
            format!("http://canary-7f3a9c@127.0.0.1:{own}/"),
            format!("http://canary-7f3a9c:canary-7f3a9c@127.0.0.1:{own}/"),
            "http://".to_owned(),
            "ftp://127.0.0.1/".to_owned(),
            "file:///etc/passwd".to_owned(),
            "data:,x".to_owned(),
            "javascript:alert(1)".to_owned(),
        ]
    };
    let count = elsewhere(0).len();
    for index in 0..count {
        for (status, method) in [(302, "GET"), (303, "POST"), (307, "POST"), (308, "GET")] {
            // Its port has to be known before it answers.
            let (feed, fed) = tokio::sync::mpsc::unbounded_channel();
            let server = Server::start([Reply::Fed(Vec::new(), fed)]).await;
            let location = &elsewhere(server.url.port().unwrap())[index];
            let Reply::Keep(bytes) = moved(status, location) else { unreachable!() };
            feed.send(bytes).unwrap();
            let error = send(&server, request(method)).await.unwrap_err();
            let case = format!("{status} {method} {location}: {error:?}");
            assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::Answered), "{case}");
            assert!(error.to_string().contains("redirects"), "{case}");
            assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{case}");
            assert_eq!(server.requests().len(), 1, "{case}");
        }
    }
    assert!(other.requests().is_empty(), "{:?}", other.requests());
}

#[tokio::test]
async fn a_redirect_that_does_not_say_where_is_left_as_it_is() {
    for headers in ["", "location: http://[\r\n", "location: /a\r\nlocation: /b\r\n", "location: /ä\r\n"] {
        let server = Server::start([Reply::Keep(answer("302 Found", headers, ""))]).await;
        let error = send(&server, request("GET")).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{headers:?} {error:?}");
        assert_eq!(server.requests().len(), 1, "{headers:?}");
    }
}

#[tokio::test]
async fn the_credential_goes_along_and_other_headers_only_where_they_make_sense_or_are_named() {
    let along = [
        ("accept", "text/csv"),
        ("accept-language", "de"),
        ("accept-encoding", "identity"),
        ("user-agent", "own"),
    ];
    let same_method = [
        ("if-none-match", "\"x\""),
        ("if-modified-since", "Sat, 31 Jan 2026 12:00:00 GMT"),
        ("range", "bytes=0-9"),
        ("idempotency-key", "9b2f"),
        ("content-type", "application/json"),
        ("content-language", "de"),
    ];
    let left_behind = [
        ("x-api-secret", "canary-7f3a9c"),
        ("cookie", "a=b"),
        ("origin", "https://x"),
        ("x-forwarded-for", "1.2.3.4"),
    ];
    for (status, kept) in [(307, true), (308, true), (303, false)] {
        let server = Server::start([moved(status, "/second"), ok("")]).await;
        let mut asked = request("POST").header("x-tenant", "7").redirect_header("x-tenant");
        for (name, value) in along.iter().chain(&same_method).chain(&left_behind) {
            asked = asked.header(name, value);
        }
        send(&server, asked).await.unwrap();
        let requests = server.requests();
        let has = |index: usize, name: &str, value: &str| {
            requests[index]
                .to_ascii_lowercase()
                .contains(&format!("\r\n{name}: {value}\r\n").to_ascii_lowercase())
        };
        let expected = |name: &str, value: &str, travels: bool| {
            assert!(has(0, name, value), "{name} in {}", requests[0]);
            assert_eq!(has(1, name, value), travels, "{name} in {}", requests[1]);
        };
        expected("authorization", "Bearer canary-7f3a9c", true);
        expected("x-tenant", "7", true);
        along.iter().for_each(|(name, value)| expected(name, value, true));
        same_method.iter().for_each(|(name, value)| expected(name, value, kept));
        left_behind.iter().for_each(|(name, value)| expected(name, value, false));
        assert!(!requests[1].to_ascii_lowercase().contains("referer"), "{}", requests[1]);
    }
}

#[tokio::test]
async fn a_credential_in_the_query_is_put_on_anew_and_is_in_no_url_that_is_handed_out() {
    for location in
        ["/second?page=1", "/second?api_key=canary-7f3a9c&page=1", "/second?page=1&k=canary-7f3a9c"]
    {
        let server = Server::start([moved(302, location), ok("[]")]).await;
        let cx = context();
        let source = ApiKey::query("api_key", "canary-7f3a9c".into()).unwrap();
        let client = HttpClient::builder(&cx).base_url(server.url.clone()).tokens(Arc::new(source));
        let response = soon(client.build().unwrap().send(&cx, request("GET"))).await.unwrap();
        assert_eq!(response.url, server.url.join("/second?page=1").unwrap());
        let seen = seen(&server);
        assert_eq!(seen[0], "GET /first?page=1&api_key=canary-7f3a9c");
        assert!(seen[1].ends_with("&api_key=canary-7f3a9c") && seen[1].contains("page=1"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_named_makes_sending_fail() {
    let server = Server::start([]).await;
    let error = send(&server, request("GET").redirect_header("no header")).await.unwrap_err();
    assert_eq!((error.class(), server.requests().len()), (Class::Config, 0));
}

#[tokio::test]
async fn five_redirects_are_followed_and_each_counts_as_a_request() {
    let hops = |count: usize| (0..count).map(|n| moved(307, format!("/{n}"))).chain([ok("end")]);
    let server = Server::start(hops(5)).await;
    let cx = context();
    let client = client(&cx, &server);
    assert_eq!(&client.send(&cx, request("GET")).await.unwrap().body[..], b"end");
    assert_eq!((server.requests().len(), Counters::get(&cx.counters().requests)), (6, 6));
    assert_eq!((client.counters().requests.get(), client.counters().retries.get()), (6, 0));

    let server = Server::start(hops(6)).await;
    let error = send(&server, request("GET")).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::Answered), "{error:?}");
    assert!(error.to_string().contains("more than 5 times"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn redirects_in_a_circle_end_when_they_come_round() {
    let circles: [&[&str]; 3] = [&["/first?page=1"], &["/b", "/first?page=1#here"], &["/b", "/c", "/b"]];
    for circle in circles {
        let server = Server::start(circle.iter().map(|location| moved(302, location))).await;
        let error = send(&server, request("GET")).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::Answered), "{error:?}");
        assert!(error.to_string().contains("circle"), "{error}");
        assert_eq!(server.requests().len(), circle.len());
    }
    // The same address by another method is another request: a form that shows its own result.
    let server = Server::start([moved(303, "/first?page=1"), ok("result")]).await;
    assert_eq!(&send(&server, request("POST")).await.unwrap().body[..], b"result");
}

#[tokio::test]
async fn a_write_that_303_has_answered_is_not_sent_again_whatever_becomes_of_its_result() {
    let results = [
        || Reply::Keep(answer("401 Unauthorized", "", "")),
        || Reply::Keep(answer("404 Not Found", "", "")),
        || Reply::Keep(answer("429 Too Many", "retry-after: 1\r\n", "")),
        || Reply::Keep(answer("503 Unavailable", "", "")),
        || Reply::Keep(answer("302 Found", "location: https://127.0.0.2/\r\n", "")),
        || moved(302, "/second"),
        || Reply::Reset,
        || Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
    ];
    for result in results {
        let server = Server::start([moved(303, "/second"), result()]).await;
        let error = send(&server, request("POST")).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown), "{error:?}");
        assert_eq!(seen(&server), ["POST /first?page=1 {\"a\":1}", "GET /second"], "{error:?}");
    }
    // With a key the vendor knows it again.
    let server = Server::start([
        moved(303, "/2"),
        Reply::Keep(answer("503 Busy", "", "")),
        moved(303, "/2"),
        ok("done"),
    ])
    .await;
    let response = send(&server, request("POST").with_idempotency_key("9b2f")).await.unwrap();
    assert_eq!((&response.body[..], server.requests().len()), (&b"done"[..], 4));
}

#[tokio::test]
async fn a_redirect_does_not_lift_the_limit_of_an_attempt() {
    let server = Server::start([moved(307, "/second"), Reply::Stall(Vec::new())]).await;
    let clock = ManualClock::new(Log::default());
    let cx = Context::builder("acme", "desk").clock(clock.clone()).network(Network::loopback()).build();
    let client = client(&cx, &server);
    let sending = tokio::spawn(async move { client.send(&cx, request("POST")).await });
    server.arrival().await;
    server.arrival().await;
    until(|| clock.sleepers() >= 2).await;
    clock.advance(Duration::from_secs(30));
    let error = soon(sending).await.unwrap().unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Ambiguous, Delivery::Unknown), "{error:?}");
    assert!(error.to_string().contains("no answer within 30s"), "{error}");
}
