//! Who gives the tokens, for each way to sign in.

use std::sync::Arc;

use async_trait::async_trait;
use connector_sdk::{
    Context, Result,
    auth::{self, StaticToken, Token, TokenEndpoint, TokenSource},
    http::HeaderMap,
};
use url::Url;

use crate::{
    config::{Auth, Settings, wrong},
    fault, hosts,
};

/// The field of a token answer that says where requests go.
const INSTANCE_URL: &str = "instance_url";

/// The source of tokens that the configuration asks for.
///
/// # Errors
/// Config when a private key is no RSA key, or a URL is missing.
pub(crate) fn tokens(auth: &Auth, settings: &Settings, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    let endpoint = |host: &Url| -> Result<TokenEndpoint> {
        let url =
            host.join("/services/oauth2/token").map_err(|_| wrong("login_url", "is no base of a URL"))?;
        Ok(TokenEndpoint::new(cx, url)?.base_url_field(INSTANCE_URL))
    };
    let source: Arc<dyn TokenSource> = match auth {
        // My Domain only: login and test hosts refuse this grant, and the secret has no business there.
        Auth::ClientCredentials(auth) => Arc::new(auth::ClientCredentials::new(
            endpoint(my_domain(settings)?)?,
            &auth.client_id,
            auth.client_secret.clone(),
        )),
        // A refresh goes to the host that issued the token.
        Auth::RefreshToken(auth) => Arc::new(auth::RefreshToken::new(
            endpoint(&settings.login_url)?,
            &auth.client_id,
            auth.client_secret.clone(),
            auth.refresh_token.clone(),
        )),
        Auth::JwtBearer(auth) => Arc::new(auth::JwtBearer::new(
            endpoint(&settings.login_url)?,
            &auth.client_id,
            &auth.username,
            auth.audience.clone().unwrap_or_else(|| audience(&settings.login_url)),
            &auth.private_key,
        )?),
        Auth::Session(auth) => {
            Arc::new(StaticToken::new(auth.access_token.clone()).with_base_url(my_domain(settings)?.clone()))
        }
    };
    Ok(Arc::new(Advised(source)))
}

/// A source whose refusals say, in this vendor's terms, what to do.
#[derive(Debug)]
struct Advised(Arc<dyn TokenSource>);

#[async_trait]
impl TokenSource for Advised {
    async fn token(&self, cx: &Context) -> Result<Token> {
        self.0.token(cx).await.map_err(fault::signing_in)
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        self.0.renew(cx, refused).await.map_err(fault::signing_in)
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, url: &mut Url) -> Result<()> {
        self.0.apply(token, headers, url)
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
