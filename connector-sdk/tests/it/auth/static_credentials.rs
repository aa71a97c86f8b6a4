use std::sync::Arc;

use connector_sdk::{
    Class, Context, Error, Network, Secret,
    auth::{ApiKey, Basic, StaticToken, Token, TokenSource},
    http::{HeaderMap, HttpClient, Request, Url},
    resilience::Resilience,
};

use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

use crate::support::server::{Reply, Server, answer, ok};

/// Sends a request with a credential to a vendor that gives these answers.
async fn send(source: impl TokenSource + 'static, path: &str, replies: Vec<Reply>) -> (String, String) {
    let server = Server::start(replies).await;
    let mut settings = Resilience::default();
    settings.max_attempts = 1;
    let cx = Context::builder("acme", "desk").network(Network::loopback()).resilience(settings).build();
    let client =
        HttpClient::builder(&cx).base_url(server.url.clone()).tokens(Arc::new(source)).build().unwrap();
    let shown = match client.send(&cx, Request::get("list", path)).await {
        Ok(response) => format!("{response:?}"),
        Err(error) => format!("{error:?} {error}"),
    };
    (server.requests().first().cloned().unwrap_or_default(), shown)
}

#[tokio::test]
async fn a_key_goes_where_the_vendor_wants_it() {
    let key = || Secret::from("k-1");
    for (source, expected) in [
        (ApiKey::header("X-Api-Key", key()), "x-api-key: k-1\r\n"),
        (
            ApiKey::header("Authorization", key()).unwrap().with_prefix("Token "),
            "authorization: Token k-1\r\n",
        ),
        (ApiKey::query("api_key", key()), "GET /list?a=1&api_key=k-1 HTTP/1.1\r\n"),
    ] {
        let (request, _) = send(source.unwrap(), "/list?a=1", vec![ok("")]).await;
        assert!(request.contains(expected), "{request}");
    }
}

#[tokio::test]
async fn user_and_password_go_as_utf_8_in_the_header() {
    // The examples of RFC 7617, 2 and 2.1; then the halves alone.
    for (user, password, expected) in [
        ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123£", "dGVzdDoxMjPCow=="),
        ("key", "", "a2V5Og=="),
        ("", "key:with:colons", "OmtleTp3aXRoOmNvbG9ucw=="),
    ] {
        let source = Basic::new(user, &password.into()).unwrap();
        let (request, _) = send(source, "/list", vec![ok("")]).await;
        assert!(request.contains(&format!("authorization: Basic {expected}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_key_in_the_query_is_seen_nowhere_but_on_the_wire() {
    let logged = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(Arc::new(logged.reopen().unwrap()))
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    for reply in [
        ok("canary-7f3a9c"),
        Reply::Reset,
        Reply::Keep(answer("401 Unauthorized", "", "canary-7f3a9c")),
        Reply::Keep(answer("302 Found", "location: /elsewhere?api_key=canary-7f3a9c\r\n", "")),
        Reply::Keep(answer("500 Internal Server Error", "", "canary-7f3a9c")),
        Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncan".to_vec()),
    ] {
        let source = ApiKey::query("api_key", "canary-7f3a9c".into()).unwrap();
        let (request, shown) = send(source, "/list", vec![reply]).await;
        assert!(request.starts_with("GET /list?api_key=canary-7f3a9c "), "{request}");
        assert!(!shown.contains("canary-7f3a9c"), "{shown}");
    }
    let logged = std::fs::read_to_string(logged.path()).unwrap();
    assert!(logged.contains("127.0.0.1") && !logged.contains("canary-7f3a9c"), "{logged}");
}

fn applied(source: &ApiKey, url: &str) -> (HeaderMap, Url) {
    let (mut headers, mut url) = (HeaderMap::new(), url.parse().unwrap());
    source.apply(&source.held(&Context::builder("t", "c").build()).unwrap(), &mut headers, &mut url).unwrap();
    (headers, url)
}

#[test]
fn a_key_that_a_link_already_holds_is_replaced_and_the_rest_stays_as_it_is_written() {
    let source = ApiKey::query("api key", "a b+c&d=é".into()).unwrap();
    let ours = "api%20key=a%20b%2Bc%26d%3D%C3%A9";
    for (before, after) in [
        ("https://v.example/x", ours.to_owned()),
        ("https://v.example/x?", ours.to_owned()),
        ("https://v.example/x?cursor=a+b%2fc&&q=%C3%A9", format!("cursor=a+b%2fc&q=%C3%A9&{ours}")),
        ("https://v.example/x?api+key=old&n=1&api%20key=older", format!("n=1&{ours}")),
        ("https://v.example/x?api%20keys=1", format!("api%20keys=1&{ours}")),
    ] {
        let (headers, url) = applied(&source, before);
        assert_eq!(url.query(), Some(&*after), "{before}");
        assert!(headers.is_empty());
        // A replay applies it again.
        assert_eq!(applied(&source, url.as_str()).1, url);
    }
}

#[test]
fn a_credential_in_a_header_is_marked_sensitive() {
    let cx = Context::builder("t", "c").build();
    let sources: [Box<dyn TokenSource>; 2] = [
        Box::new(ApiKey::header("x-api-key", "canary-7f3a9c".into()).unwrap()),
        Box::new(Basic::new("canary-7f3a9c", &"canary-7f3a9c".into()).unwrap()),
    ];
    for source in sources {
        let (mut headers, mut url) = (HeaderMap::new(), "https://v.example".parse().unwrap());
        source.apply(&source.held(&cx).unwrap(), &mut headers, &mut url).unwrap();
        assert!(headers.len() == 1 && headers.values().all(|value| value.is_sensitive()));
        assert!(!format!("{headers:?} {source:?}").contains("canary-7f3a9c"), "{headers:?} {source:?}");
        assert_eq!(url.as_str(), "https://v.example/");
    }
}

fn is_config(result: Result<impl std::fmt::Debug, Error>, of: &str) {
    let error = result.expect_err(of);
    assert_eq!(error.class(), Class::Config, "{of}");
    assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
}

#[test]
fn a_header_that_cannot_carry_a_key_is_refused() {
    for name in [
        "",
        " ",
        "x api",
        "x:",
        "x\r\ny",
        "naïve",
        "Host",
        "content-length",
        "Content-Type",
        "content-encoding",
        "transfer-encoding",
        "Connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "TE",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
        "range",
    ] {
        is_config(ApiKey::header(name, "canary-7f3a9c".into()), name);
    }
    for name in ["", "a\nb", "\u{7f}"] {
        is_config(ApiKey::query(name, "canary-7f3a9c".into()), name);
    }
}

#[test]
fn a_key_that_cannot_be_sent_is_refused_while_a_person_looks() {
    for key in ["", " ", "canary-7f3a9c\n", " canary-7f3a9c", "can\r\nx: ary", "can\0ary"] {
        is_config(ApiKey::header("x-api-key", key.into()), key);
        is_config(ApiKey::query("api_key", key.into()), key);
    }
    is_config(ApiKey::header("x-api-key", "canary-7f3a9cé".into()), "not ASCII");
    let header = ApiKey::header("x-api-key", "canary-7f3a9c".into()).unwrap();
    is_config(header.clone().with_prefix("To\nken"), "prefix");
    is_config(header.clone().with_prefix("Tokén "), "prefix");
    is_config(
        ApiKey::query("k", "canary-7f3a9c".into()).unwrap().with_prefix("Token "),
        "prefix in the query",
    );
    // A token that another source puts in its place is looked at as well.
    let (mut headers, mut url) = (HeaderMap::new(), "https://v.example".parse().unwrap());
    is_config(header.apply(&Token::new("canary-7f3a9c\n".into()), &mut headers, &mut url), "another token");
}

#[test]
fn a_user_with_a_colon_and_control_characters_are_refused() {
    for (user, password) in [
        ("canary-7f3a9c:x", "p"),
        (":", "canary-7f3a9c"),
        ("", ""),
        ("canary-7f3a9c\n", "p"),
        ("u", "canary-7f3a9c\r"),
        ("u\0", "canary-7f3a9c"),
    ] {
        is_config(Basic::new(user, &password.into()), user);
    }
}

#[tokio::test]
async fn a_credential_that_is_refused_cannot_be_renewed_and_says_so() {
    let refusal = || vec![Reply::Keep(answer("401 Unauthorized", "", "")), ok("")];
    let (_, shown) =
        send(ApiKey::header("x-api-key", "canary-7f3a9c".into()).unwrap(), "/list", refusal()).await;
    assert!(shown.contains("API key") && shown.contains("cannot be renewed"), "{shown}");
    let (_, shown) = send(Basic::new("u", &"canary-7f3a9c".into()).unwrap(), "/list", refusal()).await;
    assert!(shown.contains("user or password") && !shown.contains("canary-7f3a9c"), "{shown}");
}

#[tokio::test]
async fn case_86_a_credential_that_is_given_goes_to_no_other_tenant_or_connection() {
    let sources: [Box<dyn TokenSource>; 3] = [
        Box::new(StaticToken::new("canary-7f3a9c".into())),
        Box::new(ApiKey::header("x-api-key", "canary-7f3a9c".into()).unwrap()),
        Box::new(Basic::new("user", &"canary-7f3a9c".into()).unwrap()),
    ];
    for source in sources {
        let cx = Context::builder("acme", "desk").build();
        let token = source.held(&cx).unwrap();
        for (tenant, connection) in [("other", "desk"), ("acme", "other")] {
            let other = Context::builder(tenant, connection).build();
            assert!(source.held(&other).is_none(), "{source:?}");
            for result in [source.token(&other).await, source.renew(&other, &token).await] {
                let error = result.unwrap_err();
                assert_eq!(error.class(), Class::Bug, "{error}");
                assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
            }
        }
        assert!(source.held(&cx).is_some() && source.token(&cx).await.is_ok());
    }
}
