//! A user who approves in a browser: the code, and what it is good for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connector_testkit::salesforce::FakeOrg;
use url::Url;

use super::client::{http, read};
use super::{Answer, within};

const BACK: &str = "http://127.0.0.1:1/callback";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-of-43-characters";

/// Where the org sends the browser that opens the address with these changes.
async fn approve(org: &FakeOrg, changes: &[(&str, &str)]) -> Url {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(digest);
    let mut url = Url::parse(&format!("{}/services/oauth2/authorize", org.url())).expect("url");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", org.credentials().client_id.as_str()),
        ("redirect_uri", BACK),
        ("state", "s"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ] {
        let changed = changes.iter().find(|(known, _)| *known == name).map_or(value, |(_, value)| value);
        url.query_pairs_mut().append_pair(name, changed);
    }
    let browser =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("client");
    let response = browser.get(url).send().await.expect("an answer");
    assert_eq!(response.status(), 302);
    response.headers()["location"].to_str().expect("text").parse().expect("url")
}

fn field(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

async fn redeem(org: &FakeOrg, code: &str, verifier: &str, redirect_uri: &str) -> Answer {
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &org.credentials().client_id),
        ("code", code),
        ("code_verifier", verifier),
        ("redirect_uri", redirect_uri),
    ];
    read(http().post(format!("{}/services/oauth2/token", org.url())).form(&fields)).await.expect("an answer")
}

#[test]
fn a_code_is_good_once_with_its_verifier_and_its_address() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        let back = approve(&org, &[]).await;
        assert!(back.as_str().starts_with(BACK) && field(&back, "state").as_deref() == Some("s"));
        let code = field(&back, "code").expect("a code");
        let answer = redeem(&org, &code, VERIFIER, BACK).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.json()["refresh_token"].is_string(), "{}", answer.text);
        let again = redeem(&org, &code, VERIFIER, BACK).await;
        assert_eq!((again.status, &again.json()["error"]), (400, &"invalid_grant".into()));
        for (verifier, redirect_uri, error) in [
            ("another", BACK, "invalid_grant"),
            ("", BACK, "invalid_grant"),
            (VERIFIER, "http://127.0.0.1:2/callback", "redirect_uri_mismatch"),
        ] {
            let code = field(&approve(&org, &[]).await, "code").expect("a code");
            let answer = redeem(&org, &code, verifier, redirect_uri).await;
            assert_eq!((answer.status, &answer.json()["error"]), (400, &error.into()));
        }
    });
}

#[test]
fn a_code_ends_after_a_quarter_of_an_hour() {
    within(async {
        let org = FakeOrg::builder().clock(|| 1_700_000_000_000).start().await.expect("start");
        let code = field(&approve(&org, &[]).await, "code").expect("a code");
        org.advance(Duration::from_secs(15 * 60));
        assert_eq!(redeem(&org, &code, VERIFIER, BACK).await.json()["error"], "invalid_grant");
    });
}

#[test]
fn without_pkce_nobody_is_approved() {
    within(async {
        let org = FakeOrg::builder().start().await.expect("start");
        for changes in [[("code_challenge_method", "plain")], [("code_challenge", "")]] {
            let back = approve(&org, &changes).await;
            assert_eq!(field(&back, "error").as_deref(), Some("invalid_request"));
            assert!(field(&back, "code").is_none());
        }
    });
}
