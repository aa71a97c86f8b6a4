//! Who gives the tokens, for each way to sign in.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Error, Result, Secret,
    auth::{AuthorizationCode, RefreshToken, Rotating, StaticToken, Token, TokenEndpoint, TokenSource},
    http::HeaderMap,
};
use futures_util::future::BoxFuture;
use url::Url;

use crate::{
    config::{Auth, SlackConfig, wrong},
    manifest,
};

/// Where codes and refresh tokens are exchanged.
const TOKEN_METHOD: &str = "oauth.v2.access";
/// Where a person allows the app (docs.slack.dev/authentication/installing-with-oauth).
const AUTHORIZE_PATH: &str = "/oauth/v2/authorize";

/// The source of tokens that the configuration asks for.
///
/// # Errors
/// Config when the network settings do not make sense.
pub(crate) fn tokens(auth: &Auth, base_url: &Url, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    match auth {
        Auth::BotToken(auth) | Auth::UserToken(auth) => given(&auth.token, cx),
        Auth::Oauth(auth) => {
            let (endpoint, id, token) =
                (endpoint(base_url, cx)?, auth.client_id.clone(), auth.refresh_token.clone());
            // The pairs of the bot and of a user are kept apart, because each descends from its own first token.
            let source = move |secret| match &token {
                Some(token) => RefreshToken::new(endpoint.clone(), &id, secret, token.clone()),
                None => RefreshToken::from_store(endpoint.clone(), &id, secret),
            };
            let source: Arc<dyn TokenSource> = match auth.client_secret.clone() {
                Some(secret) => Arc::new(Rotating::new(cx, secret, move |secret| {
                    Ok(Arc::new(source(Some(secret.clone()))))
                })?),
                None => Arc::new(source(None)),
            };
            Ok(Arc::new(Advised(source)))
        }
    }
}

/// A token that does not end, and that may be replaced in its store.
///
/// # Errors
/// Config when it cannot be used as one.
pub(crate) fn given(token: &Secret, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    let build =
        |token: &Secret| -> Result<Arc<dyn TokenSource>> { Ok(Arc::new(StaticToken::new(token.clone()))) };
    Ok(Arc::new(Rotating::new(cx, token.clone(), build)?.promoted_by_use()))
}

/// How a person allows the app of `oauth`, with PKCE; the other ways need nobody.
///
/// # Errors
/// Config when a field does not fit.
pub(crate) fn sign_in(config: &SlackConfig, cx: &Context) -> Result<Option<AuthorizationCode>> {
    let settings = config.check(cx.network())?;
    let Auth::Oauth(auth) = &config.auth else { return Ok(None) };
    let authorize =
        settings.base_url.join(AUTHORIZE_PATH).map_err(|_| wrong("base_url", "is no base of a URL"))?;
    let code = AuthorizationCode::new(
        endpoint(&settings.base_url, cx)?,
        authorize,
        &auth.client_id,
        auth.client_secret.clone(),
    );
    // The vendor wants them with commas between.
    let scopes = manifest::scopes(&settings).join(",");
    Ok(Some(code.parameter("scope", scopes).replaces(auth.refresh_token.clone())))
}

fn endpoint(base_url: &Url, cx: &Context) -> Result<TokenEndpoint> {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/{TOKEN_METHOD}", base_url.path().trim_end_matches('/')));
    TokenEndpoint::new(cx, url)
}

/// A source whose refusals say, in this vendor's terms, what to do.
#[derive(Debug)]
struct Advised(Arc<dyn TokenSource>);

/// Codes of the token endpoint that tell of the vendor and not of the credential.
const PASSING: [&str; 5] =
    ["fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"];

fn advised(error: Error) -> Error {
    let code = error.context().find(|(name, _)| *name == "error").map(|(_, code)| code.to_owned());
    match code.as_deref() {
        Some(code) if PASSING.contains(&code) => error.with_class(Class::Transient).into_exhausted(),
        Some("token_rotation_not_enabled") => error
            .with_class(Class::Config)
            .with_context("to_mend", "turn token rotation on, or use `bot_token`"),
        _ if error.class() == Class::Auth => error
            .with_context("to_sign_in", "run `connector login -c FILE`, or configure a new refresh token"),
        _ => error,
    }
}

#[async_trait]
impl TokenSource for Advised {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.0.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.0.token(cx).await.map_err(advised)
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.0.renew(cx, refused).await.map_err(advised)
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        self.0.apply(token, headers, url)
    }

    fn accepted(&self, cx: &Context, token: &Token) -> Option<BoxFuture<'static, ()>> {
        self.0.accepted(cx, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_allows_the_scopes_that_the_streams_and_actions_need() {
        let config = |text: &str| serde_json::from_str::<SlackConfig>(text).unwrap();
        let cx = Context::builder("acme", "chat").build();
        let oauth = config(
            r#"{"auth": {"oauth": {"client_id": "1.2", "client_secret": "s"}}, "channel_types": ["im"], "join": true}"#,
        );
        let begun = sign_in(&oauth, &cx).unwrap().unwrap().begin("http://localhost:1717/x".parse().unwrap());
        assert!(begun.url().as_str().starts_with("https://slack.com/oauth/v2/authorize?"), "{}", begun.url());
        let value = |name: &str| {
            begun.url().query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let scopes = value("scope").unwrap();
        assert!(scopes.contains("im:history,") && scopes.contains("chat:write"), "{scopes}");
        assert!(!scopes.contains("channels:"), "{scopes}");
        assert_eq!(value("code_challenge_method").as_deref(), Some("S256"));
        let bot = config(r#"{"auth": {"bot_token": {"token": "xoxb-1"}}}"#);
        assert!(sign_in(&bot, &cx).unwrap().is_none(), "nobody has to sign in");
    }

    #[test]
    fn a_vendor_that_is_down_refuses_nobody() {
        let refused = |code: &str| {
            advised(Error::new(Class::Auth, "token", "refused").with_context("error", code)).class()
        };
        assert_eq!(refused("internal_error"), Class::Transient);
        assert_eq!(refused("token_rotation_not_enabled"), Class::Config);
        assert_eq!(refused("invalid_refresh_token"), Class::Auth);
    }
}
