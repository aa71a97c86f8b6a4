//! Secrets in the keyring of the operating system: Keychain, Credential Manager, or the secret service of the
//! desktop (over D-Bus). Behind the feature `keyring`.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Clock, Error, Result, Secret, SecretStore,
    clock::{SystemClock, timeout},
    secret::pair::{checked, missing, present, replaced, same, stageable},
};
use keyring::Entry;

/// Opens the entry of a user.
type Open = dyn Fn(&str, &str) -> keyring::Result<Entry> + Send + Sync;

/// A person may have to unlock it first.
const DEADLINE: Duration = Duration::from_secs(120);

/// Looks a secret up as the password of a user who is called as the secret, of one service. The next one
/// belongs to the user of that name and `.next`.
///
/// A keyring changes one entry at a time: a process that dies while it promotes may leave the next one where
/// it was, and it is promoted again.
#[derive(Clone)]
pub struct KeyringSecrets {
    service: String,
    open: Arc<Open>,
    clock: Arc<dyn Clock>,
}

impl KeyringSecrets {
    /// The secrets of this service.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into(), open: Arc::new(Entry::new), clock: SystemClock::shared() }
    }

    /// Asks the keyring, which blocks, on a thread for such.
    async fn ask<T: Send + 'static>(
        &self,
        user: String,
        ask: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let (service, open) = (self.service.clone(), Arc::clone(&self.open));
        let asked = tokio::task::spawn_blocking(move || open(&service, &user).and_then(|entry| ask(&entry)));
        let asked = timeout(&*self.clock, DEADLINE, asked).await.map_err(|_| {
            Error::transient("secret", "the keyring does not answer: is it waiting to be unlocked?")
        })?;
        match asked {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(keyring::Error::NoEntry)) => Ok(None),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(Error::bug("secret", "asking the keyring has failed")),
        }
    }

    async fn read(&self, user: &str) -> Result<Option<Secret>> {
        Ok(present(self.ask(user.to_owned(), Entry::get_password).await?.map(Secret::new)))
    }

    async fn write(&self, user: &str, secret: &Secret) -> Result<()> {
        let secret = secret.clone();
        let written = self.ask(user.to_owned(), move |entry| entry.set_password(secret.expose())).await?;
        written.ok_or_else(|| Error::config("secret", "the keyring takes no secret of this name"))
    }
}

/// Without the error's own words: some of them hold the secret.
fn failed(error: &keyring::Error) -> Error {
    let what = match error {
        keyring::Error::NoStorageAccess(_) => "the keyring is locked or does not let us in",
        keyring::Error::NoDefaultStore => "this machine has no keyring that answers",
        keyring::Error::BadEncoding(_) => "what the keyring holds is no text",
        keyring::Error::TooLong(..) => "the keyring takes no secret of this length",
        keyring::Error::Ambiguous(_) => "the keyring holds several secrets of this name",
        _ => "the keyring cannot be asked",
    };
    Error::config("secret", what)
}

fn next_of(name: &str) -> String {
    format!("{name}.next")
}

#[async_trait]
impl SecretStore for KeyringSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        self.read(checked(name)?).await
    }

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let Some(current) = self.get(name).await? else { return Ok(None) };
        Ok(self.read(&next_of(name)).await?.filter(|next| !same(next, &current)))
    }

    async fn writable(&self, name: &str) -> Result<()> {
        checked(name).map(drop)
    }

    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        let next = stageable(name, next)?;
        if self.get(name).await?.is_none() {
            return Err(missing(name));
        }
        self.write(&next_of(name), next).await
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        let holds = |found: Option<Secret>| found.is_some_and(|found| same(&found, next));
        match self.read(&next_of(name)).await? {
            None if holds(self.get(name).await?) => return Ok(()),
            staged if holds(staged.clone()) => {}
            _ => return Err(replaced(name)),
        }
        self.write(checked(name)?, next).await?;
        self.ask(next_of(name), Entry::delete_credential).await.map(drop)
    }
}

impl fmt::Debug for KeyringSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringSecrets").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
