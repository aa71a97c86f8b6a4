//! Who gives the tokens, for each way to sign in.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Class, Context, Error, Result, Secret,
    auth::{self, AuthorizationCode, Rotating, StaticToken, Token, TokenEndpoint, TokenSource},
    http::HeaderMap,
};
use futures_util::future::BoxFuture;
use url::Url;

use crate::{
    config::{Auth, SalesforceConfig, Settings, wrong},
    door::Door,
    fault, hosts, manifest,
};

/// The field of a token answer that says where requests go.
const INSTANCE_URL: &str = "instance_url";

const TOKEN_PATH: &str = "/services/oauth2/token";

/// How a certificate begins in PEM.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// The source of tokens that the configuration asks for.
///
/// # Errors
/// Config when a private key is no RSA key, a certificate not that key's, or a URL is missing.
pub(crate) fn tokens(auth: &Auth, settings: &Settings, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    let endpoint = |host: &Url| endpoint(host, cx);
    let source: Arc<dyn TokenSource> = match auth {
        // My Domain only: login and test hosts refuse this grant, and the secret has no business there.
        Auth::ClientCredentials(auth) => {
            let (endpoint, id) = (endpoint(my_domain(settings)?)?, auth.client_id.clone());
            Arc::new(Rotating::new(cx, auth.client_secret.clone(), move |secret| {
                Ok(Arc::new(auth::ClientCredentials::new(endpoint.clone(), &id, secret.clone())))
            })?)
        }
        // A refresh goes to the host that issued the token.
        Auth::RefreshToken(auth) => {
            let (endpoint, id, token) =
                (endpoint(&settings.login_url)?, auth.client_id.clone(), auth.refresh_token.clone());
            let source = move |secret| match &token {
                Some(token) => auth::RefreshToken::new(endpoint.clone(), &id, secret, token.clone()),
                None => auth::RefreshToken::from_store(endpoint.clone(), &id, secret),
            };
            match auth.client_secret.clone() {
                Some(secret) => Arc::new(Rotating::new(cx, secret, move |secret| {
                    Ok(Arc::new(source(Some(secret.clone()))))
                })?),
                None => Arc::new(source(None)),
            }
        }
        Auth::JwtBearer(auth) => {
            let (endpoint, id, user) =
                (endpoint(&settings.login_url)?, auth.client_id.clone(), auth.username.clone());
            let audience = auth.audience.clone().unwrap_or_else(|| audience(&settings.login_url));
            Arc::new(Rotating::new(cx, auth.private_key.clone(), move |key| {
                Ok(Arc::new(auth::JwtBearer::new(endpoint.clone(), &id, &user, audience.clone(), key)?))
            })?)
        }
        Auth::SamlBearer(auth) => {
            let audience = auth.audience.clone().unwrap_or_else(|| audience(&settings.login_url));
            let at_audience = || format!("{}{TOKEN_PATH}", audience.trim_end_matches('/'));
            let recipient = auth.recipient.clone().unwrap_or_else(at_audience);
            let (endpoint, auth) = (endpoint(&settings.login_url)?, auth.clone());
            Arc::new(Rotating::new(cx, auth.private_key.clone(), move |key| {
                let source = auth::SamlBearer::new(
                    endpoint.clone(),
                    &auth.client_id,
                    &auth.username,
                    audience.clone(),
                    key,
                )?
                .with_recipient(recipient.clone())?;
                // A key that is changed brings its certificate with it, in the same secret.
                let certificate = match &auth.certificate {
                    _ if key.expose().contains(CERTIFICATE) => Some(key.expose()),
                    configured => configured.as_ref(),
                };
                Ok(Arc::new(match certificate {
                    Some(pem) => source.with_certificate(pem).map_err(|error| advise_certificate(&error))?,
                    None => source,
                }))
            })?)
        }
        Auth::Session(auth) => {
            let url = my_domain(settings)?.clone();
            let build = move |token: &Secret| -> Result<Arc<dyn TokenSource>> {
                Ok(Arc::new(StaticToken::new(token.clone()).with_base_url(url.clone())))
            };
            // Nobody has asked the vendor about a session that is only given.
            Arc::new(Rotating::new(cx, auth.access_token.clone(), build)?.promoted_by_use())
        }
    };
    // The other ways sign in at this very host, or name no other.
    let expected = match auth {
        Auth::RefreshToken(_) | Auth::JwtBearer(_) | Auth::SamlBearer(_) => settings.instance_url.clone(),
        Auth::ClientCredentials(_) | Auth::Session(_) => None,
    };
    let by_login = matches!(auth, Auth::RefreshToken(_));
    Ok(Arc::new(Advised { source, expected, by_login }))
}

/// How the user of `refresh_token` approves the app; the other ways need nobody. PKCE and the scopes as Help
/// documents them in "OAuth 2.0 Web Server Flow for Web App Integration". The scopes are those that the
/// manifest declares; the other grants ask for none, because there the app's own settings hold.
///
/// # Errors
/// Config when a field does not fit.
pub(crate) fn sign_in(config: &SalesforceConfig, cx: &Context) -> Result<Option<AuthorizationCode>> {
    let settings = config.check(cx.network(), Door::Rest)?;
    let Auth::RefreshToken(auth) = &config.auth else { return Ok(None) };
    let scopes = manifest::of(Door::Rest).auth_method(REFRESH_TOKEN).map(|method| method.scopes.clone());
    let code = AuthorizationCode::new(
        endpoint(&settings.login_url, cx)?,
        at(&settings.login_url, "/services/oauth2/authorize")?,
        &auth.client_id,
        auth.client_secret.clone(),
    );
    let expected = settings.instance_url.clone();
    let code = code.verify(move |token| {
        of_org(expected.as_ref(), token)?;
        // Where the configuration names the org, it may be changed there, by who has thought about it.
        Ok(if expected.is_none() { org_id(token) } else { None })
    });
    Ok(Some(code.scopes(scopes.unwrap_or_default()).replaces(auth.refresh_token.clone())))
}

/// The org's id, of the answer's `id`: `https://login.salesforce.com/id/ORG/USER` (Help, "Identity URLs").
fn org_id(token: &Token) -> Option<String> {
    let id = Url::parse(token.extra().get("id")?).ok()?;
    let mut parts = id.path_segments()?;
    (parts.next() == Some("id")).then(|| parts.next()).flatten().map(str::to_owned)
}

/// The key of the way to sign in that begins with a person.
const REFRESH_TOKEN: &str = "refresh_token";

fn endpoint(host: &Url, cx: &Context) -> Result<TokenEndpoint> {
    Ok(TokenEndpoint::new(cx, at(host, TOKEN_PATH)?)?.base_url_field(INSTANCE_URL))
}

fn at(host: &Url, path: &str) -> Result<Url> {
    host.join(path).map_err(|_| wrong("login_url", "is no base of a URL"))
}

/// A source whose refusals say, in this vendor's terms, what to do, and whose tokens are of the org that is
/// configured.
#[derive(Debug)]
struct Advised {
    source: Arc<dyn TokenSource>,
    expected: Option<Url>,
    /// A person signs in with `connector login`.
    by_login: bool,
}

impl Advised {
    fn advised(&self, error: Error) -> Error {
        let error = fault::signing_in(error);
        if self.by_login && error.class() == Class::Auth {
            return error.with_context("to_sign_in", "run `connector login -c FILE`");
        }
        error
    }

    fn check(&self, token: Token) -> Result<Token> {
        of_org(self.expected.as_ref(), &token).map(|()| token)
    }
}

/// A token of another org would read that org into this one's tables.
fn of_org(expected: Option<&Url>, token: &Token) -> Result<()> {
    match (expected, token.base_url()) {
        (Some(expected), Some(found)) if expected.origin() != found.origin() => {
            Err(another_org(expected, found))
        }
        _ => Ok(()),
    }
}

fn advise_certificate(error: &Error) -> Error {
    let what = error.message();
    let message = format!(
        "{what}: a key that is changed brings its certificate with it, in the same secret and below the key"
    );
    Error::config("connect", message).with_context("field", "auth.saml_bearer.certificate")
}

fn another_org(expected: &Url, found: &Url) -> Error {
    let [expected, found] = [expected, found].map(|url| url.origin().ascii_serialization());
    Error::config(
        "token",
        format!(
            "`{INSTANCE_URL}` is {expected}, but the credentials sign in to {found}: correct the one or the other"
        ),
    )
    .with_context("field", INSTANCE_URL)
}

#[async_trait]
impl TokenSource for Advised {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.source.held(cx).and_then(|token| self.check(token).ok())
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.source.token(cx).await.map_err(|error| self.advised(error)).and_then(|token| self.check(token))
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        let token = self.source.renew(cx, refused).await;
        token.map_err(|error| self.advised(error)).and_then(|token| self.check(token))
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        self.source.apply(token, headers, url)
    }

    fn accepted(&self, cx: &Context, token: &Token) -> Option<BoxFuture<'static, ()>> {
        self.source.accepted(cx, token)
    }
}

fn my_domain(settings: &Settings) -> Result<&Url> {
    settings.instance_url.as_ref().ok_or_else(|| wrong("instance_url", "is missing"))
}

/// The vendor wants the login host, not My Domain, as audience; a sandbox has the test host.
fn audience(login_url: &Url) -> String {
    let host = login_url.host_str().unwrap_or_default();
    if hosts::is_login_host(login_url) {
        format!("https://{host}")
    } else if host.contains(".sandbox.") {
        "https://test.salesforce.com".to_owned()
    } else {
        hosts::LOGIN_URL.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scopes_that_are_asked_for_are_those_that_the_manifest_declares() {
        let config = |auth: &str| -> SalesforceConfig {
            let text = format!(r#"{{"instance_url": "https://acme.my.salesforce.com", "auth": {auth}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let cx = Context::builder("acme", "crm").build();
        let code = sign_in(&config(r#"{"refresh_token": {"client_id": "key"}}"#), &cx).unwrap().unwrap();
        let begun = code.begin("http://localhost:1717/OauthRedirect".parse().unwrap());
        let scope = begun.url().query_pairs().find(|(name, _)| name == "scope").unwrap().1;
        let manifest = manifest::of(Door::Rest);
        let declared = &manifest.auth_method(REFRESH_TOKEN).unwrap().scopes;
        assert!(scope.split(' ').eq(declared.iter()) && !declared.is_empty(), "{scope}");
        assert_eq!(begun.url().host_str(), Some("login.salesforce.com"));
        let session = config(r#"{"session": {"access_token": "00D"}}"#);
        assert!(sign_in(&session, &cx).unwrap().is_none(), "nobody has to sign in");
    }

    #[test]
    fn the_org_of_a_token_is_read_from_the_identity_url() {
        let org = |id: &str| org_id(&Token::new("t".into()).with_extra("id", id));
        let url = "https://login.salesforce.com/id/00D5e0000000001EAA/0055e0000000001AAA";
        assert_eq!(org(url).as_deref(), Some("00D5e0000000001EAA"));
        for other in ["", "none", "https://login.salesforce.com/", "https://login.salesforce.com/other/00D"] {
            assert_eq!(org(other), None, "{other}");
        }
        assert_eq!(org_id(&Token::new("t".into())), None);
    }

    #[test]
    fn the_audience_is_the_host_that_signs_in() {
        for (login, expected) in [
            ("https://login.salesforce.com", "https://login.salesforce.com"),
            ("https://test.salesforce.com", "https://test.salesforce.com"),
            ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
            ("https://acme--box.sandbox.my.salesforce.com", "https://test.salesforce.com"),
        ] {
            assert_eq!(audience(&login.parse().unwrap()), expected);
        }
    }
}
