use std::{fmt::Debug, sync::Arc};

use connector_sdk::{
    Secret,
    auth::{
        ApiKey, AuthorizationCode, Basic, Callback, ClientCredentials, JwtBearer, RefreshToken, SamlBearer,
        SigningAlgorithm, SigningKey, SingleFlight, StaticToken, Token, TokenSource,
    },
    http::{AuthLayer, Call, HeaderMap, Hosts, HttpClient, Request, Response, StatusCode},
};

use super::{Bench, granted};
use crate::support::clock::NOON;

/// What must be seen nowhere.
const CANARY: &str = "canary-7f3a9c";

fn hides(what: &dyn Debug) {
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        assert!(!text.to_ascii_lowercase().contains(CANARY), "{text}");
    }
}

#[tokio::test]
async fn nothing_that_holds_a_secret_shows_it() {
    let bench = Bench::new([granted("canary-7f3a9c-t", r#","refresh_token":"canary-7f3a9c-r""#)]).await;
    let secret = || Secret::from("canary-7f3a9c");
    hides(&secret());
    let url: connector_sdk::http::Url =
        "https://canary-7f3a9c:canary-7f3a9c@vendor.example/path?token=canary-7f3a9c#canary-7f3a9c"
            .parse()
            .unwrap();
    let token = Token::new(secret())
        .with_base_url("https://user:canary-7f3a9c@vendor.example/?canary-7f3a9c".parse().unwrap())
        .with_extra("scope", "canary-7f3a9c")
        .with_expiry(NOON);
    hides(&token);
    hides(&StaticToken::new(secret()));
    hides(&ClientCredentials::new(bench.endpoint(), "client", secret()));
    let refresh = RefreshToken::new(bench.endpoint(), "client", Some(secret()), secret());
    refresh.token(&bench.cx).await.unwrap();
    hides(&refresh);
    let key = Secret::new(include_str!("../keys/client.pem").to_owned());
    let jwt = JwtBearer::new(bench.endpoint(), "client", "ada", "vendor", &key).unwrap();
    let shown = format!("{jwt:?}");
    assert!(!shown.contains("PRIVATE") && shown.len() < 300, "{shown}");
    let saml = SamlBearer::new(bench.endpoint(), "client", "ada", "vendor", &key).unwrap();
    let shown = format!("{saml:?} {:?}", SigningKey::new(SigningAlgorithm::Rs256, &key).unwrap());
    assert!(!shown.contains("PRIVATE") && shown.len() < 300, "{shown}");
    hides(&ApiKey::header("x-api-key", secret()).unwrap());
    hides(&ApiKey::query("api_key", secret()).unwrap());
    hides(&Basic::new("canary-7f3a9c", &secret()).unwrap());
    hides(&bench.endpoint());
    let authorize = "https://vendor.example/authorize?canary-7f3a9c".parse().unwrap();
    let code = AuthorizationCode::new(bench.endpoint(), authorize, "client", Some(secret()))
        .replaces(Some(secret()));
    hides(&code);
    hides(&code.begin("http://127.0.0.1/canary-7f3a9c".parse().unwrap()));
    hides(&Callback::from_query("code=canary-7f3a9c&state=canary-7f3a9c&error=canary-7f3a9c").unwrap());
    let flight = SingleFlight::default();
    let given = token.clone();
    flight.token(&bench.cx, |_| async move { Ok(given) }).await.unwrap();
    hides(&flight);

    let request = Request::post("create", url.clone(), "text/plain", "canary-7f3a9c")
        .header("authorization", "Bearer canary-7f3a9c")
        .query("key", "canary-7f3a9c")
        .with_idempotency_key("canary-7f3a9c");
    hides(&request);
    hides(request.target());
    hides(&Call::new(bench.cx.clone(), request));
    hides(&Request::get("query", "/path?token=canary-7f3a9c"));
    let mut headers = HeaderMap::new();
    headers.insert("set-cookie", "canary-7f3a9c".parse().unwrap());
    hides(&Response::new(StatusCode::OK, headers, "canary-7f3a9c", url, NOON));
    hides(&AuthLayer::new(Hosts::default()).tokens(Arc::new(StaticToken::new(secret()))));
    let builder = HttpClient::builder(&bench.cx)
        .allow_hosts(&["vendor.example"])
        .tokens(Arc::new(StaticToken::new(secret())));
    hides(&builder);
    hides(&builder.build().unwrap());
}
