//! A connection that changes its protocol: opened under the same rules as every other.

use std::time::Duration;

use connector_sdk::{
    Class, Context, Delivery, Network,
    http::{HeaderMap, HeaderValue, Upgraded, Url, upgrade},
    resilience::Resilience,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server that answers each connection with this, and then says back in capitals what it hears.
async fn server(answer: &'static str) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/link?ticket=canary-7f", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            assert!(
                head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n"),
                "{head}"
            );
            assert!(
                head.starts_with("get /link?ticket=canary-7f http/1.1\r\n") && head.contains("x-own: 1\r\n")
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut said = [0; 5];
            if stream.read_exact(&mut said).await.is_ok() {
                stream.write_all(&said.to_ascii_uppercase()).await.unwrap();
            }
        }
    });
    url
}

async fn ask(network: Network, url: &Url) -> connector_sdk::Result<Upgraded> {
    let mut resilience = Resilience::default();
    resilience.attempt_timeout = Duration::from_secs(2);
    let cx = Context::builder("acme", "chat").network(network).resilience(resilience).build();
    let mut headers = HeaderMap::new();
    headers.insert("x-own", HeaderValue::from_static("1"));
    upgrade(&cx, "socket", url, "websocket", headers).await
}

#[tokio::test]
async fn both_sides_speak_another_protocol_when_the_server_agrees() {
    let url = server("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n").await;
    let mut upgraded = ask(Network::loopback(), &url).await.unwrap();
    assert_eq!(upgraded.headers["sec-websocket-accept"], "x");
    upgraded.stream.write_all(b"hello").await.unwrap();
    upgraded.stream.flush().await.unwrap();
    let mut said = [0; 5];
    upgraded.stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HELLO");
}

#[tokio::test]
async fn a_server_that_does_not_agree_is_told_apart_by_its_status() {
    for (answer, class) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Class::Permanent),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", Class::Permanent),
        (
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            Class::Permanent,
        ),
        ("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n", Class::RateLimited),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", Class::Transient),
    ] {
        let url = server(answer).await;
        let error = ask(Network::loopback(), &url).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (class, Delivery::Answered), "{answer}");
        assert!(!format!("{error:?} {error}").contains("canary"), "the ticket is shown: {error:?}");
    }
}

#[tokio::test]
async fn it_goes_nowhere_that_a_request_may_not_go() {
    let url = server("HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
    assert_eq!(ask(Network::default(), &url).await.unwrap_err().class(), Class::Config, "plain http");
    let mut network = Network::default();
    network.allow_http = true;
    for url in [
        url.as_str(),
        "http://localhost:1/",
        "http://169.254.169.254/",
        "http://10.0.0.1/",
        "http://[::1]:1/",
    ] {
        let error = ask(network.clone(), &url.parse().unwrap()).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Permanent, Delivery::NotSent), "{url}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(Network::loopback(), &format!("http://{nobody}/").parse().unwrap()).await.unwrap_err();
    assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::NotSent));
}

#[tokio::test]
async fn a_server_that_says_nothing_has_the_time_of_an_attempt() {
    let url = server("").await;
    let error = ask(Network::loopback(), &url).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient);
}
