//! Who gives the tokens, for each way to sign in.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Context, Error, Result, Secret,
    auth::{self, Rotating, StaticToken, Token, TokenEndpoint, TokenSource},
    http::HeaderMap,
};
use url::Url;

use crate::{
    config::{Auth, Settings, wrong},
    fault, hosts,
};

/// The field of a token answer that says where requests go.
const INSTANCE_URL: &str = "instance_url";

const TOKEN_PATH: &str = "/services/oauth2/token";

/// The source of tokens that the configuration asks for.
///
/// # Errors
/// Config when a private key is no RSA key, a certificate not that key's, or a URL is missing.
pub(crate) fn tokens(auth: &Auth, settings: &Settings, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    let endpoint = |host: &Url| -> Result<TokenEndpoint> {
        let url = host.join(TOKEN_PATH).map_err(|_| wrong("login_url", "is no base of a URL"))?;
        Ok(TokenEndpoint::new(cx, url)?.base_url_field(INSTANCE_URL))
    };
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
            let source = move |secret| auth::RefreshToken::new(endpoint.clone(), &id, secret, token.clone());
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
            let source = auth::SamlBearer::new(
                endpoint(&settings.login_url)?,
                &auth.client_id,
                &auth.username,
                audience,
                &auth.private_key,
            )?
            .with_recipient(recipient)?;
            Arc::new(match &auth.certificate {
                Some(pem) => source.with_certificate(pem)?,
                None => source,
            })
        }
        Auth::Session(auth) => {
            let url = my_domain(settings)?.clone();
            let build = move |token: &Secret| -> Result<Arc<dyn TokenSource>> {
                Ok(Arc::new(StaticToken::new(token.clone()).with_base_url(url.clone())))
            };
            // Nobody has asked the vendor about a session that is only given.
            Arc::new(Rotating::new(cx, auth.access_token.clone(), build)?.without_promotion())
        }
    };
    // The other ways sign in at this very host, or name no other.
    let expected = match auth {
        Auth::RefreshToken(_) | Auth::JwtBearer(_) | Auth::SamlBearer(_) => settings.instance_url.clone(),
        Auth::ClientCredentials(_) | Auth::Session(_) => None,
    };
    Ok(Arc::new(Advised { source, expected }))
}

/// A source whose refusals say, in this vendor's terms, what to do, and whose tokens are of the org that is
/// configured.
#[derive(Debug)]
struct Advised {
    source: Arc<dyn TokenSource>,
    expected: Option<Url>,
}

impl Advised {
    /// A token of another org would read that org into this one's tables.
    fn check(&self, token: Token) -> Result<Token> {
        match (&self.expected, token.base_url()) {
            (Some(expected), Some(found)) if expected.origin() != found.origin() => {
                Err(another_org(expected, found))
            }
            _ => Ok(token),
        }
    }
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
        self.source.held(cx).filter(|token| self.check(token.clone()).is_ok())
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        self.source.token(cx).await.map_err(fault::signing_in).and_then(|token| self.check(token))
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.source.renew(cx, refused).await.map_err(fault::signing_in).and_then(|token| self.check(token))
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        self.source.apply(token, headers, url)
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
