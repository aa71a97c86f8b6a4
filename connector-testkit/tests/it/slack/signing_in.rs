//! Signing in: codes with PKCE, rotation, exchange.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connector_testkit::slack::{FakeWorkspace, OAuth};

use super::{Answer, Client, builder, within};

/// The code that the page sends a browser back with.
pub(super) async fn code(url: &str) -> String {
    let browser =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = browser.get(url).send().await.unwrap();
    let back = url::Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

async fn refresh(client: &Client, oauth: &OAuth, token: &str) -> Answer {
    let form = [
        ("client_id", oauth.client_id.as_str()),
        ("client_secret", &oauth.client_secret),
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
    ];
    client.form("oauth.v2.access", &form).await
}

async fn workspace() -> (FakeWorkspace, Client, OAuth) {
    let (builder, _) = builder();
    let ws = builder.start().await.unwrap();
    let (client, oauth) = (Client::new(&ws), ws.oauth());
    (ws, client, oauth)
}

#[test]
fn a_refresh_token_is_good_once_and_bot_and_user_rotate_apart() {
    within(async {
        let (ws, client, oauth) = workspace().await;
        let first = refresh(&client, &oauth, &oauth.refresh_token).await.body;
        assert_eq!((first["token_type"].as_str(), first["expires_in"].as_i64()), (Some("bot"), Some(43_200)));
        let access = first["access_token"].as_str().unwrap();
        assert!(access.starts_with("xoxe.xoxb-1-"));
        assert_eq!(refresh(&client, &oauth, &oauth.refresh_token).await.error(), "invalid_refresh_token");
        let next = first["refresh_token"].as_str().unwrap();
        assert!(next.starts_with("xoxe-1-"));
        assert_eq!(refresh(&client, &oauth, next).await.error(), "");
        let user = refresh(&client, &oauth, &oauth.user_refresh_token).await.body;
        assert_eq!(user["token_type"], "user");
        assert!(user["access_token"].as_str().unwrap().starts_with("xoxe.xoxp-1-"));
        assert_eq!(client.with(access).get("auth.test", &[]).await.error(), "");
        ws.expire_tokens();
        assert_eq!(client.with(access).get("auth.test", &[]).await.error(), "token_expired");
        let log = format!("{:?}", ws.requests());
        assert!(!log.contains(&oauth.refresh_token) && !log.contains(&oauth.client_secret));
        ws.shutdown().await;
    });
}

#[test]
fn a_code_is_bound_to_its_verifier_and_good_once() {
    within(async {
        let (ws, client, oauth) = workspace().await;
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let page = format!(
            "{}/oauth/v2/authorize?client_id={}&redirect_uri=http://localhost/back&state=s&code_challenge={challenge}\
             &code_challenge_method=S256",
            ws.url(),
            oauth.client_id
        );
        let access = async |code: &str, verifier: &str| {
            let form = [
                ("client_id", oauth.client_id.as_str()),
                ("code", code),
                ("redirect_uri", "http://localhost/back"),
                ("code_verifier", verifier),
            ];
            client.form("oauth.v2.access", &form).await
        };
        assert_eq!(access(&code(&page).await, "another").await.error(), "invalid_code");
        let good = code(&page).await;
        let signed_in = access(&good, verifier).await;
        assert_eq!(signed_in.error(), "");
        assert!(signed_in.body["authed_user"]["access_token"].as_str().unwrap().starts_with("xoxe.xoxp-1-"));
        assert_eq!(access(&good, verifier).await.error(), "invalid_code");
        ws.shutdown().await;
    });
}

#[test]
fn a_long_lived_token_is_exchanged_once_and_wrong_clients_are_told() {
    within(async {
        let (ws, client, oauth) = workspace().await;
        let known = [("client_id", oauth.client_id.as_str()), ("client_secret", &oauth.client_secret)];
        let pair = client.form("oauth.v2.exchange", &known).await.body;
        assert_eq!(
            client.with(pair["access_token"].as_str().unwrap()).get("auth.test", &[]).await.error(),
            ""
        );
        assert_eq!(client.form("oauth.v2.exchange", &known).await.error(), "token_already_exchanged");
        assert_eq!(client.get("auth.test", &[]).await.error(), "invalid_auth");
        let wrong = [("client_id", oauth.client_id.as_str()), ("client_secret", "no")];
        assert_eq!(client.form("oauth.v2.access", &wrong).await.error(), "bad_client_secret");
        assert_eq!(client.form("oauth.v2.access", &[("client_id", "no")]).await.error(), "invalid_client_id");
        let grant = [known.as_slice(), &[("grant_type", "password")]].concat();
        assert_eq!(client.form("oauth.v2.access", &grant).await.error(), "invalid_grant_type");
        ws.shutdown().await;
    });
}
