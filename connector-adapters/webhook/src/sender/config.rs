//! What a connection is set up with. Typed, checked, no I/O.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use connector_ingress::scheme::{HmacConfig, SchemeConfig, SchemeName, Signer};
use connector_sdk::{ByteSize, Context, Error, Period, Result, Secret};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::{port, schedule::Schedule};

/// Attempts of a message, at most.
const MOST_ATTEMPTS: usize = 50;
/// The longest wait of a schedule.
const LONGEST_WAIT: Duration = Duration::from_secs(31 * 86_400);
/// Attempts under way at once, at most.
const MOST_CONCURRENCY: u32 = 256;
/// How much of an answer may be kept.
const MOST_RESPONSE: ByteSize = ByteSize::mib(1);
/// The least that an outbox takes, in bytes.
const LEAST_OUTBOX: ByteSize = ByteSize::mib(1);
/// The largest message; it stands in memory while it is sent.
pub(super) const LARGEST_MESSAGE: u64 = 32 << 20;

/// The `config:` of a `webhook/sender` connection.
///
/// ```
/// use connector_webhook::SenderConfig;
/// let config: SenderConfig = serde_json::from_str(r#"{
///     "url": "https://example.com/webhooks",
///     "secrets": ["whsec_…"],
///     "outbox": { "path": "./outbox" }
/// }"#).unwrap();
/// assert_eq!(config.schedule.len(), 10);
/// ```
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SenderConfig {
    /// Where messages go: `https://example.com/webhooks`. A secret, because many endpoints have one in their path; errors,
    /// logs and records show its origin only.
    pub url: Secret,
    /// How messages are signed. Default `standard-webhooks`; `none` only when it says so.
    #[serde(default = "default_scheme")]
    pub scheme: SchemeName,
    /// What they are signed with: each secret gives a signature where the scheme has a place for several, which is how one
    /// is changed without a gap; elsewhere the first does.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// How `scheme: hmac` signs.
    pub hmac: Option<HmacConfig>,
    /// The header that tells the id, for `hmac`, `bearer`, `basic` and `none`.
    pub id_header: Option<String>,
    /// More headers of each request. Their values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// The wait before the first attempt, before the second, and so on: as many as there are attempts. Default `0s, 5s, 5m,
    /// 30m, 2h, 5h, 10h, 14h, 20h, 24h`.
    #[serde(default = "default_schedule")]
    pub schedule: Vec<Period>,
    /// How far a wait strays to either side, as a share of it: 0 to 1, default 0.2.
    #[serde(default = "default_jitter")]
    pub jitter: f64,
    /// The longest wait that the endpoint can ask for by `Retry-After`, for a message and for all. Default `1h`.
    #[serde(default = "default_retry_after_cap")]
    pub retry_after_cap: Period,
    /// Tries again too where the endpoint answers 4xx, with what else than 408, 410, 425 and 429. Default: the message is
    /// dead at once.
    #[serde(default)]
    pub retry_4xx: bool,
    /// In the order in which messages were accepted: one is under way at a time, and one that fails holds the others until
    /// it is delivered or dead.
    #[serde(default)]
    pub ordered: bool,
    /// Attempts under way at once, 1 to 256. Default 8; 1 where it is `ordered`.
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<u32>,
    /// How long an attempt may take in all, from connecting to the end of the answer: 1 s to 5 min. Default `15s`.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// How much of an answer's body is kept, and read. Default `16KiB`, at most `1MiB`.
    #[serde(default = "default_max_response")]
    pub max_response: ByteSize,
    /// Where messages are kept until they are delivered.
    pub outbox: OutboxConfig,
}

/// The `outbox:` of a configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// The outbox's folder, relative to the template's; it belongs to this connection alone.
    pub path: PathBuf,
    /// How large all messages together may become, dead letters among them: beyond that none is accepted. When dead letters
    /// take half of it nothing is sent until some are replayed or discarded. What became of messages is kept in as much
    /// again, until it is read. Some space of the disk is left free besides. Default `1GiB`.
    #[serde(default = "default_max_size")]
    pub max_size: ByteSize,
    /// How long dead letters are kept. Default `30d`.
    #[serde(default = "default_keep_dead")]
    pub keep_dead: Period,
}

fn default_scheme() -> SchemeName {
    SchemeName::StandardWebhooks
}
fn default_schedule() -> Vec<Period> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;
    let seconds =
        [0, 5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
    seconds.into_iter().map(Period::secs).collect()
}
fn default_jitter() -> f64 {
    0.2
}
fn default_retry_after_cap() -> Period {
    Period::secs(3600)
}
fn default_timeout() -> Period {
    Period::secs(15)
}
fn default_max_response() -> ByteSize {
    ByteSize(16 << 10)
}
fn default_keep_dead() -> Period {
    Period::secs(30 * 86_400)
}
fn default_max_size() -> ByteSize {
    ByteSize::mib(1024)
}

/// What is needed of the configuration, checked.
pub(super) struct Settings {
    pub(super) url: Url,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) headers: HeaderMap,
    pub(super) schedule: Schedule,
    pub(super) retry_4xx: bool,
    pub(super) ordered: bool,
    pub(super) concurrency: usize,
    pub(super) timeout: Duration,
    pub(super) max_response: usize,
    pub(super) outbox: PathBuf,
    pub(super) max_size: u64,
    pub(super) keep_dead: Duration,
}

/// Shows neither the URL nor what is sent with it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

impl Settings {
    /// Where messages go, as far as it may be shown.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl SenderConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Config, naming the field.
    pub(super) fn check(&self, cx: &Context) -> Result<Settings> {
        let url = self.url()?;
        let mut scheme = SchemeConfig::new(self.scheme, self.secrets.clone());
        (scheme.hmac, scheme.id_header) = (self.hmac.clone(), self.id_header.clone());
        let concurrency = match (self.concurrency, self.ordered) {
            (None | Some(1), true) => 1,
            (Some(_), true) => {
                return Err(wrong("concurrency", "does not go with `ordered`, which is one at a time"));
            }
            (None, false) => 8,
            (Some(count @ 1..=MOST_CONCURRENCY), false) => count,
            (Some(_), false) => return Err(wrong("concurrency", format!("is not 1 to {MOST_CONCURRENCY}"))),
        };
        let second = Duration::from_secs(1);
        if !(second..=second * 300).contains(&self.timeout.0) {
            return Err(wrong("timeout", "is not between 1s and 5m"));
        }
        if self.max_response > MOST_RESPONSE {
            return Err(wrong("max_response", format!("is more than {MOST_RESPONSE}")));
        }
        if self.outbox.path.as_os_str().is_empty() {
            return Err(wrong("outbox.path", "is empty"));
        }
        if self.outbox.max_size < LEAST_OUTBOX {
            return Err(wrong("outbox.max_size", format!("is less than {LEAST_OUTBOX}")));
        }
        // What becomes of a message has to fit into the journal, with an answer that JSON writes six times as long.
        if self.max_response.0.saturating_mul(6).saturating_add(64 << 10) > self.outbox.max_size.0 / 4 {
            return Err(wrong(
                "max_response",
                "is too large for `outbox.max_size`, of which it may fill a 24th",
            ));
        }
        Ok(Settings {
            url,
            signer: scheme.signer()?,
            headers: self.headers()?,
            schedule: self.waits()?,
            retry_4xx: self.retry_4xx,
            ordered: self.ordered,
            concurrency: usize::try_from(concurrency).unwrap_or(1),
            timeout: self.timeout.0,
            max_response: self.max_response.as_usize(),
            outbox: cx.folder().join(&self.outbox.path),
            max_size: self.outbox.max_size.0,
            keep_dead: self.outbox.keep_dead.0,
        })
    }

    fn url(&self) -> Result<Url> {
        // What a parser says of it may hold a piece of it.
        let url = Url::parse(self.url.expose().trim()).map_err(|_| wrong("url", "is no URL"))?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(wrong("url", "is no URL such as https://example.com/webhooks"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("url", "holds a name or a password: use `scheme: basic`, or `headers`"));
        }
        if url.fragment().is_some() {
            return Err(wrong("url", "has a fragment, which no server sees"));
        }
        match url.port_or_known_default() {
            Some(port) if !port::is_refused(port) => Ok(url),
            _ => Err(wrong("url", "has a port of another protocol than HTTP (Fetch, 2.9: Port blocking)")),
        }
    }

    fn waits(&self) -> Result<Schedule> {
        if !(1..=MOST_ATTEMPTS).contains(&self.schedule.len()) {
            return Err(wrong("schedule", format!("has no wait, or more than {MOST_ATTEMPTS}")));
        }
        if self.schedule.iter().any(|wait| wait.0 > LONGEST_WAIT) {
            return Err(wrong("schedule", "has a wait of more than 31d"));
        }
        if self.schedule.iter().skip(1).any(|wait| wait.0 < Duration::from_millis(100)) {
            return Err(wrong("schedule", "has a wait of less than 100ms between attempts"));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(wrong("jitter", "is not between 0 and 1"));
        }
        if self.retry_after_cap.0 > LONGEST_WAIT {
            return Err(wrong("retry_after_cap", "is more than 31d"));
        }
        Ok(Schedule {
            waits: self.schedule.iter().map(|wait| wait.0).collect(),
            jitter: self.jitter,
            retry_after_cap: self.retry_after_cap.0,
        })
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let refused = |what: &str| wrong("headers", format!("holds `{}`, {what}", name.escape_debug()));
            let key =
                HeaderName::try_from(name.as_str()).map_err(|_| refused("which is no name of a header"))?;
            let is_framing = [
                header::HOST,
                header::CONNECTION,
                header::CONTENT_LENGTH,
                header::CONTENT_TYPE,
                header::CONTENT_ENCODING,
                header::TRANSFER_ENCODING,
                header::TE,
                header::TRAILER,
                header::UPGRADE,
                header::EXPECT,
                header::ACCEPT_ENCODING,
            ]
            .contains(&key);
            if is_framing {
                return Err(refused("which is a header of HTTP itself"));
            }
            let value = HeaderValue::try_from(value.expose().as_str()).ok();
            // What is no ASCII could be put there, and not be sent.
            let value = value.filter(|value| value.to_str().is_ok());
            let mut value = value.ok_or_else(|| refused("whose value no header can carry"))?;
            value.set_sensitive(true);
            if headers.insert(key, value).is_some() {
                return Err(refused("which stands there twice"));
            }
        }
        Ok(headers)
    }
}

/// An error that names a field.
fn wrong(field: &'static str, what: impl fmt::Display) -> Error {
    Error::config("connect", format!("`{field}` {what}")).with_context("field", field)
}

#[cfg(test)]
mod tests;
