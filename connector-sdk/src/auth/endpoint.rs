//! An authorisation server's token endpoint (RFC 6749, 3.2), over a stack of its own.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::header;
use futures_util::future::BoxFuture;
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};
use url::{Url, form_urlencoded};
use xxhash_rust::xxh3::Xxh3;

use super::{
    answer::{Answer, Grant, unreadable},
    fault::TokenFaults,
};
use crate::{
    Class, Context, Counters, Error, Result, Secret, Timestamp,
    http::{HttpClient, Request, Response},
    resilience::Resilience,
};

const OPERATION: &str = "token";
const FORM: &str = "application/x-www-form-urlencoded";

/// A credential that was refused is not sent again before this time has passed: a person has to act,
/// and a vendor locks out who keeps asking.
const REFUSAL_HOLDS: Duration = Duration::from_secs(5 * 60);

/// The limit of a token call.
const DEADLINE: Duration = Duration::from_secs(60);

/// The shortest limit of one attempt, and of silence in it.
const ATTEMPT: Duration = Duration::from_secs(30);

/// How a client shows the token endpoint who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Id and secret as fields of the form, which is what most vendors document.
    #[default]
    Form,
    /// Id and secret as HTTP Basic authentication.
    Basic,
}

/// An authorisation server's token endpoint. Its calls go through a stack of their own, so that they neither
/// wait behind the connector's requests nor share their limits: a call ends within a minute, and an attempt
/// has half of one, or more where the connection's settings give more. A shorter limit of the connection does
/// not hold for them: who hangs up on a vendor that is about to answer loses a credential.
///
/// A refused credential is remembered: it is not sent again within five minutes.
#[derive(Clone)]
#[must_use]
pub struct TokenEndpoint {
    pub(super) url: Url,
    client: HttpClient,
    client_auth: ClientAuth,
    base_url_field: Option<String>,
    scopes: Vec<String>,
    refusal: Arc<Mutex<Option<Refusal>>>,
}

struct Refusal {
    credential: u128,
    until: Timestamp,
    error: Error,
}

type Client = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl TokenEndpoint {
    /// The endpoint at this URL. Credentials go to its host and to no other.
    ///
    /// # Errors
    /// Config when the network settings do not make sense.
    pub fn new(cx: &Context, url: Url) -> Result<Self> {
        let mut settings: Resilience = cx.resilience().clone();
        settings.deadline = DEADLINE;
        settings.attempt_timeout = settings.attempt_timeout.max(ATTEMPT);
        settings.idle_timeout = settings.idle_timeout.max(ATTEMPT);
        settings.max_body = settings.max_body.min(1 << 20);
        settings.max_decompressed_body = settings.max_decompressed_body.min(1 << 20);
        let client = HttpClient::builder(cx)
            .resilience(settings)
            .only_host_of(url.clone())
            .faults(Arc::new(TokenFaults))
            .build()?;
        Ok(Self {
            url,
            client,
            client_auth: ClientAuth::default(),
            base_url_field: None,
            scopes: Vec::new(),
            refusal: Arc::default(),
        })
    }

    /// Shows who we are this way.
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Asks for these scopes.
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Reads from this field of the answer to which origin requests go (Salesforce: `instance_url`).
    pub fn base_url_field(mut self, name: impl Into<String>) -> Self {
        self.base_url_field = Some(name.into());
        self
    }

    /// RFC 6749, 4.4.
    pub(super) async fn client_credentials(&self, cx: &Context, id: &str, secret: &Secret) -> Result<Grant> {
        self.unless_refused(cx, &[id, secret.expose()], async {
            let client = self.client(id, Some(secret));
            let request = client.exchange_client_credentials().add_scopes(self.asked());
            let answer = request.request_async(&self.wire(cx)).await.map_err(failed)?;
            Ok(self.grant(cx, &answer))
        })
        .await
    }

    /// RFC 6749, 6. A call that the vendor may have acted on is not repeated here, and is class Ambiguous: the
    /// token may be spent.
    pub(super) async fn refresh(
        &self,
        cx: &Context,
        id: &str,
        secret: Option<&Secret>,
        token: &Secret,
    ) -> Result<Grant> {
        let secret_text = secret.map_or("", |secret| secret.expose());
        self.unless_refused(cx, &[id, secret_text, token.expose()], async {
            let client = self.client(id, secret);
            let token = oauth2::RefreshToken::new(token.expose().clone());
            let request = client.exchange_refresh_token(&token).add_scopes(self.asked());
            let wire = Wire { repeats: false, ..self.wire(cx) };
            let answer = request.request_async(&wire).await.map_err(failed)?;
            Ok(self.grant(cx, &answer))
        })
        .await
    }

    /// RFC 6749, 4.1.3, with the proof of RFC 7636. A code is good once, so no refusal is remembered.
    pub(super) async fn code(
        &self,
        cx: &Context,
        id: &str,
        secret: Option<&Secret>,
        code: &Secret,
        verifier: &Secret,
        redirect_uri: &Url,
    ) -> Result<Grant> {
        let client = self.client(id, secret);
        let request = client
            .exchange_code(oauth2::AuthorizationCode::new(code.expose().clone()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().clone()))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())));
        let answer = request.request_async(&self.wire(cx)).await.map_err(failed)?;
        Counters::add(&cx.counters().token_refreshes, 1);
        Ok(self.grant(cx, &answer))
    }

    /// RFC 7521, 4.1: an assertion as the grant, which the oauth2 crate does not know. `who` names it in
    /// the memory of refusals, since each assertion is another text.
    pub(super) async fn assertion(
        &self,
        cx: &Context,
        grant_type: &str,
        who: &[&str],
        assertion: &Secret,
    ) -> Result<Grant> {
        self.unless_refused(cx, who, async {
            let request =
                Request::post(OPERATION, self.url.clone(), FORM, self.assertion_form(grant_type, assertion));
            let answer =
                self.wire(cx).send(request.header(header::ACCEPT.as_str(), "application/json")).await?;
            Ok(self.grant(cx, &serde_json::from_slice(&answer.body).map_err(|_| unreadable())?))
        })
        .await
    }

    /// Whether this credential was refused a moment ago, so that asking with it sends nothing.
    pub(super) fn has_refused(&self, cx: &Context, credential: &[&str]) -> bool {
        let credential = fingerprint(credential);
        self.refusal()
            .as_ref()
            .is_some_and(|refusal| refusal.credential == credential && cx.clock().now() < refusal.until)
    }

    fn client(&self, id: &str, secret: Option<&Secret>) -> Client {
        let client = oauth2::Client::new(ClientId::new(id.to_owned()))
            .set_token_uri(TokenUrl::from_url(self.url.clone()))
            .set_auth_type(match self.client_auth {
                ClientAuth::Form => AuthType::RequestBody,
                ClientAuth::Basic => AuthType::BasicAuth,
            });
        match secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
            None => client,
        }
    }

    fn asked(&self) -> impl Iterator<Item = Scope> {
        self.scopes.iter().cloned().map(Scope::new)
    }

    fn assertion_form(&self, grant_type: &str, assertion: &Secret) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", grant_type).append_pair("assertion", assertion.expose());
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.finish()
    }

    fn wire(&self, cx: &Context) -> Wire {
        Wire { client: self.client.clone(), cx: cx.clone(), url: self.url.clone(), repeats: true }
    }

    fn grant(&self, cx: &Context, answer: &Answer) -> Grant {
        Grant::read(answer, &self.url, self.base_url_field.as_deref(), cx.clock().now())
    }

    /// Asks, unless this very credential was refused a moment ago; remembers a refusal.
    async fn unless_refused(
        &self,
        cx: &Context,
        credential: &[&str],
        ask: impl Future<Output = Result<Grant>>,
    ) -> Result<Grant> {
        let credential = fingerprint(credential);
        if let Some(refusal) = &*self.refusal()
            && refusal.credential == credential
            && cx.clock().now() < refusal.until
        {
            return Err(refusal.error.clone().with_context("not_asked_again_before", refusal.until));
        }
        let result = ask.await;
        *self.refusal() = match &result {
            Err(error) if error.class() == Class::Auth => {
                Some(Refusal { credential, until: cx.clock().now() + REFUSAL_HOLDS, error: error.clone() })
            }
            _ => None,
        };
        if result.is_ok() {
            Counters::add(&cx.counters().token_refreshes, 1);
        }
        result
    }

    fn refusal(&self) -> std::sync::MutexGuard<'_, Option<Refusal>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The oauth2 crate's way out: our client.
struct Wire {
    client: HttpClient,
    cx: Context,
    url: Url,
    /// Whether a call may be repeated of which nobody knows what became. With a secret or an assertion it may:
    /// another token is given. With a code it may too: if it is spent, what a vendor revokes for its second use
    /// (RFC 6749, 4.1.2) is what has not reached us. A refresh token that comes twice may be taken for
    /// stolen, and everything that descends from it revoked (RFC 9700, 4.14.2): see
    /// [`RefreshToken`](super::RefreshToken), which decides.
    repeats: bool,
}

impl Wire {
    async fn send(&self, request: Request) -> Result<Response> {
        let request = if self.repeats { request.idempotent() } else { request };
        self.client.send(&self.cx, request).await
    }
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Error;
    type Future = BoxFuture<'c, Result<HttpResponse>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let (head, body) = request.into_parts();
        let mut ours = Request::post(OPERATION, self.url.clone(), FORM, body);
        for (name, value) in &head.headers {
            // Both are made of text by the oauth2 crate.
            ours = ours.header(name.as_str(), value.to_str().unwrap_or_default());
        }
        Box::pin(async move { Ok(HttpResponse::new(self.send(ours).await?.into_parts().body.into())) })
    }
}

/// Tells credentials apart without keeping them.
pub(super) fn fingerprint(parts: &[&str]) -> u128 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.digest128()
}

/// Keeps nothing of an answer that could not be parsed: it may hold a token.
fn failed(error: RequestTokenError<Error, BasicErrorResponse>) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        _ => unreadable(),
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}
