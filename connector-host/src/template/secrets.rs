//! The secrets that a template names: where they are, and which of them gave what.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use aws_lc_rs::{hmac, rand};
use connector_sdk::{Error, Result, Secret, SecretStore, secret::Successors};

use super::stores::Stores;

/// The secrets that a template names, for those who list or change them.
///
/// Made by [`Template::secrets`](super::Template::secrets).
#[derive(Debug)]
pub struct TemplateSecrets {
    names: BTreeSet<String>,
    stores: Stores,
}

impl TemplateSecrets {
    pub(super) fn new(names: BTreeSet<String>, stores: Stores) -> Self {
        Self { names, stores }
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// In which store the secret of that name is, in words; none: in no store.
    ///
    /// # Errors
    /// As [`SecretStore::get`].
    pub async fn place(&self, name: &str) -> Result<Option<String>> {
        self.stores.place(name).await
    }

    /// The stores as one, in the template's order.
    #[must_use]
    pub fn store(&self) -> &dyn SecretStore {
        self.stores.chain()
    }
}

/// Remembers which secret gave which text, by a fingerprint under a key that nobody else has and that ends
/// with it. The connector shows a text that was refused; this knows its name, and asks the store.
///
/// A text that is put together (`"Bearer ${secret:x}"`) is no secret's, and has no successor.
pub(super) struct Ledger {
    stores: Stores,
    key: hmac::Key,
    names: Mutex<BTreeMap<Vec<u8>, BTreeSet<String>>>,
}

impl Ledger {
    /// An empty one over these stores.
    ///
    /// # Errors
    /// Bug when the machine gives no random numbers.
    pub(super) fn new(stores: Stores) -> Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .map_err(|_| Error::bug("read template", "the machine gives no random numbers"))?;
        Ok(Self { stores, key, names: Mutex::default() })
    }

    /// The secret of this name is this text.
    pub(super) fn note(&self, name: &str, secret: &Secret) {
        self.names().entry(self.fingerprint(secret)).or_default().insert(name.to_owned());
    }

    fn fingerprint(&self, secret: &Secret) -> Vec<u8> {
        hmac::sign(&self.key, secret.expose().as_bytes()).as_ref().to_vec()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, BTreeSet<String>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names_of(&self, secret: &Secret) -> BTreeSet<String> {
        self.names().get(&self.fingerprint(secret)).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl Successors for Ledger {
    async fn after(&self, refused: &Secret) -> Result<Option<Secret>> {
        let store = self.stores.chain();
        // One text may be the secret of several names.
        for name in self.names_of(refused) {
            let another = |found: &Secret| found.expose() != refused.expose();
            let mut found = store.get(&name).await?.filter(another);
            if found.is_none() {
                found = store.next(&name).await?.filter(another);
            }
            if let Some(found) = found {
                self.note(&name, &found);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn promote(&self, accepted: &Secret) -> Result<()> {
        for name in self.names_of(accepted) {
            // Only where it is the next one: of another name it may have been the current one all along.
            if self.stores.chain().next(&name).await?.is_some_and(|next| next.expose() == accepted.expose()) {
                self.stores.chain().promote(&name, accepted).await?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("secrets", &self.names().len()).finish_non_exhaustive()
    }
}
