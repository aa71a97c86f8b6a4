//! The `secrets:` section: stores, asked in order.

use std::path::{Path, PathBuf};

use connector_sdk::{
    Context, Error, Network, Result, Secret, SecretStore,
    http::Url,
    secret::{ChainSecrets, EnvSecrets, FileSecrets, KubernetesJwt, VaultAuth, VaultConfig, VaultSecrets},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Variables;

/// Where secret files lie, where the template does not say otherwise.
const FOLDER: &str = "./secrets";

/// A place where secrets are looked up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum StoreSection {
    /// Variables of the environment.
    Env(EnvSection),
    /// Files of mode 0600 in a folder, each named by its secret.
    File(FileSection),
    /// HashiCorp Vault, a key-value engine of version 2.
    Vault(Box<VaultSection>),
    /// The keyring of the operating system.
    Keyring(KeyringSection),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EnvSection {
    /// What stands before the secret's name, which is in upper case.
    prefix: String,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileSection {
    /// The folder.
    path: PathBuf,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VaultSection {
    /// Its address, such as `https://vault.example:8200`.
    address: String,
    /// Where the engine is mounted.
    #[serde(default = "mount")]
    mount: String,
    /// What stands before the secrets' names.
    #[serde(default)]
    prefix: String,
    /// The namespace, where Vault has several.
    #[serde(default)]
    namespace: Option<String>,
    /// How to sign in.
    auth: VaultAuthSection,
    /// Where requests to Vault may go; the connection's own `network` is for the vendor.
    #[serde(default)]
    network: Network,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum VaultAuthSection {
    /// With a token that somebody else obtained.
    Token(Secret),
    /// As a role, with its secret id.
    Approle(AppRoleSection),
    /// As a pod's service account.
    Kubernetes(KubernetesSection),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AppRoleSection {
    /// Where this way is mounted.
    #[serde(default = "approle")]
    mount: String,
    /// The role's id.
    role_id: String,
    /// The role's secret.
    secret_id: Secret,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KubernetesSection {
    /// Where this way is mounted.
    #[serde(default = "kubernetes")]
    mount: String,
    /// The role's name.
    role: String,
    /// The service account's token itself. It is read once, so that one that ends is better left to `jwt_file`.
    #[serde(default)]
    jwt: Option<Secret>,
    /// The file of the service account's token, which is read at each login. Default: where a pod has its own.
    #[serde(default)]
    jwt_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyringSection {
    /// Under which service the secrets are kept.
    #[serde(default = "service")]
    service: String,
}

/// What the section may be.
pub(super) fn schema() -> serde_json::Value {
    schemars::schema_for!(Option<Vec<StoreSection>>).to_value()
}

fn mount() -> String {
    "secret".to_owned()
}

fn approle() -> String {
    "approle".to_owned()
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn service() -> String {
    "connector".to_owned()
}

impl Default for EnvSection {
    fn default() -> Self {
        Self { prefix: "CONNECTOR_SECRET_".to_owned() }
    }
}

impl Default for FileSection {
    fn default() -> Self {
        Self { path: FOLDER.into() }
    }
}

impl VaultSection {
    fn open(self, folder: &Path) -> Result<(Place, VaultSecrets)> {
        let Self { address, mount, prefix, namespace, auth, network } = self;
        // An address that is no URL may be anything that a variable brought.
        let refused = || Error::config("read template", "the `address` of Vault is no URL");
        let url: Url = address.parse().map_err(|_| refused())?;
        let host = url.host_str().ok_or_else(refused)?;
        let place = Place::Vault(format!("{host}, {mount}/{prefix}"));
        let mut config = VaultConfig::new(url);
        (config.mount, config.prefix, config.namespace) = (mount, prefix, namespace);
        let auth = match auth {
            VaultAuthSection::Token(token) => VaultAuth::Token(token),
            VaultAuthSection::Approle(AppRoleSection { mount, role_id, secret_id }) => {
                VaultAuth::AppRole { mount, role_id, secret_id }
            }
            VaultAuthSection::Kubernetes(KubernetesSection { mount, role, jwt, jwt_file }) => {
                let jwt = match (jwt, jwt_file) {
                    (Some(_), Some(_)) => {
                        let message = "`kubernetes` has `jwt` and `jwt_file`: leave one of them out";
                        return Err(Error::config("read template", message));
                    }
                    (Some(jwt), None) => KubernetesJwt::Given(jwt),
                    (None, file) => {
                        KubernetesJwt::File(folder.join(file.unwrap_or_else(|| KubernetesJwt::PATH.into())))
                    }
                };
                VaultAuth::Kubernetes { mount, role, jwt }
            }
        };
        let cx = Context::builder("secrets", "vault").network(network).build();
        Ok((place, VaultSecrets::new(&cx, config, auth)?))
    }
}

/// The stores of a template.
#[derive(Debug, Clone)]
pub(super) struct Stores {
    chain: ChainSecrets,
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
enum Place {
    Environment(EnvSecrets),
    Folder(PathBuf),
    Vault(String),
    #[cfg(feature = "keyring")]
    Keyring(String),
}

impl Stores {
    /// The stores of the section; without one: variables `CONNECTOR_SECRET_NAME`, then files `./secrets/NAME`.
    ///
    /// # Errors
    /// Config when a store cannot be what the section says.
    pub(super) fn new(
        section: Option<Vec<StoreSection>>,
        folder: &Path,
        variables: &Variables,
    ) -> Result<Self> {
        let section = section.unwrap_or_else(|| {
            vec![StoreSection::Env(EnvSection::default()), StoreSection::File(FileSection::default())]
        });
        let mut stores = Self { chain: ChainSecrets::default(), places: Vec::new() };
        for store in section {
            match store {
                StoreSection::Env(EnvSection { prefix }) => {
                    let variables = variables.clone();
                    let store = EnvSecrets::looked_up_by(move |name| variables.env(name)).with_prefix(prefix);
                    stores = stores.then(Place::Environment(store.clone()), store);
                }
                StoreSection::File(FileSection { path }) => {
                    let path = folder.join(path);
                    stores = stores.then(Place::Folder(path.clone()), FileSecrets::new(path));
                }
                StoreSection::Vault(section) => {
                    let (place, store) = section.open(folder)?;
                    stores = stores.then(place, store);
                }
                #[cfg(feature = "keyring")]
                StoreSection::Keyring(KeyringSection { service }) => {
                    let store = crate::keyring::KeyringSecrets::new(service.clone());
                    stores = stores.then(Place::Keyring(service), store);
                }
                #[cfg(not(feature = "keyring"))]
                StoreSection::Keyring(KeyringSection { service }) => {
                    let message = format!(
                        "this program was built without the keyring (feature `keyring`), where the secrets of \
                         `{service}` are to be looked up"
                    );
                    return Err(Error::config("read template", message));
                }
            }
        }
        Ok(stores)
    }

    fn then(mut self, place: Place, store: impl SecretStore + 'static) -> Self {
        self.places.push(place);
        self.chain = self.chain.then(store);
        self
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

    /// All stores as one.
    pub(super) fn chain(&self) -> &ChainSecrets {
        &self.chain
    }

    /// Where the secret of that name is, in words.
    ///
    /// # Errors
    /// As the stores answer.
    pub(super) async fn place(&self, name: &str) -> Result<Option<String>> {
        let found = self.chain.find(name).await?;
        found.and_then(|(place, _)| self.places.get(place)).map(|place| place.of(name)).transpose()
    }
}

impl Place {
    fn of(&self, name: &str) -> Result<String> {
        Ok(match self {
            Self::Environment(store) => format!("the variable {}", store.variable(name)?),
            Self::Folder(folder) => format!("the file {}", folder.join(name).display()),
            Self::Vault(at) => format!("`{name}` in Vault ({at})"),
            #[cfg(feature = "keyring")]
            Self::Keyring(service) => format!("`{name}` of `{service}` in the keyring"),
        })
    }
}
