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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use connector_sdk::Class;

    use super::{super::Variables, *};

    fn put(folder: &tempfile::TempDir, name: &str, text: &str) {
        let path = folder.path().join("secrets").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn ledger(folder: &tempfile::TempDir) -> Ledger {
        Ledger::new(Stores::new(None, folder.path(), &Variables::new(|_| None)).unwrap()).unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::from(text)
    }

    #[tokio::test]
    async fn a_refused_text_is_followed_by_what_its_store_holds_now_and_then_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        put(&folder, "a", "one");
        put(&folder, "a.next", "two");
        ledger.note("a", &secret("one"));
        assert!(ledger.after(&secret("other")).await.unwrap().is_none(), "nobody knows it");
        assert_eq!(ledger.after(&secret("one")).await.unwrap().unwrap().expose(), "two");
        ledger.promote(&secret("two")).await.unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("secrets/a")).unwrap().trim_end(), "two");
        // It goes on from there.
        assert!(ledger.after(&secret("two")).await.unwrap().is_none());
        put(&folder, "a", "three");
        put(&folder, "a.next", "four");
        assert_eq!(ledger.after(&secret("two")).await.unwrap().unwrap().expose(), "three");
        ledger.promote(&secret("three")).await.unwrap();
        assert_eq!(ledger.after(&secret("three")).await.unwrap().unwrap().expose(), "four");
        assert!(!format!("{ledger:?}").contains("four"));
    }

    #[tokio::test]
    async fn of_two_names_with_one_text_the_one_that_has_a_next_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        for (name, text) in [("a", "one"), ("b", "one"), ("b.next", "two")] {
            put(&folder, name, text);
        }
        ledger.note("a", &secret("one"));
        ledger.note("b", &secret("one"));
        assert_eq!(ledger.after(&secret("one")).await.unwrap().unwrap().expose(), "two");
        ledger.promote(&secret("two")).await.unwrap();
        let texts =
            ["a", "b"].map(|name| fs::read_to_string(folder.path().join("secrets").join(name)).unwrap());
        assert_eq!(texts.map(|text| text.trim_end().to_owned()), ["one", "two"]);
    }

    #[tokio::test]
    async fn a_store_that_cannot_look_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = ledger(&folder);
        put(&folder, "a", "one");
        fs::set_permissions(folder.path().join("secrets/a"), fs::Permissions::from_mode(0o644)).unwrap();
        ledger.note("a", &secret("one"));
        assert_eq!(ledger.after(&secret("one")).await.unwrap_err().class(), Class::Config);
    }
}
