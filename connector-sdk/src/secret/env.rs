//! Secrets in environment variables.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    Secret, SecretStore,
    pair::{checked, present, replaced, same},
};
use crate::{Error, Result};

/// What stands before a secret's name, where nobody says otherwise.
const PREFIX: &str = "CONNECTOR_SECRET_";

/// What a variable holds; an error says that it holds no text.
type LookUp = dyn Fn(&str) -> Result<Option<Secret>> + Send + Sync;

/// Looks a secret up in the variable `CONNECTOR_SECRET_` followed by its name, in upper case, with `-`,
/// `.` and `#` as `_`; the next one is in the variable of that name and `_NEXT`. An empty variable is as good
/// as none. Names that differ in nothing but those three characters and in upper and lower case are one
/// variable: here `sf-key` and `sf.key` are one secret.
///
/// An environment cannot be written: a promoted secret is remembered by this value and its clones, and a
/// new process begins with the old one again, until a person moves the text from one variable to the other.
///
/// ```
/// use connector_sdk::secret::EnvSecrets;
/// let store = EnvSecrets::default();
/// assert_eq!(store.variable("sf-client.secret").unwrap(), "CONNECTOR_SECRET_SF_CLIENT_SECRET");
/// ```
#[derive(Clone)]
pub struct EnvSecrets {
    prefix: String,
    look_up: Arc<LookUp>,
    promoted: Arc<Mutex<BTreeMap<String, Secret>>>,
}

impl Default for EnvSecrets {
    fn default() -> Self {
        Self { prefix: PREFIX.to_owned(), look_up: Arc::new(process), promoted: Arc::default() }
    }
}

impl EnvSecrets {
    /// Looks variables up with this function, not in the process's environment.
    #[must_use]
    pub fn looked_up_by(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let look_up = move |variable: &str| Ok(look_up(variable).map(Secret::new));
        Self { look_up: Arc::new(look_up), ..Self::default() }
    }

    /// Puts this before the names instead of `CONNECTOR_SECRET_`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The variable that holds the secret of this name.
    ///
    /// # Errors
    /// Config when the name is no name of a secret.
    pub fn variable(&self, name: &str) -> Result<String> {
        let name = checked(name)?.to_ascii_uppercase().replace(['-', '.', '#'], "_");
        Ok(format!("{}{name}", self.prefix))
    }

    fn look_up(&self, variable: &str) -> Result<Option<Secret>> {
        (self.look_up)(variable).map(present)
    }

    fn promoted(&self) -> MutexGuard<'_, BTreeMap<String, Secret>> {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "a store of secrets is the edge of the program")]
fn process(variable: &str) -> Result<Option<Secret>> {
    match std::env::var(variable) {
        Ok(value) => Ok(Some(Secret::new(value))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::config("secret", "the variable does not hold text").with_context("variable", variable))
        }
    }
}

#[async_trait]
impl SecretStore for EnvSecrets {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        let variable = self.variable(name)?;
        let promoted = self.promoted().get(&variable).cloned();
        if promoted.is_some() { Ok(promoted) } else { self.look_up(&variable) }
    }

    async fn next(&self, name: &str) -> Result<Option<Secret>> {
        let Some(current) = self.get(name).await? else { return Ok(None) };
        let next = self.look_up(&format!("{}_NEXT", self.variable(name)?))?;
        Ok(next.filter(|next| !same(next, &current)))
    }

    async fn writable(&self, name: &str) -> Result<()> {
        let variable = self.variable(name)?;
        let message = format!(
            "the environment cannot be written: put the text of {variable}_NEXT into {variable} where the \
             environment is set, and start the processes anew"
        );
        Err(Error::config("secret", message))
    }

    async fn stage(&self, name: &str, _next: &Secret) -> Result<()> {
        let message = format!(
            "the environment cannot be written: set {}_NEXT, and start the process anew",
            self.variable(name)?
        );
        Err(Error::config("secret", message))
    }

    async fn promote(&self, name: &str, next: &Secret) -> Result<()> {
        match self.next(name).await? {
            Some(found) if same(&found, next) => {
                self.promoted().insert(self.variable(name)?, found);
                Ok(())
            }
            _ if self.get(name).await?.is_some_and(|current| same(&current, next)) => Ok(()),
            _ => Err(replaced(name)),
        }
    }
}

impl fmt::Debug for EnvSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSecrets").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
