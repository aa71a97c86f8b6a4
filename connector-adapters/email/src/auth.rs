//! Who gives the credential, for each way to sign in. Shared by IMAP and SMTP.

use std::sync::Arc;

use connector_sdk::{
    Context, Result, Secret,
    auth::{
        AuthorizationCode, ClientCredentials, RefreshToken, Rotating, StaticToken, Token, TokenEndpoint,
        TokenSource,
    },
};
use url::Url;

use crate::config::{Auth, Grant, Oauth, TokenAuth, wrong};

/// What is proven to a server, and how it wants to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A password.
    Password,
    /// An access token, as Google and Microsoft want it.
    XOAuth2,
    /// An access token (RFC 7628).
    OAuthBearer,
}

/// A user, and what proves who that is. Debug shows no secret.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) username: Arc<str>,
    pub(crate) kind: Kind,
    token: Token,
}

impl Credential {
    #[cfg(any(test, fuzzing))]
    pub(crate) fn new(username: &str, kind: Kind, secret: Secret) -> Self {
        Self { username: username.into(), kind, token: Token::new(secret) }
    }

    /// The password or the access token.
    pub(crate) fn secret(&self) -> &Secret {
        self.token.secret()
    }
}

/// Where a vendor gives tokens, and which scopes it has for mail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vendor {
    pub(crate) token_url: &'static str,
    pub(crate) authorize_url: &'static str,
    pub(crate) scopes: &'static [&'static str],
    /// The scope with which an app signs in as itself.
    pub(crate) app_scope: Option<&'static str>,
    /// What its authorisation page wants to be told besides (Google, "Using OAuth 2.0 for Web Server Applications":
    /// without them no refresh token is given).
    pub(crate) parameters: &'static [(&'static str, &'static str)],
}

/// Gives the credential of a connection, and a new one when the server refuses it.
#[derive(Debug)]
pub(crate) struct Login {
    username: Arc<str>,
    kind: Kind,
    tokens: Arc<dyn TokenSource>,
}

impl Login {
    /// The login that the configuration asks for.
    ///
    /// # Errors
    /// Config when a field does not fit.
    pub(crate) fn new(auth: &Auth, vendor: Option<Vendor>, cx: &Context) -> Result<Self> {
        auth.check()?;
        let (kind, tokens) = match auth {
            Auth::Password(auth) => (Kind::Password, given(&auth.password, cx)?),
            Auth::Xoauth2(auth) => (Kind::XOAuth2, tokens(auth, vendor, cx)?),
            Auth::Oauthbearer(auth) => (Kind::OAuthBearer, tokens(auth, vendor, cx)?),
        };
        Ok(Self { username: auth.username().into(), kind, tokens })
    }

    /// The credential to sign in with now.
    ///
    /// # Errors
    /// As the vendor's token endpoint answers; none for a password.
    pub(crate) async fn credential(&self, cx: &Context) -> Result<Credential> {
        let token = match self.tokens.held(cx) {
            Some(token) => token,
            None => self.tokens.token(cx).await?,
        };
        Ok(self.with(token))
    }

    /// Another credential, because the server has refused this very one: a token is renewed once for all who are
    /// refused at the same time, a password has a successor where the store of secrets has one.
    ///
    /// # Errors
    /// Auth when there is no other; otherwise as [`credential`](Self::credential).
    pub(crate) async fn renew(&self, cx: &Context, refused: &Credential) -> Result<Credential> {
        self.tokens.renew(cx, &refused.token).await.map(|token| self.with(token))
    }

    /// The server has let this credential in.
    pub(crate) async fn accepted(&self, cx: &Context, credential: &Credential) {
        if let Some(kept) = self.tokens.accepted(cx, &credential.token) {
            kept.await;
        }
    }

    fn with(&self, token: Token) -> Credential {
        Credential { username: Arc::clone(&self.username), kind: self.kind, token }
    }
}

fn tokens(auth: &TokenAuth, vendor: Option<Vendor>, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    match (&auth.access_token, &auth.oauth) {
        (Some(token), _) => given(token, cx),
        (None, Some(oauth)) => obtained(oauth, vendor, cx),
        (None, None) => Err(wrong("auth", "needs either `access_token` or `oauth`")),
    }
}

/// A secret that does not end, and that may be replaced in its store.
fn given(secret: &Secret, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    let build =
        |secret: &Secret| -> Result<Arc<dyn TokenSource>> { Ok(Arc::new(StaticToken::new(secret.clone()))) };
    Ok(Arc::new(Rotating::new(cx, secret.clone(), build)?.promoted_by_use()))
}

/// Tokens that the vendor's endpoint gives.
fn obtained(oauth: &Oauth, vendor: Option<Vendor>, cx: &Context) -> Result<Arc<dyn TokenSource>> {
    let id = oauth.client_id.clone();
    let Some(secret) = oauth.client_secret.clone() else {
        let endpoint = endpoint(oauth, vendor, cx)?;
        return Ok(match oauth.refresh_token.clone() {
            Some(token) => Arc::new(RefreshToken::new(endpoint, id, None, token)),
            None => Arc::new(RefreshToken::from_store(endpoint, id, None)),
        });
    };
    let (endpoint, grant, token) = (endpoint(oauth, vendor, cx)?, oauth.grant, oauth.refresh_token.clone());
    let build = move |secret: &Secret| -> Result<Arc<dyn TokenSource>> {
        let (endpoint, secret) = (endpoint.clone(), secret.clone());
        Ok(match (grant, &token) {
            (Grant::ClientCredentials, _) => Arc::new(ClientCredentials::new(endpoint, &id, secret)),
            (_, Some(token)) => Arc::new(RefreshToken::new(endpoint, &id, Some(secret), token.clone())),
            (_, None) => Arc::new(RefreshToken::from_store(endpoint, &id, Some(secret))),
        })
    };
    Ok(Arc::new(Rotating::new(cx, secret, build)?))
}

/// How a person allows the app, with PKCE; none where the configuration needs nobody.
///
/// # Errors
/// Config when a field does not fit.
pub(crate) fn sign_in(
    auth: &Auth,
    vendor: Option<Vendor>,
    cx: &Context,
) -> Result<Option<AuthorizationCode>> {
    auth.check()?;
    let (Auth::Xoauth2(auth) | Auth::Oauthbearer(auth)) = auth else { return Ok(None) };
    let Some(oauth) = auth.oauth.as_ref().filter(|oauth| oauth.grant == Grant::RefreshToken) else {
        return Ok(None);
    };
    let authorize = url(
        "auth.oauth.authorize_url",
        oauth.authorize_url.as_deref().or(vendor.map(|vendor| vendor.authorize_url)),
    )?;
    let code = AuthorizationCode::new(
        endpoint(oauth, vendor, cx)?,
        authorize,
        &oauth.client_id,
        oauth.client_secret.clone(),
    );
    let code = code.scopes(scopes(oauth, vendor)).parameter("login_hint", &auth.username);
    let parameters = vendor.map(|vendor| vendor.parameters).unwrap_or_default();
    let code = parameters.iter().fold(code, |code, (name, value)| code.parameter(*name, *value));
    Ok(Some(code.replaces(oauth.refresh_token.clone())))
}

fn endpoint(oauth: &Oauth, vendor: Option<Vendor>, cx: &Context) -> Result<TokenEndpoint> {
    let text = oauth.token_url.as_deref().or(vendor.map(|vendor| vendor.token_url));
    let endpoint = TokenEndpoint::new(cx, url("auth.oauth.token_url", text)?)?;
    // A refresh token has the scopes that a person has allowed (RFC 6749, 6): asked for again, a vendor may refuse.
    Ok(match oauth.grant {
        Grant::ClientCredentials => endpoint.scopes(scopes(oauth, vendor)),
        Grant::RefreshToken => endpoint,
    })
}

fn scopes(oauth: &Oauth, vendor: Option<Vendor>) -> Vec<String> {
    if !oauth.scopes.is_empty() {
        return oauth.scopes.clone();
    }
    let Some(vendor) = vendor else { return Vec::new() };
    match (oauth.grant, vendor.app_scope) {
        (Grant::ClientCredentials, Some(scope)) => vec![scope.to_owned()],
        _ => vendor.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    }
}

fn url(field: &'static str, text: Option<&str>) -> Result<Url> {
    let text = text.ok_or_else(|| wrong(field, "is needed: no vendor is known for this host"))?;
    Url::parse(text).map_err(|_| wrong(field, "is no URL"))
}
