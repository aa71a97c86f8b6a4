//! What a connection is set up with. Typed, checked, no I/O.

use std::fmt;

use connector_sdk::{Error, Network, Period, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{door::Door, hosts};

/// The API version that is asked for by default: Spring '26.
const DEFAULT_API_VERSION: &str = "v66.0";
/// Versions up to this one are retired (help article 000354473).
const LAST_RETIRED: u32 = 30;
/// Rows a page may have (REST guide, headers_queryoptions).
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 200..=2_000;

/// The `config:` of a Salesforce connection.
///
/// ```
/// use connector_salesforce::SalesforceConfig;
/// let config: SalesforceConfig = serde_json::from_str(r#"{
///     "instance_url": "https://acme.my.salesforce.com",
///     "auth": { "client_credentials": { "client_id": "3MVG9…", "client_secret": "…" } }
/// }"#).unwrap();
/// assert_eq!(config.page_size, 2_000);
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SalesforceConfig {
    /// The org's My Domain, `https://acme.my.salesforce.com`. Needed with `client_credentials` and
    /// `session`; with the other ways to sign in the vendor's answer names it, and this is only a check.
    pub instance_url: Option<String>,
    /// Where `refresh_token`, `jwt_bearer` and `saml_bearer` sign in: `https://login.salesforce.com` (default),
    /// `https://test.salesforce.com` for a sandbox, or the org's My Domain.
    #[serde(default = "default_login_url")]
    pub login_url: String,
    /// The API version, `v66.0` (default). v21.0 to v30.0 are retired.
    #[serde(default = "default_api_version")]
    #[schemars(regex(pattern = r"^v\d+\.0$"))]
    pub api_version: String,
    /// How to sign in.
    pub auth: Auth,
    /// Records that a page is asked to have, 200 to 2,000 (default). The vendor gives fewer as it likes.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 200, max = 2_000))]
    pub page_size: u32,
    /// How far an incremental read looks back before what it has closed, for rows that became visible
    /// late (long transactions). Default `600s`.
    #[serde(default = "default_lookback")]
    pub lookback: Period,
    /// How far behind the vendor's clock a window of time is closed. What is newer is read as well, and
    /// looked at again. Default `5m`.
    #[serde(default = "default_safety_lag")]
    pub safety_lag: Period,
    /// The share of the org's daily API requests, above 0 and up to 1, at which a run stops: other
    /// software of the org lives on the rest. Default 0.8.
    #[serde(default = "default_quota_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub quota_share: f64,
    /// The share of the org's daily API requests, above 0 and up to 1, that one run may make itself. Default 1.
    #[serde(default = "default_run_quota_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub run_quota_share: f64,
    /// Reads rows that are in the recycle bin too, as operation `delete`. Default true.
    #[serde(default = "default_include_deleted")]
    pub include_deleted: bool,
    /// Asks the vendor's log of deletions too, for rows that were deleted past the recycle bin or have left it:
    /// one request more for each run of an incremental stream. Only with `include_deleted`. Default true.
    #[serde(default = "default_deleted_log")]
    pub deleted_log: bool,
    /// How many rows `salesforce/auto` reads by a Bulk job instead of by REST: so many and more. Default 50,000: as
    /// 25 pages they take about as many requests as a job does.
    #[serde(default = "default_bulk_from")]
    pub bulk_from: u64,
    /// How long a run waits for one Bulk job. The job goes on at the vendor, and the next run with it.
    /// Default `24h`. For `salesforce/bulk` and `salesforce/auto`.
    #[serde(default = "default_job_timeout")]
    pub job_timeout: Period,
}

/// How to sign in; exactly one of these.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Auth {
    /// As the integration user of an External Client App. The request goes to My Domain only.
    ClientCredentials(ClientCredentials),
    /// As the user who approved the app, by `connector login`. A rotated token is kept before it is used.
    RefreshToken(RefreshToken),
    /// As a user whom an admin has approved for the app, with a signed assertion; no client secret.
    JwtBearer(JwtBearer),
    /// The same with an assertion in XML, for an app whose policy wants SAML.
    SamlBearer(SamlBearer),
    /// With an access token that somebody else obtained. It cannot be renewed.
    Session(Session),
}

/// OAuth 2.0 client credentials.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// The app's consumer key.
    pub client_id: String,
    /// The app's consumer secret.
    pub client_secret: Secret,
}

/// OAuth 2.0 refresh token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshToken {
    /// The app's consumer key.
    pub client_id: String,
    /// The app's consumer secret; an app that is a public client has none.
    pub client_secret: Option<Secret>,
    /// The first refresh token. Under rotation its successors are kept by the host. Without it the one
    /// that `connector login` has kept is used.
    pub refresh_token: Option<Secret>,
}

/// OAuth 2.0 JWT bearer, RS256.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwtBearer {
    /// The app's consumer key.
    pub client_id: String,
    /// The user to act as.
    pub username: String,
    /// The RSA private key as PEM whose certificate the app holds.
    pub private_key: Secret,
    /// The assertion's audience; default: `login_url` where it is a login host, else
    /// `https://login.salesforce.com`.
    pub audience: Option<String>,
}

/// SAML 2.0 bearer, RSA-SHA256 (help article remoteaccess_oauth_SAML_bearer_flow).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SamlBearer {
    /// The app's consumer key, which the assertion names as its issuer.
    pub client_id: String,
    /// The user to act as.
    pub username: String,
    /// The RSA private key as PEM whose certificate the app holds.
    pub private_key: Secret,
    /// That certificate as PEM, to be sent along. The vendor checks with the one that the app holds.
    pub certificate: Option<String>,
    /// The assertion's audience; default as that of `jwt_bearer`.
    pub audience: Option<String>,
    /// The token endpoint as the assertion names it; default `/services/oauth2/token` at the audience, which
    /// is not the org's My Domain even where that signs in.
    pub recipient: Option<String>,
}

/// An access token.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The token.
    pub access_token: Secret,
}

fn default_login_url() -> String {
    hosts::LOGIN_URL.to_owned()
}
fn default_api_version() -> String {
    DEFAULT_API_VERSION.to_owned()
}
fn default_page_size() -> u32 {
    *PAGE_SIZES.end()
}
fn default_lookback() -> Period {
    Period::secs(600)
}
fn default_safety_lag() -> Period {
    Period::secs(300)
}
fn default_quota_share() -> f64 {
    0.8
}
fn default_run_quota_share() -> f64 {
    1.0
}
fn default_include_deleted() -> bool {
    true
}
fn default_deleted_log() -> bool {
    true
}

fn default_bulk_from() -> u64 {
    50_000
}
fn default_job_timeout() -> Period {
    Period::secs(86_400)
}

/// What reading needs of the configuration, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// None where signing in will name it.
    pub(crate) instance_url: Option<Url>,
    pub(crate) login_url: Url,
    pub(crate) api_version: ApiVersion,
    pub(crate) page_size: u32,
    pub(crate) lookback: std::time::Duration,
    pub(crate) safety_lag: std::time::Duration,
    pub(crate) quota_share: f64,
    pub(crate) run_quota_share: f64,
    pub(crate) include_deleted: bool,
    pub(crate) deleted_log: bool,
    pub(crate) bulk_from: u64,
    pub(crate) job_timeout: std::time::Duration,
    pub(crate) door: Door,
}

impl SalesforceConfig {
    /// Checks every field against what the vendor and the connection's network allow.
    pub(crate) fn check(&self, network: &Network, door: Door) -> Result<Settings> {
        let instance_url = match &self.instance_url {
            Some(text) => Some(hosts::origin("instance_url", text, network)?),
            None => None,
        };
        let login_url = hosts::origin("login_url", &self.login_url, network)?;
        match (&self.auth, &instance_url) {
            (Auth::ClientCredentials(_), None) => {
                return Err(wrong(
                    "instance_url",
                    "is missing: client credentials sign in at the org's own My Domain, \
                     https://<name>.my.salesforce.com",
                ));
            }
            (Auth::Session(_), None) => {
                return Err(wrong("instance_url", "is missing: a session token does not say whose it is"));
            }
            (_, Some(url)) if hosts::is_login_host(url) => {
                return Err(wrong(
                    "instance_url",
                    "is a login host, which serves no data and refuses client credentials: name the org's \
                     My Domain, https://<name>.my.salesforce.com",
                ));
            }
            _ => {}
        }
        if !PAGE_SIZES.contains(&self.page_size) {
            return Err(wrong("page_size", format!("is {}; it must be 200 to 2000", self.page_size)));
        }
        for (field, share) in [("quota_share", self.quota_share), ("run_quota_share", self.run_quota_share)] {
            // Written so that NaN is refused too.
            if !(share > 0.0 && share <= 1.0) {
                return Err(wrong(field, format!("is {share}; it must be above 0 and at most 1")));
            }
        }
        for (field, period) in
            [("lookback", self.lookback), ("safety_lag", self.safety_lag), ("job_timeout", self.job_timeout)]
        {
            if period > Period::secs(LONGEST_PERIOD) {
                return Err(wrong(field, "is longer than 365d"));
            }
        }
        self.check_auth()?;
        Ok(Settings {
            instance_url,
            login_url,
            api_version: ApiVersion::parse(&self.api_version)?,
            page_size: self.page_size,
            lookback: self.lookback.0,
            safety_lag: self.safety_lag.0,
            quota_share: self.quota_share,
            run_quota_share: self.run_quota_share,
            include_deleted: self.include_deleted,
            deleted_log: self.deleted_log,
            bulk_from: self.bulk_from,
            job_timeout: self.job_timeout.0,
            door,
        })
    }

    fn check_auth(&self) -> Result<()> {
        let filled = |field: &'static str, text: &str| {
            if text.trim().is_empty() { Err(wrong(field, "is empty")) } else { Ok(()) }
        };
        match &self.auth {
            Auth::ClientCredentials(auth) => {
                filled("auth.client_credentials.client_id", &auth.client_id)?;
                filled("auth.client_credentials.client_secret", auth.client_secret.expose())
            }
            Auth::RefreshToken(auth) => {
                filled("auth.refresh_token.client_id", &auth.client_id)?;
                let token = auth.refresh_token.as_ref();
                token.map_or(Ok(()), |token| filled("auth.refresh_token.refresh_token", token.expose()))
            }
            Auth::JwtBearer(auth) => {
                filled("auth.jwt_bearer.client_id", &auth.client_id)?;
                filled("auth.jwt_bearer.username", &auth.username)?;
                filled("auth.jwt_bearer.private_key", auth.private_key.expose())
            }
            Auth::SamlBearer(auth) => {
                filled("auth.saml_bearer.client_id", &auth.client_id)?;
                filled("auth.saml_bearer.username", &auth.username)?;
                filled("auth.saml_bearer.private_key", auth.private_key.expose())
            }
            Auth::Session(auth) => filled("auth.session.access_token", auth.access_token.expose()),
        }
    }
}

/// A year, in seconds: a longer look-back is a mistake of unit.
const LONGEST_PERIOD: u64 = 365 * 86_400;

/// An error that names a field of the configuration.
pub(crate) fn wrong(field: &'static str, what: impl fmt::Display) -> Error {
    Error::config("connect", format!("`{field}` {what}")).with_context("field", field)
}

/// A version of the API that is not retired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct ApiVersion(String);

impl TryFrom<String> for ApiVersion {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ApiVersion> for String {
    fn from(version: ApiVersion) -> Self {
        version.0
    }
}

impl ApiVersion {
    fn parse(text: &str) -> Result<Self> {
        let number = text.strip_prefix('v').and_then(|rest| rest.strip_suffix(".0"));
        match number.filter(|digits| !digits.starts_with(['0', '+'])).map(str::parse::<u32>) {
            Some(Ok(number)) if number <= LAST_RETIRED => Err(wrong(
                "api_version",
                format!(
                    "is {text}, which the vendor has retired; use v{} or newer",
                    format_args!("{}.0", LAST_RETIRED + 1)
                ),
            )),
            Some(Ok(number)) if number < 1_000 => Ok(Self(text.to_owned())),
            _ => Err(wrong("api_version", "is no API version such as v66.0")),
        }
    }

    /// Its number: 66 for `v66.0`.
    pub(crate) fn number(&self) -> u32 {
        let digits = self.0.trim_start_matches('v').split('.').next().unwrap_or_default();
        digits.parse().unwrap_or_default()
    }

    /// `/services/data/v66.0`.
    pub(crate) fn path(&self) -> String {
        format!("/services/data/{}", self.0)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
