//! Several stores, asked in order.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Secret, SecretStore};
use crate::{Error, Result};

/// Asks stores in order; the first that holds a name gives it. One that cannot look ends the search:
/// the next might hold another secret of that name. What comes next is the affair of the store that gives
/// the current one: a later store is never asked for that name.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_sdk::secret::{ChainSecrets, EnvSecrets, FileSecrets, SecretStore};
/// let stores = ChainSecrets::default().then(EnvSecrets::default()).then(FileSecrets::new("./secrets"));
/// assert!(stores.get("nobody-has-this").await?.is_none());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ChainSecrets(Vec<Arc<dyn SecretStore>>);

impl ChainSecrets {
    /// Asks this one after those before it.
    #[must_use]
    pub fn then(mut self, store: impl SecretStore + 'static) -> Self {
        self.0.push(Arc::new(store));
        self
    }

    /// The store that gives this name, by its place in the order, and what it gives.
    ///
    /// # Errors
    /// As [`SecretStore::get`] of the stores up to that one.
    pub async fn find(&self, name: &str) -> Result<Option<(usize, Secret)>> {
        for (place, store) in self.0.iter().enumerate() {
            if let Some(secret) = store.get(name).await? {
                return Ok(Some((place, secret)));
            }
        }
        Ok(None)
    }

    async fn holder(&self, name: &str) -> Result<Option<&Arc<dyn SecretStore>>> {
        Ok(self.find(name).await?.and_then(|(place, _)| self.0.get(place)))
    }

    async fn expected(&self, name: &str) -> Result<&Arc<dyn SecretStore>> {
        let missing = || Error::config("secret", "no store holds it").with_context("name", name);
        self.holder(name).await?.ok_or_else(missing)
    }
}

#[async_trait]
impl SecretStore for ChainSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        Ok(self.find(name).await?.map(|(_, secret)| secret))
    }

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        match self.holder(name).await? {
            Some(store) => store.next(name).await,
            None => Ok(None),
        }
    }

    async fn writable(&self, name: &str) -> Result<()> {
        self.expected(name).await?.writable(name).await
    }

    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        self.expected(name).await?.stage(name, next).await
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        self.expected(name).await?.promote(name, next).await
    }
}
