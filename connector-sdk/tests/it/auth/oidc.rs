//! Against an OpenID provider that nobody here wrote; `connector-testkit/interop/oidc_provider.sh` starts it and
//! runs these, which are left out otherwise.

use std::{collections::BTreeMap, sync::Arc};

use connector_sdk::{
    Class, Context, Network, Secret,
    auth::{
        AuthorizationCode, Callback, ClientAuth, ClientCredentials, RefreshToken, TokenEndpoint, TokenSource,
    },
    http::Url,
    secret::{MemoryTokens, TokenStore},
};

const SCOPES: [&str; 2] = ["openid", "offline_access"];

#[expect(clippy::disallowed_methods, reason = "the script says where the provider listens")]
fn issuer() -> Url {
    let text =
        std::env::var("CONNECTOR_OIDC_ISSUER").expect("CONNECTOR_OIDC_ISSUER is set by oidc_provider.sh");
    text.parse().unwrap()
}

/// A context with a store of its own.
fn context() -> (Context, Arc<MemoryTokens>) {
    let store = Arc::<MemoryTokens>::default();
    let cx = Context::builder("acme", "desk").network(Network::loopback()).tokens(store.clone()).build();
    (cx, store)
}

fn endpoint(cx: &Context) -> TokenEndpoint {
    TokenEndpoint::new(cx, issuer().join("/token").unwrap()).unwrap()
}

/// A browser as far as it takes: follows redirects with cookies until it is sent to `back`; answers the query.
async fn browse(start: &Url, back: &Url) -> String {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let (mut at, mut cookies) = (start.clone(), BTreeMap::<String, String>::new());
    for _ in 0..20 {
        if at.path() == back.path() && at.port() == back.port() {
            return at.query().unwrap_or_default().to_owned();
        }
        let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = client.get(at.clone()).header("cookie", jar.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => cookies.remove(name),
                value => cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        let Some(location) = response.headers().get("location") else {
            panic!("{} without a redirect: {}", response.status(), response.text().await.unwrap());
        };
        at = at.join(location.to_str().unwrap()).unwrap();
    }
    panic!("redirected without end");
}

/// Signs the user in, with this provider named as the issuer.
async fn sign_in(cx: &Context) {
    let back: Url = "http://127.0.0.1:8085/callback".parse().unwrap();
    let issuer = issuer();
    let sign_in = AuthorizationCode::new(endpoint(cx), issuer.join("/auth").unwrap(), "person", None)
        .scopes(SCOPES)
        .parameter("prompt", "consent")
        .issuer(issuer.as_str().trim_end_matches('/'))
        .begin(back.clone());
    let query = browse(sign_in.url(), &back).await;
    assert!(query.contains("iss="), "the provider names itself (RFC 9207)");
    let token = sign_in.exchange(cx, &Callback::from_query(&query).unwrap()).await.unwrap();
    assert!(token.expires_at().is_some());
}

/// The refresh token that is kept.
async fn kept(store: &MemoryTokens) -> Secret {
    let text = store.get("refresh_token").await.unwrap().unwrap();
    let stored: serde_json::Value = serde_json::from_str(text.expose()).unwrap();
    stored["refresh_token"].as_str().unwrap().into()
}

#[tokio::test]
#[ignore = "needs oidc-provider: connector-testkit/interop/oidc_provider.sh"]
async fn client_credentials_are_served_in_the_form_and_in_the_header() {
    let (cx, _) = context();
    for (client, how) in [("machine", ClientAuth::Form), ("basic", ClientAuth::Basic)] {
        let source = ClientCredentials::new(endpoint(&cx).client_auth(how), client, "s3cret".into());
        let token = source.token(&cx).await.unwrap();
        assert!(!token.secret().expose().is_empty() && token.expires_at().is_some());
        let wrong = ClientCredentials::new(endpoint(&cx).client_auth(how), client, "guess".into());
        assert_eq!(wrong.token(&cx).await.unwrap_err().class(), Class::Auth);
    }
}

#[tokio::test]
#[ignore = "needs oidc-provider: connector-testkit/interop/oidc_provider.sh"]
async fn a_public_client_signs_in_with_pkce_and_each_refresh_rotates() {
    let (cx, store) = context();
    sign_in(&cx).await;
    let source = RefreshToken::from_store(endpoint(&cx), "person", None);
    let mut seen = std::collections::BTreeSet::from([kept(&store).await.expose().clone()]);
    let mut token = source.token(&cx).await.unwrap();
    for round in 2..=6 {
        assert!(seen.insert(kept(&store).await.expose().clone()), "a new refresh token each time");
        assert_eq!(seen.len(), round);
        token = source.renew(&cx, &token).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs oidc-provider: connector-testkit/interop/oidc_provider.sh"]
async fn case_74_a_refresh_token_that_comes_back_is_refused_and_ends_the_approval() {
    let (cx, store) = context();
    sign_in(&cx).await;
    let first = kept(&store).await;
    let source = RefreshToken::from_store(endpoint(&cx), "person", None);
    let token = source.token(&cx).await.unwrap();
    // A process that knows nothing of the rotation.
    let (elsewhere, _) = context();
    let stale = RefreshToken::new(endpoint(&elsewhere), "person", None, first);
    let error = stale.token(&elsewhere).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth, "{error}");
    assert!(error.message().contains("authorise again"), "{error}");
    // The provider takes it for theft, and revokes what came after as well.
    let error = source.renew(&cx, &token).await.unwrap_err();
    assert_eq!(error.class(), Class::Auth, "{error}");
    sign_in(&cx).await;
    source.token(&cx).await.unwrap();
}
