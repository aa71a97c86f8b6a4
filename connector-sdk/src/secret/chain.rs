//! Several stores, asked in order.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Secret, SecretStore};
use crate::Result;

/// Asks stores in order; the first that holds a name gives it. One that cannot look ends the search:
/// the next might hold another secret of that name.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> connector_sdk::Result<()> {
/// use connector_sdk::secret::{ChainSecrets, EnvSecrets, FileSecrets, SecretStore};
/// let stores = ChainSecrets::default().then(EnvSecrets).then(FileSecrets::new("./secrets"));
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
}

#[async_trait]
impl SecretStore for ChainSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        for store in &self.0 {
            if let Some(secret) = store.get(name).await? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }
}
