use std::time::Duration;

use connector_sdk::{
    Class, Counters, Delivery, Secret,
    auth::{ClientAuth, ClientCredentials, JwtBearer, RefreshToken, TokenSource},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::{Bench, granted, key, refused};
use crate::support::{
    clock::NOON,
    server::{Reply, json},
    until,
};

#[tokio::test]
async fn client_credentials_ask_as_the_rfc_says_and_keep_what_the_vendor_says_besides() {
    let more = r#","instance_url":"https://pod1.vendor.example","id":"https://login.vendor.example/id/1","issued_at":1769860800000,
        "expires_in":3600,"scope":"api web","signature":"canary-7f3a9c","id_token":"canary-7f3a9c","nested":{"a":1}"#;
    let bench = Bench::new([granted("t-1", more)]).await;
    let endpoint = bench.endpoint().base_url_field("instance_url").scopes(["api", "web"]);
    let source = ClientCredentials::new(endpoint, "client", "s3cret&".into());
    let token = source.token(&bench.cx).await.unwrap();
    assert_eq!(token.secret().expose(), "t-1");
    assert_eq!(token.base_url().unwrap().as_str(), "https://pod1.vendor.example/");
    assert_eq!(token.expires_at(), Some(NOON + Duration::from_secs(3600)));
    let names: Vec<_> = token.extra().keys().map(String::as_str).collect();
    assert_eq!(names, ["id", "instance_url", "issued_at", "scope"], "no secrets among them");
    assert_eq!(
        (token.extra()["issued_at"].as_str(), token.extra()["scope"].as_str()),
        ("1769860800000", "api web")
    );

    let form = &bench.forms()[0];
    let expected = [
        ("grant_type", "client_credentials"),
        ("client_id", "client"),
        ("client_secret", "s3cret&"),
        ("scope", "api web"),
    ];
    assert_eq!(form.len(), expected.len(), "{form:?}");
    for (name, value) in expected {
        assert_eq!(form[name], value, "{name}");
    }
    assert_eq!(Counters::get(&bench.cx.counters().token_refreshes), 1);
}

#[tokio::test]
async fn a_vendor_may_want_the_client_in_the_header() {
    let bench = Bench::new([granted("t-1", "")]).await;
    let source =
        ClientCredentials::new(bench.endpoint().client_auth(ClientAuth::Basic), "client", "s3cret".into());
    source.token(&bench.cx).await.unwrap();
    let request = &bench.server.requests()[0];
    assert!(request.contains("authorization: Basic Y2xpZW50OnMzY3JldA=="), "{request}");
    assert!(!bench.forms()[0].contains_key("client_secret"));
}

#[tokio::test]
async fn a_jwt_is_signed_states_who_and_for_whom_and_ends_in_three_minutes() {
    for name in ["client.pem", "client.pkcs1.pem"] {
        let bench = Bench::new([granted("t-1", "")]).await;
        let source = JwtBearer::new(
            bench.endpoint(),
            "client",
            "ada@acme.example",
            "https://login.vendor.example",
            &key(name),
        )
        .unwrap();
        source.token(&bench.cx).await.unwrap();
        let form = &bench.forms()[0];
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.set_audience(&["https://login.vendor.example"]);
        let public = DecodingKey::from_rsa_pem(key("client.pub.pem").expose().as_bytes()).unwrap();
        let token =
            jsonwebtoken::decode::<serde_json::Value>(&form["assertion"], &public, &validation).unwrap();
        let expected = serde_json::json!({
            "iss": "client", "sub": "ada@acme.example", "aud": "https://login.vendor.example",
            "exp": NOON.as_millis() / 1000 + 180,
        });
        assert_eq!((token.header.alg, token.claims), (Algorithm::RS256, expected));
    }
}

#[tokio::test]
async fn a_key_may_be_written_on_one_line() {
    let bench = Bench::new([granted("t-1", "")]).await;
    let line = Secret::new(key("client.pem").expose().replace('\n', "\\n"));
    JwtBearer::new(bench.endpoint(), "client", "ada", "vendor", &line).unwrap();
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_a_mistake_of_the_configuration() {
    let bench = Bench::new([]).await;
    let cut = key("client.pem").expose()[..400].to_owned();
    let short = key("client.pem").expose().replacen("MII", "MIX", 1);
    for wrong in [
        key("ec.pem"),
        key("client.pub.pem"),
        key("ca.pem"),
        cut.as_str().into(),
        short.as_str().into(),
        "canary-7f3a9c".into(),
    ] {
        let error = JwtBearer::new(bench.endpoint(), "client", "ada", "vendor", &wrong).unwrap_err();
        assert_eq!(error.class(), Class::Config);
        assert!(error.to_string().contains("`private_key`"), "{error}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"));
    }
}

#[tokio::test]
async fn each_assertion_is_new_and_a_refused_user_is_remembered_all_the_same() {
    let bench = Bench::new([refused("invalid_grant"), granted("t-1", "")]).await;
    let source = JwtBearer::new(bench.endpoint(), "client", "ada", "vendor", &key("client.pem")).unwrap();
    for _ in 0..10 {
        bench.clock.advance(Duration::from_secs(1));
        assert_eq!(source.token(&bench.cx).await.unwrap_err().class(), Class::Auth);
    }
    assert_eq!(bench.forms().len(), 1);
    bench.clock.advance(Duration::from_secs(300));
    assert!(source.token(&bench.cx).await.is_ok(), "a person may have allowed the client in the meantime");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let bench = Bench::new([
        granted("t-1", r#","expires_in":3600"#),
        granted("t-2", r#","expires_in":60"#),
        granted("t-3", ""),
    ])
    .await;
    let source = ClientCredentials::new(bench.endpoint(), "client", "s3cret".into());
    let mut given = Vec::new();
    // An hour less a minute; then a minute less its tenth.
    for wait in [0, 3539, 1, 53, 1, 1_000_000] {
        bench.clock.advance(Duration::from_secs(wait));
        given.push(source.token(&bench.cx).await.unwrap().secret().expose().clone());
    }
    assert_eq!(given, ["t-1", "t-1", "t-2", "t-2", "t-3", "t-3"]);
}

#[tokio::test]
async fn an_answer_that_is_no_token_says_so_and_shows_nothing_of_it() {
    let answers = [
        (json("200 OK", r#"{"access_token":"canary-7f3a9c","token_type":5}"#), Class::Permanent),
        (json("200 OK", r#"{"access_token":["canary-7f3a9c"]}"#), Class::Permanent),
        (json("200 OK", "<html>canary-7f3a9c</html>"), Class::Transient),
    ];
    for (answer, class) in answers {
        let bench = Bench::new([answer]).await;
        let source = ClientCredentials::new(bench.endpoint(), "client", "canary-7f3a9c".into());
        let error = source.token(&bench.cx).await.unwrap_err();
        assert_eq!(error.class(), class, "{error:?}");
        assert!(!format!("{error:?}").contains("canary-7f3a9c"), "{error:?}");
        assert_eq!(bench.server.requests().len(), 1, "what came whole is not asked for again");
    }
}

#[tokio::test]
async fn a_token_answer_that_broke_off_is_lost_like_one_that_never_came() {
    for body in ["", r#"{"access_token":"canary-7f3a"#] {
        let bench = Bench::new([json("200 OK", body)]).await;
        let source = ClientCredentials::new(bench.endpoint(), "client", "s3cret".into());
        let error = source.token(&bench.cx).await.unwrap_err();
        assert_eq!((error.class(), error.delivery()), (Class::Transient, Delivery::Unknown), "{error:?}");
    }
}

#[tokio::test]
async fn a_base_url_that_is_none_is_refused() {
    for url in ["undefined", "", "mailto:x", "/path"] {
        let bench = Bench::new([granted("t-1", &format!(r#","instance_url":"{url}""#))]).await;
        let source = ClientCredentials::new(
            bench.endpoint().base_url_field("instance_url"),
            "client",
            "s3cret".into(),
        );
        let error = source.token(&bench.cx).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{url}");
    }
}

#[tokio::test]
async fn what_may_go_away_is_tried_again_and_what_a_person_must_change_is_not() {
    // No wait between attempts but the one after "too many".
    let mut settings = connector_sdk::resilience::Resilience::default();
    settings.base_delay = Duration::ZERO;
    let unavailable = || json("503 Service Unavailable", "");
    let limited = || json("400 Bad Request", r#"{"error":"rate_limit_exceeded"}"#);
    let bench = Bench::with_settings(
        [unavailable(), limited(), granted("t-1", "")],
        Default::default(),
        settings.clone(),
    )
    .await;
    let source = RefreshToken::new(bench.endpoint(), "client", None, "r-1".into());
    let pause = async {
        until(|| bench.clock.log.count("sleep 100ms") > 0).await;
        bench.clock.advance(Duration::from_millis(100));
    };
    let (token, ()) = tokio::join!(source.token(&bench.cx), pause);
    token.unwrap();
    assert_eq!(bench.forms().len(), 3);

    let bench =
        Bench::with_settings([Reply::Reset, granted("t-1", "")], Default::default(), settings.clone()).await;
    let source = ClientCredentials::new(bench.endpoint(), "client", "s3cret".into());
    source.token(&bench.cx).await.unwrap();

    for code in ["invalid_grant", "invalid_client", "inactive_user", "invalid_request"] {
        let bench =
            Bench::with_settings([refused(code), granted("t-1", "")], Default::default(), settings.clone())
                .await;
        let source = ClientCredentials::new(bench.endpoint(), "client", "s3cret".into());
        let error = source.token(&bench.cx).await.unwrap_err();
        assert!(matches!(error.class(), Class::Auth | Class::Config), "{code}");
        assert_eq!(bench.forms().len(), 1, "{code}");
    }
}
