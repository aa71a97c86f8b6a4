//! Token sources against a token endpoint on loopback.

mod assertions;
mod canary;
mod code;
mod flight;
mod grants;
mod kept;
mod oidc;
mod rotating;
mod rotation;
mod static_credentials;
mod strict;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use connector_sdk::{
    Context, Error, Network, Result, Secret,
    auth::TokenEndpoint,
    resilience::Resilience,
    secret::{TokenLock, TokenStore},
};

use crate::support::{
    Log,
    clock::ManualClock,
    server::{Reply, Server, json},
};

/// The file of a key or certificate that is used in tests only.
fn key_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/keys").join(name)
}

fn key(name: &str) -> Secret {
    Secret::new(std::fs::read_to_string(key_file(name)).unwrap())
}

/// A token endpoint, a store that writes down what it keeps, and a context with both.
struct Bench {
    cx: Context,
    clock: Arc<ManualClock>,
    store: Arc<Store>,
    server: Server,
}

impl Bench {
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with_store(replies, Arc::default()).await
    }

    async fn with_store(replies: impl IntoIterator<Item = Reply>, store: Arc<Store>) -> Self {
        let mut settings = Resilience::default();
        settings.max_attempts = 1;
        Self::with_settings(replies, store, settings).await
    }

    async fn with_settings(
        replies: impl IntoIterator<Item = Reply>,
        store: Arc<Store>,
        settings: Resilience,
    ) -> Self {
        let clock = ManualClock::new(Log::default());
        let cx = Context::builder("acme", "desk")
            .clock(clock.clone())
            .network(Network::loopback())
            .resilience(settings)
            .tokens(store.clone())
            .build();
        Self { cx, clock, store, server: Server::start(replies).await }
    }

    fn endpoint(&self) -> TokenEndpoint {
        TokenEndpoint::new(&self.cx, self.server.url.join("/token").unwrap()).unwrap()
    }

    /// The forms that the endpoint was sent.
    fn forms(&self) -> Vec<BTreeMap<String, String>> {
        let requests = self.server.requests();
        let bodies = requests.iter().map(|request| request.split_once("\r\n\r\n").unwrap().1);
        bodies.map(|body| url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()).collect()
    }
}

fn granted(access_token: &str, more: &str) -> Reply {
    json("200 OK", &format!(r#"{{"access_token":"{access_token}","token_type":"Bearer"{more}}}"#))
}

fn refused(code: &str) -> Reply {
    json(
        "400 Bad Request",
        &format!(r#"{{"error":"{code}","error_description":"expired access/refresh token"}}"#),
    )
}

/// Keeps in memory, in order, unless it is told to fail. It has locks, unless it is told to have none.
#[derive(Debug, Default)]
struct Store {
    kept: Mutex<BTreeMap<String, Secret>>,
    log: Log,
    failing: AtomicBool,
    lockless: AtomicBool,
    locks: Arc<Mutex<BTreeSet<String>>>,
}

impl Store {
    /// A store without locks, such as that of a host that has no place for them.
    fn without_locks() -> Arc<Self> {
        let store = Self::default();
        store.lockless.store(true, Ordering::Relaxed);
        Arc::new(store)
    }

    fn failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }
}

#[async_trait]
impl TokenStore for Store {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        Ok(self.kept.lock().unwrap().get(name).cloned())
    }

    async fn put(&self, name: &str, value: Secret) -> Result<()> {
        // A store takes a moment, in which a hasty caller would go on.
        tokio::task::yield_now().await;
        if self.failing.load(Ordering::Relaxed) {
            return Err(Error::transient("tokens", "the disk is full"));
        }
        let kept: serde_json::Value = serde_json::from_str(value.expose()).unwrap_or_default();
        self.log.push(format!("kept {}", kept["refresh_token"].as_str().unwrap_or("something")));
        self.kept.lock().unwrap().insert(name.to_owned(), value);
        Ok(())
    }

    async fn try_lock(&self, name: &str) -> Result<TokenLock> {
        if self.lockless.load(Ordering::Relaxed) {
            return Ok(TokenLock::None);
        }
        if !self.locks.lock().unwrap().insert(name.to_owned()) {
            return Ok(TokenLock::Busy);
        }
        Ok(TokenLock::Held(Box::new(Locked { name: name.to_owned(), locks: Arc::clone(&self.locks) })))
    }
}

struct Locked {
    name: String,
    locks: Arc<Mutex<BTreeSet<String>>>,
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.locks.lock().unwrap().remove(&self.name);
    }
}
