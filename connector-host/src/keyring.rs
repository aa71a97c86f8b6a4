//! Secrets in the keyring of the operating system: Keychain, Credential Manager, or the secret service of the
//! desktop (over D-Bus). Behind the feature `keyring`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use connector_sdk::{
    Clock, Error, Result, Secret, SecretStore,
    clock::{SystemClock, timeout},
};
use keyring::Entry;

/// A person may have to unlock it first.
const DEADLINE: Duration = Duration::from_secs(120);

/// Looks a secret up as the password of a user who is called as the secret, of one service. The next one
/// belongs to the user of that name and `.next`.
///
/// A keyring changes one entry at a time: a process that dies while it promotes may leave the next one where
/// it was, and it is promoted again.
#[derive(Debug, Clone)]
pub struct KeyringSecrets {
    service: String,
    clock: Arc<dyn Clock>,
}

impl KeyringSecrets {
    /// The secrets of this service.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into(), clock: SystemClock::shared() }
    }

    /// Asks the keyring, which blocks, on a thread for such.
    async fn ask<T: Send + 'static>(
        &self,
        user: String,
        ask: impl FnOnce(&Entry) -> keyring::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let service = self.service.clone();
        let asked =
            tokio::task::spawn_blocking(move || Entry::new(&service, &user).and_then(|entry| ask(&entry)));
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
        Ok(self.ask(user.to_owned(), Entry::get_password).await?.map(Secret::new))
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
        self.read(name).await
    }

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let Some(current) = self.read(name).await? else { return Ok(None) };
        Ok(self.read(&next_of(name)).await?.filter(|next| next.expose() != current.expose()))
    }

    async fn stage(&self, name: &str, next: &Secret) -> Result<()> {
        if self.read(name).await?.is_none() {
            let message = "there is no secret of that name whose place it could take";
            return Err(Error::config("secret", message).with_context("name", name));
        }
        self.write(&next_of(name), next).await
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        let staged = self.read(&next_of(name)).await?;
        let holds =
            |found: &Option<Secret>| found.as_ref().is_some_and(|found| found.expose() == next.expose());
        if !holds(&staged) && !(staged.is_none() && holds(&self.read(name).await?)) {
            let message = "the next one is another by now, so it was not promoted";
            return Err(Error::permanent("secret", message).with_context("name", name));
        }
        self.write(name, next).await?;
        self.ask(next_of(name), Entry::delete_credential).await.map(drop)
    }
}
