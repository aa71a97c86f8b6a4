//! Secrets in HashiCorp Vault, in a key-value engine of version 2, over its HTTP API.
//!
//! Source of what is said here about Vault: its API documentation, pages "KV Secrets Engine - Version 2",
//! "Tokens", "AppRole", "Kubernetes" and "HTTP status codes" (website/content/api-docs in hashicorp/vault).

mod fault;
mod token;

use std::{collections::BTreeMap, fmt, sync::Arc};

use ::http::StatusCode;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Secret, SecretStore,
    pair::{checked, missing, present, replaced, same, stageable},
};
use crate::{
    Context, Error, Result,
    http::{HttpClient, HttpClientBuilder, Request, Response},
};

pub use token::{KubernetesJwt, VaultAuth};

use fault::{VaultFaults, changed};
use token::VaultTokens;

const READ: &str = "read secret";
const WRITE: &str = "write secret";
const JSON: &str = "application/json";
/// The field of a secret that has one value.
const FIELD: &str = "value";
/// In bytes; Vault itself takes no larger secret (its storage's limit is 1 MiB).
const LARGEST: u64 = 1 << 20;
/// So often a write is tried that somebody else's comes before.
const ATTEMPTS: usize = 3;

/// Where a Vault is, and where in it the secrets are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VaultConfig {
    /// Its address, such as `https://vault.example:8200`. Where a proxy has it below a path, with that path:
    /// `https://intranet.example/vault`.
    pub address: Url,
    /// Where the engine is mounted; `secret` is what a new Vault has.
    pub mount: String,
    /// What stands before the secrets' names, as `connectors/acme`; empty: nothing.
    pub prefix: String,
    /// The namespace, where Vault has several.
    pub namespace: Option<String>,
}

impl VaultConfig {
    /// This Vault, with the engine at `secret`, and names as they are.
    #[must_use]
    pub fn new(address: Url) -> Self {
        Self { address, mount: "secret".to_owned(), prefix: String::new(), namespace: None }
    }
}

/// Looks a secret up in the field `value` of the Vault secret of its name, or in the field that the name
/// gives after `#`: `crm#client_id`. One whose latest version is deleted is not there, and an empty field is
/// as good as none.
///
/// The next one is in a field beside it, `value_next`. It is no newer version: what everybody else reads is
/// the latest version, so that a newer one would be the current one at once, and for all. Staging and
/// promoting write a version whose other fields are as they were, and check that nobody else has written in
/// between (check-and-set); then they read again, three times at most.
///
/// Its tokens are renewed before their lease ends. What comes from it is held in memory as an answer of a
/// vendor is: only the secret asked for is wiped.
pub struct VaultSecrets {
    cx: Context,
    client: HttpClient,
    path: String,
}

/// What stands at a path; its fields, and the version that they are.
struct Found {
    fields: BTreeMap<String, Value>,
    version: u64,
}

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    /// None: this version is deleted.
    data: Option<BTreeMap<String, Value>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

impl VaultSecrets {
    /// The secrets of this Vault. The context says where its requests may go: an address inside a private
    /// network has to be allowed there.
    ///
    /// # Errors
    /// Config when address, mount, prefix or namespace are none, or the network settings do not make sense.
    pub fn new(cx: &Context, config: VaultConfig, auth: VaultAuth) -> Result<Self> {
        let VaultConfig { address, mount, prefix, namespace } = config;
        let mount = path("mount", &mount)?;
        let prefix = if prefix.is_empty() { String::new() } else { path("prefix", &prefix)? + "/" };
        if let Some(namespace) = &namespace {
            path("namespace", namespace)?;
        }
        let api = format!("{}/v1", base(&address)?);
        let tokens = VaultTokens::new(cx, &address, api.clone(), namespace, auth)?;
        let client = client(cx, address).tokens(Arc::new(tokens)).build()?;
        Ok(Self { cx: cx.clone(), client, path: format!("{api}/{mount}/data/{prefix}") })
    }

    /// Path and field of a name.
    fn locate<'a>(&self, name: &'a str) -> Result<(String, &'a str)> {
        let (name, field) = checked(name)?.split_once('#').unwrap_or((name, FIELD));
        Ok((format!("{}{name}", self.path), field))
    }

    async fn read(&self, path: &str) -> Result<Option<Found>> {
        let response = self.client.send(&self.cx, Request::get(READ, path)).await?;
        let missing = response.status == StatusCode::NOT_FOUND;
        match answer(&response) {
            Some(Answer { data: Some(Data { data: Some(fields), metadata }), .. }) => {
                Ok(Some(Found { fields, version: metadata.version }))
            }
            // Deleted: the status is 404 and the metadata are there.
            Some(Answer { data: Some(_), .. }) => Ok(None),
            Some(Answer { errors, .. }) if missing && errors.is_empty() => Ok(None),
            _ if missing => {
                Err(Error::config(READ, "Vault has nothing mounted at this path").with_context("path", path))
            }
            _ => Err(Error::config(READ, "what is mounted here is no key-value engine of version 2")
                .with_context("path", path)),
        }
    }

    /// Writes all fields, if nobody has written since `version`.
    async fn write(&self, path: &str, found: &Found) -> Result<()> {
        let body = json!({ "options": { "cas": found.version }, "data": found.fields });
        // Where the answer is lost, the repetition is refused by the check, and what stands is read again.
        let request = Request::post(WRITE, path, JSON, body.to_string()).idempotent();
        let response = self.client.send(&self.cx, request).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Err(
                Error::config(WRITE, "Vault has nothing mounted at this path").with_context("path", path)
            );
        }
        Ok(())
    }

    /// Reads, lets `edit` say whether there is something to write, and writes; again when it was changed
    /// in between.
    async fn edit(&self, name: &str, edit: impl Fn(&mut Found, &str) -> Result<bool>) -> Result<()> {
        let (path, field) = self.locate(name)?;
        let mut attempt = 1;
        loop {
            let mut found = self.read(&path).await?.ok_or_else(|| missing(name))?;
            if found.text(name, field)?.is_none() {
                return Err(missing(name));
            }
            if !edit(&mut found, field)? {
                return Ok(());
            }
            match self.write(&path, &found).await {
                Err(error) if changed(&error) && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }
}

impl Found {
    fn text(&self, name: &str, field: &str) -> Result<Option<Secret>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(present(Some(Secret::from(text.as_str())))),
            Some(_) => {
                Err(Error::config(READ, format!("its field `{field}` is no text")).with_context("name", name))
            }
        }
    }
}

fn next_of(field: &str) -> String {
    format!("{field}_next")
}

fn answer(response: &Response) -> Option<Answer> {
    // What does not parse may hold a secret, so that nothing is said of it.
    serde_json::from_slice(&response.body).ok()
}

/// What talks to this Vault, and to nobody else.
fn client(cx: &Context, address: Url) -> HttpClientBuilder {
    let mut settings = cx.resilience().clone();
    settings.max_body = settings.max_body.min(LARGEST);
    settings.max_decompressed_body = settings.max_decompressed_body.min(LARGEST);
    HttpClient::builder(cx).resilience(settings).only_host_of(address).faults(Arc::new(VaultFaults))
}

/// The path that Vault has at this address. Without it a token would go to whoever serves the host's root.
fn base(address: &Url) -> Result<String> {
    let bare = address.query().is_none()
        && address.fragment().is_none()
        && address.username().is_empty()
        && address.password().is_none();
    if !bare {
        let message = "the address of Vault is scheme, host, port and path, and nothing else";
        return Err(Error::config("secret", message).with_context("field", "address"));
    }
    match address.path() {
        "" | "/" => Ok(String::new()),
        below => Ok(format!("/{}", path("address", below)?)),
    }
}

/// A path of names, without slashes at its ends.
fn path(what: &str, text: &str) -> Result<String> {
    let text = text.trim_matches('/');
    let fits = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    if text.split('/').all(fits) {
        Ok(text.to_owned())
    } else {
        Err(Error::config("secret", format!("the {what} of Vault is no path of names"))
            .with_context("field", what))
    }
}

#[async_trait]
impl SecretStore for VaultSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        let (path, field) = self.locate(name)?;
        self.read(&path).await?.map_or(Ok(None), |found| found.text(name, field))
    }

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let (path, field) = self.locate(name)?;
        let Some(found) = self.read(&path).await? else { return Ok(None) };
        let Some(current) = found.text(name, field)? else { return Ok(None) };
        Ok(found.text(name, &next_of(field))?.filter(|next| !same(next, &current)))
    }

    async fn writable(&self, name: &str) -> Result<()> {
        self.locate(name).map(drop)
    }

    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        let next = stageable(name, next)?;
        self.edit(name, |found, field| {
            found.fields.insert(next_of(field), next.expose().as_str().into());
            Ok(true)
        })
        .await
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        self.edit(name, |found, field| {
            match found.text(name, &next_of(field))? {
                Some(staged) if same(&staged, next) => {}
                // Another process was faster, or our own answer was lost.
                None if found.text(name, field)?.is_some_and(|current| same(&current, next)) => {
                    return Ok(false);
                }
                _ => return Err(replaced(name)),
            }
            if let Some(value) = found.fields.remove(&next_of(field)) {
                found.fields.insert(field.to_owned(), value);
            }
            Ok(true)
        })
        .await
    }
}

impl fmt::Debug for VaultSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultSecrets").field("path", &self.path).finish_non_exhaustive()
    }
}
