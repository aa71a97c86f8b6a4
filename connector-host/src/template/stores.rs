//! The `secrets:` section: stores, asked in order.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use connector_sdk::{
    Error, Result, Secret, SecretStore,
    secret::{ChainSecrets, EnvSecrets, FileSecrets},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Variables;

/// What stands before a secret's name in the environment, where the template does not say otherwise.
const PREFIX: &str = "CONNECTOR_SECRET_";
/// Where secret files lie, where the template does not say otherwise.
const FOLDER: &str = "./secrets";

/// A place where secrets are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum StoreSection {
    /// Variables of the environment.
    Env(EnvSection),
    /// Files of mode 0600 in a folder, each named by its secret.
    File(FileSection),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EnvSection {
    /// What stands before the secret's name, which is in upper case.
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileSection {
    /// The folder.
    path: PathBuf,
}

impl Default for EnvSection {
    fn default() -> Self {
        Self { prefix: PREFIX.to_owned() }
    }
}

impl Default for FileSection {
    fn default() -> Self {
        Self { path: FOLDER.into() }
    }
}

/// The stores of a template.
#[derive(Debug)]
pub(super) struct Stores {
    chain: ChainSecrets,
    places: Vec<Place>,
}

#[derive(Debug)]
enum Place {
    Environment(String),
    Folder(PathBuf),
}

impl Stores {
    /// The stores of the section; without one: variables `CONNECTOR_SECRET_NAME`, then files `./secrets/NAME`.
    pub(super) fn new(section: Option<Vec<StoreSection>>, folder: &Path, variables: &Variables) -> Self {
        let section = section.unwrap_or_else(|| {
            vec![StoreSection::Env(EnvSection::default()), StoreSection::File(FileSection::default())]
        });
        let mut stores = Self { chain: ChainSecrets::default(), places: Vec::new() };
        for store in section {
            match store {
                StoreSection::Env(EnvSection { prefix }) => {
                    stores.places.push(Place::Environment(prefix.clone()));
                    stores.chain = stores.chain.then(Environment { prefix, variables: variables.clone() });
                }
                StoreSection::File(FileSection { path }) => {
                    let path = folder.join(path);
                    stores.places.push(Place::Folder(path.clone()));
                    stores.chain = stores.chain.then(FileSecrets::new(path));
                }
            }
        }
        stores
    }

    /// The secret of that name.
    ///
    /// # Errors
    /// Config when no store holds it, naming where it was looked up; as the stores answer.
    pub(super) async fn get(&self, name: &str) -> Result<Secret> {
        if let Some(secret) = self.chain.get(name).await? {
            return Ok(secret);
        }
        let places: Result<Vec<String>> = self.places.iter().map(|place| place.of(name)).collect();
        let places = places?.join(", ");
        Err(Error::config(
            "read template",
            format!("no store holds the secret `{name}`; looked for {places}"),
        ))
    }
}

impl Place {
    fn of(&self, name: &str) -> Result<String> {
        Ok(match self {
            Self::Environment(prefix) => format!("the variable {}", variable(prefix, name)?),
            Self::Folder(folder) => format!("the file {}", folder.join(name).display()),
        })
    }
}

/// Secrets in the environment that the template was given, with a prefix of the template's choice.
#[derive(Debug)]
struct Environment {
    prefix: String,
    variables: Variables,
}

fn variable(prefix: &str, name: &str) -> Result<String> {
    let variable = EnvSecrets::variable(name)?;
    Ok(format!("{prefix}{}", variable.strip_prefix(PREFIX).unwrap_or(&variable)))
}

#[async_trait]
impl SecretStore for Environment {
    async fn get(&self, name: &str) -> Result<Option<Secret>> {
        Ok(self.variables.env(&variable(&self.prefix, name)?).map(Secret::new))
    }
}
