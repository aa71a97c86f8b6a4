//! Secrets in environment variables.

use async_trait::async_trait;

use super::{Secret, SecretStore, checked};
use crate::{Error, Result};

/// Looks a secret up in the variable `CONNECTOR_SECRET_` followed by its name, in upper case, with `-`
/// and `.` as `_`.
///
/// ```
/// use connector_sdk::secret::EnvSecrets;
/// assert_eq!(EnvSecrets::variable("sf-client.secret").unwrap(), "CONNECTOR_SECRET_SF_CLIENT_SECRET");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct EnvSecrets;

impl EnvSecrets {
    /// The variable that holds the secret of this name.
    ///
    /// # Errors
    /// Config when the name is no name of a secret.
    pub fn variable(name: &str) -> Result<String> {
        let name = checked(name)?.to_ascii_uppercase().replace(['-', '.'], "_");
        Ok(format!("CONNECTOR_SECRET_{name}"))
    }
}

#[async_trait]
impl SecretStore for EnvSecrets {
    #[expect(clippy::disallowed_methods, reason = "a store of secrets is the edge of the program")]
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        let variable = Self::variable(name)?;
        match std::env::var(&variable) {
            Ok(value) => Ok(Some(Secret::new(value))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::config("secret", "the variable does not hold text")
                    .with_context("variable", variable))
            }
        }
    }
}
