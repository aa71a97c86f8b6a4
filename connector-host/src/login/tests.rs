use connector_sdk::auth::{AuthorizationCode, TokenEndpoint};
use tokio::io::AsyncReadExt;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

async fn begin(cx: &Context) -> (Loopback, SignIn) {
    let loopback = Loopback::bind(&"http://127.0.0.1:0/callback".parse().unwrap()).await.unwrap();
    let endpoint = TokenEndpoint::new(cx, "https://login.vendor.example/token".parse().unwrap()).unwrap();
    let authorize = "https://login.vendor.example/authorize".parse().unwrap();
    let code = AuthorizationCode::new(endpoint, authorize, "client", None);
    let sign_in = code.begin(loopback.redirect_uri().clone());
    (loopback, sign_in)
}

fn context() -> Context {
    Context::builder("acme", "desk").build()
}

fn state(sign_in: &SignIn) -> String {
    sign_in.url().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
}

async fn ask(address: &Url, text: &str) -> String {
    let mut stream =
        TcpStream::connect((address.host_str().unwrap(), address.port().unwrap())).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // What was not read to its end is reset after the answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn get(address: &Url, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", address.port().unwrap())
}

#[tokio::test]
async fn the_redirect_of_this_sign_in_is_heard_whatever_else_knocks_before_it() {
    let cx = context();
    let (loopback, sign_in) = begin(&cx).await;
    let (address, state) = (loopback.redirect_uri().clone(), state(&sign_in));
    let browser = async {
        // A browser's idle connection, which stays open all the time.
        let _idle = TcpStream::connect(("127.0.0.1", address.port().unwrap())).await.unwrap();
        let good = format!("/callback?code=canary-7f3a9c&state={state}");
        let rebound = get(&address, &good).replace("127.0.0.1", "evil.example");
        for (request, status) in [
            (get(&address, "/favicon.ico"), "404"),
            (get(&address, "/"), "404"),
            (get(&address, &format!("/callback/?code=canary-7f3a9c&state={state}")), "404"),
            (rebound, "404"),
            (get(&address, &good).replace("GET", "POST"), "405"),
            (get(&address, "/callback?code=canary-7f3a9c"), "400"),
            (get(&address, "/callback?code=canary-7f3a9c&state=guess"), "400"),
            (get(&address, &format!("/callback?code=canary-7f3a9c&state={state}&code=two")), "400"),
            (
                get(&address, "/callback?error=access_denied&error_description=canary-7f3a9c&state=guess"),
                "400",
            ),
        ] {
            let answer = ask(&address, &request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
            assert!(!answer.contains("canary-7f3a9c"), "nothing of the request is repeated: {answer}");
        }
        assert_eq!(ask(&address, "nonsense\r\n\r\n").await, "");
        let answer = ask(&address, &get(&address, &good)).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("close this window"), "{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
        assert!(!answer.contains("canary-7f3a9c"), "{answer}");
    };
    let (callback, ()) = tokio::join!(loopback.wait(&cx, &sign_in, LIMIT), browser);
    let callback = callback.unwrap();
    assert!(sign_in.recognises(&callback) && !callback.is_refusal());
}

#[tokio::test]
async fn a_refusal_ends_the_wait_and_the_page_says_so() {
    let cx = context();
    let (loopback, sign_in) = begin(&cx).await;
    let (address, state) = (loopback.redirect_uri().clone(), state(&sign_in));
    let request = get(&address, &format!("/callback?error=access_denied&state={state}"));
    let (callback, answer) = tokio::join!(loopback.wait(&cx, &sign_in, LIMIT), ask(&address, &request));
    assert!(callback.unwrap().is_refusal());
    assert!(answer.contains("was refused"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_for_ever() {
    let cx = context();
    let (loopback, sign_in) = begin(&cx).await;
    let error = loopback.wait(&cx, &sign_in, LIMIT).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(error.message().contains("60s"), "{error}");
}

#[tokio::test]
async fn a_stop_ends_the_wait() {
    let cx = context();
    let (loopback, sign_in) = begin(&cx).await;
    cx.stop().cancel();
    let error = loopback.wait(&cx, &sign_in, LIMIT).await.unwrap_err();
    assert!(error.message().contains("stopped"), "{error}");
}

#[tokio::test]
async fn only_loopback_is_listened_to() {
    for address in [
        "https://127.0.0.1:0/callback",
        "http://0.0.0.0:0/callback",
        "http://192.168.0.1:0/callback",
        "http://localhost.evil.example:0/callback",
        "http://user@127.0.0.1:0/callback",
        "http://127.0.0.1:0/callback?a=b",
        "http://127.0.0.1:0/callback#a",
    ] {
        let error = Loopback::bind(&address.parse().unwrap()).await.unwrap_err();
        assert_eq!(error.class(), Class::Config, "{address}");
    }
    let taken = Loopback::bind(&"http://localhost:0/OauthRedirect".parse().unwrap()).await.unwrap();
    assert_eq!(taken.redirect_uri().host_str(), Some("localhost"), "the vendor compares it to the letter");
    let error = Loopback::bind(taken.redirect_uri()).await.unwrap_err();
    assert!(error.class() == Class::Config && error.message().contains("port"), "{error}");
}

#[tokio::test]
async fn at_a_name_both_families_are_listened_to() {
    let cx = context();
    for ip in ["127.0.0.1", "::1"] {
        if TcpListener::bind((ip, 0)).await.is_err() {
            continue; // the machine has no such family
        }
        let loopback = Loopback::bind(&"http://localhost:0/OauthRedirect".parse().unwrap()).await.unwrap();
        let port = loopback.redirect_uri().port().unwrap();
        let taken = TcpListener::bind((ip, port)).await.map_err(|error| error.kind());
        assert_eq!(taken.err(), Some(ErrorKind::AddrInUse), "{ip}: somebody else hears the redirect");
        let endpoint =
            TokenEndpoint::new(&cx, "https://login.vendor.example/token".parse().unwrap()).unwrap();
        let authorize = "https://login.vendor.example/authorize".parse().unwrap();
        let sign_in = AuthorizationCode::new(endpoint, authorize, "client", None)
            .begin(loopback.redirect_uri().clone());
        let target = format!("/OauthRedirect?code=c&state={}", state(&sign_in));
        let browser = async {
            let mut stream = TcpStream::connect((ip, port)).await.unwrap();
            let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
        };
        let (callback, ()) = tokio::join!(loopback.wait(&cx, &sign_in, LIMIT), browser);
        assert!(sign_in.recognises(&callback.unwrap()), "{ip}");
    }
}

#[tokio::test]
async fn a_port_that_another_has_in_one_family_is_taken() {
    let Ok(other) = TcpListener::bind(("::1", 0)).await else { return };
    let port = other.local_addr().unwrap().port();
    let address = format!("http://localhost:{port}/callback").parse().unwrap();
    assert_eq!(Loopback::bind(&address).await.unwrap_err().class(), Class::Config);
}
