use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use connector_sdk::{
    Class, Error, Secret,
    auth::{AuthorizationCode, Callback, RefreshToken, SignIn, Token, TokenSource},
    context::Background,
    http::Url,
    secret::TokenStore as _,
};

use super::{Bench, granted, refused};
use crate::support::{soon, until};

const ISSUER: &str = "https://login.vendor.example";

fn redirect() -> Url {
    "http://127.0.0.1:8085/callback".parse().unwrap()
}

fn code(bench: &Bench) -> AuthorizationCode {
    let authorize = "https://login.vendor.example/authorize?tenant=a%26b".parse().unwrap();
    AuthorizationCode::new(bench.endpoint(), authorize, "client", Some("s3cret".into()))
        .scopes(["read", "offline_access"])
        .parameter("prompt", "consent")
        .issuer(ISSUER)
}

fn parameters(sign_in: &SignIn) -> BTreeMap<String, String> {
    sign_in.url().query_pairs().into_owned().collect()
}

/// The redirect of a server that agrees, with more parameters.
fn agreed(sign_in: &SignIn, more: &str) -> Callback {
    let state = &parameters(sign_in)["state"];
    Callback::from_query(&format!("code=c-1&state={state}{more}")).unwrap()
}

fn approved() -> super::Reply {
    granted("t-1", r#","refresh_token":"r-1","expires_in":3600"#)
}

#[tokio::test]
async fn the_address_asks_for_what_is_declared_and_carries_a_proof_that_only_we_can_redeem() {
    let bench = Bench::new([]).await;
    let sign_in = code(&bench).begin(redirect());
    assert!(sign_in.url().as_str().starts_with("https://login.vendor.example/authorize?"));
    let asked = parameters(&sign_in);
    for (name, value) in [
        ("tenant", "a&b"),
        ("response_type", "code"),
        ("client_id", "client"),
        ("redirect_uri", "http://127.0.0.1:8085/callback"),
        ("scope", "read offline_access"),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    assert_eq!(asked.len(), 9, "these, a state and a challenge: {asked:?}");
    assert_eq!(asked["code_challenge"].len(), 43);
    let again = parameters(&code(&bench).begin(redirect()));
    for name in ["state", "code_challenge"] {
        assert!(asked[name].len() >= 22 && again[name] != asked[name], "{name} is new each time");
    }
}

#[tokio::test]
async fn a_code_is_exchanged_with_its_proof_and_the_refresh_token_kept_for_every_later_run() {
    let bench = Bench::new([approved(), granted("t-2", r#","refresh_token":"r-2""#)]).await;
    let sign_in = code(&bench).begin(redirect());
    let challenge = parameters(&sign_in)["code_challenge"].clone();
    let callback = agreed(&sign_in, &format!("&iss={ISSUER}"));
    let token = sign_in.exchange(&bench.cx, &callback).await.unwrap();
    assert_eq!(token.secret().expose(), "t-1");
    let form = &bench.forms()[0];
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "c-1"),
        ("redirect_uri", "http://127.0.0.1:8085/callback"),
        ("client_id", "client"),
        ("client_secret", "s3cret"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    assert_eq!(form.len(), 6, "{form:?}");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(digest), challenge);

    let source = RefreshToken::from_store(bench.endpoint(), "client", Some("s3cret".into()));
    assert_eq!(source.token(&bench.cx).await.unwrap().secret().expose(), "t-2");
    assert_eq!(bench.forms()[1]["refresh_token"], "r-1");
    assert_eq!(bench.store.log.entries(), ["kept r-1", "kept r-2"]);
}

#[tokio::test]
async fn who_has_signed_in_is_heard_over_the_token_that_was_configured() {
    let bench = Bench::new([approved(), granted("t-2", ""), granted("t-3", "")]).await;
    let sign_in = code(&bench).replaces(Some("r-old".into())).begin(redirect());
    let callback = agreed(&sign_in, "");
    sign_in.exchange(&bench.cx, &callback).await.unwrap();
    for configured in ["r-old", "r-newer"] {
        let source = RefreshToken::new(bench.endpoint(), "client", None, configured.into());
        source.token(&bench.cx).await.unwrap();
    }
    assert_eq!(bench.forms()[1]["refresh_token"], "r-1");
    assert_eq!(bench.forms()[2]["refresh_token"], "r-newer", "configured after the sign-in");
}

#[tokio::test]
async fn a_redirect_that_cannot_be_believed_is_refused_before_anything_is_sent() {
    let bench = Bench::new([]).await;
    for (query, expected) in [
        ("code=c-1", "does not belong"),
        ("code=c-1&state=", "does not belong"),
        ("code=c-1&state=STATEx", "does not belong"),
        ("code=c-1&state=guess", "does not belong"),
        ("error=access_denied&state=guess", "does not belong"),
        ("code=c-1&state=STATE&iss=https://evil.example", "another server"),
        ("code=c-1&state=STATE&iss=https://login.vendor.example/", "another server"),
        ("error=access_denied&state=STATE&iss=https://evil.example", "another server"),
        ("state=STATE", "no code"),
        ("state=STATE&code=", "no code"),
    ] {
        let sign_in = code(&bench).begin(redirect());
        let query = query.replace("STATE", &parameters(&sign_in)["state"]);
        let callback = Callback::from_query(&query).unwrap();
        assert_eq!(sign_in.recognises(&callback), expected != "does not belong", "{query}");
        let error = sign_in.exchange(&bench.cx, &callback).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth, "{query}: {error}");
        assert!(error.message().contains(expected), "{query}: {error}");
        assert!(!format!("{error:?}").contains("evil"), "{error:?}");
    }
    let error = Callback::from_query("code=c-1&state=a&state=b").unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(bench.forms().is_empty());
}

#[tokio::test]
async fn a_refusal_is_class_auth_with_the_servers_code_and_nothing_else_of_it() {
    let bench = Bench::new([]).await;
    for (code_, shown) in [("access_denied", Some("access_denied")), ("<b>evil</b>", None)] {
        let sign_in = code(&bench).begin(redirect());
        let query = format!(
            "error={code_}&error_description=call+0900-evil&state={}&code=c-1",
            parameters(&sign_in)["state"]
        );
        let error = sign_in.exchange(&bench.cx, &Callback::from_query(&query).unwrap()).await.unwrap_err();
        assert_eq!(error.class(), Class::Auth, "{error}");
        let context: BTreeMap<_, _> = error.context().collect();
        assert_eq!(context.get("error").copied(), shown);
        assert!(!format!("{error:?}").contains("evil"), "{error:?}");
    }
    assert!(bench.forms().is_empty());
}

#[tokio::test]
async fn a_code_that_the_vendor_does_not_take_keeps_nothing() {
    let bench = Bench::new([refused("invalid_grant")]).await;
    let sign_in = code(&bench).begin(redirect());
    let callback = agreed(&sign_in, "");
    let error = sign_in.exchange(&bench.cx, &callback).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth, "{error}");
    assert!(bench.store.get("refresh_token").await.unwrap().is_none());
}

/// Signs in; the answer names this account.
async fn sign_in(bench: &Bench, code: AuthorizationCode) -> connector_sdk::Result<Token> {
    let sign_in = code.begin(redirect());
    let callback = agreed(&sign_in, "");
    sign_in.exchange(&bench.cx, &callback).await
}

fn of_account(account: &str) -> super::Reply {
    granted("t", &format!(r#","refresh_token":"of-{account}","account":"{account}""#))
}

#[tokio::test]
async fn a_token_that_does_not_stand_the_check_is_not_kept_and_the_one_before_stays() {
    let bench = Bench::new([approved(), of_account("evil"), granted("t-2", "")]).await;
    sign_in(&bench, code(&bench)).await.unwrap();
    let strict = code(&bench).verify(|token| match token.extra().get("account").map(String::as_str) {
        Some("evil") => Err(Error::config("sign in", "another org")),
        _ => Ok(None),
    });
    let error = sign_in(&bench, strict).await.unwrap_err();
    assert_eq!((error.class(), error.message()), (Class::Config, "another org"));
    RefreshToken::from_store(bench.endpoint(), "client", None).token(&bench.cx).await.unwrap();
    assert_eq!(bench.forms()[2]["refresh_token"], "r-1");
}

#[tokio::test]
async fn who_signs_in_to_another_account_than_before_is_refused_also_when_the_token_has_rotated_since() {
    let rotated = granted("t", r#","refresh_token":"r-2""#);
    let bench = Bench::new([of_account("one"), rotated, of_account("two"), of_account("one")]).await;
    let code = || code(&bench).verify(|token| Ok(token.extra().get("account").cloned()));
    sign_in(&bench, code()).await.unwrap();
    RefreshToken::from_store(bench.endpoint(), "client", None).token(&bench.cx).await.unwrap();
    let error = sign_in(&bench, code()).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    assert!(error.to_string().contains("one") && error.to_string().contains("two"), "{error}");
    assert!(bench.store.get("refresh_token").await.unwrap().unwrap().expose().contains("r-2"));
    sign_in(&bench, code()).await.unwrap();
    assert!(bench.store.get("refresh_token").await.unwrap().unwrap().expose().contains("of-one"));
}

#[tokio::test]
async fn a_code_is_not_spent_before_the_token_can_be_kept() {
    let bench = Bench::new([approved()]).await;
    let _other = bench.store.try_lock("refresh_token").await.unwrap();
    bench.cx.stop().cancel(); // so that the other is not waited for
    let error = soon(sign_in(&bench, code(&bench))).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    assert!(bench.forms().is_empty());
}

#[tokio::test]
async fn a_token_that_cannot_be_kept_at_once_is_kept_later_and_else_that_is_said() {
    let bench = Bench::new([approved(), approved()]).await;
    bench.store.failing(true);
    let mended = async {
        until(|| bench.clock.log.count("sleep 500ms") > 0).await;
        bench.store.failing(false);
        bench.clock.advance(Duration::from_millis(500));
    };
    let (token, ()) = tokio::join!(soon(sign_in(&bench, code(&bench))), mended);
    token.unwrap();
    assert_eq!(bench.store.log.entries(), ["kept r-1"]);

    bench.store.failing(true);
    let broken = async {
        for pause in ["500ms", "1s", "2s", "4s", "8s", "16s"] {
            let seen = if pause == "500ms" { 1 } else { 0 };
            until(|| bench.clock.log.count(&format!("sleep {pause}")) > seen).await;
            bench.clock.skip();
        }
    };
    let (token, ()) = tokio::join!(soon(sign_in(&bench, code(&bench))), broken);
    let error = token.unwrap_err();
    assert!(error.message().contains("could not be kept"), "{error}");
}

#[tokio::test]
async fn a_sign_in_outlives_who_waits_for_it() {
    let bench = Bench::new([approved()]).await;
    let mut waiting = Box::pin(sign_in(&bench, code(&bench)));
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the answer came before it was looked for"),
        () = bench.server.arrival() => drop(waiting),
    }
    soon(bench.cx.background().settled(&*bench.clock, Background::PATIENCE)).await.unwrap();
    assert_eq!(bench.store.log.entries(), ["kept r-1"]);
}

#[tokio::test]
async fn who_signs_in_leaves_the_descent_of_a_configured_token_alone_and_is_heard() {
    let replies =
        ["r-2", "s-1", "r-3", "s-2"].map(|next| granted("t", &format!(r#","refresh_token":"{next}""#)));
    let bench = Bench::new(replies).await;
    let old = || RefreshToken::new(bench.endpoint(), "client", None, "r-1".into());
    old().token(&bench.cx).await.unwrap();
    sign_in(&bench, code(&bench)).await.unwrap();
    old().token(&bench.cx).await.unwrap();
    RefreshToken::from_store(bench.endpoint(), "client", None).token(&bench.cx).await.unwrap();
    let used: Vec<_> = bench.forms().iter().filter_map(|form| form.get("refresh_token").cloned()).collect();
    assert_eq!(used, ["r-1", "r-2", "s-1"]);
}

#[tokio::test]
async fn what_nobody_can_read_keeps_nobody_from_signing_in() {
    let bench = Bench::new([approved(), granted("t-2", "")]).await;
    bench.store.put("refresh_token", Secret::from("{}")).await.unwrap();
    sign_in(&bench, code(&bench)).await.unwrap();
    RefreshToken::from_store(bench.endpoint(), "client", None).token(&bench.cx).await.unwrap();
    assert_eq!(bench.forms()[1]["refresh_token"], "r-1");
}

#[tokio::test]
async fn a_sign_in_without_a_refresh_token_says_which_scope_is_missing() {
    let bench = Bench::new([granted("t-1", "")]).await;
    let sign_in = code(&bench).begin(redirect());
    let callback = agreed(&sign_in, "");
    let error = sign_in.exchange(&bench.cx, &callback).await.unwrap_err();
    assert_eq!(error.class(), Class::Config, "{error}");
    assert!(error.message().contains("scope"), "{error}");
}

#[tokio::test]
async fn before_anybody_has_signed_in_nothing_is_sent() {
    let bench = Bench::new([]).await;
    let error =
        RefreshToken::from_store(bench.endpoint(), "client", None).token(&bench.cx).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth);
    assert!(error.message().contains("nobody has signed in"), "{error}");
    bench.store.put("refresh_token", Secret::from("from-login")).await.unwrap();
    assert!(bench.forms().is_empty());
}
