//! Secrets, and where they come from.

mod chain;
mod env;
mod file;
mod lock;
pub mod pair;
mod reading;
mod redact;
mod store;
mod successors;
mod vault;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, Zeroizing};

use crate::Result;

pub use chain::ChainSecrets;
pub use env::EnvSecrets;
pub use file::FileSecrets;
pub use lock::TokenLock;
pub use reading::{read_secret, read_secret_file};
pub use redact::redacted;
pub use store::SecretStore;
pub use successors::{NoSuccessors, Successors};
pub use vault::{KubernetesJwt, VaultAuth, VaultConfig, VaultSecrets};

/// A value that must not be seen: it has no Display, no Serialize, a Debug that shows nothing, and it
/// is wiped from memory when dropped.
///
/// ```
/// use connector_sdk::Secret;
/// let secret = Secret::new(String::from("hunter2"));
/// assert_eq!(format!("{secret:?}"), "[secret]");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
///
/// It cannot be printed or serialised, which the compiler holds:
///
/// ```compile_fail,E0277
/// let secret = connector_sdk::Secret::new(String::from("hunter2"));
/// println!("{secret}");
/// ```
/// ```compile_fail,E0277
/// let secret = connector_sdk::Secret::new(String::from("hunter2"));
/// serde_json::to_string(&secret).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize = String>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Call this where it is used (a header, a signature), nowhere else.
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<&str> for Secret<String> {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Secret<String> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl JsonSchema for Secret<String> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true, "format": "password" })
    }
}

/// Where a connector keeps a credential that the vendor changes, such as a rotated refresh token.
///
/// A host persists it sealed and scoped to one tenant's connection. `put` must be durable when it
/// returns: the vendor has already forgotten the old token.
#[async_trait]
pub trait TokenStore: Send + Sync + fmt::Debug {
    /// The credential kept under `name`.
    ///
    /// # Errors
    /// Config when it is sealed with another key; Transient when the store cannot be reached.
    async fn get(&self, name: &str) -> Result<Option<Secret>>;

    /// Keeps the credential, durably.
    ///
    /// # Errors
    /// Transient or Permanent when it could not be made durable; the caller must then not use it.
    async fn put(&self, name: &str, value: Secret) -> Result<()>;

    /// Takes the right to exchange the credential kept under `name`, where the store has locks. It does
    /// not wait. Who has it reads the credential, exchanges it, puts the new one, and lets go.
    ///
    /// # Errors
    /// Config and Transient as [`put`](Self::put).
    async fn try_lock(&self, name: &str) -> Result<TokenLock> {
        let _ = name;
        Ok(TokenLock::None)
    }
}

/// A [`TokenStore`] in memory: for tests and for hosts whose tokens never rotate.
#[derive(Debug, Default)]
pub struct MemoryTokens(std::sync::Mutex<BTreeMap<String, Secret>>);

#[async_trait]
impl TokenStore for MemoryTokens {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        Ok(self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(name).cloned())
    }

    async fn put(&self, name: &str, value: Secret) -> Result<()> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.to_owned(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
