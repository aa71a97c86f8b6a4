//! Schemes as a configuration names them, for those who are called and for those who call.

use std::{sync::Arc, time::Duration};

use connector_sdk::{Error, Period, Result, Secret};
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Scheme, Signer,
    authorization::{Basic, Bearer},
    hmac::{Hmac, HmacConfig},
    open::Open,
    slack::Slack,
    standard::{Family, Standard, StandardSigner},
    stripe::Stripe,
};

/// Secrets at once, and signatures in one header that are tried: what a stranger's request costs has a bound. Svix signs
/// with at most eleven (its documentation, "Rotating secrets": ten old ones).
pub(super) const MOST: usize = 16;

/// Asymmetric keys at once, and asymmetric signatures in one header: each of either is tried with each of the others, and
/// each time the whole body is read.
pub(super) const MOST_ASYMMETRIC: usize = 4;

/// How far apart clocks may be at most: a request that is sent again within it has to be known yet, and ids are remembered
/// for three days or more.
const MOST_TOLERANCE: Duration = Duration::from_secs(86_400);

/// How a sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SchemeName {
    /// Standard Webhooks, v1 (`whsec_…`) and v1a (`whpk_…`): `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks,
    /// The same as Svix sends it: `svix-id`, `svix-timestamp`, `svix-signature`, or the other names.
    Svix,
    /// GitHub: `X-Hub-Signature-256`.
    Github,
    /// Slack: `X-Slack-Signature`, version v0.
    Slack,
    /// Stripe: `Stripe-Signature`, version v1.
    Stripe,
    /// Shopify: `X-Shopify-Hmac-SHA256`.
    Shopify,
    /// An HMAC as `hmac` describes it.
    Hmac,
    /// `Authorization: Bearer`, with one of the secrets.
    Bearer,
    /// `Authorization: Basic`, with one of the secrets: `name:password`.
    Basic,
    /// No proof at all: anybody may send. Only for what nobody else can reach.
    None,
}

/// A scheme, and what it needs.
///
/// ```
/// use connector_ingress::scheme::SchemeConfig;
/// let config: SchemeConfig = serde_json::from_str(r#"{
///     "scheme": "hmac", "secrets": ["s3cret"],
///     "hmac": { "header": "X-Signature", "prefix": "sha256=" }
/// }"#).unwrap();
/// assert_eq!(config.verifier().unwrap().name(), "hmac");
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SchemeConfig {
    /// Which.
    pub scheme: SchemeName,
    /// What is signed with: the secret in use, and others while it is changed; 16 at most. Each is good for who is called.
    /// Who calls signs with each of them where the scheme has a place for several signatures, and elsewhere with the first.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// How far the sender's clock may be from ours, either way: 1 s to 1 day, default `5m`. For schemes that sign a time.
    pub tolerance: Option<Period>,
    /// How `scheme: hmac` signs.
    pub hmac: Option<HmacConfig>,
    /// The header that holds the id of an event, for `hmac`, which refuses what comes without it, and `bearer`, `basic` and
    /// `none`; the others have one of their own.
    pub id_header: Option<String>,
}

impl SchemeConfig {
    /// A scheme with these secrets, and nothing else.
    #[must_use]
    pub fn new(scheme: SchemeName, secrets: Vec<Secret>) -> Self {
        Self { scheme, secrets, tolerance: None, hmac: None, id_header: None }
    }

    /// What judges requests.
    ///
    /// # Errors
    /// Config, with the field: one that is missing or does not fit the scheme, a secret that is none.
    pub fn verifier(&self) -> Result<Arc<dyn Scheme>> {
        let tolerance = self.tolerance()?;
        let id = self.id_header()?;
        Ok(match self.scheme {
            SchemeName::StandardWebhooks => {
                Arc::new(Standard::new(Family::Standard, self.some()?, tolerance).map_err(secrets)?)
            }
            SchemeName::Svix => {
                Arc::new(Standard::new(Family::Svix, self.some()?, tolerance).map_err(secrets)?)
            }
            SchemeName::Slack => {
                Arc::new(Slack::new(self.some()?).map_err(secrets)?.with_tolerance(tolerance))
            }
            SchemeName::Stripe => Arc::new(Stripe::new(self.some()?, tolerance).map_err(secrets)?),
            SchemeName::Github | SchemeName::Shopify | SchemeName::Hmac => Arc::new(self.mac(id, tolerance)?),
            SchemeName::Bearer => Arc::new(Bearer::new(self.some()?, id).map_err(secrets)?),
            SchemeName::Basic => Arc::new(Basic::new(self.some()?, id).map_err(secrets)?),
            SchemeName::None => Arc::new(self.open(id)?),
        })
    }

    /// What signs requests. The tolerance is the other side's.
    ///
    /// # Errors
    /// Config, as [`verifier`](Self::verifier).
    pub fn signer(&self) -> Result<Arc<dyn Signer>> {
        let tolerance = self.tolerance()?;
        let id = self.id_header()?;
        Ok(match self.scheme {
            SchemeName::StandardWebhooks => {
                Arc::new(StandardSigner::new(Family::Standard, self.some()?).map_err(secrets)?)
            }
            SchemeName::Svix => Arc::new(StandardSigner::new(Family::Svix, self.some()?).map_err(secrets)?),
            SchemeName::Slack => Arc::new(Slack::new(self.some()?).map_err(secrets)?),
            SchemeName::Stripe => Arc::new(Stripe::new(self.some()?, tolerance).map_err(secrets)?),
            SchemeName::Github | SchemeName::Shopify | SchemeName::Hmac => Arc::new(self.mac(id, tolerance)?),
            SchemeName::Bearer => Arc::new(Bearer::new(self.some()?, id).map_err(secrets)?),
            SchemeName::Basic => Arc::new(Basic::new(self.some()?, id).map_err(secrets)?),
            SchemeName::None => Arc::new(self.open(id)?),
        })
    }

    /// The secrets, of which there is one at least.
    fn some(&self) -> Result<&[Secret]> {
        match self.secrets.len() {
            0 => Err(wrong("secrets", "is empty: name at least one")),
            1..=MOST => Ok(&self.secrets),
            many => Err(wrong("secrets", format!("are {many}; at most {MOST} are good at once"))),
        }
    }

    /// A scheme of the family that says one HMAC in a header of its own.
    fn mac(&self, id: Option<HeaderName>, tolerance: Duration) -> Result<Hmac> {
        let keys = self.some()?;
        match self.scheme {
            SchemeName::Github => Hmac::github(keys).map_err(secrets),
            SchemeName::Shopify => Hmac::shopify(keys).map_err(secrets),
            _ => {
                let missing = || wrong("hmac", "is missing: `scheme: hmac` needs it");
                Hmac::new(self.hmac.as_ref().ok_or_else(missing)?, keys, id, tolerance)
            }
        }
    }

    fn open(&self, id: Option<HeaderName>) -> Result<Open> {
        if !self.secrets.is_empty() {
            // Who names one believes that something is proved by it.
            return Err(wrong("secrets", "are not looked at by `scheme: none`, which lets everybody in"));
        }
        Ok(Open::new(id))
    }

    /// How far apart clocks may be; says so where there is no clock, or no `hmac`, to speak of.
    fn tolerance(&self) -> Result<Duration> {
        if self.hmac.is_some() && self.scheme != SchemeName::Hmac {
            return Err(wrong("hmac", "is for `scheme: hmac`"));
        }
        let Some(Period(tolerance)) = self.tolerance else { return Ok(super::head::TOLERANCE) };
        let signs_time = match self.scheme {
            SchemeName::Hmac => self.hmac.as_ref().is_some_and(|hmac| hmac.timestamp_header.is_some()),
            name => matches!(
                name,
                SchemeName::StandardWebhooks | SchemeName::Svix | SchemeName::Slack | SchemeName::Stripe
            ),
        };
        if !signs_time {
            return Err(wrong("tolerance", "does not fit: nothing here signs a time"));
        }
        if !(Duration::from_secs(1)..=MOST_TOLERANCE).contains(&tolerance) {
            return Err(wrong("tolerance", "is not between 1s and 1d"));
        }
        Ok(tolerance)
    }

    fn id_header(&self) -> Result<Option<HeaderName>> {
        let Some(name) = &self.id_header else { return Ok(None) };
        match self.scheme {
            SchemeName::Hmac | SchemeName::Bearer | SchemeName::Basic | SchemeName::None => {
                header("id_header", name).map(Some)
            }
            _ => {
                Err(wrong("id_header", "does not fit: the scheme says itself what an event is told apart by"))
            }
        }
    }
}

/// What is wrong with a field.
pub(super) fn wrong(field: &'static str, what: impl std::fmt::Display) -> Error {
    Error::config("connect", format!("`{field}` {what}")).with_context("field", field)
}

/// What a scheme says of its secrets, with the name of the field.
fn secrets(error: Error) -> Error {
    wrong("secrets", format!("do not fit: {}", error.message()))
}

/// The name of a header.
pub(super) fn header(field: &'static str, name: &str) -> Result<HeaderName> {
    let name = HeaderName::try_from(name).map_err(|_| wrong(field, "is no name of a header"))?;
    // What carries the request, not what its sender says.
    let is_framing = matches!(
        name.as_str(),
        "host" | "connection" | "content-length" | "content-type" | "transfer-encoding" | "content-encoding"
    );
    match is_framing {
        true => Err(wrong(field, "is a header of HTTP itself")),
        false => Ok(name),
    }
}
