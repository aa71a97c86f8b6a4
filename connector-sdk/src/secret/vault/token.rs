//! Vault's own tokens: who gives them, and for how long.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::{HeaderMap, HeaderValue};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::{
    super::{pair::present, read_secret_file},
    JSON, client, path,
};
use crate::{
    Class, Context, Delivery, Error, Result, Secret,
    auth::{SingleFlight, Token, TokenSource},
    http::{HttpClient, Request},
};

/// What a login is called in errors and spans.
pub(super) const LOGIN: &str = "sign in to Vault";
const RENEW: &str = "renew Vault token";
const TOKEN: &str = "x-vault-token";
const NAMESPACE: &str = "x-vault-namespace";

/// How to sign in to a Vault.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum VaultAuth {
    /// With a token that somebody else obtained. It is renewed as long as Vault allows.
    Token(Secret),
    /// As a role, with its secret id.
    AppRole {
        /// Where this way is mounted; `approle` is the usual place.
        mount: String,
        /// The role's id.
        role_id: String,
        /// Its secret.
        secret_id: Secret,
    },
    /// As the service account of a pod in Kubernetes.
    Kubernetes {
        /// Where this way is mounted; `kubernetes` is the usual place.
        mount: String,
        /// The role's name.
        role: String,
        /// The service account's token.
        jwt: KubernetesJwt,
    },
}

/// Where the token of a pod's service account is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum KubernetesJwt {
    /// In this file, which is read at each login: Kubernetes writes another there before one ends (a
    /// projected token lives for an hour; its documentation, "Configure Service Accounts for Pods").
    File(PathBuf),
    /// This one. A long run outlives it, unless it is one of those that do not end.
    Given(Secret),
}

impl KubernetesJwt {
    /// Where a pod finds its own.
    pub const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

    fn read(&self) -> Result<Secret> {
        match self {
            Self::Given(jwt) => Ok(jwt.clone()),
            // Kubernetes gives it the rights that it has: who may read it is the affair of the pod.
            Self::File(path) => present(read_secret_file(path, |_| false)?).ok_or_else(|| {
                Error::config(LOGIN, format!("{}: there is no token of a service account", path.display()))
            }),
        }
    }
}

/// Gives the tokens that requests to Vault carry.
pub(super) struct VaultTokens {
    desk: Arc<Desk>,
    flight: SingleFlight,
}

struct Desk {
    client: HttpClient,
    /// What stands before the paths of its documentation.
    api: String,
    auth: VaultAuth,
    namespace: Option<String>,
    lease: Mutex<Option<Lease>>,
}

/// The token in hand.
#[derive(Clone)]
struct Lease {
    token: Secret,
    renewable: bool,
    /// How long Vault lent it at first.
    at_first: Duration,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Granted,
}

#[derive(Deserialize)]
struct Granted {
    client_token: Secret,
    /// In seconds; 0: it does not end.
    lease_duration: u64,
    renewable: bool,
}

#[derive(Deserialize)]
struct LookedUp {
    data: Known,
}

#[derive(Deserialize)]
struct Known {
    /// In seconds; 0: it does not end.
    ttl: u64,
    #[serde(default)]
    renewable: bool,
}

impl VaultTokens {
    pub(super) fn new(
        cx: &Context,
        address: &Url,
        api: String,
        namespace: Option<String>,
        auth: VaultAuth,
    ) -> Result<Self> {
        if let VaultAuth::AppRole { mount, .. } | VaultAuth::Kubernetes { mount, .. } = &auth {
            path("mount of the login", mount)?;
        }
        let client = client(cx, address.clone()).build()?;
        let desk = Desk { client, api, auth, namespace, lease: Mutex::default() };
        Ok(Self { desk: Arc::new(desk), flight: SingleFlight::default() })
    }
}

#[async_trait]
impl TokenSource for VaultTokens {
    fn held(&self, cx: &Context) -> Option<Token> {
        self.flight.held(cx)
    }

    async fn token(&self, cx: &Context) -> Result<Token> {
        let desk = Arc::clone(&self.desk);
        self.flight.token(cx, |cx| async move { desk.lend(&cx).await }).await
    }

    async fn renew(&self, cx: &Context, refused: &Token) -> Result<Token> {
        let desk = Arc::clone(&self.desk);
        let fetch = |cx: Context| async move {
            // What was refused is not renewed.
            desk.set(None);
            desk.sign_in(&cx, true).await
        };
        self.flight.renew(cx, refused, fetch).await
    }

    fn apply(&self, token: &Token, headers: &mut HeaderMap, _url: &mut Url) -> Result<()> {
        headers.insert(TOKEN, header(token.secret())?);
        if let Some(namespace) = &self.desk.namespace {
            let namespace = HeaderValue::try_from(namespace.as_str())
                .map_err(|_| Error::config(LOGIN, "the namespace cannot stand in a header"))?;
            headers.insert(NAMESPACE, namespace);
        }
        Ok(())
    }
}

fn header(token: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(token.expose().as_str())
        .map_err(|_| Error::config(LOGIN, "Vault's token holds characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Desk {
    /// The same token for longer, else another.
    async fn lend(&self, cx: &Context) -> Result<Token> {
        let lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(lease) = lease.filter(|lease| lease.renewable) {
            match self.prolong(cx, &lease).await {
                // It has ended meanwhile, or its time cannot be prolonged any more.
                Err(error) if matches!(error.class(), Class::Auth | Class::Permanent) => self.set(None),
                result => return result,
            }
        }
        self.sign_in(cx, false).await
    }

    async fn prolong(&self, cx: &Context, lease: &Lease) -> Result<Token> {
        let request = self.request(RENEW, "auth/token/renew-self", json!({}));
        let request = request.header(TOKEN, lease.token.expose());
        let granted = self.ask::<LoggedIn>(cx, request).await?.auth;
        let lent = Duration::from_secs(granted.lease_duration);
        // Near its longest life Vault prolongs it by ever less: then another is better.
        let renewable = granted.renewable && lent.saturating_mul(2) >= lease.at_first;
        self.set(Some(Lease { renewable, token: granted.client_token.clone(), at_first: lease.at_first }));
        Ok(token(cx, granted.client_token, lent))
    }

    /// A new token, or the one that was given, unless it is that one which was refused.
    async fn sign_in(&self, cx: &Context, refused: bool) -> Result<Token> {
        let (mount, body) = match &self.auth {
            VaultAuth::Token(_) if refused => {
                let message = "Vault refuses the token that it was given, or does not allow it this path: obtain another";
                return Err(Error::new(Class::Auth, LOGIN, message).with_delivery(Delivery::Answered));
            }
            VaultAuth::Token(given) => return self.look_up(cx, given).await,
            VaultAuth::AppRole { mount, role_id, secret_id } => {
                (mount, json!({ "role_id": role_id, "secret_id": secret_id.expose() }))
            }
            VaultAuth::Kubernetes { mount, role, jwt } => {
                (mount, json!({ "role": role, "jwt": jwt.read()?.expose() }))
            }
        };
        let request =
            self.request(LOGIN, &format!("auth/{}/login", path("mount of the login", mount)?), body);
        let granted = self.ask::<LoggedIn>(cx, request).await?.auth;
        let lent = Duration::from_secs(granted.lease_duration);
        let lease =
            Lease { token: granted.client_token.clone(), renewable: granted.renewable, at_first: lent };
        self.set(Some(lease));
        Ok(token(cx, granted.client_token, lent))
    }

    /// How long the given token lives. One that may not even ask that is used until it is refused.
    async fn look_up(&self, cx: &Context, given: &Secret) -> Result<Token> {
        let mut request =
            Request::get(LOGIN, format!("{}/auth/token/lookup-self", self.api)).header(TOKEN, given.expose());
        if let Some(namespace) = &self.namespace {
            request = request.header(NAMESPACE, namespace);
        }
        let known = match self.ask::<LookedUp>(cx, request).await {
            Ok(LookedUp { data }) => data,
            Err(error) if error.class() == Class::Auth => Known { ttl: 0, renewable: false },
            Err(error) => return Err(error),
        };
        let left = Duration::from_secs(known.ttl);
        self.set(Some(Lease { token: given.clone(), renewable: known.renewable, at_first: left }));
        Ok(token(cx, given.clone(), left))
    }

    fn request(&self, operation: &'static str, path: &str, body: Value) -> Request {
        let text = Zeroizing::new(body.to_string());
        // A login that is repeated leaves a token behind that ends by itself.
        let request =
            Request::post(operation, format!("{}/{path}", self.api), JSON, text.as_bytes().to_vec())
                .idempotent();
        match &self.namespace {
            Some(namespace) => request.header(NAMESPACE, namespace),
            None => request,
        }
    }

    async fn ask<T: for<'de> Deserialize<'de>>(&self, cx: &Context, request: Request) -> Result<T> {
        let operation = request.operation();
        let response = self.client.send(cx, request).await?;
        if response.status == ::http::StatusCode::NOT_FOUND {
            return Err(Error::config(
                operation,
                "Vault knows no such way to sign in: check where it is mounted",
            ));
        }
        serde_json::from_slice(&response.body).map_err(|_| {
            Error::permanent(operation, "this is not what Vault answers: is there another server?")
        })
    }

    fn set(&self, lease: Option<Lease>) {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }
}

fn token(cx: &Context, secret: Secret, lent: Duration) -> Token {
    let token = Token::new(secret);
    if lent.is_zero() { token } else { token.with_expiry(cx.clock().now() + lent) }
}

impl fmt::Debug for VaultTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultTokens")
    }
}
