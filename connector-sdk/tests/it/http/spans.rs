use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use connector_sdk::{
    Context, Network,
    auth::StaticToken,
    http::{HttpClient, Request},
    resilience::Resilience,
};
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

use crate::support::server::{Reply, Server, answer};

/// What was logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_span_tells_operation_host_status_and_attempts_and_nothing_that_was_sent_or_received() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let headers = "set-cookie: canary-7f3a9c-cookie\r\n";
    let unavailable = || Reply::Keep(answer("503 Service Unavailable", headers, "canary-7f3a9c-body"));
    let server = Server::start([
        unavailable(),
        Reply::Keep(answer("200 OK", headers, "canary-7f3a9c-body")),
        unavailable(),
    ])
    .await;
    let mut settings = Resilience::default();
    settings.max_attempts = 2;
    settings.base_delay = Duration::from_millis(1);
    let cx = Context::builder("acme", "desk").network(Network::loopback()).resilience(settings).build();
    let token = Arc::new(StaticToken::new("canary-7f3a9c-token".into()));
    let client = HttpClient::builder(&cx).base_url(server.url.clone()).tokens(token).build().unwrap();
    let request = |operation| {
        Request::post(
            operation,
            "/canary-7f3a9c-path?q=canary-7f3a9c-query",
            "text/plain",
            "canary-7f3a9c-body",
        )
        .header("x", "canary-7f3a9c-header")
    };
    client.send(&cx, request("list").query("more", "canary-7f3a9c-query").idempotent()).await.unwrap();
    client.send(&cx, request("create")).await.unwrap_err();

    let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("canary-7f3a9c"), "{text}");
    let closed = |operation: &str| {
        let of = format!("operation=\"{operation}\"");
        text.lines()
            .find(|line| line.contains(&of) && line.contains("close"))
            .unwrap_or_else(|| panic!("{text}"))
            .to_owned()
    };
    let expected = [
        ("list", "http.request.method=\"POST\""),
        ("list", "server.address=\"127.0.0.1\""),
        ("list", "http.response.status_code=200"),
        ("list", "http.request.resend_count=1"),
        ("create", "error.type=Ambiguous"),
        ("create", "http.request.resend_count=0"),
    ];
    for (operation, field) in expected {
        let line = closed(operation);
        assert!(line.contains(field), "{field} in {line}");
    }
    assert!(text.contains("trying again"), "{text}");
}
