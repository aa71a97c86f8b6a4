//! What a connection is configured with: `config:` of its file. No I/O.

use connector_sdk::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// The configuration. Its documentation is what people see in `connector spec`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the vendor is, such as `https://acme.desk.example`.
    pub base_url: String,
    /// How to sign in.
    pub auth: Auth,
    /// Tickets in a page, 1 to 1000.
    #[serde(default = "default_page_size")]
    pub page_size: u32,
}

/// The ways to sign in. Each is a variant here and an `AuthMethod` of the manifest; `connector_sdk::auth` has API
/// keys, Basic, bearer, refresh tokens, authorisation codes, JWT and SAML assertions.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// OAuth2 client credentials.
    ClientCredentials(ClientCredentials),
}

/// What the vendor gives an app.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// The app.
    pub client_id: String,
    /// Its secret. A `Secret` is in no log, no error and no `Debug`, and is marked in the schema.
    pub client_secret: Secret,
}

fn default_page_size() -> u32 {
    100
}

impl Config {
    /// The URL, when all of the configuration makes sense.
    pub(crate) fn check(&self) -> Result<Url> {
        if !(1..=1000).contains(&self.page_size) {
            return Err(Error::config("connect", "`page_size` must be 1 to 1000"));
        }
        let url = self.base_url.parse();
        url.map_err(|_| Error::config("connect", "`base_url` is no URL"))
    }
}
