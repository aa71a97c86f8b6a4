//! OAuth2 authorisation code (RFC 6749, 4.1) with PKCE (RFC 7636): a person allows the connector, once.
//!
//! A host shows the person an address, waits for the redirect, and hands its parameters over. What remains
//! is a refresh token, kept where [`RefreshToken`](super::RefreshToken) looks for it. RFC 9700, 2.1 is
//! followed: PKCE by S256 always, a `state` that nobody can guess, the redirect address to the letter.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope, basic::BasicClient};
use url::Url;

use super::{Callback, Token, TokenEndpoint, fault, kept::Kept};
use crate::{Class, Context, Error, Result, Secret};

const OPERATION: &str = "sign in";

/// A store that cannot take the token is tried again after this time, each time twice as long: for half a
/// minute in all.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const TRIES: u32 = 7;

type Verify = dyn Fn(&Token) -> Result<Option<String>> + Send + Sync;

/// How a person signs in to a connection: at which address, as which client, asking for which scopes.
///
/// ```
/// use connector_sdk::{Context, auth::{AuthorizationCode, TokenEndpoint}};
/// let cx = Context::builder("acme", "desk").build();
/// let endpoint = TokenEndpoint::new(&cx, "https://login.vendor.example/token".parse().unwrap())?;
/// let authorize = "https://login.vendor.example/authorize".parse().unwrap();
/// let code = AuthorizationCode::new(endpoint, authorize, "client", None).scopes(["read", "offline_access"]);
/// let sign_in = code.begin("http://127.0.0.1:8085/callback".parse().unwrap());
/// assert!(sign_in.url().query().unwrap().contains("code_challenge_method=S256"));
/// // The person opens the address; with the redirect's query in hand:
/// // sign_in.exchange(&cx, &Callback::from_query(query)?).await?;
/// # Ok::<(), connector_sdk::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct AuthorizationCode {
    endpoint: TokenEndpoint,
    authorize: Url,
    client_id: String,
    client_secret: Option<Secret>,
    scopes: Vec<String>,
    parameters: Vec<(String, String)>,
    issuer: Option<String>,
    verify: Option<Arc<Verify>>,
    kept: Kept,
}

impl AuthorizationCode {
    /// Asks at `authorize`, and exchanges the code at the endpoint. A public client has no secret.
    pub fn new(
        endpoint: TokenEndpoint,
        authorize: Url,
        client_id: impl Into<String>,
        client_secret: Option<Secret>,
    ) -> Self {
        Self {
            endpoint,
            authorize,
            client_id: client_id.into(),
            client_secret,
            scopes: Vec::new(),
            parameters: Vec::new(),
            issuer: None,
            verify: None,
            kept: Kept::new(None),
        }
    }

    /// Asks for these scopes: those that the manifest declares for this way to sign in, no others. They
    /// bind the refresh token, so that nothing is asked for again with each refresh (RFC 6749, 6).
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a parameter of the vendor's own to the address, such as `prompt`.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// The server's name of itself: a redirect that names another one is refused (RFC 9207, 2.4). Without
    /// it the name is not looked at, because many vendors' differs from the host that is asked.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Looks at the access token, with what the vendor said beside it, before anything is kept. An error is
    /// the answer of [`SignIn::exchange`] then, and what was kept before stays. It answers whose account the
    /// person has signed in to, where the configuration leaves that open: it is kept beside the token, and
    /// the next sign-in to another account is refused, because the connection's states are of the first.
    pub fn verify(
        mut self,
        verify: impl Fn(&Token) -> Result<Option<String>> + Send + Sync + 'static,
    ) -> Self {
        self.verify = Some(Arc::new(verify));
        self
    }

    /// The refresh token will win over this one, which the template holds.
    pub fn replaces(mut self, configured: Option<Secret>) -> Self {
        self.kept.configured = configured;
        self
    }

    /// Keeps the refresh token under this name, as
    /// [`RefreshToken::stored_as`](super::RefreshToken::stored_as).
    pub fn stored_as(mut self, name: impl Into<String>) -> Self {
        self.kept.name = name.into();
        self
    }

    /// Begins to sign a person in; the answer comes to this address. Once per person and attempt.
    pub fn begin(self, redirect_uri: Url) -> SignIn {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.authorize.clone()))
            .set_redirect_uri(RedirectUrl::from_url(redirect_uri.clone()));
        let mut request = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        for (name, value) in &self.parameters {
            request = request.add_extra_param(name.as_str(), value.as_str());
        }
        let (url, state) = request.url();
        SignIn {
            code: self,
            url,
            redirect_uri,
            state: Secret::new(state.into_secret()),
            verifier: Secret::new(verifier.into_secret()),
        }
    }
}

/// A person who is signing in.
#[must_use]
pub struct SignIn {
    code: AuthorizationCode,
    url: Url,
    redirect_uri: Url,
    state: Secret,
    verifier: Secret,
}

impl SignIn {
    /// The address that the person opens. It holds no secret, but whoever opens it first is signed in.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether the redirect is the answer to this very attempt, and not one that somebody made up.
    #[must_use]
    pub fn recognises(&self, callback: &Callback) -> bool {
        callback.get("state").is_some_and(|state| {
            verify_slices_are_equal(state.expose().as_bytes(), self.state.expose().as_bytes()).is_ok()
        })
    }

    /// Exchanges the redirect's code, and keeps the refresh token that comes with the access token. Once
    /// begun it is finished in the context's background, though who waited for it is gone.
    ///
    /// # Errors
    /// Auth when the redirect is not the answer to this attempt, comes from another server, tells of a
    /// refusal (its code stands in the context `error`), or its code is not accepted; Config when the vendor
    /// gives no refresh token, and when the person has signed in to another account than before; what
    /// [`verify`](AuthorizationCode::verify) answers; otherwise as the token endpoint and the store answer. In
    /// each case nothing is kept, and what was kept before stays.
    pub async fn exchange(self, cx: &Context, callback: &Callback) -> Result<Token> {
        let code = self.check(callback)?.clone();
        let work = cx.clone();
        cx.background().spawn(async move { self.redeem(&work, &code).await }).await
    }

    async fn redeem(&self, cx: &Context, code: &Secret) -> Result<Token> {
        let AuthorizationCode { endpoint, client_id, client_secret, kept, .. } = &self.code;
        let secret = client_secret.as_ref();
        // Before the code is spent: who cannot have the lock can try again with another code. A run that
        // rotates the old token at this moment is done before ours is written.
        let _lock = kept.lock(cx).await?;
        let before = match kept.get(cx).await {
            Ok(found) => found.and_then(|found| found.account),
            // Such as one that is sealed with a key that is lost: signing in is the way out of that.
            Err(error) if error.class() == Class::Config => None,
            Err(error) => return Err(error),
        };
        let grant = endpoint.code(cx, client_id, secret, code, &self.verifier, &self.redirect_uri).await?;
        let token = grant.token?;
        let account = match &self.code.verify {
            Some(verify) => verify(&token)?,
            None => None,
        };
        if let (Some(before), Some(now)) = (&before, &account)
            && before != now
        {
            let message = "the person has signed in to another account than before, whose data is in this connection: \
                           sign in to that one, or make another connection for this one";
            let error = Error::config(OPERATION, message).with_context("before", before);
            return Err(error.with_context("now", now));
        }
        let Some(refresh_token) = grant.refresh_token else {
            let message = "the vendor gave no refresh token, so that the sign-in would end with its access token: ask \
                           for the scope that brings one, and allow it in the vendor's settings of this client";
            return Err(Error::config(OPERATION, message));
        };
        self.keep(cx, refresh_token, account).await?;
        Ok(token)
    }

    /// Keeps it, and tries again where that may help: it was given for a code that is spent.
    async fn keep(&self, cx: &Context, refresh_token: Secret, account: Option<String>) -> Result<()> {
        let (mut pause, mut tries) = (FIRST_PAUSE, 1);
        loop {
            let error = match self.code.kept.begin(cx, refresh_token.clone(), account.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.class() != Class::Transient || tries == TRIES {
                let message = "the person has signed in, but the refresh token could not be kept: mend the store, and \
                               sign in again";
                return Err(Error::new(error.class(), OPERATION, message).with_source(error));
            }
            tracing::warn!(%error, "the refresh token cannot be kept yet, and is tried again");
            cx.clock().sleep(pause).await;
            (pause, tries) = (pause * 2, tries + 1);
        }
    }

    /// The code of a redirect that can be believed.
    fn check<'a>(&self, callback: &'a Callback) -> Result<&'a Secret> {
        let refused = |message: &str| Error::new(Class::Auth, OPERATION, message);
        if !self.recognises(callback) {
            return Err(refused("the redirect does not belong to this sign-in: begin again"));
        }
        if let (Some(issuer), Some(named)) = (&self.code.issuer, callback.get("iss"))
            && named.expose() != issuer
        {
            return Err(refused("the redirect comes from another server than the one that was asked"));
        }
        if let Some(code) = callback.get("error") {
            let mut error = refused("the vendor, or the person, has refused the sign-in");
            if fault::is_code(code.expose()) {
                error = error.with_context("error", code.expose());
            }
            return Err(error);
        }
        callback.get("code").ok_or_else(|| refused("the redirect holds no code"))
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCode")
            .field("host", &self.authorize.host_str())
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// Shows neither the address nor what proves the attempt.
impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("code", &self.code).finish_non_exhaustive()
    }
}
